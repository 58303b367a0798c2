//! The Applications in the files of a repository, at two commits. Entry point: [`pairs`].
//!
//! Invariant: an Application of the one commit is compared with that of the same name in the same file of the other; if there is
//! none, with one of the same name that is left over elsewhere, as when a file is moved.

use std::collections::HashMap;

use trueup_api::{Application, Destination};
use trueup_git::{BlobId, CommitId, EntryKind, GitError, Store, TreeId};
use trueup_object::{Node, yaml};

use crate::commands::preview::here::Urls;
use crate::output::talk;

/// Bytes of a file that may hold Applications: the API server takes no more than some 1.5 MB of one, and files of many are rare.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Levels of directories: file systems end not far beyond.
const DEPTH_MAX: usize = 64;

const API_VERSION: &str = "argoproj.io/v1alpha1";
const KIND: &str = "Application";

/// An Application in a file.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) file: String,
    pub(super) application: Application,
}

/// An Application at the base and at the head; there is at least one of them.
pub(super) struct Pair {
    pub(super) base: Option<Found>,
    pub(super) head: Option<Found>,
}

/// The Applications of two commits, which have been fetched.
pub(super) fn pairs(store: &Store, base: CommitId, head: CommitId) -> Result<Vec<Pair>, GitError> {
    let mut search = Search { store, known: HashMap::new() };
    let (base, head) = (search.at(base)?, search.at(head)?);
    Ok(paired(base, head))
}

fn paired(mut base: Vec<Found>, head: Vec<Found>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = head.into_iter().map(|head| Pair { base: None, head: Some(head) }).collect();
    let same_file: fn(&Found, &Found) -> bool = |one, other| one.file == other.file && one.name() == other.name();
    let same_name: fn(&Found, &Found) -> bool = |one, other| one.name() == other.name();
    for is_same in [same_file, same_name] {
        for pair in pairs.iter_mut().filter(|pair| pair.base.is_none()) {
            let at = pair.head.as_ref().and_then(|head| base.iter().position(|base| is_same(base, head)));
            pair.base = at.map(|at| base.remove(at));
        }
    }
    pairs.extend(base.into_iter().map(|base| Pair { base: Some(base), head: None }));
    pairs.sort_by_key(|pair| (pair.shown().file.clone(), pair.shown().application.meta.name.clone()));
    pairs
}

/// A search through the files of commits. Files that are the same are read once.
struct Search<'a> {
    store: &'a Store,
    known: HashMap<BlobId, Vec<Application>>,
}

// === impl Search ===

