//! Which files of a directory are read.
//!
//! Files are chosen by ending, `include` and `exclude`, in the order of their names. Entry point: [`choose`].

use trueup_api::source::DirectorySource;

use crate::RenderError;
use crate::glob::Glob;
use crate::tree::{Entry, EntryKind, Stat, Tree, join};

/// Entries of directories that are looked at per application: a large monorepo has fewer files than that.
const ENTRIES_MAX: usize = 200_000;
/// Levels of directories: file systems end not far beyond.
const DEPTH_MAX: usize = 64;

/// The files that are read, and what else was found out on the way.
#[derive(Default)]
pub(crate) struct Choice {
    pub(crate) files: Vec<Chosen>,
    pub(crate) warnings: Vec<String>,
    /// Links among the files: their paths, relative to the directory of the application.
    pub(crate) links: Vec<String>,
}

/// A file that is read.
pub(crate) struct Chosen {
    /// Relative to the directory of the application.
    pub(crate) path: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    pub(crate) format: Format,
}

/// What a file is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Yaml,
    Json,
    Jsonnet,
}

/// The globs of an application.
pub(crate) struct Globs {
    include: Option<Glob>,
    exclude: Option<Glob>,
}

// === impl Format ===

impl Format {
    /// With `every_file`, what has no ending that is known is YAML.
    fn of(name: &str, every_file: bool) -> Option<Self> {
        match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("yaml" | "yml") => Some(Self::Yaml),
            Some("json") => Some(Self::Json),
            Some("jsonnet") => Some(Self::Jsonnet),
            _ => every_file.then_some(Self::Yaml),
        }
    }
}

// === impl Globs ===

impl Globs {
    pub(crate) fn new(options: &DirectorySource) -> Result<Self, RenderError> {
        let glob = |field: &'static str, pattern: &str| {
            if pattern.is_empty() {
                return Ok(None);
            }
            let glob = Glob::parse(pattern);
            glob.map(Some).map_err(|reason| RenderError::Glob { field, pattern: pattern.to_owned(), reason })
        };
        Ok(Self {
            include: glob("spec.source.directory.include", &options.include)?,
            exclude: glob("spec.source.directory.exclude", &options.exclude)?,
        })
    }

    fn excludes(&self, path: &str) -> bool {
        self.exclude.as_ref().is_some_and(|glob| glob.matches(path))
    }

    fn choose(&self, path: &str) -> bool {
        !self.excludes(path) && self.include.as_ref().is_none_or(|glob| glob.matches(path))
    }
}

/// Whether the globs of a directory can be read, so that it can be at all.
pub fn check_directory(options: &DirectorySource) -> Result<(), RenderError> {
    Globs::new(options).map(drop)
}

// === the walk ===

/// Looks through the directory of an application.
pub(crate) fn choose(tree: &dyn Tree, top: &str, options: &DirectorySource) -> Result<Choice, RenderError> {
    let globs = Globs::new(options)?;
    let mut walk = Walk { tree, top, globs: &globs, options, entries: 0, choice: Choice::default() };
    let entries = walk.list("")?;
    walk.directory(entries, "", 0)?;
    Ok(walk.choice)
}

struct Walk<'a> {
    tree: &'a dyn Tree,
    top: &'a str,
    globs: &'a Globs,
    options: &'a DirectorySource,
    entries: usize,
    choice: Choice,
}

impl Walk<'_> {
    fn list(&mut self, path: &str) -> Result<Vec<Entry>, RenderError> {
        let entries = self.tree.list(&join(self.top, path))?;
        self.entries += entries.len();
        if self.entries > ENTRIES_MAX {
            return Err(RenderError::TooLarge {
                what: "files and directories".to_owned(),
                limit: ENTRIES_MAX.to_string(),
            });
        }
        // Sorted: the order decides which of several equal objects is the last.
        Ok(entries)
    }

    fn directory(&mut self, entries: Vec<Entry>, path: &str, depth: usize) -> Result<(), RenderError> {
        for entry in entries {
            let path = join(path, &entry.name);
            let format = Format::of(&entry.name, self.options.disable_extension_filter);
            let format = format.filter(|_| self.globs.choose(&path));
            match (entry.kind, format) {
                (EntryKind::Directory, _) if self.options.recurse => {
                    if depth == DEPTH_MAX {
                        return Err(RenderError::TooLarge {
                            what: "levels of directories".to_owned(),
                            limit: DEPTH_MAX.to_string(),
                        });
                    }
                    let entries = self.list(&path)?;
                    self.directory(entries, &path, depth + 1)?;
                }
                // Whoever recurses expects what is in there, and would lose it without a word.
                (EntryKind::Submodule, _) if self.options.recurse && !self.globs.excludes(&format!("{path}/")) => {
                    return Err(RenderError::Submodule { file: path });
                }
                (EntryKind::File { size }, Some(format)) => self.choice.files.push(Chosen { path, size, format }),
                (EntryKind::Link { target }, Some(format)) => self.link(path, &target, format)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn link(&mut self, path: String, target: &str, format: Format) -> Result<(), RenderError> {
        match self.tree.stat(&join(self.top, &path))? {
            Stat::File { size, .. } => self.choice.files.push(Chosen { path: path.clone(), size, format }),
            Stat::Directory { .. } | Stat::Absent => {
                self.choice
                    .warnings
                    .push(format!("'{path}' is a symbolic link to '{target}', which is no file: it is left out"));
            }
        }
        self.choice.links.push(path);
        Ok(())
    }
}
