//! A cache directory of 16 MB that fills up.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::ApiResource;
use trueup_bed::ControllerOptions;
use trueup_bed::Recorder;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Random;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;

/// Bytes of each ballast file: Git cannot make them smaller, and eight of them fill the disk.
const BALLAST_BYTES: usize = 2 << 20;

/// The controller with a small disk of its own, which is gone with it.
fn with_small_disk(world: &World) -> PathBuf {
    let script = world.control_plane.dir().join("small-disk.sh");
    let binary = trueup_bed::trueup_binary().unwrap();
    let text = format!(
        "#!/bin/sh\nfor argument; do case $argument in --cache-dir=*) dir=${{argument#--cache-dir=}};; esac; done\n\
         export dir; mkdir -p \"$dir\"\n\
         exec unshare --mount --map-root-user sh -c 'mount -t tmpfs -o size=16m,mode=0700 none \"$dir\" && exec \"$@\"' sh {} \"$@\"\n",
        binary.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    script
}

/// What no compression makes smaller, as a file that is no manifest.
fn ballast(random: &mut Random) -> String {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    (0..BALLAST_BYTES * 4 / 3).map(|_| char::from(DIGITS[random.below(DIGITS.len())])).collect()
}

#[tokio::test]
async fn a_full_disk_harms_only_who_needs_more_of_it() {
    let world: &'static World = World::start().await.kept();
    let small = Scene::new(world, "disk-small", NAMESPACE).await;
    let large = Scene::new(world, "disk-large", NAMESPACE).await;
    let recorder =
        Recorder::start(small.admin.client().clone(), &[ApiResource::erase::<ConfigMap>(&())]).await.unwrap();
    let options = ControllerOptions {
        binary: Some(with_small_disk(world)),
        resync: Some(Duration::from_secs(1)),
        ..controller_options(NAMESPACE)
    };
    let controller = world.controller(&options).await;
    let mut commits = Vec::new();
    for scene in [&small, &large] {
        let commit = scene.commit(&[
            ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
            ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
        ]);
        let app = scene.create(scene.application().automated(true, true)).await;
        app.synced(&commit).await;
        commits.push(app);
    }
    let [small_app, large_app] = [&commits[0], &commits[1]];
    // The commit that no longer has `goes` does not fit on the disk.
    let mut random = Random::new(16);
    let ballast: Vec<(String, String)> =
        (0..10).map(|number| (format!("app/ballast-{number}.txt"), ballast(&mut random))).collect();
    let mut files: Vec<(&str, Option<&str>)> = ballast.iter().map(|(path, text)| (&**path, Some(&**text))).collect();
    files.push(("app/goes.yaml", None));
    large.commit(&files);
    large_app.condition("ComparisonError", &["disk-large"]).await;
    assert!(large.object("configmaps", "goes").await.is_some(), "deleted without knowing what Git has");
    let commit = small.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    small_app.synced(&commit).await;
    small.until_value("configmaps", "config", "/data/a", "2").await;
    // A smaller commit fits again, and with it everything is as Git says.
    let mut files: Vec<(&str, Option<&str>)> = ballast.iter().map(|(path, _)| (&**path, None)).collect();
    let changed = config_map("config", &[("a", "3")]);
    files.push(("app/config.yaml", Some(&changed)));
    let commit = large.commit(&files);
    large_app.synced(&commit).await;
    large.until_gone("configmaps", "goes").await;
    large_app.until("no condition left", |app| app["status"]["conditions"].is_null()).await;
    recorder.settle().await.unwrap();
    for scene in [&small, &large] {
        let story = recorder.story("ConfigMap", &scene.namespace, "config");
        assert!(story.iter().all(|sighting| sighting.uid == story[0].uid), "{story:#?}");
    }
    assert!(controller.usage().unwrap().peak_rss_bytes < 400 << 20);
}
