//! Starting the fetch process and waiting for its answer, as the parent sees it.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::GitError;
use crate::fetch::{Done, Reply, Request};
use crate::remote::Remote;

/// The longest answer, in bytes: some hundreds of errors.
const REPLY_BYTES_MAX: u64 = 1024 * 1024;
/// What a request usually has, in bytes: a URL, a login, some hundreds of commit ids.
pub(crate) const REQUEST_BYTES: usize = 64 * 1024;
/// How much of what a crashing process wrote to stderr is kept, in bytes.
const STDERR_BYTES_MAX: u64 = 4 * 1024;
/// Variables that the process may see: where certificates are. Nothing else of ours concerns it; proxies may hold a password, and
/// an environment can be read by others, so they go the way of the logins.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The program that runs [`crate::fetch_main`]: the own binary with its hidden subcommand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchProgram {
    /// The executable.
    pub exe: PathBuf,
    /// Its arguments. No repository and no credential is added to them.
    pub args: Vec<String>,
}

impl FetchProgram {
    /// Runs one request to its end, or kills it at the deadline. Dropping the future kills it as well.
    pub(crate) async fn run(&self, request: &Request, remote: &Remote, deadline: Duration, doing: &str) -> Reply {
        match tokio::time::timeout(deadline, self.exchange(request, remote)).await {
            Ok(reply) => reply,
            Err(_) => Err(GitError::Deadline {
                repository: remote.to_string(),
                doing: doing.to_owned(),
                seconds: deadline.as_secs(),
            }),
        }
    }

    async fn exchange(&self, request: &Request, remote: &Remote) -> Reply {
        let failed =
            |detail: &str| GitError::FetchProcess { repository: remote.to_string(), detail: remote.scrub(detail) };
        // It holds credentials: zeroed, with room enough that no copy stays behind while it grows.
        let mut line = Zeroizing::new(Vec::with_capacity(REQUEST_BYTES));
        serde_json::to_writer(&mut *line, request).map_err(|error| failed(&error.to_string()))?;
        line.push(b'\n');
        let mut child = Command::new(&self.exe)
            .args(&self.args)
            .env_clear()
            .envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&format!("{} cannot be started: {error}", self.exe.display())))?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed("it has no pipes"));
        };
        // Not closed before the process ends: its end is how the process learns of ours.
        let asked = stdin.write_all(&line).await;
        let (mut reply, mut complaint) = (Vec::new(), Vec::new());
        let (mut stdout, mut stderr) = (stdout.take(REPLY_BYTES_MAX), stderr.take(STDERR_BYTES_MAX));
        let read = tokio::join!(stdout.read_to_end(&mut reply), stderr.read_to_end(&mut complaint));
        // A process that says more than it should must not wait for us to read it.
        drop((stdout, stderr));
        let status = child.wait().await.map_err(|error| failed(&error.to_string()))?;
        drop(stdin);
        match serde_json::from_slice::<Result<Done, GitError>>(&reply) {
            Ok(reply) => reply,
            Err(_) => Err(failed(&ending(status, &complaint, asked.err().or(read.0.err())))),
        }
    }
}

fn ending(status: ExitStatus, complaint: &[u8], error: Option<std::io::Error>) -> String {
    let mut text = format!("it ended without an answer ({status})");
    if let Some(error) = error {
        text = format!("{text}: {error}");
    }
    let complaint = String::from_utf8_lossy(complaint);
    if complaint.trim().is_empty() { text } else { format!("{text}: {}", complaint.trim()) }
}
