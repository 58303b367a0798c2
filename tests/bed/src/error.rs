//! What can go wrong in the test bed.

use std::io;
use std::path::Path;
use std::path::PathBuf;

/// The answer of everything in the test bed that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the test bed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory did not do what was asked of it.
    #[error("cannot use '{path}'", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A program could not be started or waited for.
    #[error("cannot run '{program}'")]
    Spawn {
        /// The program.
        program: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("'{program}' failed ({status}): {stderr}")]
    Failed {
        /// The program with its arguments.
        program: String,
        /// How it ended.
        status: String,
        /// What it said about it.
        stderr: String,
    },
    /// The control plane did not answer as agreed.
    #[error("the control plane {0}")]
    ControlPlane(String),
    /// A user asked for was not named at the start of the control plane.
    #[error("the control plane has no user '{0}'")]
    NoSuchUser(String),
    /// A condition did not come to hold in time.
    #[error("waited {seconds:.1} s in vain for {what}; last seen: {last}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long, in seconds.
        seconds: f64,
        /// The last state seen.
        last: String,
    },
    /// The binary under test is not built.
    #[error("'{path}' is missing; build it with `cargo build` or set TRUEUP_BIN", path = .0.display())]
    NotBuilt(PathBuf),
    /// A socket on loopback failed.
    #[error("cannot talk on loopback")]
    Socket(#[source] io::Error),
    /// The controller's listener answered something else than was asked for.
    #[error("'{path}' answers '{answer}'")]
    Answer {
        /// The path asked for.
        path: String,
        /// The first line of the answer.
        answer: String,
    },
    /// A certificate could not be made or used.
    #[error("certificates: {0}")]
    Certificate(String),
    /// The registry did not do what was asked of it.
    #[error("the registry {0}")]
    Registry(String),
    /// A kubeconfig does not load.
    #[error(transparent)]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The API server refused, or could not be reached.
    #[error(transparent)]
    Kube(#[from] kube::Error),
}

impl Error {
    /// Says which file an error of the system is about.
    pub(crate) fn file(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::File { path, source }
    }

    /// Says which program an error of the system is about.
    pub(crate) fn spawn(program: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let program = program.as_ref().display().to_string();
        move |source| Self::Spawn { program, source }
    }
}
