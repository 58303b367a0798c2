//! A wave step: how long after an object turned healthy the next wave is applied.
//!
//! One application of a load balancer per wave. Each gets its address from outside; the clock runs from that request to the
//! controller's next apply, both as the API server's audit log tells them.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use kube::Api;
use kube::api::DynamicObject;
use kube::api::Patch;
use kube::api::PatchParams;
use serde::Serialize;
use serde_json::json;
use trueup_bed::Audit;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::GitServer;
use trueup_bed::Requests;
use trueup_bed::application;
use trueup_bed::until_every;

use super::side;
use crate::definitions;

/// Who the controller is to the API server.
const USER: &str = "trueup";
/// The application, its namespace and its directory.
const NAME: &str = "waves";
/// How many waves there are: one step less.
const WAVES: usize = 21;
/// How often it is looked whether a wave has begun. The time that is told does not depend on it.
const GLANCE: Duration = Duration::from_millis(5);
/// How long a wave may take to begin before the run is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the steps from wave to wave took.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Steps {
    pub(crate) count: usize,
    pub(crate) median_milliseconds: f64,
    pub(crate) slowest_milliseconds: f64,
}

// === impl Steps ===

impl Steps {
    /// What these took, in milliseconds; nothing if there are none.
    pub(crate) fn of(mut milliseconds: Vec<f64>) -> Option<Self> {
        milliseconds.sort_by(f64::total_cmp);
        let median_milliseconds = *milliseconds.get(milliseconds.len() / 2)?;
        let slowest_milliseconds = *milliseconds.last()?;
        Some(Self { count: milliseconds.len(), median_milliseconds, slowest_milliseconds })
    }
}

/// Syncs the application, and answers what the steps took.
pub(crate) async fn run(binary: &Path) -> anyhow::Result<Steps> {
    let control_plane = side::start(USER).await?;
    let server = GitServer::start_in(control_plane.dir()).await?;
    let repository = server.create("steps")?;
    let files: Vec<(String, String)> = (0..WAVES).map(manifest).collect();
    let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (&**path, Some(&**text))).collect();
    repository.commit(&files, "All waves")?;
    let options = ControllerOptions {
        binary: Some(binary.to_owned()),
        user: USER.to_owned(),
        namespace: definitions::NAMESPACE.to_owned(),
        ..ControllerOptions::default()
    };
    let clients = side::clients(&control_plane, "admin").await?;
    let application = application(NAME).repo(repository.url()).path(NAME).destination(NAME).automated(true, true);
    side::create_applications(&clients, vec![application.sync_option("CreateNamespace=true").build()]).await?;
    let audit = Audit::of(&control_plane).await?;
    let mark = audit.mark().await?;
    let _controller = Controller::start(&control_plane, &options)?;
    let client = clients.into_iter().next().context("there is no client")?;
    let services: Api<DynamicObject> = Api::namespaced_with(client, NAME, &side::core("Service", "services"));
    for wave in 0..WAVES {
        let name = name(wave);
        until_every(GLANCE, format!("wave {wave}"), PATIENCE, async || match services.get_opt(&name).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("not applied yet".to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .await?;
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
        services.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await?;
    }
    Steps::of(between(&audit.since(mark).await?)?).context("there was no step")
}

/// The milliseconds from each address to the apply of the next wave.
fn between(requests: &Requests) -> anyhow::Result<Vec<f64>> {
    let at = |user: &str, subresource: &str, wave: usize| {
        let name = name(wave);
        let found = requests.iter().find(|request| {
            request.user == user
                && request.resource == "services"
                && request.subresource == subresource
                && request.name == name
                && request.writes()
        });
        found.and_then(|request| request.at).with_context(|| format!("no request of {user} for wave {wave}"))
    };
    (1..WAVES)
        .map(|wave| {
            let took = at(USER, "", wave)?.duration_since(at("admin", "status", wave - 1)?);
            anyhow::Ok(took.as_secs_f64() * 1000.0)
        })
        .collect()
}

fn name(wave: usize) -> String {
    format!("wave-{wave:02}")
}

/// The file of a wave.
fn manifest(wave: usize) -> (String, String) {
    let name = name(wave);
    let text = format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  annotations: {{argocd.argoproj.io/sync-wave: \"{wave}\"}}\nspec:\n  type: LoadBalancer\n  selector: {{app: {name}}}\n  ports: [{{port: 80}}]\n"
    );
    (format!("{NAME}/{name}.yaml"), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_slowest_are_told() {
        let steps = Steps::of(vec![3.0, 90.0, 1.0]);
        assert_eq!(steps, Some(Steps { count: 3, median_milliseconds: 3.0, slowest_milliseconds: 90.0 }));
        assert_eq!(Steps::of(Vec::new()), None);
    }
}
