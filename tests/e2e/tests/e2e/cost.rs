//! What things cost, counted by the API server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use futures::StreamExt as _;
use kube::Api;
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use kube::runtime::watcher;
use kube::runtime::watcher::Event;
use serde_json::Value;
use trueup_bed::ApplicationBuilder;
use trueup_bed::Asked;
use trueup_bed::Audit;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::Requests;
use trueup_bed::until;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;
use trueup_e2e::objects;

/// How many applications are at rest.
const CROWD: usize = 200;
/// How many applications are synced for the first time.
const FIRST: usize = 100;
/// How long it may take until all of them are where they belong: a debug build on two cores that do much else.
const ALL: Duration = Duration::from_mins(5);

/// These take the whole machine: one at a time.
static MACHINE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn metric(controller: &Controller, name: &str) -> f64 {
    controller.metric(name).await.unwrap().unwrap_or_else(|| panic!("there is no metric {name}"))
}

async fn counted(controller: &Controller, name: &str, least: usize) {
    until(format!("{name} to be {least}"), ALL, async || {
        let value = controller.metric(name).await.map_err(|error| error.to_string())?.unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        if value >= least as f64 { Ok(()) } else { Err(format!("{value}")) }
    })
    .await
    .unwrap();
}

/// Waits until all Applications are Synced and Healthy at a commit.
async fn all_healthy(scene: &Scene<'_>, commit: &str) {
    until(format!("all to be Synced and Healthy at {commit}"), ALL, async || {
        let apps = scene.admin.list(&objects("applications", NAMESPACE)).await;
        let there = |app: &&Value| {
            app["status"]["sync"]["status"] == "Synced"
                && app["status"]["sync"]["revision"] == commit
                && app["status"]["health"]["status"] == "Healthy"
        };
        let done = apps.iter().filter(there).count();
        if done == apps.len() { Ok(()) } else { Err(format!("{done} of {}", apps.len())) }
    })
    .await
    .unwrap();
}

/// Watches are opened and renewed, Leases renewed: that is what moves at rest.
fn moved(requests: &Requests) -> Requests {
    requests.by("trueup").filtered(|request| request.verb != "watch" && request.resource != "leases")
}

fn told(requests: &Requests) -> String {
    let first: Vec<&String> = requests.iter().take(5).map(|request| &request.uri).collect();
    format!("{:?}, such as {first:?}", requests.counts())
}

#[tokio::test]
async fn at_rest_nothing_moves_and_a_push_costs_what_it_touches() {
    let _alone = MACHINE.lock().await;
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "crowd", NAMESPACE).await;
    let mut files: Vec<(String, String)> = Vec::new();
    for number in 0..CROWD {
        files.push((format!("apps/{number}/config.yaml"), config_map(&format!("config-{number}"), &[("a", "1")])));
        // Some have something that lives, too.
        if number % 10 == 0 {
            files.push((format!("apps/{number}/web.yaml"), deployment(&format!("web-{number}"), 1, "blue")));
        }
    }
    let commit: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (&**path, Some(&**text))).collect();
    let first = scene.commit(&commit);
    for number in 0..CROWD {
        let built = scene.application_named(&format!("app-{number}")).path(&format!("apps/{number}"));
        scene.create(built.automated(true, true)).await;
    }
    let options = ControllerOptions { resync: Some(Duration::from_secs(10)), ..controller_options(NAMESPACE) };
    let controller = world.controller(&options).await;
    counted(&controller, "trueup_syncs_total", CROWD).await;
    all_healthy(&scene, &first).await;
    let audit = Audit::of(&world.control_plane).await.unwrap();
    quiet(&scene, &audit).await;

    // Three periods of rest.
    let renders = metric(&controller, "trueup_renders_total").await;
    let comparisons = metric(&controller, "trueup_comparisons_total").await;
    let listings = scene.repository.asked(Asked::LsRefs);
    let fetches = scene.repository.asked(Asked::Fetch);
    let mark = audit.mark().await.unwrap();
    scene.listed(listings + 3).await;
    let requests = moved(&audit.since(mark).await.unwrap());
    assert!(requests.is_empty(), "at rest: {}", told(&requests));
    assert!((metric(&controller, "trueup_renders_total").await - renders).abs() < 0.5, "something was rendered");
    assert!(
        (metric(&controller, "trueup_comparisons_total").await - comparisons).abs() < 0.5,
        "something was compared"
    );
    // One listing per repository and interval, whatever the number of applications.
    assert!(scene.repository.asked(Asked::LsRefs) <= listings + 4);
    assert_eq!(scene.repository.asked(Asked::Fetch), fetches);

    // A push that touches one of them.
    let mark = audit.mark().await.unwrap();
    let deferred = metric(&controller, "trueup_deferred_status_writes_total").await;
    let second = scene.put("apps/7/config.yaml", &config_map("config-7", &[("a", "2")]));
    scene.until_value("configmaps", "config-7", "/data/a", "2").await;
    counted(&controller, "trueup_deferred_status_writes_total", whole(deferred) + CROWD - 1).await;
    all_healthy(&scene, &second).await;
    let requests = moved(&audit.since(mark).await.unwrap());
    assert!((metric(&controller, "trueup_renders_total").await - renders - 1.0).abs() < 0.5, "one render");
    assert_eq!(scene.repository.asked(Asked::Fetch), fetches + 1, "one fetch");
    let objects_touched =
        requests.filtered(|request| request.resource != "applications" && request.resource != "events");
    let counts = objects_touched.counts();
    assert_eq!(
        counts,
        BTreeMap::from([(("patch".to_owned(), "configmaps".to_owned()), 1)]),
        "{}",
        told(&objects_touched)
    );
    let own = requests.filtered(|request| request.resource == "applications" && request.name == "app-7");
    assert!(own.len() <= 3, "status writes of the one that changed: {}", told(&own));
    let others = requests.filtered(|request| request.resource == "applications" && request.name != "app-7");
    let deferred = whole(metric(&controller, "trueup_deferred_status_writes_total").await) - whole(deferred);
    assert_eq!(others.counts(), BTreeMap::from([(("patch".to_owned(), "applications".to_owned()), CROWD - 1)]));
    assert_eq!(deferred, CROWD - 1, "they are counted apart");
    assert!(requests.count("create", "events") <= 2);
}

