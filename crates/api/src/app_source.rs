//! Where an application's manifests come from, after the checks.
//!
//! Invariant: a path stays inside its repository, and a source is rendered, referred to by others, or both. Entry point:
//! [`sources_of`].

use std::fmt;

use crate::app::SpecError;
use crate::source::{ApplicationSource, Redacted};
use crate::spec::ApplicationSpec;

/// The revision of a source that names none.
pub const DEFAULT_REVISION: &str = "HEAD";

/// A directory of a Git repository at a revision, a chart, or an artifact.
#[derive(Clone, PartialEq)]
pub struct Source {
    /// The URL, which may carry credentials: not to be printed.
    pub repo_url: String,
    /// What is at the URL.
    pub kind: SourceKind,
    /// The directory, relative to the root, without `.`, `..` and doubled slashes; `.` is the root. Empty if nothing is
    /// rendered from this source: others refer to it.
    pub path: String,
    /// A branch, tag, commit, `HEAD`, full ref name, version, or range of versions.
    pub target_revision: String,
    /// The name by which other sources refer to it; may be empty.
    pub reference: String,
    /// As it is written: the tools take their options from it.
    pub written: ApplicationSource,
}

/// What is at the URL of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A Git repository.
    Git,
    /// A Helm repository, or a registry with charts.
    Chart,
    /// A registry with artifacts.
    Artifact,
}

/// The sources of a specification; none if it is hydrated, which is not read yet.
pub(crate) fn sources_of(spec: &ApplicationSpec, errors: &mut Vec<SpecError>) -> Vec<Source> {
    if spec.source_hydrator.is_some() {
        return Vec::new();
    }
    if spec.sources.is_empty() {
        let nothing = ApplicationSource::default();
        return vec![single(spec.source.as_ref().unwrap_or(&nothing), errors)];
    }
    let sources: Vec<Source> =
        spec.sources.iter().enumerate().map(|(at, source)| one_of_several(at, source, errors)).collect();
    names_differ(&sources, errors);
    sources
}

fn single(source: &ApplicationSource, errors: &mut Vec<SpecError>) -> Source {
    if source.repo_url.trim().is_empty() || (source.path.is_empty() && source.chart.is_empty()) {
        let field = if source.repo_url.trim().is_empty() { "spec.source.repoURL" } else { "spec.source.path" };
        let message =
            format!("spec.source.repoURL and either spec.source.path or spec.source.chart are required: set {field}");
        errors.push(SpecError { field, message });
    }
    // Only one of several sources can be referred to.
    Source { reference: String::new(), ..read("spec.source", source, errors) }
}

fn one_of_several(at: usize, source: &ApplicationSource, errors: &mut Vec<SpecError>) -> Source {
    let wrong = |message: String| SpecError { field: "spec.sources", message };
    let nothing_to_read = source.path.is_empty() && source.chart.is_empty() && source.reference.is_empty();
    if source.repo_url.trim().is_empty() || nothing_to_read {
        errors.push(wrong(format!(
            "spec.source.repoURL and either source.path, source.chart, or source.ref are required for source {}",
            at + 1
        )));
    }
    if !source.chart.is_empty() && !source.reference.is_empty() {
        errors.push(wrong(format!(
            "source {} has both chart and ref: value files cannot be taken out of a chart, remove one of them",
            at + 1
        )));
    }
    read("spec.sources", source, errors)
}

/// Of two sources of one name nobody knows which is meant.
fn names_differ(sources: &[Source], errors: &mut Vec<SpecError>) {
    for (at, source) in sources.iter().enumerate() {
        if !source.reference.is_empty() && sources[..at].iter().any(|other| other.reference == source.reference) {
            let message = format!("two sources have the ref '{}': give each its own", source.reference);
            errors.push(SpecError { field: "spec.sources", message });
        }
    }
}

fn read(field: &'static str, source: &ApplicationSource, errors: &mut Vec<SpecError>) -> Source {
    let repo_url = source.repo_url.trim().to_owned();
    let kind = if !source.chart.is_empty() {
        SourceKind::Chart
    } else if repo_url.to_ascii_lowercase().starts_with("oci://") {
        SourceKind::Artifact
    } else {
        SourceKind::Git
    };
    let revision = source.target_revision.trim();
    let versioned = match kind {
        SourceKind::Git => None,
        SourceKind::Chart => Some(("a helm chart", "the chart's version")),
        SourceKind::Artifact => Some(("an OCI artifact", "a tag, a range of versions or a digest")),
    };
    if let Some((what, version)) = versioned.filter(|_| revision.is_empty()) {
        let message =
            format!("spec.source.targetRevision is required if the manifest source is {what}: set it to {version}");
        errors.push(SpecError { field: "spec.source.targetRevision", message });
    }
    several_tools(field, source, errors);
    let path = match (kind, clean(&source.path)) {
        // A chart is its own root.
        (SourceKind::Chart, _) => ".".to_owned(),
        _ if source.path.is_empty() => String::new(),
        (_, Ok(path)) => path,
        (_, Err(why)) => {
            let message = format!(
                "{}: {why}: name a directory of the repository, relative to its root",
                source.path.escape_debug()
            );
            errors.push(SpecError { field: "spec.source.path", message });
            String::new()
        }
    };
    Source {
        repo_url,
        kind,
        path,
        target_revision: if revision.is_empty() { DEFAULT_REVISION } else { revision }.to_owned(),
        reference: source.reference.clone(),
        written: source.clone(),
    }
}

fn several_tools(field: &'static str, source: &ApplicationSource, errors: &mut Vec<SpecError>) {
    let tools = [
        ("Kustomize", source.kustomize.is_some()),
        ("Helm", source.helm.is_some()),
        ("Directory", source.directory.is_some()),
        ("Plugin", source.plugin.is_some()),
    ];
    let named: Vec<&str> = tools.into_iter().filter(|(_, named)| *named).map(|(tool, _)| tool).collect();
    if named.len() > 1 {
        let message = format!("multiple application sources defined: {}: keep one of them", named.join(","));
        errors.push(SpecError { field, message });
    }
}

/// A path without `.`, `..` and doubled slashes.
fn clean(path: &str) -> Result<String, &'static str> {
    if path.starts_with('/') {
        return Err("app path is absolute");
    }
    if path.contains('\0') {
        return Err("app path holds a NUL byte");
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or("app path outside root")?),
            part => parts.push(part),
        }
    }
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

// === impl Source ===

impl Source {
    /// Whether manifests come from it; otherwise others only refer to it.
    pub fn is_rendered(&self) -> bool {
        !self.path.is_empty()
    }
}

/// A URL may carry credentials: they are not printed.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("repo_url", &Redacted(&self.repo_url))
            .field("kind", &self.kind)
            .field("path", &self.path)
            .field("target_revision", &self.target_revision)
            .finish_non_exhaustive()
    }
}
