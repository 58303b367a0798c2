//! Builds what tasks run: the control plane by Go, our own binaries by cargo.
//!
//! Every build of cargo's is one of the whole workspace, narrowed by `--bin`: features are then the same in all of them,
//! and dependencies are built once.

use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::bail;
use serde_json::Value;
use trueup_bed::CONTROLPLANE_PACKAGES;
use trueup_bed::controlplane_binary_with;
use trueup_bed::workspace;

use crate::terminal::Terminal;

/// Packages between two lines of progress where a line cannot be rewritten.
const PACKAGES_PER_LINE: usize = 400;

/// Whether a build is quick to make or quick to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

/// Builds the control plane, unless it is there, with progress.
pub(crate) fn control_plane(terminal: Terminal) -> anyhow::Result<PathBuf> {
    let begun = Instant::now();
    let built = controlplane_binary_with(|compiled| {
        if compiled == 0 {
            terminal.progress("building the control plane with Go: 4 to 8 minutes on two cores, only once");
        } else if terminal.is_live() {
            terminal.waiting(&format!("{compiled} of about {CONTROLPLANE_PACKAGES} packages"));
        } else if compiled % PACKAGES_PER_LINE == 0 {
            let seconds = begun.elapsed().as_secs();
            terminal.progress(&format!("  {compiled} of about {CONTROLPLANE_PACKAGES} packages, {seconds} s"));
        }
    });
    built.context("the control plane cannot be built; it needs Go 1.26 or newer in PATH")
}

/// The binary `trueup`: `$TRUEUP_BIN`, or else built now.
pub(crate) fn trueup(profile: Profile) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("TRUEUP_BIN") {
        let path = PathBuf::from(path);
        anyhow::ensure!(path.is_file(), "TRUEUP_BIN names '{}', which is no file", path.display());
        return Ok(path);
    }
    cargo(profile, &["trueup"])?.pop().context("cargo built no binary 'trueup'")
}

/// Builds binaries of the workspace and answers where they are, in the order asked for. Cargo shows its own progress.
pub(crate) fn cargo(profile: Profile, names: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut arguments = vec!["build", "--workspace"];
    if profile == Profile::Release {
        arguments.push("--release");
    }
    arguments.extend(names.iter().flat_map(|name| ["--bin", name]));
    let said = build(&arguments)?;
    names
        .iter()
        .map(|name| {
            let built = said.lines().find_map(|line| executable(line, name));
            built.with_context(|| format!("cargo does not say where it put the binary '{name}'"))
        })
        .collect()
}

/// Builds every test of the workspace, and answers the binary `trueup` that was built with them.
///
/// A build of the binary by itself would have other features, those that only tests want left out, and would build most
/// dependencies once more.
pub(crate) fn tests() -> anyhow::Result<Option<PathBuf>> {
    let said = build(&["test", "--workspace", "--no-run"])?;
    Ok(said.lines().find_map(|line| executable(line, "trueup")))
}

/// Runs cargo, and answers its messages.
fn build(arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(program());
    command.current_dir(workspace()).args(arguments).arg("--message-format=json-render-diagnostics");
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("'cargo {}' failed ({}); the reason is above", arguments.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The cargo that runs us, so that its toolchain is ours.
pub(crate) fn program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The path of the binary of this name, if the message of cargo tells it.
fn executable(message: &str, name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    // The unit tests of a binary have its name too.
    let is_bin = target["kind"].as_array()?.iter().any(|kind| kind == "bin") && message["profile"]["test"] != true;
    (is_bin && target["name"] == name).then(|| message["executable"].as_str().map(PathBuf::from))?
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::executable;

    #[test]
    fn finds_the_binary_in_what_cargo_says() {
        let said =
            r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"trueup"},"executable":"/t/trueup"}"#;
        assert_eq!(executable(said, "trueup").as_deref(), Some(Path::new("/t/trueup")));
        assert_eq!(executable(said, "xtask"), None);
        let unit_tests = said.replace("\"reason\"", "\"profile\":{\"test\":true},\"reason\"");
        assert_eq!(executable(&unit_tests, "trueup"), None);
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"trueup"},"executable":null}"#;
        assert_eq!(executable(library, "trueup"), None);
        assert_eq!(executable("Compiling trueup", "trueup"), None);
    }
}
