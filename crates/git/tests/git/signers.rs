//! Real keys: of gpg, in a home of their own, and of ssh-keygen.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use trueup_git::Signed;

/// The headers and message of a commit, as git writes them.
pub(crate) const UNSIGNED: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\
    author A <a@example.com> 1700000000 +0000\ncommitter A <a@example.com> 1700000000 +0000\n\nwords\n";

/// A home of gpg with the keys made in it.
pub(crate) struct Gpg {
    home: TempDir,
    /// When gpg thinks that it is; none: now.
    time: Option<&'static str>,
}

impl Gpg {
    pub(crate) fn new() -> Self {
        // The path of the agent's socket must be short.
        Self { home: tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap(), time: None }
    }

    /// The same at another time, as `20200101T000000`.
    pub(crate) fn at(time: &'static str) -> Self {
        let mut gpg = Self::new();
        gpg.time = Some(time);
        gpg
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn set_time(&mut self, time: Option<&'static str>) {
        self.time = time;
    }

    pub(crate) fn run(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", self.home.path());
        command.args(["--batch", "--yes", "--no-tty", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]);
        command.args(self.time.iter().flat_map(|time| ["--faked-system-time", time]));
        run(command.args(args), input)
    }

    /// Makes a key that signs; answers its fingerprint.
    pub(crate) fn key(&self, name: &str, algorithm: &str, expire: &str) -> String {
        self.run(
            &["--quick-generate-key", &format!("{name} <{name}@example.com>"), algorithm, "sign,cert", expire],
            b"",
        );
        self.fingerprints(name).remove(0)
    }

    /// The fingerprints of a key and its subkeys.
    pub(crate) fn fingerprints(&self, name: &str) -> Vec<String> {
        let listed = String::from_utf8(self.run(&["--list-keys", "--with-colons", name], b"")).unwrap();
        listed
            .lines()
            .filter_map(|line| Some(line.strip_prefix("fpr:::::::::")?.trim_end_matches(':').to_owned()))
            .collect()
    }

    pub(crate) fn export(&self, key: &str) -> String {
        String::from_utf8(self.run(&["--armor", "--export", key], b"")).unwrap()
    }

    /// A detached signature by exactly this key.
    pub(crate) fn sign(&self, key: &str, more: &[&str], payload: &str) -> String {
        let key = format!("{key}!");
        let args = [&["--armor", "--local-user", &key], more, &["--detach-sign"]].concat();
        String::from_utf8(self.run(&args, payload.as_bytes())).unwrap()
    }

    /// What gpg itself makes of a signature: the first word of its verdict, as `GOODSIG`.
    pub(crate) fn verdict(&self, payload: &str, signature: &str) -> String {
        let (document, detached) = (self.home.path().join("document"), self.home.path().join("signature"));
        std::fs::write(&document, payload).unwrap();
        std::fs::write(&detached, signature).unwrap();
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", self.home.path()).args(["--batch", "--status-fd", "1", "--verify"]);
        let output = command.arg(&detached).arg(&document).output().unwrap();
        let status = String::from_utf8(output.stdout).unwrap();
        let words = ["GOODSIG", "BADSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "ERRSIG"];
        let mut found = status.lines().filter_map(|line| line.strip_prefix("[GNUPG:] ")?.split(' ').next());
        found.find(|word| words.contains(word)).unwrap_or("nothing").to_owned()
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // Its agent would live on.
        let _ = Command::new("gpgconf").env("GNUPGHOME", self.home.path()).args(["--kill", "all"]).status();
    }
}

/// The last 16 digits.
pub(crate) fn id(fingerprint: &str) -> &str {
    &fingerprint[24..]
}

/// A commit with a signature in its header, as git writes it.
pub(crate) fn commit(payload: &str, signature: &str) -> Signed {
    Signed::commit(raw_commit(payload, signature).as_bytes())
}

pub(crate) fn raw_commit(payload: &str, signature: &str) -> String {
    let (headers, message) = payload.split_once("\n\n").unwrap();
    format!("{headers}\ngpgsig {}\n\n{message}", signature.trim_end().replace('\n', "\n "))
}

/// An SSH key on disk.
pub(crate) struct SshKey {
    dir: TempDir,
}

impl SshKey {
    /// Makes a key; `kind` as in `-t ecdsa -b 256`.
    pub(crate) fn new(kind: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("ssh-keygen");
        run(command.args(["-q", "-N", "", "-C", "", "-f"]).arg(dir.path().join("key")).args(kind), b"");
        Self { dir }
    }

    pub(crate) fn private(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    pub(crate) fn public(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("key.pub")).unwrap().trim().to_owned()
    }

    /// As ssh-keygen prints it.
    pub(crate) fn fingerprint(&self) -> String {
        let printed = run(Command::new("ssh-keygen").arg("-lf").arg(self.private()), b"");
        String::from_utf8(printed).unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    pub(crate) fn sign(&self, namespace: &str, payload: &str) -> String {
        let mut command = Command::new("ssh-keygen");
        let signed = run(command.args(["-Y", "sign", "-n", namespace, "-f"]).arg(self.private()), payload.as_bytes());
        String::from_utf8(signed).unwrap()
    }
}

/// Runs a program, which must succeed; answers what it prints.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
