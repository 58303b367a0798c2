//! The files that the demo commits: the examples as they stand, or what of them runs on any cluster. Entry points:
//! [`Examples::of_the_bed`] and [`Examples::of_a_cluster`].

use std::fs;
use std::path::Path;

use trueup_bed::workspace;

use super::failure::Unexpected;
use crate::definitions::NAMESPACE;

/// What stands in the examples where the address of the repository belongs.
const URL: &str = "https://git.example.com/platform.git";
/// What the images of the examples begin with: nobody can pull them.
const REGISTRY: &str = "registry.example.com/shop/";
/// An image that every cluster can pull, that runs as nobody, and that has two versions.
const PULLABLE: [&str; 2] = ["registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.10"];
/// The Application that things happen to, and its namespace.
const APPLICATION: &str = "shop-dev";
/// What begins every name on a cluster that is not ours.
const PREFIX: &str = "trueup-demo";

/// What is committed, and the names in it.
#[derive(Debug)]
pub(crate) struct Examples {
    /// Paths from the root of the repository, with content.
    pub(crate) files: Vec<(String, String)>,
    /// The namespace of the Applications.
    pub(crate) namespace: String,
    /// The Application that things happen to, and the namespace that it deploys to.
    pub(crate) application: String,
    /// The image of its Deployment, before and after.
    pub(crate) images: [&'static str; 2],
}

// === impl Examples ===

impl Examples {
    /// All of them, for a control plane of our own, whose nodes are simulated.
    pub(crate) fn of_the_bed() -> Result<Self, Unexpected> {
        Ok(Self {
            files: read_all()?,
            namespace: NAMESPACE.to_owned(),
            application: APPLICATION.to_owned(),
            images: ["registry.example.com/shop/storefront:2.14.0", "registry.example.com/shop/storefront:2.15.0"],
        })
    }

    /// The environment `dev` for a cluster with real nodes: images that can be pulled, no probes that they would not answer,
    /// no autoscalers, and names that nobody else has.
    pub(crate) fn of_a_cluster() -> Result<Self, Unexpected> {
        let wanted = |path: &str| path.starts_with("environments/dev/") || path == "applications/shop-dev.yaml";
        let files = read_all()?.into_iter().filter(|(path, _)| wanted(path));
        Ok(Self {
            files: files.map(|(path, content)| (path, for_any_cluster(&content))).collect(),
            namespace: PREFIX.to_owned(),
            application: format!("{PREFIX}-{APPLICATION}"),
            images: PULLABLE,
        })
    }

    /// Puts the address of the repository in its place.
    pub(crate) fn at(&mut self, url: &str) {
        for (_, content) in &mut self.files {
            *content = content.replace(URL, url);
        }
    }

    /// The Applications, as one stream of documents.
    pub(crate) fn applications(&self) -> String {
        let ours = self.files.iter().filter(|(path, _)| path.starts_with("applications/"));
        ours.map(|(_, content)| content.as_str()).collect::<Vec<_>>().join("---\n")
    }
}

/// A file without autoscalers, which count as failing where no pod metrics are served, without probes, and with other names.
fn for_any_cluster(content: &str) -> String {
    let documents = content.split("\n---\n").filter(|document| !document.contains("kind: HorizontalPodAutoscaler"));
    documents.map(document_for_any_cluster).collect::<Vec<_>>().join("---\n")
}

fn document_for_any_cluster(content: &str) -> String {
    let mut lines = Vec::new();
    // The indentation of the probe that is left out just now.
    let mut probe = None;
    for line in content.lines() {
        let indent = line.len() - line.trim_start().len();
        if probe.is_some_and(|probe| indent > probe) {
            continue;
        }
        let name = line.trim();
        probe = ["readinessProbe:", "livenessProbe:", "startupProbe:"].contains(&name).then_some(indent);
        if probe.is_some() {
            continue;
        }
        let line = line
            .replace(&format!("namespace: {NAMESPACE}"), &format!("namespace: {PREFIX}"))
            .replace(APPLICATION, &format!("{PREFIX}-{APPLICATION}"));
        lines.push(match line.split_once(REGISTRY) {
            Some((before, _)) => format!("{before}{}", PULLABLE[0]),
            None => line,
        });
    }
    lines.join("\n") + "\n"
}

/// Every file of the examples: its path from there, and its content.
fn read_all() -> Result<Vec<(String, String)>, Unexpected> {
    let root = workspace().join("examples");
    let mut files = Vec::new();
    read(&root, &root, &mut files)?;
    files.sort();
    Ok(files)
}

fn read(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) -> Result<(), Unexpected> {
    let named = |error: std::io::Error, path: &Path| Unexpected(format!("cannot read '{}': {error}", path.display()));
    for entry in fs::read_dir(dir).map_err(|error| named(error, dir))? {
        let path = entry?.path();
        if path.is_dir() {
            read(root, &path, files)?;
        } else {
            let content = fs::read_to_string(&path).map_err(|error| named(error, &path))?;
            let from_root = path.strip_prefix(root)?.to_string_lossy().into_owned();
            files.push((from_root, content));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_on_any_cluster_has_names_of_its_own_and_can_be_pulled() {
        let examples = Examples::of_a_cluster().unwrap();
        let all: String = examples.files.iter().map(|(_, content)| content.as_str()).collect();
        assert!(
            !all.contains(REGISTRY)
                && !all.contains("kind: HorizontalPodAutoscaler")
                && !all.contains("Probe:")
                && !all.contains("namespace: argocd"),
            "{all}"
        );
        assert!(!all.replace("trueup-demo-shop-dev", "").contains("shop-dev"));
        for (path, content) in &examples.files {
            let documents = yaml_serde::Deserializer::from_str(content);
            for document in documents {
                <serde_json::Value as serde::Deserialize>::deserialize(document)
                    .unwrap_or_else(|error| panic!("{path}: {error}"));
            }
        }
        let application = examples.applications();
        assert!(application.contains("name: trueup-demo-shop-dev") && application.contains("namespace: trueup-demo\n"));
        let storefront = examples.files.iter().find(|(path, _)| path.ends_with("storefront.yaml")).unwrap();
        assert_eq!(storefront.1.matches(PULLABLE[0]).count(), 1);
    }
}
