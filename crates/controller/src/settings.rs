//! What `argocd-cm` says about rendering.
//!
//! Kept: the settings as they were last seen. Entry points: [`Rendering::get`] and [`of`].

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use trueup_render::Settings;

/// The settings as they are now.
#[derive(Default)]
pub(crate) struct Rendering(RwLock<Arc<Settings>>);

// === impl Rendering ===

impl Rendering {
    pub(crate) fn get(&self) -> Arc<Settings> {
        Arc::clone(&self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Sets them. Answers whether that changes anything.
    pub(crate) fn set(&self, settings: Settings) -> bool {
        let mut known = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let changes = **known != settings;
        if changes {
            *known = Arc::new(settings);
        }
        changes
    }
}

/// Reads them; what is not said is as in Argo CD.
pub(crate) fn of(settings: &BTreeMap<String, String>) -> Settings {
    let enabled = |tool: &str| settings.get(&format!("{tool}.enable")).is_none_or(|text| text.trim() != "false");
    let usual = Settings::default();
    let words = |key: &str, separators: &[char]| {
        let text = settings.get(key)?;
        let words = text.split(|letter: char| separators.contains(&letter)).map(str::trim);
        Some(words.filter(|word| !word.is_empty()).map(str::to_owned).collect())
    };
    Settings {
        helm_enabled: enabled("helm"),
        kustomize_enabled: enabled("kustomize"),
        jsonnet_enabled: enabled("jsonnet"),
        kustomize_build_options: words("kustomize.buildOptions", &[' ', '\n', '\t']).unwrap_or_default(),
        helm_values_schemes: words("helm.valuesFileSchemes", &[',']).unwrap_or(usual.helm_values_schemes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_map_is_read_as_argo_cd_reads_it() {
        let read = |pairs: &[(&str, &str)]| {
            of(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(read(&[]), Settings::default());
        let settings = read(&[
            ("helm.enable", "false"),
            ("kustomize.enable", "true"),
            ("kustomize.buildOptions", "--enable-helm  --load-restrictor LoadRestrictionsNone\n"),
            ("helm.valuesFileSchemes", "https, s3"),
        ]);
        assert!(!settings.helm_enabled && settings.kustomize_enabled && settings.jsonnet_enabled);
        assert_eq!(settings.kustomize_build_options, ["--enable-helm", "--load-restrictor", "LoadRestrictionsNone"]);
        assert_eq!(settings.helm_values_schemes, ["https", "s3"]);
        assert_eq!(read(&[("helm.valuesFileSchemes", "")]).helm_values_schemes, Vec::<String>::new());
    }
}
