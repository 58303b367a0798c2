//! A fresh control plane for one side: the definitions and the namespace of the Applications, and nothing else.

use anyhow::Context as _;
use futures::StreamExt as _;
use kube::Api;
use kube::Client;
use kube::api::DynamicObject;
use kube::api::ListParams;
use kube::api::PostParams;
use kube::core::ApiResource;
use serde_json::Value;
use trueup_bed::ApplicationBuilder;
use trueup_bed::ControlPlane;

use crate::definitions;
use crate::definitions::NAMESPACE;

use super::load::Load;

/// Connections, of the floor as of whoever creates the Applications.
pub(crate) const CONNECTIONS: usize = 16;

/// Starts a control plane that knows one more user, with the definitions installed.
pub(crate) async fn start(user: &str) -> anyhow::Result<ControlPlane> {
    let control_plane = ControlPlane::start(&[user]).await?;
    definitions::install(&control_plane).await?;
    Ok(control_plane)
}

/// Clients with a connection each, warm: the handshakes are no part of what is measured.
pub(crate) async fn clients(control_plane: &ControlPlane, user: &str) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = control_plane.client(user).await?;
        client.apiserver_version().await?;
        clients.push(client);
    }
    Ok(clients)
}

/// Creates the Applications over all the connections.
pub(crate) async fn create_applications(clients: &[Client], applications: Vec<Value>) -> anyhow::Result<()> {
    let created = futures::stream::iter(applications.into_iter().enumerate()).map(async |(index, application)| {
        let api: Api<DynamicObject> =
            Api::namespaced_with(clients[index % clients.len()].clone(), NAMESPACE, &ApplicationBuilder::resource());
        let object: DynamicObject = serde_json::from_value(application)?;
        api.create(&PostParams::default(), &object).await.context("cannot create an Application")?;
        anyhow::Ok(())
    });
    let mut created = std::pin::pin!(created.buffer_unordered(CONNECTIONS));
    while let Some(outcome) = created.next().await {
        outcome?;
    }
    Ok(())
}

/// Fails unless every ConfigMap of the load is really there.
pub(crate) async fn check(control_plane: &ControlPlane, load: Load) -> anyhow::Result<()> {
    let resource = core("ConfigMap", "configmaps");
    let api: Api<DynamicObject> = Api::all_with(control_plane.client("admin").await?, &resource);
    let there = api.list_metadata(&ListParams::default().labels("team=bench")).await?.items.len();
    anyhow::ensure!(there == load.config_maps(), "{there} ConfigMaps are there, not {}", load.config_maps());
    Ok(())
}

/// A kind of the core group.
pub(crate) fn core(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&kube::core::GroupVersionKind::gvk("", "v1", kind), plural)
}
