//! The store on disk as the fetch process writes it: packs come in, commits are kept, the rest goes.
//!
//! A store is a bare repository whose only refs are `refs/trueup/<commit id>`. Invariant: such a ref exists only for a commit
//! whose whole tree is here; history may be missing. A ref's file is as old as the last fetch that brought or used the commit.
//! One process at a time writes (a file lock); readers read on meanwhile.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use git2::{DiffOptions, ErrorClass, Odb, OdbPackwriter, Repository, RepositoryInitOptions};

use crate::limits::set_libgit2_limits;
use crate::{CommitId, GitError, Limits, private};

/// Where the refs of kept commits are.
pub(crate) const KEPT: &str = "refs/trueup";
/// Bytes before the first object of a pack: the mark, a version and the number of objects.
const PACK_HEADER: usize = 12;
/// What writing a pack may hold in memory, each of two buffers; libgit2's own limits are for a person's machine.
const PACK_MEMORY_BYTES: i64 = 32 * 1024 * 1024;
/// The file that the writing process has locked.
pub(crate) const LOCK: &str = "trueup.lock";

/// The file of the ref that keeps a commit.
pub(crate) fn kept_path(store: &Path, commit: CommitId) -> PathBuf {
    store.join(KEPT).join(commit.to_string())
}

/// A store, locked for writing.
pub(crate) struct Packs<'a> {
    pub(crate) repository: Repository,
    dir: PathBuf,
    /// How errors name the repository.
    name: String,
    limits: &'a Limits,
    /// Held until the end; the system lets go of it whatever happens to this process.
    lock: File,
}

impl<'a> Packs<'a> {
    /// Opens the store, makes it if there is none, and sweeps what killed fetches left behind.
    pub(crate) fn open(dir: &Path, name: String, limits: &'a Limits) -> Result<Self, GitError> {
        set_libgit2_limits();
        let disk = |error: std::io::Error| failed(&name, &format!("{}: {error}", dir.display()));
        private::directory(dir).map_err(disk)?;
        let lock = File::create(dir.join(LOCK)).map_err(disk)?;
        lock.lock().map_err(disk)?;
        sweep(dir).map_err(disk)?;
        let opened = if dir.join("HEAD").is_file() { Repository::open_bare(dir).ok() } else { None };
        let repository = match opened {
            Some(repository) => repository,
            // There is none, or what a process left that was killed while it made one.
            None => anew(dir, &name)?,
        };
        Ok(Self { repository, dir: dir.to_owned(), name, limits, lock })
    }

    /// Throws away all that the store has, and makes it anew.
    pub(crate) fn start_over(self) -> Result<Self, GitError> {
        let Self { repository, dir, name, limits, lock } = self;
        drop(repository);
        let repository = anew(&dir, &name)?;
        Ok(Self { repository, dir, name, limits, lock })
    }

    /// The kept commits, the last used first.
    pub(crate) fn kept(&self) -> Vec<CommitId> {
        let Ok(entries) = fs::read_dir(self.dir.join(KEPT)) else { return Vec::new() };
        let mut kept: Vec<(SystemTime, CommitId)> = entries
            .flatten()
            .filter_map(|entry| {
                Some((entry.metadata().ok()?.modified().ok()?, entry.file_name().to_str()?.parse().ok()?))
            })
            .collect();
        kept.sort_unstable_by(|a, b| b.cmp(a));
        kept.into_iter().map(|(_, id)| id).collect()
    }

    /// Whether the commit and its whole tree are here. What it shares with `base`, which is known to be whole, is not looked at.
    pub(crate) fn is_whole(&self, commit: CommitId, base: Option<CommitId>) -> bool {
        let tree = |id: CommitId| self.repository.find_commit(id.oid()).and_then(|commit| commit.tree());
        let Ok(new) = tree(commit) else { return false };
        let old = base.filter(|&base| base != commit).and_then(|base| tree(base).ok());
        let Ok(odb) = self.repository.odb() else { return false };
        let mut options = DiffOptions::new();
        options.skip_binary_check(true).include_typechange(true);
        // The walk reads every directory that differs, and fails where one is missing; files are looked for here.
        let Ok(diff) = self.repository.diff_tree_to_tree(old.as_ref(), Some(&new), Some(&mut options)) else {
            return false;
        };
        diff.deltas().map(|delta| delta.new_file()).all(|file| {
            let is_submodule = file.mode() == git2::FileMode::Commit;
            is_submodule || file.id().is_zero() || odb.exists(file.id())
        })
    }

