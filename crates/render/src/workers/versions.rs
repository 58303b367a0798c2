//! What a worker says of itself at its start.

use serde::Deserialize;

/// What a worker says of itself at its start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Versions {
    /// The build of the renderer: another build may render something else.
    pub build: String,
    /// The version of Helm.
    pub helm: String,
    /// The version of Kustomize.
    pub kustomize: String,
    /// The version of Jsonnet.
    pub jsonnet: String,
}
