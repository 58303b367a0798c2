//! A git server by SSH: OpenSSH's own `sshd`, on loopback, one process per connection.
//!
//! It serves the user who runs the tests, as that is the only one whom an unprivileged `sshd` can log in.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::Error;
use crate::Repository;
use crate::Result;
use crate::sshd_directory::SshdDirectory;

/// Where `sshd` is looked for beside the path: where Debian and most others put it.
const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

/// A pair of keys for SSH.
#[derive(Clone)]
pub struct SshKey {
    /// The private one, in OpenSSH's format.
    pub private: String,
    /// The public one, one line.
    pub public: String,
}

impl SshKey {
    /// Makes a pair by `ssh-keygen`: `ed25519`, `ecdsa` or `rsa`. Without a passphrase the private one is readable.
    pub fn generate(kind: &str, passphrase: &str) -> Result<Self> {
        Self::with(&["-t", kind, "-N", passphrase])
    }

    /// A pair whose private key is in PEM, as older programs write it.
    pub fn generate_pem(kind: &str) -> Result<Self> {
        Self::with(&["-t", kind, "-N", "", "-m", "PEM"])
    }

    fn with(args: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir().map_err(Error::file(std::env::temp_dir()))?;
        let file = dir.path().join("key");
        run(Command::new("ssh-keygen").args(args).args(["-q", "-C", "bed", "-f"]).arg(&file))?;
        let read = |path: PathBuf| fs::read_to_string(&path).map_err(Error::file(&path));
        let public = read(file.with_extension("pub"))?.trim().to_owned();
        Ok(Self { private: read(file)?, public })
    }
}

/// How an SSH server is started.
#[derive(Debug, Clone)]
pub struct SshServerOptions {
    /// The kinds of its host keys.
    pub host_keys: Vec<&'static str>,
    /// Whether it lets clients ask for a version of the Git protocol.
    pub git_protocol: bool,
    /// More lines of `sshd_config`.
    pub config: String,
}

impl Default for SshServerOptions {
    fn default() -> Self {
        Self { host_keys: vec!["ed25519"], git_protocol: true, config: String::new() }
    }
}

/// An SSH server with its repositories in a temporary directory. It ends with this value, or with its runtime.
pub struct SshServer {
    dir: TempDir,
    port: u16,
    user: String,
    host_keys: Vec<SshKey>,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
    _sshd_directory: Option<SshdDirectory>,
}

impl SshServer {
    /// Starts a server with a host key of the usual kind.
    pub async fn start() -> Result<Self> {
        Self::start_with(SshServerOptions::default()).await
    }

    /// Starts a server without repositories, which lets nobody in yet.
    pub async fn start_with(options: SshServerOptions) -> Result<Self> {
        let dir =
            tempfile::Builder::new().prefix("trueup-ssh-").tempdir().map_err(Error::file(std::env::temp_dir()))?;
        let sshd = SSHD.iter().map(Path::new).find(|path| path.exists());
        let sshd = sshd.ok_or_else(|| Error::NotBuilt(PathBuf::from(SSHD[0])))?.to_owned();
        let user = run(Command::new("id").arg("-un"))?.trim().to_owned();
        let sshd_directory = if user == "root" { Some(SshdDirectory::hold()?) } else { None };
        let mut host_keys = Vec::new();
        let mut config = format!(
            "AuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\nLogLevel QUIET\n",
            dir.path().join("authorized_keys").display()
        );
        if options.git_protocol {
            config.push_str("AcceptEnv GIT_PROTOCOL\n");
        }
        for (number, kind) in options.host_keys.iter().enumerate() {
            let key = SshKey::generate(kind, "")?;
            let file = dir.path().join(format!("host_key_{number}"));
            write_private(&file, &key.private)?;
            config = format!("{config}HostKey {}\n", file.display());
            host_keys.push(key);
        }
        config.push_str(&options.config);
        let config_file = dir.path().join("sshd_config");
        write_private(&config_file, &config)?;
        write_private(&dir.path().join("authorized_keys"), "")?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Error::Socket)?;
        let port = listener.local_addr().map_err(Error::Socket)?.port();
        let connections = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let (counted, still_open) = (Arc::clone(&connections), Arc::clone(&open));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = serve(&sshd, &config_file, stream, &still_open) {
                    eprintln!("sshd: {error}");
                }
            }
        });
        Ok(Self { dir, port, user, host_keys, connections, open, task, _sshd_directory: sshd_directory })
    }

    /// Makes an empty repository; the name may contain slashes and whatever else a path may.
    pub fn create(&self, name: &str) -> Result<Repository> {
        let dir = self.dir.path().join(format!("{name}.git"));
        let url = format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, dir.display());
        Repository::create(dir, url)
    }

    /// Lets the owner of a public key in, from now on.
    pub fn authorize(&self, public: &str) -> Result<()> {
        let file = self.dir.path().join("authorized_keys");
        let known = fs::read_to_string(&file).map_err(Error::file(&file))?;
        fs::write(&file, format!("{known}{public}\n")).map_err(Error::file(&file))
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whom it logs in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its host keys, in the order of the options.
    pub fn host_keys(&self) -> &[SshKey] {
        &self.host_keys
    }

    /// The lines of a `known_hosts` file that name its host keys.
    pub fn known_hosts(&self) -> String {
        self.host_keys.iter().map(|key| self.known_host(&key.public)).collect()
    }

    /// The line of a `known_hosts` file that says that this server has this key.
    pub fn known_host(&self, public: &str) -> String {
        format!("[127.0.0.1]:{} {public}\n", self.port)
    }

    /// [`Self::known_hosts`] with hashed names, by `ssh-keygen -H`.
    pub fn hashed_known_hosts(&self) -> Result<String> {
        let file = self.dir.path().join("known_hosts");
        fs::write(&file, self.known_hosts()).map_err(Error::file(&file))?;
        run(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file))?;
        fs::read_to_string(&file).map_err(Error::file(&file))
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many connections there are now.
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection is one `sshd`, which ends with it.
fn serve(sshd: &Path, config: &Path, stream: TcpStream, open: &Arc<AtomicUsize>) -> std::io::Result<()> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    let socket = std::os::fd::OwnedFd::from(stream);
    let mut child = tokio::process::Command::new(sshd)
        .args(["-i", "-e", "-f"])
        .arg(config)
        .stdin(Stdio::from(socket.try_clone()?))
        .stdout(Stdio::from(socket))
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let open = Arc::clone(open);
    open.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(async move {
        let _ = child.wait().await;
        open.fetch_sub(1, Ordering::Relaxed);
    });
    Ok(())
}

/// `sshd` and `ssh-keygen` refuse keys that others may read.
fn write_private(file: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    fs::write(file, text).map_err(Error::file(file))?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).map_err(Error::file(file))
}

fn run(command: &mut Command) -> Result<String> {
    let program = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(Error::spawn(&program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::Failed { program, status: output.status.to_string(), stderr })
}
