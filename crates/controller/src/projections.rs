//! What the API server makes of manifests, kept over a restart.
//!
//! One small file for each manifest that the server stores otherwise than Git says, named by the digest of the manifest.
//! It is a cache: what is lost costs one dry run, what is damaged counts as lost. It holds digests, never values. Entry
//! points: [`Projections::load`] and [`Projections::save`].

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use trueup_diff::Projection;
use trueup_object::Digest;

use crate::world::lock;

/// So many files are kept: manifests that the server stores otherwise are few. Past it the cache starts anew.
const FILES_MAX: usize = 20_000;

/// Says which version of the API server the projections are of.
const VERSION_FILE: &str = "server-version";

/// The cache.
pub(crate) struct Projections {
    dir: PathBuf,
    /// What is on disk, so that the many manifests without a projection cost no look there.
    known: Mutex<HashSet<Digest>>,
}

// === impl Projections ===

impl Projections {
    /// Opens the cache; a directory that cannot be read is an empty one.
    pub(crate) fn open(dir: PathBuf) -> Self {
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        let known = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        Self { dir, known: Mutex::new(known) }
    }

    /// Keeps what was learnt from this version of the API server only.
    pub(crate) fn keep_for(&self, version: &str) {
        let path = self.dir.join(VERSION_FILE);
        if fs::read_to_string(&path).is_ok_and(|known| known == version) {
            return;
        }
        self.clear();
        let written = fs::create_dir_all(&self.dir).and_then(|()| fs::write(&path, version));
        if let Err(error) = written {
            tracing::debug!(%error, path = %path.display(), "projections cannot be kept");
        }
    }

    /// The projection of a manifest. A file of some kilobytes is read where it stands: it takes microseconds, once.
    pub(crate) fn load(&self, manifest: &Digest) -> Option<Projection> {
        if !lock(&self.known).contains(manifest) {
            return None;
        }
        let read = fs::read(self.path(manifest)).ok().and_then(|json| serde_json::from_slice(&json).ok());
        if read.is_none() {
            self.forget(manifest);
        }
        read
    }

    /// Keeps a projection. What cannot be written is only missed after a restart.
    pub(crate) fn save(&self, manifest: &Digest, projection: &Projection) {
        let Ok(json) = serde_json::to_vec(projection) else { return };
        if lock(&self.known).len() >= FILES_MAX {
            self.clear();
        }
        let path = self.path(manifest);
        let unfinished = path.with_extension("new");
        let written = fs::create_dir_all(&self.dir)
            .and_then(|()| fs::write(&unfinished, json))
            .and_then(|()| fs::rename(&unfinished, &path));
        match written {
            Ok(()) => drop(lock(&self.known).insert(*manifest)),
            Err(error) => tracing::debug!(%error, path = %path.display(), "a projection cannot be kept"),
        }
    }

    /// Forgets the projection of a manifest that is stored as it is.
    pub(crate) fn forget(&self, manifest: &Digest) {
        if lock(&self.known).remove(manifest) {
            let _ = fs::remove_file(self.path(manifest));
        }
    }

    fn clear(&self) {
        lock(&self.known).clear();
        let _ = fs::remove_dir_all(&self.dir);
    }

    fn path(&self, manifest: &Digest) -> PathBuf {
        self.dir.join(manifest.to_string())
    }
}

#[cfg(test)]
mod tests {
    use trueup_diff::Schema;
    use trueup_object::Node;

    use super::*;

    fn projection() -> Projection {
        let node = |json: &str| Node::from_json(json.as_bytes()).unwrap();
        let (desired, answer) = (node(r#"{"spec":{"cpu":"1000m"}}"#), node(r#"{"spec":{"cpu":"1"}}"#));
        Projection::from_answer(&desired, &answer, &Schema::unknown())
    }

    #[test]
    fn survives_a_restart_and_damage_counts_as_loss() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Digest::of(b"manifest");
        assert!(!projection().is_empty());
        Projections::open(dir.path().into()).save(&manifest, &projection());
        let again = Projections::open(dir.path().into());
        assert!(again.load(&manifest).is_some_and(|loaded| loaded == projection()));
        assert!(again.load(&Digest::of(b"another")).is_none());
        fs::write(dir.path().join(manifest.to_string()), "{").unwrap();
        assert!(again.load(&manifest).is_none());
        assert!(Projections::open(dir.path().into()).load(&manifest).is_none());
    }

    #[test]
    fn another_server_is_asked_anew() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Digest::of(b"manifest");
        let projections = Projections::open(dir.path().into());
        projections.keep_for("v1.36.3");
        projections.save(&manifest, &projection());
        projections.keep_for("v1.36.3");
        assert!(projections.load(&manifest).is_some());
        projections.keep_for("v1.37.0");
        assert!(projections.load(&manifest).is_none());
        assert!(Projections::open(dir.path().into()).load(&manifest).is_none());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_no_error() {
        let projections = Projections::open("/proc/nowhere".into());
        projections.save(&Digest::of(b"x"), &projection());
        assert!(projections.load(&Digest::of(b"x")).is_none());
    }
}
