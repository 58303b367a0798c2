//! The handle of the controller starts, ends and measures a process; a script stands in for the controller.

use std::os::unix::fs::PermissionsExt;

use trueup_bed::ControlPlane;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::Deadline;
use trueup_bed::until;

const SCRIPT: &str =
    "#!/bin/sh\ntrap 'echo ending; exit 7' TERM\necho \"started $RUST_LOG $*\"\nwhile :; do sleep 0.05; done\n";

async fn logged(controller: &Controller, text: &str, times: usize) {
    until(text, Deadline::SHORT, async || {
        let log = controller.log();
        if log.matches(text).count() == times { Ok(()) } else { Err(log) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn starts_kills_restarts_and_terminates() {
    let control_plane = ControlPlane::start(&["trueup"]).await.unwrap();
    let binary = control_plane.dir().join("script");
    std::fs::write(&binary, SCRIPT).unwrap();
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o700)).unwrap();
    let options = ControllerOptions { binary: Some(binary), ..ControllerOptions::default() };

    let mut controller = Controller::start(&control_plane, &options).unwrap();
    logged(&controller, "started info controller --namespace=argocd --kubeconfig=", 1).await;
    assert!(controller.log().contains("/trueup.kubeconfig --listen=127.0.0.1:"));
    assert!(controller.usage().unwrap().rss_bytes > 0);

    let first = controller.pid().unwrap();
    controller.restart().unwrap();
    assert_ne!(controller.pid().unwrap(), first);
    logged(&controller, "started", 2).await;
    assert_eq!(controller.terminate().await.unwrap().code(), Some(7));
    logged(&controller, "ending", 1).await;
    assert!(controller.pid().is_err());
}

#[tokio::test]
async fn an_early_end_is_not_waited_out() {
    let control_plane = ControlPlane::start(&["trueup"]).await.unwrap();
    let options = ControllerOptions { binary: Some("/bin/false".into()), ..ControllerOptions::default() };
    let mut controller = Controller::start(&control_plane, &options).unwrap();
    let error = controller.wait_ready().await.unwrap_err().to_string();
    assert!(error.starts_with("'trueup controller' failed (exit status: 1)"), "{error}");
}