    /// Keeps a commit that is whole, as used now.
    pub(crate) fn keep(&self, commit: CommitId) -> Result<(), GitError> {
        let name = format!("{KEPT}/{commit}");
        let path = kept_path(&self.dir, commit);
        if path.is_file() {
            let touched =
                File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
            return touched.map_err(|error| self.disk(&error));
        }
        self.repository.reference(&name, commit.oid(), true, "fetched").map(drop).map_err(|e| self.failed(&e))
    }

    /// Lets go of all but the last used commits, and tells git's own tools that no history is here.
    /// `used` are the commits that the asking process used, the last first; they count before all others.
    pub(crate) fn forget(&self, used: &[CommitId]) -> Result<Vec<CommitId>, GitError> {
        let here: HashSet<CommitId> = self.kept().into_iter().collect();
        let mut seen = HashSet::new();
        let order = used.iter().copied().filter(|id| here.contains(id)).chain(self.kept());
        let mut kept: Vec<CommitId> = order.filter(|id| seen.insert(*id)).collect();
        for gone in kept.split_off(kept.len().min(self.limits.kept_commits)) {
            fs::remove_file(kept_path(&self.dir, gone)).map_err(|error| self.disk(&error))?;
        }
        let shallow = kept.iter().fold(String::new(), |text, id| text + &id.to_string() + "\n");
        let fresh = self.dir.join("shallow.lock");
        fs::write(&fresh, shallow)
            .and_then(|()| fs::rename(&fresh, self.dir.join("shallow")))
            .map_err(|error| self.disk(&error))?;
        Ok(kept)
    }

    /// The packs, by file name without ending.
    pub(crate) fn names(&self) -> HashSet<String> {
        let entries = fs::read_dir(pack_dir(&self.dir)).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".pack")?.to_owned())).collect()
    }

    /// How many bytes the packs have.
    pub(crate) fn bytes(&self) -> u64 {
        let entries = fs::read_dir(pack_dir(&self.dir)).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
    }

    /// Removes these packs. Readers that have one open read on; others look at the packs anew.
    pub(crate) fn remove(&self, names: &HashSet<String>) -> Result<(), GitError> {
        for name in names {
            for ending in ["idx", "pack"] {
                fs::remove_file(pack_dir(&self.dir).join(format!("{name}.{ending}")))
                    .map_err(|error| self.disk(&error))?;
            }
        }
        Ok(())
    }

    /// Writes everything that the kept commits need into one pack, and removes the others.
    pub(crate) fn rewrite(&self) -> Result<(), GitError> {
        let old = self.names();
        let mut builder = self.repository.packbuilder().map_err(|e| self.failed(&e))?;
        for commit in self.kept() {
            builder.insert_commit(commit.oid()).map_err(|e| self.failed(&e))?;
        }
        if builder.object_count() == 0 {
            return self.remove(&old);
        }
        builder.write(&pack_dir(&self.dir), 0o444).map_err(|e| self.failed(&e))?;
        let name = builder.name().ok().flatten().map(|name| format!("pack-{name}"));
        // The same objects give the same name: then the new pack is an old one.
        let Some(new) = name.filter(|name| self.names().contains(name)) else {
            return Err(failed(&self.name, "the rewritten pack is not there"));
        };
        self.remove(&old.into_iter().filter(|name| *name != new).collect())
    }

    fn failed(&self, error: &git2::Error) -> GitError {
        failed(&self.name, error.message())
    }

    fn disk(&self, error: &std::io::Error) -> GitError {
        failed(&self.name, &format!("{}: {error}", self.dir.display()))
    }
}

/// A pack on its way in. Readers see nothing of it before [`Incoming::finish`].
pub(crate) struct Incoming<'o> {
    odb: &'o Odb<'o>,
    writer: Option<OdbPackwriter<'o>>,
    /// The beginning, until it is long enough to be judged.
    header: Vec<u8>,
    bytes: u64,
    name: &'o str,
    limits: &'o Limits,
}

impl<'o> Incoming<'o> {
    pub(crate) fn new(odb: &'o Odb<'o>, packs: &'o Packs<'_>) -> Self {
        Self { odb, writer: None, header: Vec::new(), bytes: 0, name: &packs.name, limits: packs.limits }
    }