fn whole(value: f64) -> usize {
    format!("{value:.0}").parse().unwrap()
}

/// Waits for a whole period in which nothing moves.
async fn quiet(scene: &Scene<'_>, audit: &Audit) {
    until("a quiet period", ALL, async || {
        let mark = audit.mark().await.unwrap();
        scene.listed(scene.repository.asked(Asked::LsRefs) + 1).await;
        let requests = moved(&audit.since(mark).await.unwrap());
        if requests.is_empty() { Ok(()) } else { Err(told(&requests)) }
    })
    .await
    .unwrap();
}

/// The states of each Application, in order, as a watch tells them.
type States = Arc<Mutex<BTreeMap<String, Vec<Value>>>>;

/// Watches Applications and keeps every state of each.
fn watch_states(scene: &Scene<'_>) -> (States, tokio::task::JoinHandle<()>) {
    let states = States::default();
    let resource = ApplicationBuilder::resource();
    let api: Api<DynamicObject> = Api::namespaced_with(scene.admin.client().clone(), NAMESPACE, &resource);
    let seen = Arc::clone(&states);
    let task = tokio::spawn(async move {
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
        while let Some(event) = events.next().await {
            if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
                let name = object.name_any();
                let state = serde_json::json!({"version": object.resource_version(), "status": object.data["status"]});
                seen.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().push(state);
            }
        }
    });
    (states, task)
}

#[tokio::test]
async fn a_first_sync_costs_one_apply_per_object_three_status_writes_and_two_events() {
    let _alone = MACHINE.lock().await;
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "first", NAMESPACE).await;
    let mut files: Vec<(String, String)> = Vec::new();
    for number in 0..FIRST {
        files.push((format!("apps/{number}/one.yaml"), config_map("one", &[("a", "1")])));
        files.push((format!("apps/{number}/two.yaml"), config_map("two", &[("a", "1")])));
        files.push((format!("apps/{number}/web.yaml"), deployment("web", 1, "blue")));
    }
    let commit: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (&**path, Some(&**text))).collect();
    let commit = scene.commit(&commit);
    let (states, watching) = watch_states(&scene);
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    for number in 0..FIRST {
        let built = scene.application_named(&format!("app-{number}")).path(&format!("apps/{number}"));
        scene.create(built.destination(&format!("t-first-{number}")).automated(true, true)).await;
    }
    let controller = world.controller(&controller_options(NAMESPACE)).await;
    counted(&controller, "trueup_syncs_total", FIRST).await;
    all_healthy(&scene, &commit).await;
    quiet(&scene, &audit).await;
    let requests = audit.since(mark).await.unwrap().by("trueup");
    watching.abort();

    let objects_touched =
        requests.filtered(|request| ["configmaps", "deployments", "namespaces"].contains(&request.resource.as_str()));
    let of = |verb: &str, resource: &str| objects_touched.count(verb, resource);
    assert_eq!(of("patch", "configmaps"), 2 * FIRST, "{}", told(&objects_touched));
    assert_eq!(of("patch", "deployments"), FIRST, "{}", told(&objects_touched));
    let namespaces = objects_touched.filtered(|request| request.resource == "namespaces").writes().len();
    assert!(namespaces <= FIRST, "{}", told(&objects_touched));
    let rest = objects_touched.filtered(|request| {
        request.dry_run || !(request.writes() || ["list", "watch"].contains(&request.verb.as_str()))
    });
    assert!(rest.is_empty(), "reads and dry runs of objects: {}", told(&rest));
    // For the objects and in the search for what was left behind; and for Argo CD's controller, and its four ConfigMaps.
    assert!(of("list", "configmaps") <= 6 && of("list", "deployments") <= 3, "{}", told(&objects_touched));

    assert!(requests.count("create", "events") <= 2 * FIRST, "{}", told(&requests));
    let states = std::mem::take(&mut *states.lock().unwrap_or_else(PoisonError::into_inner));
    for number in 0..FIRST {
        let name = format!("app-{number}");
        let writes =
            requests.filtered(|request| request.resource == "applications" && request.name == name && request.writes());
        assert!(writes.iter().all(|write| write.verb == "patch" && write.code == 200), "{name}: {}", told(&writes));
        let seen = &states[&name];
        assert_eq!(seen.len(), writes.len() + 1, "{name}: a state of its own for each write");
        assert!(writes.len() >= 2, "{name}: its start and its end are written");
        assert!(scene.events(&name).await.len() <= 2, "{name}: {:?}", scene.events(&name).await);
        // Each further write tells of a health that came more than a second later.
        for further in 3..writes.len() {
            let health = |at: usize| seen[at + 1]["status"]["health"]["status"].clone();
            let at = |at: usize| writes[at].at.unwrap();
            assert_ne!(
                health(further),
                health(further - 1),
                "{name}: write {further} of {}: {:#}",
                writes.len(),
                seen[further + 1]
            );
            let apart = at(further).duration_since(at(further - 1)).as_secs_f64();
            assert!(apart >= 1.0, "{name}: write {further} came {apart} s after the one before");
        }
    }
}
