//! What the tests of workers stand on.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use trueup_bed::{Deadline, until};
use trueup_render::workers::{
    Answers, DirectoryEntry, FileKind, HelmJob, Job, Program, Reply, TreeFile, ValuesFile, WorkerError, Workers,
    WorkersConfig,
};

/// With this variable the program starts a worker, says its id, and ends without a word to it.
pub(crate) const ORPHANS: &str = "LEAVE_AN_ORPHAN";
/// For what is to come to its deadline.
pub(crate) const SOON: Duration = Duration::from_millis(500);

pub(crate) type Tests = &'static [(&'static str, fn())];

/// Workers of one kind.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) config: WorkersConfig,
}

impl Bench {
    pub(crate) fn new(kind: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = Self::program_in(&dir, kind);
        Self { config: WorkersConfig::new(Program::Child(program)), dir }
    }

    /// This program under a name that makes it a worker.
    pub(crate) fn program_in(dir: &TempDir, kind: &str) -> PathBuf {
        let program = dir.path().join(super::fake::name(kind));
        symlink(std::env::current_exe().unwrap(), &program).unwrap();
        program
    }

    pub(crate) fn workers(&self) -> Workers {
        Workers::new(self.config.clone())
    }
}

/// A job for the worker of the tests.
pub(crate) fn job(what: &str) -> Job {
    Job::Helm(HelmJob { release_name: what.to_owned(), ..HelmJob::default() })
}

/// A job that asks these things, and renders to the answers.
pub(crate) fn asking(asks: &[&str]) -> Job {
    let values = asks.iter().map(|ask| ValuesFile { name: String::new(), text: (*ask).to_owned() }).collect();
    Job::Helm(HelmJob { release_name: "ask".to_owned(), values, ..HelmJob::default() })
}

/// What a job renders to, or the error.
pub(crate) fn render(workers: &Workers, what: &str) -> Result<Vec<String>, WorkerError> {
    workers.render(&job(what), &mut Nothing).map(texts)
}

/// The texts of a reply that is done.
pub(crate) fn texts(reply: Reply) -> Vec<String> {
    match reply {
        Reply::Done(done) => done.documents.into_iter().map(|document| document.text).collect(),
        Reply::Needs(needs) => panic!("it needs {needs:?}"),
        Reply::Failed(message) => panic!("it failed: {message}"),
    }
}

/// The id of the worker that answers.
pub(crate) fn pid(workers: &Workers) -> u32 {
    render(workers, "pid").unwrap()[0].parse().unwrap()
}

/// Waits until a condition holds.
pub(crate) fn wait(what: &str, mut look: impl FnMut() -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let look = async || if look() { Ok(()) } else { Err("not yet") };
    runtime.block_on(until(what, Deadline::SHORT, look)).unwrap();
}

/// Waits until a process has ended.
pub(crate) fn wait_ended(pid: u32) {
    wait(&format!("process {pid} to end"), || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // One that nobody waits for stays in the list as a zombie.
        stat.rsplit_once(')').is_none_or(|(_, state)| state.trim_start().starts_with('Z'))
    });
}

/// Answers as if there was nothing.
pub(crate) struct Nothing;

impl Answers for Nothing {
    fn stat(&mut self, _root: &str, _path: &str) -> Result<FileKind, String> {
        Ok(FileKind::Absent)
    }
    fn list(&mut self, _root: &str, _path: &str) -> Result<Vec<DirectoryEntry>, String> {
        Ok(vec![])
    }
    fn read(&mut self, root: &str, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("'{path}' of '{root}' is not there"))
    }
    fn tree(&mut self, _root: &str, _path: &str) -> Result<Vec<TreeFile>, String> {
        Ok(vec![])
    }
    fn kube_version(&mut self) -> Result<String, String> {
        Ok(String::new())
    }
    fn has_api_version(&mut self, _name: &str) -> Result<bool, String> {
        Ok(false)
    }
    fn api_versions(&mut self) -> Result<Vec<String>, String> {
        Ok(vec![])
    }
}

/// Does something when it is asked for the version of Kubernetes or for what it serves, and answers with what that says.
pub(crate) struct Then<F>(pub(crate) F);

impl<F: FnMut(&str) -> Result<bool, String>> Answers for Then<F> {
    fn stat(&mut self, root: &str, path: &str) -> Result<FileKind, String> {
        Nothing.stat(root, path)
    }
    fn list(&mut self, root: &str, path: &str) -> Result<Vec<DirectoryEntry>, String> {
        Nothing.list(root, path)
    }
    fn read(&mut self, root: &str, path: &str) -> Result<Vec<u8>, String> {
        Nothing.read(root, path)
    }
    fn tree(&mut self, root: &str, path: &str) -> Result<Vec<TreeFile>, String> {
        Nothing.tree(root, path)
    }
    fn kube_version(&mut self) -> Result<String, String> {
        (self.0)("").map(|yes| yes.to_string())
    }
    fn has_api_version(&mut self, name: &str) -> Result<bool, String> {
        (self.0)(name)
    }
    fn api_versions(&mut self) -> Result<Vec<String>, String> {
        Nothing.api_versions()
    }
}
