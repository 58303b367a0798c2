//! Archives (`tar`, `tar+gzip`) into memory.
//!
//! Invariant: what comes out has plain relative paths, no more files and bytes than it may, and no link: one that leads to a
//! file of the archive has become that file. Pure. Entry point: [`unpack`].

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use crate::Limits;

/// How many links may lead to each other.
const HOPS_MAX: usize = 40;
/// Beyond its files' bytes an archive has heads, padding and long names: so many bytes per entry are not counted.
const OVERHEAD_BYTES: u64 = 8 * 1024;

/// The files of an archive by their paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What is unpacked, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Layout {
    /// The files are below a directory, which goes: that of this name, or else the only one.
    pub(crate) below: Option<String>,
    pub(crate) gzip: bool,
}

/// Why an archive cannot be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It ends early, is no archive, or is damaged.
    #[error("it is damaged, or no archive at all ({0}): push or package it anew")]
    Malformed(String),
    /// A path leads out of it.
    #[error("it has the path '{0}', which leads out of it or cannot be a file's: package it anew")]
    Path(String),
    /// It has something that is neither file nor directory nor link.
    #[error("'{0}' in it is no file, directory or link: package it without")]
    Kind(String),
    /// A link leads nowhere, out of it, to a directory or in a circle.
    #[error("the link '{path}' in it leads to '{target}', which is no file in it: package the file itself")]
    Link {
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A chart's files are not below one directory.
    #[error("its files are not below one directory, as those of a chart are: package it by `helm package`")]
    Directory,
    /// It is larger than we accept, unpacked.
    #[error("unpacked it exceeds the limit of {limit} {unit}: leave out what is not needed")]
    TooLarge {
        /// The limit.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// It is made to fill memories.
    #[error("it is an archive bomb: its {packed} bytes become more than {ratio} times as many")]
    Bomb {
        /// Bytes as it was sent.
        packed: u64,
        /// The limit.
        ratio: u64,
    },
}

/// Unpacks an archive.
pub(crate) fn unpack(bytes: &[u8], layout: &Layout, limits: &Limits) -> Result<Files, ArchiveError> {
    // What is inflated before the files are counted: one that lies about them ends here.
    let overhead = OVERHEAD_BYTES.saturating_mul(limits.entries as u64);
    let most = limits.unpacked_bytes.saturating_add(overhead);
    let packed = bytes.len() as u64;
    if layout.gzip {
        let reader = Capped { inner: MultiGzDecoder::new(bytes), left: most };
        Unpacking::new(packed, limits).read(reader)
    } else {
        Unpacking::new(packed, limits).read(Capped { inner: bytes, left: most })
    }
    .and_then(|found| found.finish(layout))
}

/// A reader that says so where it must not go on, instead of pretending to be at the end.
struct Capped<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            // At the end there is nothing more; anything else is too much.
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it inflates without end")),
            };
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let read = self.inner.read(&mut into[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

/// What was found so far.
struct Unpacking<'l> {
    limits: &'l Limits,
    packed: u64,
    unpacked: u64,
    entries: usize,
    files: Files,
    /// Where each link leads, within the archive.
    links: BTreeMap<String, String>,
}

impl<'l> Unpacking<'l> {
    fn new(packed: u64, limits: &'l Limits) -> Self {
        Self { limits, packed, unpacked: 0, entries: 0, files: Files::new(), links: BTreeMap::new() }
    }

    fn read(mut self, reader: impl Read) -> Result<Self, ArchiveError> {
        let mut archive = tar::Archive::new(reader);
        // Entries are read one after the other; what is skipped is read, and counted, too.
        for entry in archive.entries().map_err(|error| self.malformed(&error))? {
            let mut entry = entry.map_err(|error| self.malformed(&error))?;
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(ArchiveError::TooLarge { limit: self.limits.entries as u64, unit: "entries" });
            }
            let kind = entry.header().entry_type();
            if matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
                continue;
            }
            let written = entry.path_bytes().into_owned();
            let Some(path) = cleaned(&written, self.limits)? else { continue };
            match kind {
                EntryType::Regular | EntryType::Continuous => {
                    let size = entry.size();
                    let content = self.content(&mut entry)?;
                    if content.len() as u64 != size {
                        return Err(ArchiveError::Malformed("it ends early".to_owned()));
                    }
                    self.links.remove(&path);
                    self.files.insert(path, content);
                }
                EntryType::Directory => {}
                EntryType::Symlink | EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                    let from = if kind == EntryType::Symlink { parent(&path) } else { "" };
                    let leads = led(from, &target)
                        .ok_or_else(|| ArchiveError::Link { path: path.clone(), target: shown(&target) })?;
                    self.files.remove(&path);
                    self.links.insert(path, leads);
                }
                _ => return Err(ArchiveError::Kind(shown(path.as_bytes()))),
            }
        }
        Ok(self)
    }

    fn content(&mut self, entry: &mut impl Read) -> Result<Vec<u8>, ArchiveError> {
        let room = self.limits.unpacked_bytes - self.unpacked;
        let mut content = Vec::new();
        // The head may say anything: what counts is what comes.
        let read = entry.take(room + 1).read_to_end(&mut content).map_err(|error| self.malformed(&error))?;
        self.count(read as u64)?;
        content.shrink_to_fit();
        Ok(content)
    }

    fn count(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        let Limits { unpacked_bytes, ratio, ratio_from_bytes, .. } = *self.limits;
        self.unpacked = self.unpacked.saturating_add(bytes);
        if self.unpacked > ratio_from_bytes && self.unpacked / ratio > self.packed {
            return Err(ArchiveError::Bomb { packed: self.packed, ratio });
        }
        if self.unpacked > unpacked_bytes {
            return Err(ArchiveError::TooLarge { limit: unpacked_bytes, unit: "bytes" });
        }
        Ok(())
    }

    fn malformed(&self, error: &io::Error) -> ArchiveError {
        if error.kind() == io::ErrorKind::FileTooLarge {
            return ArchiveError::TooLarge { limit: self.limits.unpacked_bytes, unit: "bytes" };
        }
        ArchiveError::Malformed(shown(error.to_string().as_bytes()))
    }

    /// The files at their places, with those that links lead to.
    fn finish(mut self, layout: &Layout) -> Result<Files, ArchiveError> {
        let links = std::mem::take(&mut self.links);
        for path in links.keys() {
            let target = end_of(path, &links);
            let found = target.as_ref().and_then(|target| self.files.get(target)).cloned();
            let content = found.ok_or_else(|| ArchiveError::Link {
                path: path.clone(),
                target: links.get(path).cloned().unwrap_or_default(),
            })?;
            self.count(content.len() as u64)?;
            self.files.insert(path.clone(), content);
        }
        match &layout.below {
            None => Ok(self.files),
            Some(name) => below(self.files, name),
        }
    }
}

