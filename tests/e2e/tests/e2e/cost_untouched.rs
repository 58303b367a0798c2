//! What a commit costs that leaves an application alone, if nobody wants to know its new revision.

use serde_json::Value;
use trueup_bed::Asked;
use trueup_bed::Audit;
use trueup_bed::ControllerOptions;
use trueup_bed::Deadline;
use trueup_bed::until;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

/// How many applications there are.
const CROWD: usize = 20;

#[tokio::test]
async fn an_application_that_a_commit_leaves_alone_is_not_written() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "untouched", NAMESPACE).await;
    let files: Vec<(String, String)> = (0..CROWD)
        .map(|at| (format!("apps/{at}/config.yaml"), config_map(&format!("config-{at}"), &[("a", "1")])))
        .collect();
    let commit: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (&**path, Some(&**text))).collect();
    let first = scene.commit(&commit);
    for at in 0..CROWD {
        let built = scene.application_named(&format!("app-{at}")).path(&format!("apps/{at}"));
        scene.create(built.automated(true, true)).await;
    }
    let environment = vec![("TRUEUP_UNTOUCHED_REVISIONS".to_owned(), "never".to_owned())];
    let controller = world.controller(&ControllerOptions { environment, ..controller_options(NAMESPACE) }).await;
    for at in 0..CROWD {
        scene.app(&format!("app-{at}")).synced(&first).await;
    }
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let mark = audit.mark().await.unwrap();
    let looks = controller.metric("trueup_reconciles_total").await.unwrap().unwrap_or_default();
    let second = scene.put("apps/7/config.yaml", &config_map("config-7", &[("a", "2")]));
    scene.app("app-7").synced(&second).await;
    // All of them have looked at the new commit, and further listings of refs brought nothing out of the queue.
    until("all to have looked", Deadline::LONG, async || {
        let now = controller.metric("trueup_reconciles_total").await.map_err(|error| error.to_string())?;
        let wait = controller.metric("trueup_queue_depth").await.map_err(|error| error.to_string())?;
        let more = now.unwrap_or_default() - looks;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        if more >= CROWD as f64 && wait == Some(0.0) { Ok(()) } else { Err(format!("{more} looks, {wait:?} wait")) }
    })
    .await
    .unwrap();
    let listings = scene.repository.asked(Asked::LsRefs);
    scene.listed(listings + 2).await;
    let requests = audit.since(mark).await.unwrap().by("trueup");
    let others = requests.filtered(|request| request.resource == "applications" && request.name != "app-7").writes();
    assert!(others.is_empty(), "{:?}", others.counts());
    let apps = scene.admin.list(&objects("applications", NAMESPACE)).await;
    let at_second = |app: &&Value| app["status"]["sync"]["revision"] == second;
    assert_eq!(apps.iter().filter(at_second).count(), 1);

    // Who asks is told at once.
    let seen = scene.app("app-3").refresh("normal").await;
    assert_eq!(seen["status"]["sync"]["revision"], second, "{:#}", seen["status"]["sync"]);
}
