//! The binaries that the test bed runs: those in Go, each of which it builds itself once, and the one under test.

use std::env;
use std::fmt::Write;
use std::fs;
use std::fs::File;
use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use sha2::Digest;
use sha2::Sha256;

use crate::Error;
use crate::Result;

/// A program of ours in Go.
struct GoProgram {
    name: &'static str,
    /// Where its module is in the workspace.
    sources: &'static str,
    /// What the linker is told.
    ldflags: &'static str,
    /// Another name that it goes by, beside it.
    link: Option<&'static str>,
}

/// Kubernetes itself. Without a version the API server reports one that clients fail to parse; without symbols it is a third
/// smaller.
const CONTROLPLANE: GoProgram = GoProgram {
    name: "controlplane",
    sources: "tools/controlplane",
    ldflags: "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36",
    link: Some("kubectl"),
};

/// A registry of charts and artifacts.
const REGISTRY: GoProgram = GoProgram { name: "registry", sources: "tools/registry", ldflags: "-s -w", link: None };

/// What renders Helm, Kustomize and Jsonnet.
const RENDERER: GoProgram = GoProgram { name: "trueup-renderer", sources: "renderer", ldflags: "-s -w", link: None };

/// How many packages a build of the control plane from nothing compiles, roughly: for progress only.
pub const CONTROLPLANE_PACKAGES: usize = 2800;

/// The directory of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

/// The control plane's binary, with a link `kubectl` beside it.
///
/// It is built once per state of its sources (4 to 7 minutes on two cores) and found again afterwards, under
/// `$TRUEUP_TOOLS_DIR` or `target/tools`. Who comes while another process builds it waits for that one.
pub fn controlplane_binary() -> Result<PathBuf> {
    CONTROLPLANE.binary_telling("building the control plane (minutes, but only once)")
}

/// As [`controlplane_binary`], and reports how many packages the build has compiled so far: from nothing it is some
/// [`CONTROLPLANE_PACKAGES`]. Nothing is reported if there is nothing to build.
pub fn controlplane_binary_with(report: impl FnMut(usize)) -> Result<PathBuf> {
    CONTROLPLANE.binary(report)
}

/// The renderer's binary, `trueup-renderer`, built and found like [`controlplane_binary`] (2 minutes on two cores).
pub fn renderer_binary() -> Result<PathBuf> {
    RENDERER.binary_telling("building the renderer (2 minutes, but only once)")
}

/// The registry's binary, built and found like [`controlplane_binary`] (a minute or two).
pub(crate) fn registry_binary() -> Result<PathBuf> {
    REGISTRY.binary_telling("building the registry (a minute or two, but only once)")
}

/// The binary under test: `$TRUEUP_BIN`, or `target/debug/trueup`, or `target/release/trueup` if `TRUEUP_RELEASE=1` is
/// set or there is no other. `$CARGO_TARGET_DIR` is honoured.
pub fn trueup_binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("TRUEUP_BIN") {
        let path = PathBuf::from(path);
        return if path.exists() { Ok(path) } else { Err(Error::NotBuilt(path)) };
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let (debug, release) = (target.join("debug/trueup"), target.join("release/trueup"));
    let prefer_release = env::var("TRUEUP_RELEASE").is_ok_and(|value| value == "1");
    let order = if prefer_release { [release, debug] } else { [debug, release] };
    let [first, _] = &order;
    order.iter().find(|path| path.exists()).cloned().ok_or_else(|| Error::NotBuilt(first.clone()))
}

// === impl GoProgram ===

impl GoProgram {
    /// The binary, and a line on stderr if it must be built.
    fn binary_telling(&self, line: &str) -> Result<PathBuf> {
        let mut told = false;
        self.binary(|_| {
            if !told {
                eprintln!("{line}");
                told = true;
            }
        })
    }

    fn binary(&self, report: impl FnMut(usize)) -> Result<PathBuf> {
        let sources = workspace().join(self.sources);
        let name = format!("{}-{}", self.name, self.fingerprint(&sources)?);
        let tools = env::var_os("TRUEUP_TOOLS_DIR").map_or_else(|| workspace().join("target/tools"), PathBuf::from);
        let dir = tools.join(&name);
        let binary = dir.join(self.name);
        if binary.exists() {
            return Ok(binary);
        }
        fs::create_dir_all(&dir).map_err(Error::file(&dir))?;
        let lock = dir.join("lock");
        let held = File::create(&lock).map_err(Error::file(&lock))?;
        held.lock().map_err(Error::file(&lock))?;
        if !binary.exists() {
            self.build(&sources, &dir, &binary, report)?;
        }
        Ok(binary)
    }

    /// A hash of everything that decides what the build yields.
    fn fingerprint(&self, sources: &Path) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(self.ldflags);
        for path in go_files(sources)? {
            let content = fs::read(&path).map_err(Error::file(&path))?;
            hash.update(path.strip_prefix(sources).unwrap_or(&path).as_os_str().as_encoded_bytes());
            hash.update(content.len().to_be_bytes());
            hash.update(content);
        }
        // Eight bytes name a directory well enough.
        Ok(hash.finalize().iter().take(8).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
    }

    /// Builds beside the place and renames, so that a killed build leaves nothing that looks finished.
    fn build(&self, sources: &Path, dir: &Path, binary: &Path, mut report: impl FnMut(usize)) -> Result<()> {
        report(0);
        let unfinished = dir.join("unfinished");
        let mut child = Command::new("go")
            // Verbose is one line per package. The state of our own repository is no part of what is built.
            .args(["build", "-v", "-buildvcs=false", "-trimpath", "-ldflags", self.ldflags, "-o"])
            .arg(&unfinished)
            .arg(".")
            .current_dir(sources)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::spawn("go"))?;
        let (mut compiled, mut complaints) = (0, Vec::new());
        let lines = child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).lines());
        for line in lines.map_while(std::result::Result::ok) {
            if is_package(&line) {
                compiled += 1;
                report(compiled);
            } else {
                complaints.push(line);
            }
        }
        let status = child.wait().map_err(Error::spawn("go"))?;
        if !status.success() {
            let stderr = complaints.join("\n");
            return Err(Error::Failed { program: "go build".into(), status: status.to_string(), stderr });
        }
        if let Some(name) = self.link {
            let link = dir.join(name);
            if !link.exists() {
                std::os::unix::fs::symlink(self.name, &link).map_err(Error::file(&link))?;
            }
        }
        fs::rename(&unfinished, binary).map_err(Error::file(binary))
    }
}

/// What the build reads of a module, in order.
fn go_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::file(dir))? {
        let path = entry.map_err(Error::file(dir))?.path();
        if path.is_dir() {
            files.extend(go_files(&path)?);
        } else if matches!(path.extension().and_then(|extension| extension.to_str()), Some("go" | "mod" | "sum"))
            && !path.to_string_lossy().ends_with("_test.go")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Tells the name of a package from whatever else a build says: downloads, headlines (`# package`) and errors.
fn is_package(line: &str) -> bool {
    !line.is_empty() && !line.contains([' ', ':', '#'])
}

#[cfg(test)]
mod tests {
    use super::is_package;

    #[test]
    fn tells_packages_from_complaints() {
        assert!(is_package("k8s.io/api/core/v1") && is_package("fmt"));
        let others = ["", "# k8s.io/api", "./up.go:3:5: undefined: x", "go: downloading k8s.io/api v0.36.3"];
        assert!(!others.into_iter().any(is_package));
    }
}
