//! A bare Git repository that the test bed writes and serves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crate::Error;
use crate::Fault;
use crate::Result;
use crate::fault::Trap;
use crate::lfs;

/// What a request to a git server asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// `GET info/refs`: the capabilities in protocol 2, all refs before it.
    Discovery,
    /// Protocol 2's listing of refs.
    LsRefs,
    /// Objects.
    Fetch,
    /// Anything else.
    Other,
}

/// A bare repository. Clones are handles of the same one.
#[derive(Clone)]
pub struct Repository {
    dir: PathBuf,
    url: String,
    state: Arc<Mutex<State>>,
}

/// What the server knows of a repository beside its content.
#[derive(Default)]
struct State {
    trap: Option<Trap>,
    asked: BTreeMap<Asked, usize>,
    /// The `Authorization` header that is demanded.
    authorization: Option<String>,
    /// Where its files in Git LFS are said to be, if not here.
    large_files: Option<String>,
}

impl Repository {
    pub(crate) fn create(dir: PathBuf, url: String) -> Result<Self> {
        std::fs::create_dir_all(&dir).map_err(Error::file(&dir))?;
        let repository = Self { dir, url, state: Arc::default() };
        repository.git(&["init", "--bare", "--quiet", "--initial-branch=main", "."], "")?;
        // As the big hosts do: any commit that is reachable may be asked for by its id, and blobs may be filtered.
        repository.git(&["config", "uploadpack.allowReachableSHA1InWant", "true"], "")?;
        repository.git(&["config", "uploadpack.allowFilter", "true"], "")?;
        Ok(repository)
    }

    /// The address to clone from.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bare repository itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Commits to `main`; see [`Self::commit_to`].
    pub fn commit(&self, files: &[(&str, Option<&str>)], message: &str) -> Result<String> {
        self.commit_to("main", files, message)
    }

    /// Commits to a branch, which is made if it is missing, and answers the commit's id. Each file gets its content, or
    /// is deleted if it has none (a directory too).
    pub fn commit_to(&self, branch: &str, files: &[(&str, Option<&str>)], message: &str) -> Result<String> {
        let reference = format!("refs/heads/{branch}");
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
        let mut script = format!("commit {reference}\nmark :1\ncommitter Bed <bed@example.com> {seconds} +0000\n");
        let _ = writeln!(script, "data {}\n{message}", message.len());
        if let Some(parent) = self.resolve(&reference)? {
            let _ = writeln!(script, "from {parent}");
        }
        for (path, content) in files {
            let _ = match content {
                Some(content) => writeln!(script, "M 100644 inline {path}\ndata {}\n{content}", content.len()),
                None => writeln!(script, "D {path}"),
            };
        }
        script.push_str("\nget-mark :1\n");
        Ok(self.git(&["fast-import", "--quiet", "--force"], &script)?.trim().to_owned())
    }

    /// The commit that a branch, tag or other revision stands for, if there is one.
    pub fn resolve(&self, revision: &str) -> Result<Option<String>> {
        let peeled = format!("{revision}^{{commit}}");
        match self.git(&["rev-parse", "--verify", "--quiet", &peeled], "") {
            Ok(id) => Ok(Some(id.trim().to_owned())),
            Err(Error::Failed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The content of a file at a revision.
    pub fn read(&self, revision: &str, path: &str) -> Result<String> {
        self.git(&["cat-file", "blob", &format!("{revision}:{path}")], "")
    }

    /// Lets a branch point to a commit, wherever it pointed before, as a forced push does.
    pub fn branch(&self, name: &str, commit: &str) -> Result<()> {
        self.git(&["update-ref", &format!("refs/heads/{name}"), commit], "").map(drop)
    }

    /// Deletes a branch.
    pub fn delete_branch(&self, name: &str) -> Result<()> {
        self.git(&["update-ref", "-d", &format!("refs/heads/{name}")], "").map(drop)
    }

    /// Lets a lightweight tag point to a commit, wherever it pointed before.
    pub fn tag(&self, name: &str, commit: &str) -> Result<()> {
        self.git(&["update-ref", &format!("refs/tags/{name}"), commit], "").map(drop)
    }

    /// Makes an annotated tag of a commit.
    pub fn annotated_tag(&self, name: &str, commit: &str) -> Result<()> {
        self.git(&["tag", "--force", "--annotate", "--message", name, name, commit], "").map(drop)
    }

    /// Misbehaves at every request from now on.
    pub fn misbehave(&self, fault: Fault) {
        self.with(|state| state.trap = Some(Trap { fault, only: None }));
    }

    /// Misbehaves at every request of one kind from now on.
    pub fn misbehave_at(&self, only: Asked, fault: Fault) {
        self.with(|state| state.trap = Some(Trap { fault, only: Some(only) }));
    }

    /// Behaves again. What hangs goes on hanging.
    pub fn behave(&self) {
        self.with(|state| state.trap = None);
    }

    /// Demands a user name and password of everybody from now on.
    pub fn require_login(&self, user: &str, password: &str) {
        let header = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
        self.with(|state| state.authorization = Some(header));
    }

    /// Demands a token of everybody from now on, as it is.
    pub fn require_bearer(&self, token: &str) {
        self.with(|state| state.authorization = Some(format!("Bearer {token}")));
    }

    /// Says from now on that the files in Git LFS are below another URL.
    pub fn keep_large_files_at(&self, url: &str) {
        self.with(|state| state.large_files = Some(url.to_owned()));
    }

    /// The URL below which the files in Git LFS are said to be.
    pub(crate) fn large_files_url(&self) -> String {
        self.with(|state| state.large_files.clone()).unwrap_or_else(|| format!("{}{}", self.url, lfs::FILES))
    }

    /// How many requests of a kind there were, those included that met a fault.
    pub fn asked(&self, kind: Asked) -> usize {
        self.with(|state| state.asked.get(&kind).copied().unwrap_or(0))
    }

    /// How many requests there were of each kind.
    pub fn all_asked(&self) -> BTreeMap<Asked, usize> {
        self.with(|state| state.asked.clone())
    }

    /// Counts from nothing again.
    pub fn forget_asked(&self) {
        self.with(|state| state.asked.clear());
    }

    /// Counts a request, and answers the fault that it meets.
    pub(crate) fn meet(&self, kind: Asked, authorization: Option<&str>) -> Option<Fault> {
        self.with(|state| {
            *state.asked.entry(kind).or_default() += 1;
            let refused = state.authorization.as_deref().is_some_and(|demanded| authorization != Some(demanded));
            let trapped = state.trap.and_then(|trap| trap.catches(kind));
            trapped.or(refused.then_some(Fault::Status(401)))
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn git(&self, args: &[&str], input: &str) -> Result<String> {
        let mut child = isolated_git()
            .args(args)
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::spawn("git"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // git reads everything before it says much: neither pipe fills up. If it fails, it says so itself.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(Error::spawn("git"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Error::Failed { program: format!("git {}", args.join(" ")), status: output.status.to_string(), stderr })
    }
}

/// A git that knows nothing of the configuration of whoever runs the tests.
pub(crate) fn isolated_git() -> Command {
    let mut command = Command::new("git");
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Bed").env(format!("GIT_{role}_EMAIL"), "bed@example.com");
    }
    command
}

/// Base64 with padding: one header is not worth a dependency.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_usize, |group, byte| group << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = ALPHABET[group >> (18 - 6 * place) & 63];
            text.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn encodes_as_the_rfc_says() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in cases {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
