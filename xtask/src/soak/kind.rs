//! The kinds of the soak. Entry point: [`KINDS`].

use kube::core::ApiResource;
use kube::core::GroupVersionKind;

/// One kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    pub(super) plural: &'static str,
}

/// The key of the data of ConfigMaps and Secrets that people edit, and that Git never removes.
pub(super) const VALUE: &str = "value";

pub(super) const CONFIG_MAP: Kind = Kind { group: "", name: "ConfigMap", plural: "configmaps" };
pub(super) const SECRET: Kind = Kind { group: "", name: "Secret", plural: "secrets" };
pub(super) const SERVICE: Kind = Kind { group: "", name: "Service", plural: "services" };
pub(super) const DEPLOYMENT: Kind = Kind { group: "apps", name: "Deployment", plural: "deployments" };
pub(super) const NAMESPACE: Kind = Kind { group: "", name: "Namespace", plural: "namespaces" };

/// Every kind that an application has.
pub(super) const KINDS: [&Kind; 4] = [&CONFIG_MAP, &SECRET, &SERVICE, &DEPLOYMENT];

// === impl Kind ===

impl Kind {
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", self.group) }
    }

    pub(super) fn resource(&self) -> ApiResource {
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(self.group, "v1", self.name), self.plural)
    }
}
