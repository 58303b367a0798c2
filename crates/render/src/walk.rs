//! Which files of a directory are read.
//!
//! Files are chosen by ending, `include` and `exclude`, in the order of their names. A directory that a tool would render is
//! refused here. Entry point: [`choose`].

use crate::files::{Files, Followed, Item, ItemKind};
use crate::glob::Glob;
use crate::{DirectoryOptions, RenderError};

/// Entries of directories that are looked at per application: a large monorepo has fewer files than that.
const ENTRIES_MAX: usize = 200_000;
/// Levels of directories: file systems end not far beyond.
const DEPTH_MAX: usize = 64;
/// What overrides the source of every application that reads the directory.
const OVERRIDE: &str = ".argocd-source.yaml";
/// What the names of files begin with that override the source of one application.
const OVERRIDE_ONE: &str = ".argocd-source-";

/// The files that are read, and what else was found out on the way.
pub(crate) struct Choice<F> {
    pub(crate) files: Vec<Chosen<F>>,
    pub(crate) warnings: Vec<String>,
    /// Links among the files: their path and target.
    pub(crate) links: Vec<(String, String)>,
    /// Applications that a file overrides.
    pub(crate) overridden: Vec<String>,
}

/// A file that is read.
pub(crate) struct Chosen<F> {
    /// Relative to the directory of the application.
    pub(crate) path: String,
    pub(crate) file: F,
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
    fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            "jsonnet" => Some(Self::Jsonnet),
            _ => None,
        }
    }
}

// === impl Globs ===

impl Globs {
    pub(crate) fn new(options: &DirectoryOptions) -> Result<Self, RenderError> {
        let glob = |field: &'static str, pattern: &str| {
            if pattern.is_empty() {
                return Ok(None);
            }
            let glob = Glob::parse(pattern);
            glob.map(Some).map_err(|reason| RenderError::Glob { field, pattern: pattern.to_owned(), reason })
        };
        Ok(Self { include: glob("include", &options.include)?, exclude: glob("exclude", &options.exclude)? })
    }

    fn excludes(&self, path: &str) -> bool {
        self.exclude.as_ref().is_some_and(|glob| glob.matches(path))
    }

    fn choose(&self, path: &str) -> bool {
        !self.excludes(path) && self.include.as_ref().is_none_or(|glob| glob.matches(path))
    }
}

// === the walk ===

/// Looks through the directory of an application.
pub(crate) fn choose<S: Files>(
    files: &S,
    globs: &Globs,
    options: &DirectoryOptions,
) -> Result<Choice<S::File>, RenderError> {
    let top = files.top()?;
    let choice = Choice { files: Vec::new(), warnings: Vec::new(), links: Vec::new(), overridden: Vec::new() };
    let mut walk = Walk { files, globs, recurse: options.recurse, entries: 0, choice };
    let items = walk.list(&top, "")?;
    walk.choice.overridden = overridden(items.iter().map(|item| item.name.as_str()))?;
    if !options.is_explicit() {
        // A directory of that name is nobody's chart.
        let files = items.iter().filter(|item| matches!(item.kind, ItemKind::File(..) | ItemKind::Link(_)));
        refuse_tools(files.map(|item| item.name.as_str()))?;
    }
    walk.directory(items, "", 0)?;
    Ok(walk.choice)
}

struct Walk<'a, S: Files> {
    files: &'a S,
    globs: &'a Globs,
    recurse: bool,
    entries: usize,
    choice: Choice<S::File>,
}

impl<S: Files> Walk<'_, S> {
    #[expect(clippy::type_complexity, reason = "as in the trait")]
    fn list(&mut self, directory: &S::Directory, path: &str) -> Result<Vec<Item<S::Directory, S::File>>, RenderError> {
        let mut items = self.files.list(directory, path)?;
        self.entries += items.len();
        if self.entries > ENTRIES_MAX {
            return Err(RenderError::TooLarge {
                what: "files and directories".to_owned(),
                limit: ENTRIES_MAX.to_string(),
            });
        }
        // The order decides which of several equal objects is the last: it must be the same everywhere.
        items.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(items)
    }

    fn directory(
        &mut self,
        items: Vec<Item<S::Directory, S::File>>,
        path: &str,
        depth: usize,
    ) -> Result<(), RenderError> {
        for item in items {
            let path = if path.is_empty() { item.name.clone() } else { format!("{path}/{}", item.name) };
            let format = Format::of(&item.name).filter(|_| self.globs.choose(&path));
            match (item.kind, format) {
                (ItemKind::Directory(directory), _) if self.recurse => {
                    if depth == DEPTH_MAX {
                        return Err(RenderError::TooLarge {
                            what: "levels of directories".to_owned(),
                            limit: DEPTH_MAX.to_string(),
                        });
                    }
                    let items = self.list(&directory, &path)?;
                    self.directory(items, &path, depth + 1)?;
                }
                // Whoever recurses expects what is in there, and would lose it without a word.
                (ItemKind::Submodule, _) if self.recurse && !self.globs.excludes(&format!("{path}/")) => {
                    return Err(RenderError::Submodule { file: path });
                }
                (ItemKind::File(file, size), Some(format)) => {
                    self.choice.files.push(Chosen { path, file, size, format });
                }
                (ItemKind::Link(target), Some(format)) => self.link(path, target, format)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn link(&mut self, path: String, target: String, format: Format) -> Result<(), RenderError> {
        match self.files.follow(&path, &target)? {
            Followed::File(file, size) => self.choice.files.push(Chosen { path: path.clone(), file, size, format }),
            Followed::NoFile => {
                self.choice
                    .warnings
                    .push(format!("'{path}' is a symbolic link to '{target}', which is no file: it is left out"));
            }
        }
        self.choice.links.push((path, target));
        Ok(())
    }
}

fn overridden<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<String>, RenderError> {
    let mut apps = Vec::new();
    for name in names {
        if name == OVERRIDE {
            return Err(RenderError::Overridden { file: name.to_owned() });
        }
        apps.extend(name.strip_prefix(OVERRIDE_ONE).and_then(|name| name.strip_suffix(".yaml")).map(str::to_owned));
    }
    Ok(apps)
}

fn refuse_tools<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), RenderError> {
    for name in names {
        let tool = match name {
            "Chart.yaml" => "Helm",
            "kustomization.yaml" | "kustomization.yml" | "Kustomization" => "Kustomize",
            _ => continue,
        };
        return Err(RenderError::Tool { tool, file: name.to_owned() });
    }
    Ok(())
}
