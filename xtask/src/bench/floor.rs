//! The floor: the same objects by a bare client, with nothing to decide.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use kube::Api;
use kube::Client;
use kube::api::DynamicObject;
use kube::api::Patch;
use kube::api::PatchParams;
use serde_json::Value;
use serde_json::json;
use trueup_bed::ApplicationBuilder;
use trueup_bed::Audit;
use trueup_bed::Usage;
use trueup_bed::application;

use super::load::Load;
use super::load::Object;
use super::measure::Measure;
use super::measure::by_verb;
use super::side;
use crate::definitions;

/// Who the floor is, to the API server and as a field manager.
const USER: &str = "floor";

/// What one connection sends for one application.
struct Work {
    name: String,
    objects: Vec<Object>,
    status: Value,
}

/// Applies everything, and answers what it took.
pub(crate) async fn run(load: &Load) -> anyhow::Result<Measure> {
    let control_plane = side::start(USER).await?;
    let applications = load.names().iter().map(|name| application(name).path(name).build()).collect();
    side::create_applications(&side::clients(&control_plane, "admin").await?, applications).await?;
    let clients = side::clients(&control_plane, USER).await?;
    let work: VecDeque<Work> = load.names().into_iter().map(|name| work(*load, name)).collect();
    let work = Arc::new(Mutex::new(work));
    let audit = Audit::of(&control_plane).await?;

    let mark = audit.mark().await?;
    let (begun, before) = (Instant::now(), Usage::of(std::process::id())?);
    let workers: Vec<_> = clients.into_iter().map(|client| tokio::spawn(worker(client, Arc::clone(&work)))).collect();
    for worker in workers {
        worker.await??;
    }
    let (wall, after) = (begun.elapsed(), Usage::of(std::process::id())?);

    let requests = audit.since(mark).await?.by(USER);
    side::check(&control_plane, *load).await?;
    Ok(Measure {
        wall_seconds: wall.as_secs_f64(),
        cpu_seconds: after.cpu_seconds - before.cpu_seconds,
        peak_mib: None,
        requests: by_verb(&requests),
    })
}

/// One connection: takes an application after the other.
async fn worker(client: Client, work: Arc<Mutex<VecDeque<Work>>>) -> anyhow::Result<()> {
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(next) = next else { return Ok(()) };
        sync(&client, next).await?;
    }
}

async fn sync(client: &Client, work: Work) -> anyhow::Result<()> {
    let apply = PatchParams::apply(USER).force();
    let namespaces: Api<DynamicObject> = Api::all_with(client.clone(), &side::core("Namespace", "namespaces"));
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": work.name}});
    namespaces.patch(&work.name, &apply, &Patch::Apply(namespace)).await?;
    for object in &work.objects {
        let resource = side::core(object.body["kind"].as_str().unwrap_or_default(), object.plural);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &work.name, &resource);
        api.patch(&object.name, &apply, &Patch::Apply(&object.body)).await?;
    }
    let applications: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), definitions::NAMESPACE, &ApplicationBuilder::resource());
    applications.patch(&work.name, &PatchParams::default(), &Patch::Merge(json!({"status": work.status}))).await?;
    Ok(())
}

/// Everything that is sent for an application, made before the clock starts.
fn work(load: Load, name: String) -> Work {
    let mut objects = load.objects(&name);
    for object in &mut objects {
        let kind = object.body["kind"].as_str().unwrap_or_default();
        let id = format!("{name}:/{kind}:{name}/{}", object.name);
        object.body["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": id});
    }
    let status = status(&name, &objects);
    Work { name, objects, status }
}

/// A status of the size that an application has after its first sync.
fn status(namespace: &str, objects: &[Object]) -> Value {
    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    const TIME: &str = "2026-01-01T00:00:00Z";
    let resource = |object: &Object| {
        json!({"version": "v1", "kind": object.body["kind"], "namespace": namespace, "name": object.name,
            "status": "Synced"})
    };
    let result = |object: &Object| {
        json!({"group": "", "version": "v1", "kind": object.body["kind"], "namespace": namespace, "name": object.name,
            "status": "Synced", "message": "applied", "hookPhase": "Running", "syncPhase": "Sync"})
    };
    let source = json!({"repoURL": "http://127.0.0.1:40000/bench.git", "path": namespace, "targetRevision": "main"});
    let resources: Vec<Value> = objects.iter().map(resource).collect();
    let results: Vec<Value> = objects.iter().map(result).collect();
    json!({
        "sync": {"status": "Synced", "revision": COMMIT,
            "comparedTo": {"source": source, "destination": {"server": "https://kubernetes.default.svc"}}},
        "health": {"status": "Healthy", "lastTransitionTime": TIME},
        "resources": resources,
        "history": [{"id": 0, "revision": COMMIT, "deployStartedAt": TIME, "deployedAt": TIME, "source": source}],
        "operationState": {"phase": "Succeeded", "message": "successfully synced (all tasks run)",
            "startedAt": TIME, "finishedAt": TIME, "operation": {"sync": {"revision": COMMIT}},
            "syncResult": {"revision": COMMIT, "source": source, "resources": results}},
        "reconciledAt": TIME,
        "sourceType": "Directory",
    })
}
