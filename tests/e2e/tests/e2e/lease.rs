//! Several controllers, one of which works: who that is, how it changes, and that nobody writes who may not.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::Timestamp;
use kube::core::ApiResource;
use serde_json::Value;
use serde_json::json;
use trueup_bed::Audit;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::Deadline;
use trueup_bed::Recorder;
use trueup_bed::Requests;
use trueup_bed::until;
use trueup_e2e::NAMESPACE;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::kubectl;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::bound;
use trueup_e2e::manifests::bound_in;
use trueup_e2e::manifests::cluster_role;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

/// The shortest that a Lease may last: what waits for its end waits no longer than it must.
const SHORT: &str = "--lease-duration=5s";
/// The same as a time.
const SHORT_TIME: Duration = Duration::from_secs(5);
/// By how much a takeover may be later than the end of the Lease.
const LATE: Duration = Duration::from_secs(1);

fn options(user: &str, pod: &str, arguments: &[&str]) -> ControllerOptions {
    ControllerOptions {
        user: user.to_owned(),
        lease: true,
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        environment: vec![("POD_NAME".to_owned(), pod.to_owned())],
        ..controller_options(NAMESPACE)
    }
}

fn lease_path() -> String {
    format!("{}/trueup-controller", objects("leases.coordination.k8s.io/v1", NAMESPACE))
}

async fn lease(scene: &Scene<'_>) -> Value {
    scene.admin.get(&lease_path()).await.unwrap_or_default()
}

/// Waits until a controller says that it leads, or that it does not.
async fn until_leads(controller: &Controller, wanted: f64) {
    until(format!("trueup_leader {wanted}"), SLOW, async || match controller.metric("trueup_leader").await {
        Ok(Some(leads)) if (leads - wanted).abs() < f64::EPSILON => Ok(()),
        other => Err(format!("{other:?}; its log:\n{}", controller.log())),
    })
    .await
    .unwrap();
}

/// What was written but the Lease.
fn work(requests: &Requests, user: &str) -> Requests {
    requests.by(user).writes().filtered(|request| request.resource != "leases")
}

#[tokio::test]
async fn one_of_two_works_and_the_other_takes_over_at_once_when_it_ends() {
    let world: &'static World = World::start_for(&["first", "second"]).await.kept();
    let scene = Scene::new(world, "lease", NAMESPACE).await;
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let begun = audit.mark().await.unwrap();
    let mut first = world.controller(&options("first", "pod-1", &[])).await;
    let second = world.controller(&options("second", "pod-2", &[])).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    until_leads(&first, 1.0).await;
    until_leads(&second, 0.0).await;
    let words = second.readiness().await.unwrap();
    assert!(words.contains("standing by: 'pod-1_") && words.contains("argocd/trueup-controller"), "{words}");

    // At rest it is one renewal per five seconds, and nothing by the other.
    let rest = audit.mark().await.unwrap();
    let from = Instant::now();
    let requests = until("three renewals", SLOW, async || {
        let requests = audit.since(rest).await.map_err(|error| error.to_string())?;
        if requests.by("first").count("update", "leases") >= 3 { Ok(requests) } else { Err(requests.len().to_string()) }
    })
    .await
    .unwrap();
    assert!(from.elapsed() > Duration::from_secs(9), "renewed too often");
    let others =
        requests.filtered(|request| request.user == "second" || request.user == "first" && request.verb != "update");
    assert!(others.is_empty(), "{others:#?}");
    let all = audit.since(begun).await.unwrap();
    assert!(all.by("second").writes().is_empty(), "{:#?}", all.by("second").writes());

    let ended = first.terminate().await.unwrap();
    assert!(ended.success(), "{}", first.log());
    let from = Instant::now();
    until_leads(&second, 1.0).await;
    assert!(from.elapsed() < Duration::from_secs(5), "the Lease was not given back: {:?}", from.elapsed());
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    app.synced(&commit).await;
    let lease = lease(&scene).await;
    assert!(lease["spec"]["holderIdentity"].as_str().unwrap().starts_with("pod-2_"), "{lease:#}");
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
}