    /// Takes the next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), GitError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limits.pack_bytes {
            return Err(self.too_large("the pack", &format!("{} bytes", self.limits.pack_bytes)));
        }
        if let Some(writer) = &mut self.writer {
            return writer.write_all(bytes).map_err(|_| self.not_taken());
        }
        self.header.extend_from_slice(bytes);
        let Some(header) = self.header.first_chunk::<PACK_HEADER>() else { return Ok(()) };
        let [mark @ .., a, b, c, d] = header;
        if mark != b"PACK\0\0\0\x02" {
            return Err(self.garbled("the data is not a pack of version 2"));
        }
        let objects = u32::from_be_bytes([*a, *b, *c, *d]);
        if objects > self.limits.pack_objects {
            return Err(self.too_large("the number of objects in the pack", &self.limits.pack_objects.to_string()));
        }
        if objects == 0 {
            return Ok(());
        }
        let mut writer = self.odb.packwriter().map_err(|error| failed(self.name, error.message()))?;
        writer.write_all(&self.header).map_err(|_| self.not_taken())?;
        self.header = Vec::new();
        self.writer = Some(writer);
        Ok(())
    }

    /// Checks the pack, completes what it left out because we have it, and makes it visible.
    pub(crate) fn finish(self) -> Result<(), GitError> {
        match self.writer {
            Some(mut writer) => {
                let committed = writer.commit().map(drop);
                committed.map_err(|error| refused(self.name, &error))
            }
            // There was nothing to send, or not even that.
            None if self.header.len() >= PACK_HEADER || self.bytes == 0 => Ok(()),
            None => Err(self.garbled("the pack ends in its header")),
        }
    }

    fn too_large(&self, what: &str, limit: &str) -> GitError {
        GitError::TooLarge { repository: self.name.to_owned(), what: what.to_owned(), limit: limit.to_owned() }
    }

    fn garbled(&self, detail: &str) -> GitError {
        garbled(self.name, detail)
    }

    /// Why libgit2 did not take a piece. The writer itself says only that it did not.
    fn not_taken(&self) -> GitError {
        refused(self.name, &git2::Error::last_error(-1))
    }
}

/// Why libgit2 refused a pack: because of our disk or memory, or because of what is in it.
fn refused(name: &str, error: &git2::Error) -> GitError {
    match error.class() {
        ErrorClass::Os | ErrorClass::Filesystem | ErrorClass::NoMemory => failed(name, error.message()),
        _ => garbled(name, &format!("the pack is damaged: {}", error.message())),
    }
}

fn garbled(name: &str, detail: &str) -> GitError {
    GitError::Protocol { repository: name.to_owned(), detail: detail.to_owned() }
}

fn failed(name: &str, detail: &str) -> GitError {
    GitError::Store { repository: name.to_owned(), detail: detail.to_owned() }
}

fn pack_dir(store: &Path) -> PathBuf {
    store.join("objects/pack")
}

/// Removes what a killed fetch leaves: half-written packs, a pack without its index or the reverse, and locks, which belong to
/// nobody while we hold the store's.
fn sweep(store: &Path) -> std::io::Result<()> {
    let entries = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in entries(pack_dir(store)) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let twin = match path.extension().and_then(|ending| ending.to_str()) {
            Some("pack") => Some("idx"),
            Some("idx") => Some("pack"),
            _ => None,
        };
        if !name.starts_with("pack-") || twin.is_none_or(|twin| !path.with_extension(twin).is_file()) {
            fs::remove_file(&path)?;
        }
    }
    for path in entries(store.to_owned()).chain(entries(store.join(KEPT))) {
        let is_lock = path.extension().is_some_and(|ending| ending == "lock");
        if is_lock && path != store.join(LOCK) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Makes an empty store of whatever is there.
fn anew(dir: &Path, name: &str) -> Result<Repository, GitError> {
    // Refs first: without them no reader takes the rest for whole.
    for part in ["refs", "objects", "HEAD", "config", "shallow"] {
        let path = dir.join(part);
        let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match gone {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(name, &format!("{}: {error}", path.display())));
            }
            _ => {}
        }
    }
    init(dir).map_err(|error| failed(name, error.message()))
}

fn init(dir: &Path) -> Result<Repository, git2::Error> {
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false).mkdir(true);
    let repository = Repository::init_opts(dir, &options)?;
    let mut config = repository.config()?;
    config.set_i64("pack.windowMemory", PACK_MEMORY_BYTES)?;
    config.set_i64("pack.deltaCacheSize", PACK_MEMORY_BYTES)?;
    Ok(repository)
}
