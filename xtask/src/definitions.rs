//! A control plane of ours that knows our definitions and the namespace of the Applications. Entry point: [`install`].

use trueup_bed::ControlPlane;
use trueup_bed::workspace;

/// The namespace of the Applications.
pub(crate) const NAMESPACE: &str = "argocd";

/// Installs the definitions and makes the namespace.
pub(crate) async fn install(control_plane: &ControlPlane) -> anyhow::Result<()> {
    let crds = workspace().join("crds").display().to_string();
    let steps: [&[&str]; 3] = [
        &["apply", "--server-side", "--force-conflicts", "-f", &crds],
        &["wait", "--for=condition=Established", "--timeout=30s", "-f", &crds],
        &["create", "namespace", NAMESPACE],
    ];
    for arguments in steps {
        let output = control_plane.kubectl(arguments).await?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "kubectl {}: {stderr}", arguments.join(" "));
    }
    Ok(())
}