#[tokio::test]
async fn a_holder_that_died_is_succeeded_when_its_lease_ends_and_not_before() {
    let world: &'static World = World::start_for(&["first", "second"]).await.kept();
    let scene = Scene::new(world, "lease-dies", NAMESPACE).await;
    // Both run on one host and have its name.
    let mut first = world.controller(&options("first", "host", &[SHORT])).await;
    let second = world.controller(&options("second", "host", &[SHORT])).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    until_leads(&second, 0.0).await;
    let time = |lease: &Value, field: &str| lease["spec"][field].as_str().unwrap().parse::<Timestamp>().unwrap();
    let before = lease(&scene).await;
    let killed = Timestamp::now();
    first.kill9();
    until_leads(&second, 1.0).await;
    let after = lease(&scene).await;
    assert_ne!(after["spec"]["holderIdentity"], before["spec"]["holderIdentity"]);
    let taken = time(&after, "acquireTime");
    let wait = Duration::try_from(taken.duration_since(killed)).unwrap();
    assert!(wait <= SHORT_TIME + LATE, "taken {wait:?} after the death");
    let lasted = Duration::try_from(taken.duration_since(time(&before, "renewTime"))).unwrap();
    assert!(lasted >= SHORT_TIME, "taken {lasted:?} after the last renewal: before it ended");
    // Who comes back finds another, and stands by.
    first.restart().unwrap();
    first.wait_ready().await.unwrap();
    until_leads(&first, 0.0).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    app.synced(&commit).await;
}

#[tokio::test]
async fn a_holder_that_is_started_again_goes_on_at_once() {
    let world: &'static World = World::start_for(&["first", "second"]).await.kept();
    let scene = Scene::new(world, "lease-again", NAMESPACE).await;
    // Nobody could wait for its end.
    let long = "--lease-duration=10m";
    let mut first = world.controller(&options("first", "host", &[long])).await;
    let second = world.controller(&options("second", "host", &[long])).await;
    let before = lease(&scene).await["spec"].clone();
    first.restart().unwrap();
    first.wait_ready().await.unwrap();
    until_leads(&first, 1.0).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    let after = lease(&scene).await["spec"].clone();
    for field in ["holderIdentity", "acquireTime", "leaseTransitions"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    // One of the same name beside it is a stranger all the same.
    until_leads(&second, 0.0).await;
}

#[tokio::test]
async fn a_holder_that_slept_through_its_lease_writes_nothing_when_it_wakes() {
    let world: &'static World = World::start_for(&["first", "second"]).await.kept();
    let scene = Scene::new(world, "lease-sleeps", NAMESPACE).await;
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let recorder =
        Recorder::start(scene.admin.client().clone(), &[ApiResource::erase::<ConfigMap>(&())]).await.unwrap();
    let mut holder = ("first", world.controller(&options("first", "pod-1", &[SHORT])).await);
    let mut standby = ("second", world.controller(&options("second", "pod-2", &[SHORT])).await);
    let app = scene.create(scene.application().automated(true, true)).await;
    until_leads(&holder.1, 1.0).await;
    for round in 1..=3_usize {
        // It is stopped after some writes of a sync, with more to come.
        let files: Vec<(String, String)> = (0..40)
            .map(|number| {
                let name = format!("config-{round}-{number}");
                (format!("app/{name}.yaml"), config_map(&name, &[("round", &round.to_string())]))
            })
            .collect();
        let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (&**path, Some(&**text))).collect();
        let mark = audit.mark().await.unwrap();
        scene.commit(&files);
        let wanted = 6 * round;
        until(format!("{wanted} writes"), SLOW, async || {
            let writes = work(&audit.since(mark).await.map_err(|error| error.to_string())?, holder.0).len();
            if writes >= wanted { Ok(()) } else { Err(writes.to_string()) }
        })
        .await
        .unwrap();
        holder.1.freeze().unwrap();
        until_leads(&standby.1, 1.0).await;
        let commit = scene.put("app/last.yaml", &config_map("last", &[("round", &round.to_string())]));
        app.synced(&commit).await;
        let woken = audit.mark().await.unwrap();
        holder.1.thaw().unwrap();
        let ended = until("the one who slept to end", Deadline::LONG, async || match holder.1.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        })
        .await
        .unwrap();
        assert_eq!(ended.code(), Some(2), "{}", holder.1.log());
        let log = holder.1.log();
        assert!(log.contains("went to 'pod-") && log.contains("begin anew as a standby"), "{log}");
        let writes = audit.since(woken).await.unwrap().by(holder.0).writes();
        // What was cut off half sent is answered with an error (504) only now, and what asks for the Lease is refused.
        let done = writes.filtered(|request| request.code < 400);
        assert!(done.is_empty(), "written after the Lease was lost: {done:#?}");
        // Next time it is the other way round.
        holder.1.restart().unwrap();
        holder.1.wait_ready().await.unwrap();
        until_leads(&holder.1, 0.0).await;
        std::mem::swap(&mut holder, &mut standby);
    }
    recorder.settle().await.unwrap();
    // An apply by two is one apply; an Event is a new object each time, so the end of a sync that two took for theirs is told twice.
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for event in scene.events(&scene.name).await {
        if event.starts_with("OperationCompleted") {
            *told.entry(event).or_default() += 1;
        }
    }
    assert!(told.len() >= 3, "{told:#?}");
    assert!(told.values().all(|times| *times == 1), "told twice: {told:#?}");
    let deleted = recorder.deletions().iter().filter(|deleted| deleted.namespace == scene.namespace).count();
    assert_eq!(deleted, 0);
}

