//! What a worker may ask while it renders.

use serde::Serialize;

/// Answers what a worker asks while it renders. The roots: `""` is the source's own tree, `"$name"` another source of the
/// application, `"need:0"` something that was fetched. Paths are relative to the root, cleaned, without `..`; `""` is the root.
///
/// An error ends the render with its text, which is for the user. A path that does not exist is none to [`Self::stat`].
pub trait Answers {
    /// What is at a path.
    fn stat(&mut self, root: &str, path: &str) -> Result<FileKind, String>;
    /// What a directory holds.
    fn list(&mut self, root: &str, path: &str) -> Result<Vec<DirectoryEntry>, String>;
    /// The content of a file.
    fn read(&mut self, root: &str, path: &str) -> Result<Vec<u8>, String>;
    /// All files below a directory.
    fn tree(&mut self, root: &str, path: &str) -> Result<Vec<TreeFile>, String>;
    /// The version of the destination's Kubernetes, as `v1.36.3`.
    fn kube_version(&mut self) -> Result<String, String>;
    /// Whether the destination serves `group/version` or `group/version/Kind`.
    fn has_api_version(&mut self, name: &str) -> Result<bool, String>;
    /// All that the destination serves, in the same words.
    fn api_versions(&mut self) -> Result<Vec<String>, String>;
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// Nothing.
    Absent,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DirectoryEntry {
    /// Its name in the directory.
    pub name: String,
    /// A file or a directory: links have been followed.
    pub kind: FileKind,
}

/// A file below a directory. Its content is not for logs: it may have been encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path below that directory.
    pub path: String,
    /// Its content.
    pub data: Vec<u8>,
}
