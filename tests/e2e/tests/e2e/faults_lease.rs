//! A gap in the Lease: what was under way goes on when it is over, and nobody's wish is lost.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

use serde_json::json;
use trueup_bed::ApiFault;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::FaultProxy;
use trueup_bed::until;
use trueup_e2e::NAMESPACE;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;

/// Objects of the application.
const WIDTH: usize = 10;

async fn until_leads(controller: &Controller, wanted: f64) {
    until(format!("trueup_leader {wanted}"), SLOW, async || match controller.metric("trueup_leader").await {
        Ok(Some(leads)) if (leads - wanted).abs() < f64::EPSILON => Ok(()),
        other => Err(format!("{other:?}; its log:\n{}", controller.log())),
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_sync_that_somebody_asked_for_outlives_a_gap_in_the_lease() {
    let world: &'static World = World::start().await.kept();
    let proxy = FaultProxy::start(&world.control_plane, "trueup").await.unwrap();
    let scene = Scene::new(world, "gap", NAMESPACE).await;
    let options = ControllerOptions {
        kubeconfig: Some(proxy.kubeconfig().to_owned()),
        lease: true,
        arguments: vec!["--lease-duration=5s".to_owned()],
        environment: vec![("POD_NAME".to_owned(), "pod-1".to_owned())],
        ..controller_options(NAMESPACE)
    };
    let controller = world.controller(&options).await;
    let files: Vec<(String, String)> = (0..WIDTH)
        .map(|number| (format!("app/config-{number}.yaml"), config_map(&format!("config-{number}"), &[("a", "1")])))
        .collect();
    let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (&**path, Some(&**text))).collect();
    scene.commit(&files);
    let app = scene.create(scene.application()).await;
    app.sync_status("OutOfSync").await;
    // One object is under way when the time is over, and another waits for its turn until it goes on: what is written then is
    // the end of an operation in whose middle something could not be.
    let act = Arc::new(AtomicU8::new(1));
    let now = Arc::clone(&act);
    proxy.misbehave(move |call| {
        let (patch, gap) = (call.method == "PATCH", now.load(Ordering::SeqCst) == 1);
        let of = |name: &str| call.path.ends_with(&format!("/configmaps/{name}"));
        match () {
            () if gap && patch && of("config-5") => Some(ApiFault::Swallow),
            () if gap && patch && of("config-6") => Some(ApiFault::Status(409)),
            () if !patch && of("config-6") => Some(ApiFault::Hold),
            () if gap && call.method == "PUT" && call.path.contains("/leases/") => Some(ApiFault::Swallow),
            () => None,
        }
    });
    app.ask(json!({})).await;
    until_leads(&controller, 0.0).await;
    assert!(controller.readiness().await.is_err(), "it may not write and says that it is ready");
    act.store(2, Ordering::SeqCst);
    until_leads(&controller, 1.0).await;
    let caught = proxy.caught();
    for name in ["config-5", "config-6"] {
        assert!(caught.iter().any(|call| call.path.ends_with(name)), "{name} was not under way: {caught:#?}");
    }
    proxy.behave();
    let done = app.operated("Succeeded").await;
    assert_eq!(done["status"]["history"].as_array().map(Vec::len), Some(1), "{:#}", done["status"]["history"]);
    for number in 0..WIDTH {
        scene.expect("configmaps", &format!("config-{number}")).await;
    }
    let events = scene.events(&scene.name).await;
    assert!(!events.iter().any(|event| event.contains("failed")), "{events:#?}");
    assert!(!controller.log().contains("the status cannot be written"), "{}", controller.log());
}

#[tokio::test]
async fn who_slept_for_a_while_and_still_has_the_lease_goes_on_at_once() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "nap", NAMESPACE).await;
    let options = ControllerOptions {
        lease: true,
        arguments: vec!["--lease-duration=5s".to_owned()],
        environment: vec![("POD_NAME".to_owned(), "pod-1".to_owned())],
        ..controller_options(NAMESPACE)
    };
    let controller = world.controller(&options).await;
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&commit).await;
    let held = "this controller holds the Lease";
    assert_eq!(controller.log().matches(held).count(), 1, "{}", controller.log());
    controller.freeze().unwrap();
    // Longer than it may work without a renewal. Nothing but time tells when that is over.
    let begun = std::time::Instant::now();
    until("its time to be over", SLOW, async || {
        let slept = begun.elapsed();
        if slept > std::time::Duration::from_secs(5) { Ok(()) } else { Err(format!("{slept:?}")) }
    })
    .await
    .unwrap();
    controller.thaw().unwrap();
    // It notices that there was a gap, though nobody told it so, and looks at everything again.
    until("it to notice the gap", SLOW, async || {
        let log = controller.log();
        if log.matches(held).count() == 2 { Ok(()) } else { Err(log) }
    })
    .await
    .unwrap();
    let commit = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    app.synced(&commit).await;
}
