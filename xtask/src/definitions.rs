//! A control plane of ours that knows our definitions and the namespace of the Applications. Entry point: [`install`].

use trueup_bed::ControlPlane;
use trueup_bed::workspace;

/// The namespace of the Applications.
pub(crate) const NAMESPACE: &str = "argocd";

/// Installs the definitions and makes the namespace.
pub(crate) async fn install(control_plane: &ControlPlane) -> anyhow::Result<()> {
    let crds = workspace().join("crds").display().to_string();
    run(control_plane, &["apply", "--server-side", "--force-conflicts", "-f", &crds]).await?;
    control_plane.established(&["-f", &crds]).await?;
    run(control_plane, &["create", "namespace", NAMESPACE]).await
}

async fn run(control_plane: &ControlPlane, arguments: &[&str]) -> anyhow::Result<()> {
    let output = control_plane.kubectl(arguments).await?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "kubectl {}: {stderr}", arguments.join(" "));
    Ok(())
}