impl Search<'_> {
    fn at(&mut self, commit: CommitId) -> Result<Vec<Found>, GitError> {
        let mut found = Vec::new();
        self.directory(&self.store.tree(&commit, "")?, "", 0, &mut found)?;
        Ok(found)
    }

    fn directory(&mut self, tree: &TreeId, path: &str, depth: usize, found: &mut Vec<Found>) -> Result<(), GitError> {
        for entry in self.store.entries(tree)? {
            let path = if path.is_empty() { entry.name.clone() } else { format!("{path}/{}", entry.name) };
            match entry.kind {
                EntryKind::Directory(tree) if depth < DEPTH_MAX => self.directory(&tree, &path, depth + 1, found)?,
                EntryKind::File { id, size, .. } if size <= FILE_BYTES_MAX && is_yaml(&entry.name) => {
                    self.file(id, &path, found)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, id: BlobId, file: &str, found: &mut Vec<Found>) -> Result<(), GitError> {
        if !self.known.contains_key(&id) {
            let applications = read(&self.store.blob(&id, FILE_BYTES_MAX)?, file);
            self.known.insert(id, applications);
        }
        let applications = self.known.get(&id).into_iter().flatten().cloned();
        found.extend(applications.map(|application| Found { file: file.to_owned(), application }));
        Ok(())
    }
}

/// As a source that is a plain directory knows them.
fn is_yaml(name: &str) -> bool {
    matches!(name.rsplit_once('.'), Some((_, "yaml" | "yml")))
}

/// The Applications of a file. What is a template, or a patch without a source, is none; the latter is told.
fn read(text: &[u8], file: &str) -> Vec<Application> {
    // Most files are about something else: reading them all would take longer than rendering.
    let holds = |word: &str| text.windows(word.len()).any(|window| window == word.as_bytes());
    if !holds(API_VERSION) || !holds(KIND) {
        return Vec::new();
    }
    let documents = match yaml::documents(text) {
        Ok(documents) => documents,
        Err(error) => {
            talk::warning(&format!("{file}: it names Applications and is no plain YAML, it is left out: {error}"));
            return Vec::new();
        }
    };
    let nodes = documents.iter().map(|document| &document.node);
    nodes.filter(|node| is_application(node)).filter_map(|node| whole(node, file)).collect()
}

fn is_application(node: &Node) -> bool {
    node.str_at(&["apiVersion"]) == Some(API_VERSION) && node.str_at(&["kind"]) == Some(KIND)
}

fn whole(node: &Node, file: &str) -> Option<Application> {
    let sources = ["source", "sources", "sourceHydrator"];
    if sources.iter().all(|field| node.at(&["spec", field]).is_none()) {
        talk::warning(&format!("{file}: an Application without a source is taken for a patch, it is left out"));
        return None;
    }
    match Application::read(&node.to_json()) {
        Ok(application) => Some(application),
        Err(error) => {
            talk::warning(&format!("{file}: an Application cannot be read, it is left out: {error}"));
            None
        }
    }
}

// === impl Found ===

impl Found {
    fn name(&self) -> (&str, &str) {
        (&self.application.meta.namespace, &self.application.meta.name)
    }

    /// Whether one of its sources is this repository.
    fn is_of(&self, urls: &Urls) -> bool {
        match &self.application.spec {
            Ok(app) => app.sources.iter().any(|source| urls.mean(&source.repo_url)),
            // What cannot be read is told rather than passed over.
            Err(_) => true,
        }
    }

    fn destination(&self) -> Option<&Destination> {
        self.application.spec.as_ref().ok().map(|app| &app.destination)
    }
}

// === impl Pair ===

impl Pair {
    /// The one that there is, the newer one if there are both.
    pub(super) fn shown(&self) -> &Found {
        self.head.as_ref().or(self.base.as_ref()).unwrap_or_else(|| unreachable!("a pair has at least one"))
    }

    /// Whether a change of the repository may change its objects: a source is here, or the Application itself is not the same.
    pub(super) fn concerns(&self, urls: &Urls) -> bool {
        let sides = [&self.base, &self.head];
        let digest = |side: &Option<Found>| side.as_ref().map(|found| found.application.spec_digest);
        sides.into_iter().flatten().any(|found| found.is_of(urls)) || digest(&self.base) != digest(&self.head)
    }

    /// What people should know beside the objects.
    pub(super) fn remarks(&self) -> Vec<String> {
        let destination = |side: &Option<Found>| side.as_ref().and_then(Found::destination).cloned();
        match (destination(&self.base), destination(&self.head)) {
            (Some(base), Some(head)) if base != head => {
                vec![format!("the destination changes from {} to {}", told(&base), told(&head))]
            }
            _ => Vec::new(),
        }
    }
}

fn told(destination: &Destination) -> String {
    format!("namespace '{}' of {}{}", destination.namespace, destination.server, destination.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, name: &str) -> Found {
        let text = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\nspec:\n  source:\n    repoURL: https://h/r\n    path: a\n  destination:\n    name: in-cluster\n"
        );
        Found { file: file.to_owned(), application: read(text.as_bytes(), file).remove(0) }
    }

    #[test]
    fn applications_are_paired_by_file_and_else_by_name() {
        let base = vec![
            found("dev/a.yaml", "a"),
            found("old.yaml", "moved"),
            found("prod/a.yaml", "a"),
            found("x.yaml", "gone"),
        ];
        let head = vec![
            found("dev/a.yaml", "a"),
            found("n.yaml", "new"),
            found("new.yaml", "moved"),
            found("prod/a.yaml", "a"),
        ];
        let file = |side: &Option<Found>| side.as_ref().map(|found| found.file.clone()).unwrap_or_default();
        let pairs: Vec<String> =
            paired(base, head).iter().map(|pair| format!("{}>{}", file(&pair.base), file(&pair.head))).collect();
        assert_eq!(
            pairs,
            ["dev/a.yaml>dev/a.yaml", ">n.yaml", "old.yaml>new.yaml", "prod/a.yaml>prod/a.yaml", "x.yaml>"]
        );
    }

    #[test]
    fn templates_patches_and_other_kinds_are_no_applications() {
        for text in [
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: {{ .Values.name }}}\n",
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a}\nspec: {project: p}\n",
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: a}\nspec: {source: {}}\n",
            "apiVersion: app.k8s.io/v1beta1\nkind: Application\nmetadata: {name: a}\nspec: {source: {}}\n",
        ] {
            assert!(read(text.as_bytes(), "a.yaml").is_empty(), "{text}");
        }
    }
}