/// All that the controller needs but Leases, and these apart.
fn roles() -> String {
    let groups = "['', apps, argoproj.io, apiextensions.k8s.io, apiregistration.k8s.io]";
    let work = cluster_role("work", &format!("  - {{apiGroups: {groups}, resources: ['*'], verbs: ['*']}}"));
    format!("{work}{}{ELECTION}", bound("work"))
}

const ELECTION: &str = "\
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: election, namespace: argocd}
rules:
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list, watch, create, update]}
";

#[tokio::test]
async fn without_the_role_for_leases_it_stops_and_says_so_and_goes_on_with_it() {
    let world: &'static World = World::start_for(&["first:operators"]).await.kept();
    let scene = Scene::new(world, "lease-role", NAMESPACE).await;
    let audit = Audit::of(&world.control_plane).await.unwrap();
    for roles in [roles(), bound_in(NAMESPACE, "Role", "election")] {
        kubectl_with_input(&world.control_plane, &["apply", "--server-side", "-f", "-"], &roles).await;
    }
    let controller = world.controller(&options("first", "pod-1", &[SHORT])).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    kubectl(&world.control_plane, "delete rolebinding election -n argocd").await;
    until_leads(&controller, 0.0).await;
    let stopped = audit.mark().await.unwrap();
    until("it to say why", SLOW, async || {
        let log = controller.log();
        let said =
            log.contains("the Lease argocd/trueup-controller cannot be renewed, so nothing is written: forbidden");
        if said && log.contains("create and update of leases") { Ok(()) } else { Err(log) }
    })
    .await
    .unwrap();
    assert!(controller.readiness().await.is_err(), "it cannot work and says that it is ready");
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    // It still tries for the Lease, and nothing else is written meanwhile.
    until("more tries", SLOW, async || {
        let requests = audit.since(stopped).await.map_err(|error| error.to_string())?;
        let tries = requests.by("first").filtered(|request| request.resource == "leases").len();
        if tries >= 10 { Ok(()) } else { Err(tries.to_string()) }
    })
    .await
    .unwrap();
    let writes = work(&audit.since(stopped).await.unwrap(), "first");
    assert!(writes.is_empty(), "{writes:#?}");
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "1");
    kubectl_with_input(
        &world.control_plane,
        &["apply", "--server-side", "-f", "-"],
        &bound_in(NAMESPACE, "Role", "election"),
    )
    .await;
    app.synced(&commit).await;
    until_leads(&controller, 1.0).await;
    assert_eq!(scene.expect("configmaps", "config").await["data"]["a"], "2");
}

