//! kubectl, as people run it.

use trueup_bed::ControlPlane;

/// Runs kubectl as the administrator, and answers what it prints. The line is split at spaces.
pub async fn kubectl(control_plane: &ControlPlane, line: &str) -> String {
    let args: Vec<&str> = line.split(' ').filter(|arg| !arg.is_empty()).collect();
    kubectl_with_input(control_plane, &args, "").await
}

/// Runs kubectl as the administrator with something on its standard input.
pub async fn kubectl_with_input(control_plane: &ControlPlane, args: &[&str], input: &str) -> String {
    let output = control_plane.kubectl_with_input(args, input).await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "kubectl {args:?}: {stderr}\n{}", control_plane.said());
    String::from_utf8_lossy(&output.stdout).into_owned()
}