/// The files below a directory: that of this name, or else the only one.
fn below(files: Files, name: &str) -> Result<Files, ArchiveError> {
    let first = |path: &str| path.split_once('/').map(|(first, _)| first.to_owned());
    let own = format!("{name}/");
    let prefix = if files.keys().any(|path| path.starts_with(&own)) {
        own
    } else {
        let only = files.keys().next().and_then(|path| first(path)).ok_or(ArchiveError::Directory)?;
        if !files.keys().all(|path| first(path).as_ref() == Some(&only)) {
            return Err(ArchiveError::Directory);
        }
        format!("{only}/")
    };
    let own = files.into_iter().filter_map(|(path, content)| Some((path.strip_prefix(&prefix)?.to_owned(), content)));
    Ok(own.collect())
}

/// A path in the one form that counts; nothing for the root.
fn cleaned(written: &[u8], limits: &Limits) -> Result<Option<String>, ArchiveError> {
    let refused = || ArchiveError::Path(shown(written));
    if written.len() > limits.path_bytes {
        return Err(refused());
    }
    let text = std::str::from_utf8(written).map_err(|_| refused())?;
    if text.starts_with('/') || text.contains(['\0', '\\']) || has_drive(text) {
        return Err(refused());
    }
    let mut path = String::with_capacity(text.len());
    for part in text.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            return Err(refused());
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(part);
    }
    Ok((!path.is_empty()).then_some(path))
}

/// Whether a path is one of Windows (`c:/x`).
fn has_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Where a link leads, if it stays inside.
fn led(from: &str, target: &[u8]) -> Option<String> {
    let target = std::str::from_utf8(target).ok()?;
    if target.starts_with('/') || target.contains(['\0', '\\']) || has_drive(target) || target.is_empty() {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The place to which a link leads in the end, over other links, also to directories on the way.
fn end_of(path: &str, links: &BTreeMap<String, String>) -> Option<String> {
    let mut at = path.to_owned();
    for _ in 0..HOPS_MAX {
        let ends = at.match_indices('/').map(|(end, _)| end).chain([at.len()]);
        let Some((end, target)) = ends.into_iter().find_map(|end| Some((end, links.get(&at[..end])?))) else {
            return Some(at);
        };
        let rest = at[end..].trim_start_matches('/');
        at = [target.as_str(), rest].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
    }
    None
}

/// What can be shown of bytes from outside.
fn shown(bytes: &[u8]) -> String {
    /// Characters that are enough to find it.
    const SHOWN_MAX: usize = 120;
    let text = String::from_utf8_lossy(bytes);
    let plain: String = text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
    let cut = text.chars().count() > SHOWN_MAX;
    if cut { plain + "…" } else { plain }
}

#[cfg(test)]
mod tests;
