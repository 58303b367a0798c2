//! Why a directory gives no manifests, said to the person who must act.
//!
//! Files are named relative to the application's path. No error holds the content of a file: it may be a Secret.

use trueup_git::GitError;

use crate::workers::{Need, WorkerError};

/// Why a directory gives no manifests. Nothing is known about its objects then: nothing may be pruned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The repository, the commit or the path cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file or directory on disk cannot be read.
    #[error("'{file}' cannot be read: {detail}")]
    Unreadable {
        /// Which one.
        file: String,
        /// What the system said.
        detail: String,
    },
    /// A file is neither YAML nor JSON.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// Which file.
        file: String,
        /// Where, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A document is no Kubernetes object.
    #[error(
        "{file}:{line}: not a Kubernetes object: {reason}; mend it, leave the file out by spec.source.directory.exclude, or put '# +argocd:skip-file-rendering' into it"
    )]
    NotAnObject {
        /// Which file.
        file: String,
        /// Where the document begins, from 1.
        line: usize,
        /// What it lacks.
        reason: String,
    },
    /// An object asks the server for a name.
    #[error(
        "{file}:{line}: {kind} has metadata.generateName, but no metadata.name: every sync would create another one; give it a name"
    )]
    GeneratedName {
        /// Which file.
        file: String,
        /// Where the document begins, from 1.
        line: usize,
        /// The kind of the object.
        kind: String,
    },
    /// There is no renderer for what a tool renders.
    #[error(
        "{why}: {tool} is rendered by trueup-renderer, and there is none: put it beside trueup, or say where it is with --renderer"
    )]
    NoRenderer {
        /// The tool.
        tool: &'static str,
        /// What makes it one for the tool.
        why: String,
    },
    /// The renderer gave no answer.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A tool cannot make manifests of what is there.
    #[error("{tool}: {message}")]
    Failed {
        /// The tool.
        tool: &'static str,
        /// What it says.
        message: String,
    },
    /// The source asks for several tools.
    #[error("the source has options for several tools ({tools}), of which one renders it: keep those of one")]
    SeveralTools {
        /// Which.
        tools: String,
    },
    /// The source asks for a plugin.
    #[error(
        "spec.source.plugin: plugins are not supported yet: commit what it generates and name its directory in spec.source.path"
    )]
    Plugin,
    /// A file that overrides the application's source cannot be read.
    #[error("'{file}' overrides the source of applications, and cannot be read: {reason}")]
    Override {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something is not there.
    #[error("'{file}' does not exist")]
    Missing {
        /// What.
        file: String,
    },
    /// Something is to be fetched, and nobody here does that.
    #[error("something remote is needed, which is not fetched here: {}", needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NotFetched {
        /// What.
        needs: Vec<Need>,
    },
    /// A file of values is not there.
    #[error(
        "{field}: there is no '{file}'; mend the path, which is relative to the chart, or to the repository with a '/' before it, or set spec.source.helm.ignoreMissingValueFiles"
    )]
    ValueFile {
        /// Where it is named.
        field: &'static str,
        /// The file, as written.
        file: String,
    },
    /// A glob finds nothing.
    #[error("{field}: no file matches '{pattern}'; mend the pattern, or set spec.source.helm.ignoreMissingValueFiles")]
    NoMatch {
        /// Where it is written.
        field: &'static str,
        /// The glob.
        pattern: String,
    },
    /// A path leads out of the repository.
    #[error(
        "{field}: '{path}' leads out of the repository; name a file inside it, or in a source of its own with a ref"
    )]
    Outside {
        /// Where it is written.
        field: &'static str,
        /// The path.
        path: String,
    },
    /// A URL has a scheme that is not allowed.
    #[error(
        "{field}: URLs of the scheme '{scheme}' are not allowed (helm.valuesFileSchemes in argocd-cm allows: {allowed})"
    )]
    Scheme {
        /// Where it is written.
        field: &'static str,
        /// The scheme.
        scheme: String,
        /// What is allowed.
        allowed: String,
    },
    /// A source that is referred to is not there.
    #[error("there is no source with the ref '{name}': name one of spec.sources so, or mend '${name}'")]
    UnknownReference {
        /// Its name.
        name: String,
    },
    /// A file cannot be decrypted.
    #[error("'{file}' cannot be decrypted: {reason}")]
    Encrypted {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A glob of the application cannot be read.
    #[error("{field} '{pattern}' is not a valid glob: {reason}")]
    Glob {
        /// Where it is written.
        field: &'static str,
        /// As written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A symbolic link that is not followed.
    #[error("'{file}' is a symbolic link to '{target}', which is not followed: {reason}")]
    Link {
        /// The link.
        file: String,
        /// Where it points, as written.
        target: String,
        /// Why not.
        reason: String,
    },
    /// A submodule where files are looked for.
    #[error(
        "'{file}' is a submodule: submodules are not read; leave it out by spec.source.directory.exclude ('{file}/*'), or make its repository an application of its own"
    )]
    Submodule {
        /// The submodule.
        file: String,
    },
    /// More than one application may have.
    #[error(
        "{what} of this application: more than {limit}; make several applications of it, or leave files out by spec.source.directory.exclude"
    )]
    TooLarge {
        /// What there is too much of.
        what: String,
        /// How much is accepted.
        limit: String,
    },
}

// === impl RenderError ===

impl RenderError {
    /// Whether the renderer came to it, so that asking again at once costs much and changes nothing.
    pub(crate) fn is_of_renderer(&self) -> bool {
        match self {
            Self::Failed { .. } => true,
            Self::Worker(error) => matches!(
                error,
                WorkerError::Deadline { .. }
                    | WorkerError::Asks { .. }
                    | WorkerError::Memory { .. }
                    | WorkerError::Crashed { .. }
                    | WorkerError::TooLarge { .. }
            ),
            _ => false,
        }
    }

    /// The same, with the file named relative to a directory that it is in.
    pub(crate) fn relative_to(mut self, top: &str) -> Self {
        if let Self::Unreadable { file, .. }
        | Self::Link { file, .. }
        | Self::Submodule { file }
        | Self::Missing { file }
        | Self::Encrypted { file, .. } = &mut self
            && let Some(below) = file.strip_prefix(top).and_then(|below| below.strip_prefix('/'))
        {
            *file = below.to_owned();
        }
        self
    }
}
