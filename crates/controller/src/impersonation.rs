//! As whom the objects of an application are written.
//!
//! Kept: what `argocd-cm` says of impersonation. Invariants: where it is on, no object is written with the controller's own
//! permissions but where the settings allow that by name; where a project's account is wrong, nothing is written at all. Status,
//! Events and Leases are the controller's own. Entry points: [`Impersonation::set`] and [`hands`].

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use trueup_api::{App, Application, Meta, Project};
use trueup_cluster::{Cluster, ClusterError};

use crate::observe::View;
use crate::world::{IN_CLUSTER_SERVER, World};

/// The setting that switches it on.
pub(crate) const ENABLED: &str = "application.sync.impersonation.enabled";
/// The setting that allows to go on without an account where a project names none.
const ENFORCED: &str = "application.sync.impersonation.enforced";

/// What the settings say.
#[derive(Debug, Default)]
pub(crate) struct Impersonation(RwLock<Setting>);

/// Whether objects are written as the service accounts that projects name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Setting {
    /// As the controller itself, whatever projects name.
    #[default]
    Off,
    /// As the account of the project; without one, not at all.
    Enforced,
    /// As the account of the project; without one, as the controller itself.
    Lenient,
}

// === impl Setting ===

impl Setting {
    /// Reads the settings, as upstream: on if `true`, enforced unless `false`.
    pub(crate) fn read(settings: &BTreeMap<String, String>) -> Self {
        let says = |key: &str, value: &str| settings.get(key).is_some_and(|set| set == value);
        match (says(ENABLED, "true"), says(ENFORCED, "false")) {
            (false, _) => Self::Off,
            (true, false) => Self::Enforced,
            (true, true) => Self::Lenient,
        }
    }
}

// === impl Impersonation ===

impl Impersonation {
    pub(crate) fn get(&self) -> Setting {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the settings say now; answers whether that is news.
    pub(crate) fn set(&self, setting: Setting) -> bool {
        std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), setting) != setting
    }
}

impl View {
    /// The cluster, as whoever writes the objects of this application.
    pub(crate) fn hands(&self, world: &World, application: &Application) -> Result<Cluster, ClusterError> {
        hands(world, &application.meta, &self.spec, &self.project)
            .map_err(|message| ClusterError::Forbidden { message })
    }
}

/// The cluster, as whoever writes the objects of an application; an error, if nobody may.
pub(crate) fn hands(world: &World, meta: &Meta, spec: &App, project: &Project) -> Result<Cluster, String> {
    Ok(match user(world.impersonation.get(), meta, spec, project)? {
        Some(user) => world.cluster.acting_as(&user),
        None => world.cluster.clone(),
    })
}

/// Whose permissions count, if not the controller's own.
fn user(setting: Setting, meta: &Meta, spec: &App, project: &Project) -> Result<Option<String>, String> {
    if setting == Setting::Off {
        return Ok(None);
    }
    let namespace = &spec.destination.namespace;
    let home = if namespace.is_empty() { &meta.namespace } else { namespace };
    let failed = |why: String| format!("failed to find a matching service account to impersonate: {why}");
    let account = project
        .service_account(IN_CLUSTER_SERVER, namespace, home)
        .map_err(|why| failed(format!("spec.destinationServiceAccounts of project '{}': {why}", project.name)))?;
    if account.is_none() && setting == Setting::Enforced {
        return Err(failed(format!(
            "no matching service account found for destination server {IN_CLUSTER_SERVER} and namespace {home}: add one to spec.destinationServiceAccounts of project '{}', or set {ENFORCED} to \"false\" in argocd-cm",
            project.name
        )));
    }
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Setting {
        Setting::read(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn it_is_on_if_true_and_enforced_unless_false() {
        for (pairs, expected) in [
            (&[][..], Setting::Off),
            (&[(ENABLED, "false")], Setting::Off),
            (&[(ENABLED, "True")], Setting::Off),
            (&[(ENFORCED, "true")], Setting::Off),
            (&[(ENABLED, "true")], Setting::Enforced),
            (&[(ENABLED, "true"), (ENFORCED, "no")], Setting::Enforced),
            (&[(ENABLED, "true"), (ENFORCED, "false")], Setting::Lenient),
        ] {
            assert_eq!(settings(pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn news_are_told_once() {
        let impersonation = Impersonation::default();
        assert!(!impersonation.set(Setting::Off));
        assert!(impersonation.set(Setting::Enforced) && !impersonation.set(Setting::Enforced));
        assert_eq!(impersonation.get(), Setting::Enforced);
    }

    #[test]
    fn whose_permissions_count() {
        let project = |accounts: &str| {
            let json = format!(
                r#"{{"metadata": {{"name": "team"}}, "spec": {{"destinationServiceAccounts": [{accounts}]}}}}"#
            );
            Project::read(json.as_bytes()).unwrap()
        };
        let json = |namespace: &str| {
            format!(
                r#"{{"metadata": {{"name": "shop", "namespace": "apps", "uid": "u"}}, "spec": {{"project": "team", "source": {{"repoURL": "https://git.example/a", "path": "."}}, "destination": {{"server": "{IN_CLUSTER_SERVER}", "namespace": "{namespace}"}}}}}}"#
            )
        };
        let asked = |setting, accounts: &str, namespace: &str| {
            let application = Application::read(json(namespace).as_bytes()).unwrap();
            user(setting, &application.meta, &application.spec.unwrap(), &project(accounts))
        };
        let any = r#"{"server": "*", "namespace": "*", "defaultServiceAccount": "deployer"}"#;
        let other = r#"{"server": "*", "namespace": "other", "defaultServiceAccount": "deployer"}"#;
        let wrong = r#"{"server": "*", "namespace": "*", "defaultServiceAccount": "*"}"#;
        assert_eq!(asked(Setting::Off, wrong, "shop"), Ok(None));
        assert_eq!(asked(Setting::Enforced, any, "shop").unwrap().unwrap(), "system:serviceaccount:shop:deployer");
        assert_eq!(asked(Setting::Enforced, any, "").unwrap().unwrap(), "system:serviceaccount:apps:deployer");
        let refused = asked(Setting::Enforced, other, "shop").unwrap_err();
        assert!(
            refused.contains("no matching service account found") && refused.contains("project 'team'"),
            "{refused}"
        );
        assert_eq!(asked(Setting::Lenient, other, "shop"), Ok(None));
        for setting in [Setting::Enforced, Setting::Lenient] {
            assert!(asked(setting, wrong, "shop").unwrap_err().contains("'*' is no service account"));
        }
    }
}
