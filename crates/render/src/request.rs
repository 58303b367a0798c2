//! What is to be rendered, and what a render answers.
//!
//! Entry points: [`Request`] and [`Answer`].

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_api::source::{ApplicationSource, DirectorySource};
use trueup_object::Digest;

use crate::Rendered;
use crate::tree::Tree;
use crate::workers::Need;

/// What is to be rendered: one source of an application, and what it may refer to.
#[derive(Debug, Clone)]
pub struct Request {
    /// The source as the Application says it.
    pub source: ApplicationSource,
    /// The directory, relative to the root of the source's tree and cleaned; empty or `.` is the root.
    pub path: String,
    /// What the source is at: a commit, the version of a chart, the digest of an artifact.
    pub revision: String,
    /// The name of the application as it is in tracking ids: that of its namespace before it, with a `_` between, if it is
    /// not in the namespace of the installation.
    pub application: String,
    /// The namespace of the application.
    pub application_namespace: String,
    /// The project of the application.
    pub project: String,
    /// The namespace of the destination.
    pub destination_namespace: String,
    /// What the installation says about rendering.
    pub settings: Arc<Settings>,
}

/// What the installation says about rendering.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Whether charts are rendered by Helm; otherwise they are directories like others.
    pub helm_enabled: bool,
    /// Whether overlays are built by Kustomize; otherwise they are directories like others.
    pub kustomize_enabled: bool,
    /// Whether Jsonnet files are evaluated; otherwise they are passed over.
    pub jsonnet_enabled: bool,
    /// Flags as of `kustomize build`.
    pub kustomize_build_options: Vec<String>,
    /// The schemes of URLs that value files may have.
    pub helm_values_schemes: Vec<String>,
}

/// The files that a render may read.
#[derive(Clone)]
pub struct Trees {
    /// The source's own.
    pub own: Arc<dyn Tree>,
    /// Those of sources with a `ref`, by it, without the `$`.
    pub referenced: BTreeMap<String, Arc<dyn Tree>>,
    /// What earlier answers to the same request needed.
    pub fetched: Vec<Fetched>,
    /// What decrypts files, if the project has keys.
    pub decryptor: Option<Arc<dyn Decrypt>>,
}

/// Something that a render needed, and where it is.
#[derive(Clone)]
pub struct Fetched {
    /// What was needed.
    pub need: Need,
    /// The files that hold it.
    pub tree: Arc<dyn Tree>,
    /// Where it is among them.
    pub path: String,
}

/// Decrypts files. What it gives back is kept in memory only.
pub trait Decrypt: Send + Sync {
    /// The plain text of a file; none if it is not encrypted.
    fn decrypt(&self, path: &str, text: &[u8]) -> Result<Option<Vec<u8>>, String>;
    /// What tells these keys from others.
    fn identity(&self) -> Digest;
}

/// What the destination serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The version of Kubernetes, as `v1.36.3`.
    pub kube_version: String,
    /// `group/version` and `group/version/Kind` of all that it serves.
    pub api_versions: Arc<[String]>,
}

/// What a render answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The manifests.
    Rendered(Arc<Rendered>),
    /// What is to be fetched first.
    Needs(Vec<Need>),
}

/// What renders a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Tool {
    /// Nothing: plain manifests, and Jsonnet files among them.
    Directory,
    /// Helm.
    Helm,
    /// Kustomize.
    Kustomize,
    /// A plugin.
    Plugin,
}

// === impl Request ===

impl Request {
    /// A directory of plain manifests, of no application.
    pub fn of_directory(path: &str, directory: &DirectorySource) -> Self {
        Self {
            source: ApplicationSource { directory: Some(directory.clone()), ..ApplicationSource::default() },
            path: path.to_owned(),
            revision: String::new(),
            application: String::new(),
            application_namespace: String::new(),
            project: String::new(),
            destination_namespace: String::new(),
            settings: Arc::default(),
        }
    }

    /// What a release is called if nothing else is said: the name of the application alone.
    pub(crate) fn release_name(&self) -> &str {
        // Names of Kubernetes hold no `_`.
        self.application.rsplit_once('_').map_or(self.application.as_str(), |(_, name)| name)
    }
}

// === impl Settings ===

/// As Argo CD has it where nobody says anything.
impl Default for Settings {
    fn default() -> Self {
        Self {
            helm_enabled: true,
            kustomize_enabled: true,
            jsonnet_enabled: true,
            kustomize_build_options: Vec::new(),
            helm_values_schemes: vec!["https".to_owned(), "http".to_owned()],
        }
    }
}

// === impl Trees ===

impl Trees {
    /// Only the source's own.
    pub fn new(own: Arc<dyn Tree>) -> Self {
        Self { own, referenced: BTreeMap::new(), fetched: Vec::new(), decryptor: None }
    }
}

// === impl Tool ===

impl Tool {
    /// As users know it, and as a status names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "Directory",
            Self::Helm => "Helm",
            Self::Kustomize => "Kustomize",
            Self::Plugin => "Plugin",
        }
    }
}
