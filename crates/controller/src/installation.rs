//! What the settings in `argocd-cm` say: the id that tells our objects from those of another installation with Applications of
//! the same names, whether service accounts are impersonated, and how sources are rendered.
//!
//! As in Argo CD the id is `installationID` in the ConfigMap `argocd-cm` of our namespace, and empty where there is none. It is kept
//! by the [`Cluster`]. Invariant: nothing is judged before it is known, since it decides whose an object is, and so what may
//! be deleted. Entry points: [`watch`], and [`read_installation`] for whoever looks once.

use std::sync::Arc;

use trueup_cluster::{Cluster, ClusterError};
use trueup_render::Settings;

use crate::impersonation::Setting;
use crate::logins::{config_map_kind, data_of};
use crate::settings;
use crate::sightings::{Sighting, Sightings};
use crate::watches::wake_all;
use crate::world::World;

/// Where Argo CD keeps its settings.
const SETTINGS: &str = "argocd-cm";
/// The setting.
const INSTALLATION_ID: &str = "installationID";

/// Sets the id as it is just now, for whoever looks once.
pub async fn read_installation(cluster: &Cluster, namespace: &str) -> Result<(), ClusterError> {
    let settings = cluster.get_raw(&config_map_kind(), namespace, SETTINGS).await?;
    cluster.set_installation(&settings.map(|json| id_of(&json)).unwrap_or_default());
    Ok(())
}

/// Whether the settings say just now that service accounts are impersonated, for whoever looks once.
pub async fn impersonates(cluster: &Cluster, namespace: &str) -> Result<bool, ClusterError> {
    let settings = cluster.get_raw(&config_map_kind(), namespace, SETTINGS).await?;
    Ok(settings.is_some_and(|json| Setting::read(&data_of(&json)) != Setting::Off))
}

/// What the settings say just now about rendering, for whoever looks once.
pub async fn rendering(cluster: &Cluster, namespace: &str) -> Result<Settings, ClusterError> {
    let settings = cluster.get_raw(&config_map_kind(), namespace, SETTINGS).await?;
    Ok(settings.map(|json| settings::of(&data_of(&json))).unwrap_or_default())
}

/// Watches the settings.
pub(crate) async fn watch(world: Arc<World>) {
    let mut sightings = Sightings::one(&world.cluster, &config_map_kind(), &world.namespace, SETTINGS);
    let (mut id, mut told) = (String::new(), None);
    let mut impersonation = Setting::default();
    let mut rendering = Settings::default();
    while let Some(sighting) = sightings.next().await {
        let mut first = false;
        match sighting {
            Sighting::Here(raw) => {
                let settings = data_of(raw.json.get().as_bytes());
                impersonation = Setting::read(&settings);
                world.webhooks.set_settings(&settings);
                world.repositories.set_settings(&settings);
                rendering = settings::of(&settings);
                id = settings.get(INSTALLATION_ID).cloned().unwrap_or_default();
            }
            // Who replaces it takes it away for a moment, in which every other installation's objects would seem to be ours.
            Sighting::Gone(_) if !id.is_empty() => {
                tracing::warn!(%id, "the ConfigMap {SETTINGS} is gone: the installation keeps its id until the next start");
            }
            Sighting::Gone(_) => {}
            Sighting::Complete { first: complete } => {
                told = None;
                first = complete;
            }
            Sighting::Failed(error) => {
                let error = error.to_string();
                if told.as_ref() != Some(&error) {
                    let goes_on = if sightings.complete() {
                        "what was known of it counts"
                    } else {
                        "no work begins before it is known whether this installation has an id; the controller needs get, list and watch of ConfigMaps in its namespace"
                    };
                    tracing::warn!(%error, "the ConfigMap {SETTINGS} cannot be watched: {goes_on}");
                }
                told = Some(error);
            }
        }
        if sightings.complete() && *world.cluster.installation() != *id {
            world.cluster.set_installation(&id);
            tracing::info!(%id, "the id of this installation: objects with another are not ours");
            wake_all(&world);
        }
        if sightings.complete() && world.impersonation.set(impersonation) {
            tracing::info!(?impersonation, "whether objects are written as the service accounts of projects");
            wake_all(&world);
        }
        if sightings.complete() && world.settings.set(rendering.clone()) {
            tracing::info!(?rendering, "how sources are rendered");
            wake_all(&world);
        }
        if first {
            world.listed.one_more();
        }
    }
}

fn id_of(settings: &[u8]) -> String {
    data_of(settings).remove(INSTALLATION_ID).unwrap_or_default()
}
