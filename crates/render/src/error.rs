//! Why a directory gives no manifests, said to the person who must act.
//!
//! Files are named relative to the application's path. No error holds the content of a file: it may be a Secret.

use trueup_git::GitError;

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
    /// The directory is for a tool that is not there yet.
    #[error(
        "'{file}' makes this directory one for {tool}, which is not supported yet, and nothing is rendered by half: commit the output of `{}` and name its directory in spec.source.path{}",
        command(.tool), beside(.tool, .file)
    )]
    Tool {
        /// The tool.
        tool: &'static str,
        /// What tells so.
        file: String,
    },
    /// The directory overrides the application's source.
    #[error(
        "'{file}' overrides the source of applications, which is not supported yet: move its settings into spec.source"
    )]
    Overridden {
        /// The file.
        file: String,
    },
    /// A glob of the application cannot be read.
    #[error("spec.source.directory.{field} '{pattern}' is not a valid glob: {reason}")]
    Glob {
        /// `include` or `exclude`.
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

/// The command that prints what a tool makes of a directory.
fn command(tool: &str) -> &'static str {
    match tool {
        "Helm" => "helm template",
        "Kustomize" => "kustomize build",
        _ => "jsonnet",
    }
}

/// What to do if the directory holds plain manifests beside a tool's file.
fn beside(tool: &str, file: &str) -> String {
    let what = if tool == "Helm" { "to ignore the chart" } else { "to ignore this file" };
    format!("; {what} and read the plain manifests beside it, set spec.source.directory.exclude to '{file}'")
}
