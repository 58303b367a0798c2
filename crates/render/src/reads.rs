//! What a render read: by it is told whether the same would come out again.
//!
//! Invariant: if everything in a set is as it was, the render gives what it gave. What was looked for and absent is in it as
//! well as what was there. Entry point: [`ReadSet`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use trueup_object::Digest;

use crate::RenderError;
use crate::engine::Engine;
use crate::request::{Capabilities, Trees};
use crate::tree::{Entry, EntryKind, Stat, Tree};
use crate::workers::Need;

/// One thing that was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Read {
    /// What kind of thing is at a place.
    Kind(Place),
    /// The names in a directory, and the kind of each.
    Names(Place),
    /// The content of a file.
    File(Place),
    /// Everything below a directory.
    Whole(Place),
    /// The version of Kubernetes.
    KubeVersion,
    /// Whether Kubernetes serves this.
    ApiVersion(String),
    /// All that Kubernetes serves.
    ApiVersions,
    /// What the source is at: the render is another one for every commit.
    Revision,
    /// Which build of the renderer it was.
    Renderer,
}

/// A path in one of the trees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) root: Root,
    pub(crate) path: String,
}

/// One of the trees that a render may read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Root {
    /// The source's own.
    Own,
    /// Another source's, by its `ref`.
    Referenced(String),
    /// What was fetched for this need.
    Fetched(Need),
}

/// Where everything is that can be read, as it is now.
#[derive(Clone, Copy)]
pub(crate) struct Present<'a> {
    pub(crate) trees: &'a Trees,
    pub(crate) capabilities: &'a Capabilities,
    pub(crate) revision: &'a str,
    /// The renderer, if there is one.
    pub(crate) engine: Option<&'a dyn Engine>,
}

/// What one render read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadSet(BTreeSet<Read>);

// === impl Root ===

impl Root {
    /// The tree; `None` if it is not among those at hand.
    pub(crate) fn tree<'a>(&self, trees: &'a Trees) -> Option<&'a dyn Tree> {
        match self {
            Self::Own => Some(trees.own.as_ref()),
            Self::Referenced(name) => trees.referenced.get(name).map(AsRef::as_ref),
            Self::Fetched(need) => {
                trees.fetched.iter().find(|fetched| fetched.need == *need).map(|fetched| fetched.tree.as_ref())
            }
        }
    }
}

// === impl Place ===

impl Place {
    pub(crate) fn own(path: &str) -> Self {
        Self { root: Root::Own, path: path.to_owned() }
    }
}

// === impl Read ===

impl Read {
    fn place(&self) -> Option<&Place> {
        match self {
            Self::Kind(place) | Self::Names(place) | Self::File(place) | Self::Whole(place) => Some(place),
            _ => None,
        }
    }

    /// What tells whether it is as it was; `None` if that cannot be told.
    fn id(&self, present: &Present) -> Option<Digest> {
        let text = |text: &str| Some(Digest::of(text.as_bytes()));
        let place = match self {
            Self::KubeVersion => return text(&present.capabilities.kube_version),
            Self::ApiVersion(name) => {
                return text(if present.capabilities.serves(name) { "served" } else { "not served" });
            }
            Self::ApiVersions => return Some(Digest::of_parts(present.capabilities.api_versions.iter())),
            Self::Revision => return text(present.revision),
            Self::Renderer => return text(&present.engine?.build().ok()?),
            Self::Kind(place) | Self::Names(place) | Self::File(place) | Self::Whole(place) => place,
        };
        let tree = place.root.tree(present.trees)?;
        let stat = match (tree.stat(&place.path), self) {
            (Ok(stat), _) => stat,
            // A link that leads nowhere was seen, not followed.
            (Err(RenderError::Link { .. } | RenderError::Submodule { .. }), Self::Kind(_)) => return text("nowhere"),
            (Err(_), _) => return None,
        };
        let id = match stat {
            Stat::Absent => return text("absent"),
            Stat::File { id, .. } | Stat::Directory { id } => id?,
        };
        match self {
            Self::Kind(_) => text(if matches!(stat, Stat::File { .. }) { "file" } else { "directory" }),
            Self::Names(_) => Some(names(&tree.list(&place.path).ok()?)),
            _ => Some(id),
        }
    }
}

/// The names and kinds of a directory, whatever they hold.
fn names(entries: &[Entry]) -> Digest {
    let parts = entries.iter().flat_map(|entry| {
        let kind = match &entry.kind {
            EntryKind::Directory => "directory",
            EntryKind::File { .. } => "file",
            EntryKind::Link { target } => target,
            EntryKind::Submodule => "submodule",
            EntryKind::Other => "other",
        };
        [entry.name.as_str(), kind]
    });
    Digest::of_parts(parts)
}

// === impl ReadSet ===

impl ReadSet {
    pub(crate) fn add(&mut self, read: Read) {
        self.0.insert(read);
    }

    /// Whether nothing was read but one directory.
    pub(crate) fn is_only(&self, directory: &Place) -> bool {
        self.0.len() == 1 && matches!(self.0.first(), Some(Read::Whole(place)) if place == directory)
    }

    /// How much there is of it, in bytes of memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|read| read.place().map_or(0, |place| place.path.len()) + size_of::<Read>()).sum()
    }

    /// The key of what comes out, given the key of what was declared; `None` if it cannot be told, because something is not at
    /// hand, cannot be read, or changes while it is read.
    pub(crate) fn key(&self, declared: Digest, present: &Present) -> Option<Digest> {
        let mut parts = vec![declared];
        for read in &self.0 {
            parts.extend([Digest::of(&serde_json::to_vec(read).ok()?), read.id(present)?]);
        }
        Some(Digest::of_parts(parts.iter().map(ToString::to_string)))
    }
}

impl Capabilities {
    /// Whether `group/version` or `group/version/Kind` is served.
    pub(crate) fn serves(&self, name: &str) -> bool {
        self.api_versions.iter().any(|served| served == name)
    }
}