#[tokio::test]
async fn a_lease_of_a_stranger_is_respected_and_told_of() {
    let world: &'static World = World::start_for(&["first"]).await.kept();
    let scene = Scene::new(world, "lease-stranger", NAMESPACE).await;
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let begun = audit.mark().await.unwrap();
    let stranger = json!({
        "metadata": {"name": "trueup-controller"},
        "spec": {"holderIdentity": "stranger", "leaseDurationSeconds": 3600, "renewTime": "2026-01-02T03:04:05.000000Z"},
    });
    scene.admin.create(&objects("leases.coordination.k8s.io/v1", NAMESPACE), &stranger).await;
    let controller = world.controller(&options("first", "pod-1", &[SHORT])).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    until("it to say what to do", SLOW, async || {
        let words = controller.readiness().await.map_err(|error| error.to_string())?;
        let log = controller.log();
        let said = |text: &str| {
            [
                "'stranger' holds the Lease argocd/trueup-controller",
                "2026-01-02T03:04:05",
                "does not renew",
                "kubectl patch lease -n argocd trueup-controller --type=merge",
            ]
            .iter()
            .all(|part| text.contains(part))
        };
        if said(&words) && said(&log) { Ok(()) } else { Err(format!("{words}\n{log}")) }
    })
    .await
    .unwrap();
    until_leads(&controller, 0.0).await;
    let writes = audit.since(begun).await.unwrap().by("first").writes();
    assert!(writes.is_empty(), "{writes:#?}");
    assert!(scene.object("configmaps", "config").await.is_none());
    // Who deletes it does not know whether its holder works on.
    scene.admin.delete(&lease_path()).await;
    until("it to say that it waits all the same", SLOW, async || {
        let words = controller.readiness().await.map_err(|error| error.to_string())?;
        let said = ["was deleted", "'stranger', who held it, may work until", "starting this controller again"];
        if said.iter().all(|part| words.contains(part)) { Ok(()) } else { Err(words) }
    })
    .await
    .unwrap();
    until_leads(&controller, 0.0).await;
    scene.admin.create(&objects("leases.coordination.k8s.io/v1", NAMESPACE), &stranger).await;
    let remedy = [
        ["patch", "lease", "-n", NAMESPACE, "trueup-controller"].as_slice(),
        &["--type=merge", "-p", r#"{"spec":{"holderIdentity":null}}"#],
    ];
    kubectl_with_input(&world.control_plane, &remedy.concat(), "").await;
    app.synced(&commit).await;
    let log = controller.log();
    assert!(log.contains("this controller holds the Lease"), "{log}");
}

#[tokio::test]
async fn a_lease_that_is_deleted_under_its_living_holder_goes_to_nobody_else() {
    let world: &'static World = World::start_for(&["first", "second"]).await.kept();
    let scene = Scene::new(world, "lease-deleted", NAMESPACE).await;
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let mut first = world.controller(&options("first", "pod-1", &[])).await;
    let second = world.controller(&options("second", "pod-2", &[])).await;
    until_leads(&first, 1.0).await;
    until_leads(&second, 0.0).await;
    let begun = audit.mark().await.unwrap();
    let app = scene.create(scene.application().automated(true, true)).await;
    for round in ["1", "2", "3"] {
        scene.admin.delete(&lease_path()).await;
        let commit = scene.put("app/config.yaml", &config_map("config", &[("a", round)]));
        until("the Lease to be made anew", SLOW, async || {
            let lease = lease(&scene).await;
            let holder = lease["spec"]["holderIdentity"].as_str().map(str::to_owned);
            holder.ok_or_else(|| format!("{lease}"))
        })
        .await
        .unwrap();
        app.synced(&commit).await;
        let written = audit.since(begun).await.unwrap().by("second").writes();
        assert!(written.is_empty(), "two were active: {written:#?}; {}", second.log());
        assert_eq!(first.try_wait().unwrap(), None, "{}", first.log());
    }
    let words = second.readiness().await.unwrap();
    assert!(words.contains("standing by: 'pod-1_"), "{words}");
}
