//! The demo is the README's first command: every step of it holds, and nothing stays.

#![expect(clippy::unwrap_used, reason = "in the helpers of the tests, which the setting for tests does not cover")]

use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use trueup_bed::ControlPlane;

#[test]
fn every_step_of_the_demo_holds() {
    let trueup = trueup_bed::trueup_binary().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["demo", "--once"])
        .env("TRUEUP_BIN", trueup)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{errors}");
    for step in ["Synced and Healthy", "rolled out", "noticed: it was kubectl-edit", "healed", "pruned: ConfigMap"] {
        assert!(told.contains(&format!("✓ {step}")), "no '{step}' in\n{told}");
    }
    assert!(!told.contains('\x1b'), "colour, though nobody sees it:\n{told}");
}

/// Runs the demo on the cluster of a kubeconfig, as its user would.
async fn on_context(control_plane: &ControlPlane, context: &str, more: &[&str]) -> Output {
    let trueup = trueup_bed::trueup_binary().unwrap();
    let kubectl = control_plane.kubectl_binary();
    let path = format!("{}:{}", kubectl.parent().map(Path::display).unwrap(), std::env::var("PATH").unwrap());
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["demo", "--once", "--context", context]).args(more);
    command.env("PATH", path).env("KUBECONFIG", control_plane.kubeconfig()).env("TRUEUP_BIN", trueup);
    command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap()
}

async fn kubectl(control_plane: &ControlPlane, line: &str) -> String {
    let args: Vec<&str> = line.split(' ').collect();
    let output = control_plane.kubectl(&args).await.unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn on_a_cluster_of_ones_own_it_leaves_nothing_and_touches_nothing() {
    let control_plane = ControlPlane::start(&[]).await.unwrap();
    let context = kubectl(&control_plane, "config current-context").await;
    let context = context.trim();
    let before = kubectl(&control_plane, "get namespaces,crds -o name").await;

    let output = on_context(&control_plane, context, &[]).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("--yes"), "{errors}");
    let output = on_context(&control_plane, "nowhere", &["--yes"]).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("no usable context 'nowhere'"), "{errors}");
    assert_eq!(kubectl(&control_plane, "get namespaces,crds -o name").await, before);

    let output = on_context(&control_plane, context, &["--yes"]).await;
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{errors}");
    for step in ["Synced and Healthy", "rolled out", "noticed: it was kubectl-edit", "healed", "pruned: ConfigMap"] {
        assert!(told.contains(&format!("✓ {step}")), "no '{step}' in\n{told}");
    }
    assert_eq!(kubectl(&control_plane, "get namespaces,crds -o name").await, before);

    // What is there already is somebody's.
    kubectl(&control_plane, "create namespace trueup-demo").await;
    kubectl(&control_plane, "create configmap mine -n trueup-demo").await;
    let output = on_context(&control_plane, context, &["--yes"]).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("has a namespace 'trueup-demo' already"), "{errors}");
    kubectl(&control_plane, "get configmap mine -n trueup-demo").await;
}
