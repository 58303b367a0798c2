//! What a render sees: it reads through this, which keeps what was read.
//!
//! Invariant: whatever a render got to know of files and of the destination is in [`View::reads`]. Encrypted files are
//! decrypted here and nowhere else. Entry point: [`View`].

use trueup_object::{Node, yaml};

use crate::reads::{Place, Present, Read, ReadSet, Root};
use crate::tree::{Entry, EntryKind, Stat, Tree, join};
use crate::workers::{Need, TreeFile};
use crate::{Fetched, RenderError, tree};

/// The longest file that a render may read, in bytes: charts carry dashboards of a few, etcd takes objects of 1.5.
pub(crate) const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What a render may read altogether, in bytes. In base64 it fits into one frame of the workers' protocol.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Files and directories below a directory that is read whole: charts of charts have some thousand.
const ENTRIES_MAX: usize = 50_000;
/// Levels of directories, links counted: file systems end not far beyond.
const DEPTH_MAX: usize = 64;

/// What stands for something that was encrypted.
const MASK: &str = "••••••";
/// Shorter texts are no secrets, and hiding them would make messages unreadable; in bytes.
const SECRET_BYTES_MIN: usize = 4;

/// What a render sees.
pub(crate) struct View<'a> {
    present: Present<'a>,
    reads: ReadSet,
    /// What was encrypted: texts that no message may repeat.
    secrets: Vec<String>,
    decrypted: bool,
    bytes: u64,
}

// === impl View ===

impl<'a> View<'a> {
    pub(crate) fn new(present: Present<'a>) -> Self {
        Self { present, reads: ReadSet::default(), secrets: Vec::new(), decrypted: false, bytes: 0 }
    }

    /// What was read, and whether any of it was encrypted.
    pub(crate) fn into_reads(self) -> (ReadSet, bool) {
        (self.reads, self.decrypted)
    }

    /// Notes that something was got to know in another way.
    pub(crate) fn note(&mut self, read: Read) {
        self.reads.add(read);
    }

    pub(crate) fn present(&self) -> &Present<'a> {
        &self.present
    }

    /// What is at a place.
    pub(crate) fn stat(&mut self, place: &Place) -> Result<Stat, RenderError> {
        self.reads.add(Read::Kind(place.clone()));
        self.tree(&place.root)?.stat(&place.path)
    }

    /// What is in a directory.
    pub(crate) fn list(&mut self, place: &Place) -> Result<Vec<Entry>, RenderError> {
        let entries = self.tree(&place.root)?.list(&place.path)?;
        self.reads.add(Read::Names(place.clone()));
        Ok(entries)
    }

    /// The content of a file, decrypted if it is encrypted.
    pub(crate) fn read(&mut self, place: &Place) -> Result<Vec<u8>, RenderError> {
        self.reads.add(Read::File(place.clone()));
        self.open(place)
    }

    /// All files below a directory, links included.
    pub(crate) fn whole(&mut self, place: &Place) -> Result<Vec<TreeFile>, RenderError> {
        let tree = self.tree(&place.root)?;
        if !matches!(tree.stat(&place.path)?, Stat::Directory { .. }) {
            self.reads.add(Read::Kind(place.clone()));
            return Err(RenderError::Missing { file: place.path.clone() });
        }
        self.reads.add(Read::Whole(place.clone()));
        let (mut files, mut entries) = (Vec::new(), 0);
        let mut ahead = vec![(String::new(), 0)];
        while let Some((below, depth)) = ahead.pop() {
            let directory = join(&place.path, &below);
            if depth > DEPTH_MAX {
                return Err(RenderError::TooLarge {
                    what: format!("levels of directories in '{}'", place.path),
                    limit: DEPTH_MAX.to_string(),
                });
            }
            let list = tree.list(&directory)?;
            entries += list.len();
            if entries > ENTRIES_MAX {
                return Err(RenderError::TooLarge {
                    what: format!("files and directories in '{}'", place.path),
                    limit: ENTRIES_MAX.to_string(),
                });
            }
            for entry in list {
                let below = join(&below, &entry.name);
                let here = Place { root: place.root.clone(), path: join(&place.path, &below) };
                let is_directory = match entry.kind {
                    EntryKind::Directory => true,
                    EntryKind::File { .. } => false,
                    EntryKind::Link { .. } => {
                        let is_directory = matches!(tree.stat(&here.path)?, Stat::Directory { .. });
                        self.reads.add(if is_directory { Read::Whole(here.clone()) } else { Read::File(here.clone()) });
                        is_directory
                    }
                    EntryKind::Submodule => return Err(RenderError::Submodule { file: here.path }),
                    EntryKind::Other => continue,
                };
                if is_directory {
                    ahead.push((below, depth + 1));
                } else {
                    files.push(TreeFile { path: below, data: self.open(&here)? });
                }
            }
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// A text that was read elsewhere, decrypted if it is encrypted.
    pub(crate) fn decrypt(&mut self, path: &str, text: Vec<u8>) -> Result<Vec<u8>, RenderError> {
        let Some(decryptor) = &self.present.trees.decryptor else { return Ok(text) };
        let plain = decryptor.decrypt(path, &text);
        match plain.map_err(|reason| RenderError::Encrypted { file: path.to_owned(), reason })? {
            Some(plain) => {
                self.decrypted = true;
                for document in yaml::documents(&plain).unwrap_or_default() {
                    texts(&document.node, &mut self.secrets);
                }
                Ok(plain)
            }
            None => Ok(text),
        }
    }

    /// What was fetched for a need.
    pub(crate) fn fetched(&self, need: &Need) -> Option<&'a Fetched> {
        self.present.trees.fetched.iter().find(|fetched| fetched.need == *need)
    }

    /// A message without what was encrypted in the files that were read.
    pub(crate) fn masked(&self, message: &str) -> String {
        self.secrets.iter().fold(message.to_owned(), |message, secret| message.replace(secret, MASK))
    }

    fn open(&mut self, place: &Place) -> Result<Vec<u8>, RenderError> {
        let text = self.tree(&place.root)?.read(&place.path, FILE_BYTES_MAX)?;
        self.bytes += text.len() as u64;
        if self.bytes > BYTES_MAX {
            let what = "the files that are read, together,".to_owned();
            return Err(RenderError::TooLarge { what, limit: format!("{BYTES_MAX} bytes") });
        }
        self.decrypt(&place.path, text)
    }

    fn tree(&self, root: &Root) -> Result<&'a dyn Tree, RenderError> {
        root.tree(self.present.trees).ok_or_else(|| match root {
            Root::Referenced(name) => RenderError::UnknownReference { name: name.clone() },
            _ => tree::missing(""),
        })
    }
}

/// All texts in a document that are long enough to be a secret.
fn texts(node: &Node, into: &mut Vec<String>) {
    match node {
        Node::String(text) if text.len() >= SECRET_BYTES_MIN => into.push(text.to_string()),
        Node::List(items) => items.iter().for_each(|item| texts(item, into)),
        Node::Map(map) => map.iter().for_each(|(_, value)| texts(value, into)),
        _ => {}
    }
}
