//! The first sync by Trueup: the Applications are there, and the clock runs from the start of the controller until each is
//! Synced and Healthy.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use futures::StreamExt as _;
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::watcher;
use kube::runtime::watcher::Event;
use trueup_bed::ApplicationBuilder;
use trueup_bed::Audit;
use trueup_bed::ControlPlane;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::GitServer;
use trueup_bed::application;

use super::load::Load;
use super::measure::Measure;
use super::measure::by_verb;
use super::measure::mib;
use super::side;
use crate::definitions;
use crate::terminal::Terminal;

/// Who the controller is to the API server.
const USER: &str = "trueup";
/// How long one application may take on average before the run is given up: fifty times the floor.
const PATIENCE_PER_APPLICATION: Duration = Duration::from_millis(2500);
/// The least patience.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long no request may come until what a sync causes is over: its Events and last status come within a second.
const QUIET: Duration = Duration::from_secs(2);

/// Syncs everything, and answers what it took.
pub(crate) async fn run(load: &Load, binary: &Path, terminal: Terminal) -> anyhow::Result<Measure> {
    let control_plane = side::start(USER).await?;
    let server = GitServer::start_in(control_plane.dir()).await?;
    let repository = server.create("bench")?;
    repository.commit(&borrowed(&files(*load)?), "All applications")?;
    let options = ControllerOptions {
        binary: Some(binary.to_owned()),
        user: USER.to_owned(),
        namespace: definitions::NAMESPACE.to_owned(),
        ..ControllerOptions::default()
    };
    let clients = side::clients(&control_plane, "admin").await?;
    let names = load.names();
    let applications = names.iter().map(|name| {
        let application = application(name).repo(repository.url()).path(name).destination(name);
        application.automated(true, true).sync_option("CreateNamespace=true").build()
    });
    // Before the clock, as on the other side: it is our work that is measured, from the start of the process on.
    side::create_applications(&clients, applications.collect()).await?;
    let audit = Audit::of(&control_plane).await?;

    let mark = audit.mark().await?;
    let begun = Instant::now();
    let controller = Controller::start(&control_plane, &options)?;
    let settled = settled(&control_plane, *load, terminal).await;
    let ended = settled.with_context(|| format!("the controller's log ends with\n{}", tail(&controller)))?;
    quiet(&audit, mark).await?;
    let after = controller.usage()?;

    let requests = audit.since(mark).await?.by(USER);
    side::check(&control_plane, *load).await?;
    Ok(Measure {
        wall_seconds: ended.duration_since(begun).as_secs_f64(),
        cpu_seconds: after.cpu_seconds,
        peak_mib: Some(mib(after.peak_rss_bytes)),
        requests: by_verb(&requests),
    })
}

/// Waits until every Application is Synced and Healthy, and answers when the last one was.
async fn settled(control_plane: &ControlPlane, load: Load, terminal: Terminal) -> anyhow::Result<Instant> {
    let patience = PATIENCE.max(PATIENCE_PER_APPLICATION.saturating_mul(u32::try_from(load.applications)?));
    let client = control_plane.client("admin").await?;
    let api: Api<DynamicObject> = Api::namespaced_with(client, definitions::NAMESPACE, &ApplicationBuilder::resource());
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    let mut done = BTreeSet::new();
    let end = tokio::time::Instant::now() + patience;
    let mut last = String::from("no Application was seen");
    while done.len() < load.applications {
        let event = tokio::time::timeout_at(end, events.next()).await;
        let event = event.with_context(|| {
            format!("{} of {} are Synced and Healthy after {patience:?}; {last}", done.len(), load.applications)
        })?;
        let Some(Ok(Event::Apply(object) | Event::InitApply(object))) = event else { continue };
        let name = object.metadata.name.unwrap_or_default();
        let text = |pointer: &str| object.data.pointer(pointer).and_then(|value| value.as_str()).unwrap_or("nothing");
        let (sync, health) = (text("/status/sync/status"), text("/status/health/status"));
        if sync == "Synced" && health == "Healthy" {
            done.insert(name);
        } else {
            let message = text("/status/operationState/message");
            last = format!("{name} is {sync}, {health}; its operation says {message}");
            done.remove(&name);
        }
        terminal.waiting(&format!("{} of {} Synced and Healthy", done.len(), load.applications));
    }
    Ok(Instant::now())
}

/// Waits until the controller asks for nothing more.
async fn quiet(audit: &Audit, mark: trueup_bed::Mark) -> anyhow::Result<()> {
    let mut known = audit.since(mark).await?.by(USER).len();
    loop {
        tokio::time::sleep(QUIET).await;
        let now = audit.since(mark).await?.by(USER).len();
        if now == known {
            return Ok(());
        }
        known = now;
    }
}

/// The files of the repository: a directory per application, a file per object.
fn files(load: Load) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for name in load.names() {
        for object in load.objects(&name) {
            let path = format!("{name}/{}-{}.yaml", object.plural, object.name);
            files.push((path, yaml_serde::to_string(&object.body)?));
        }
    }
    Ok(files)
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, Option<&str>)> {
    files.iter().map(|(path, content)| (path.as_str(), Some(content.as_str()))).collect()
}

fn tail(controller: &Controller) -> String {
    const LINES: usize = 20;
    let log = controller.log();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
