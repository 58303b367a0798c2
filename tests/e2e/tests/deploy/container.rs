//! A process as a container runtime would run it: its own root, read-only but for its volumes, a user without a name, no
//! capability, only the environment that it is given.
//!
//! It is made by util-linux alone: a mount namespace with what the image would hold, then `chroot` and `setpriv`, each in
//! the place of the one before, so that the process is ours to signal.

use std::fmt::Write as _;
use std::fs;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use trueup_bed::Leash;

/// The user and group of the image.
pub(crate) const USER: u32 = 65532;

/// Makes the root of `$1` and becomes the rest of the arguments in it. Each file of `$1.mounts` is mounted as it says:
/// `ro|rw SOURCE TARGET`, targets being there.
const ENTER: &str = r#"
set -eu
root=$1
shift
mount --bind "$root" "$root"
while read -r mode source target; do
    mount --bind "$source" "$root$target"
    if [ "$mode" = ro ]; then mount -o remount,bind,ro,nosuid "$root$target"; fi
done < "$root.mounts"
mount --rbind /proc "$root/proc"
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"#;

/// What becomes of a process in [`ENTER`]'s root just before it is what is asked for.
const CONFINED: [&str; 8] = [
    "/sandbox/setpriv",
    "--reuid=65532",
    "--regid=65532",
    "--clear-groups",
    "--no-new-privs",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    "--bounding-set=-all",
];

/// A volume: where it lies and where the process sees it.
pub(crate) struct Volume {
    pub(crate) source: PathBuf,
    pub(crate) target: String,
    pub(crate) writable: bool,
}

/// A running process in a root of its own. It ends, by kill -9, with this value or with this process.
pub(crate) struct Container {
    child: Child,
    _leash: Leash,
    log: PathBuf,
    root: PathBuf,
}

/// Whether such a process can be made: mounts and other users are for root. In CI (`CI` is set and not empty) it must be.
pub(crate) fn possible() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let root = status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !root {
        let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        assert!(!in_ci, "in CI this is not skipped: run it as root, for mounts and another user");
        // Not by eprintln, which is not shown of a test that passes.
        let said = "SKIPPED: this needs root, for mounts and another user; CI runs it\n";
        std::io::stderr().write_all(said.as_bytes()).unwrap();
    }
    root
}

impl Container {
    /// Runs a binary, which the image has by the name `program`, with arguments and environment, and these volumes, below a
    /// directory that is there.
    pub(crate) fn run(
        dir: &Path,
        program: &str,
        binary: &Path,
        arguments: &[String],
        environment: &[(String, String)],
        volumes: &[Volume],
    ) -> Self {
        let root = dir.join("root");
        let setpriv = found("setpriv");
        let mut mounts = String::new();
        let mut mount = |mode: &str, source: &Path, target: &str| {
            let place = root.join(target.trim_start_matches('/'));
            if source.is_dir() {
                fs::create_dir_all(&place).unwrap();
            } else {
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                File::create(&place).unwrap();
            }
            writeln!(mounts, "{mode} {} {target}", source.display()).unwrap();
        };
        let entry = format!("/usr/local/bin/{program}");
        mount("ro", binary, &entry);
        mount("ro", &setpriv, "/sandbox/setpriv");
        let mut libraries: Vec<String> = libraries(binary).into_iter().chain(libraries(&setpriv)).collect();
        libraries.sort();
        libraries.dedup();
        for library in &libraries {
            mount("ro", &fs::canonicalize(library).unwrap(), library);
        }
        // As in the image: certificates of the public authorities; from the runtime: names, and three devices.
        for path in ["/etc/ssl/certs", "/etc/resolv.conf", "/etc/hosts"] {
            if Path::new(path).exists() {
                mount("ro", Path::new(path), path);
            }
        }
        for device in ["/dev/null", "/dev/zero", "/dev/urandom"] {
            mount("rw", Path::new(device), device);
        }
        for volume in volumes {
            mount(if volume.writable { "rw" } else { "ro" }, &volume.source, &volume.target);
        }
        for empty in ["proc", "tmp", "home/nonroot"] {
            fs::create_dir_all(root.join(empty)).unwrap();
        }
        fs::write(dir.join("root.mounts"), mounts).unwrap();
        let log = dir.join("log");
        let out = File::create(&log).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "--propagation=private", "sh", "-c", ENTER, "enter"])
            .arg(&root)
            .args(CONFINED)
            .arg(entry)
            .args(arguments)
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let leash = Leash::tie(child.id()).unwrap();
        Self { child, _leash: leash, log, root }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// The status that a path of its listener answers, if it does.
    pub(crate) async fn get(&self, port: u16, path: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: a\r\n\r\n").as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    /// A file of the kernel's about the process.
    pub(crate) fn proc(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid())).unwrap_or_default()
    }

    /// Where its root lies; what is mounted there is not seen from here.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that belongs to the user of the image.
pub(crate) fn own_directory(path: &Path) {
    fs::create_dir_all(path).unwrap();
    chown(path, Some(USER), Some(USER)).unwrap();
}

/// The files that the dynamic linker loads for a binary, itself included.
pub(crate) fn libraries(binary: &Path) -> Vec<String> {
    let output = Command::new("ldd").arg(binary).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, and the linker by its path alone.
    text.lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned))
        .collect()
}

fn found(program: &str) -> PathBuf {
    let dirs = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(|dir| Path::new(dir).join(program));
    dirs.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("{program} of util-linux is missing"))
}
