//! Files of values that an application names for a chart.
//!
//! Paths are relative to the chart, or to the repository if they begin with `/`; `$ref/path` is in another source, a URL is
//! fetched, and globs (`**` included) stand for all files that match, in the order in which they are walked. A file that is
//! named by itself stays where it is named, and none counts twice. Entry points: [`ValueFile::of`] and [`Texts`].

use std::collections::BTreeSet;

use serde::Serialize;

use crate::environment::Environment;
use crate::reads::{Place, Root};
use crate::request::Trees;
use crate::tree::{EntryKind, Stat, clean, join};
use crate::view::View;
use crate::workers::{Need, ValuesFile};
use crate::{RenderError, name_glob};

/// Files of values of one chart: people have ten.
const FILES_MAX: usize = 1000;
/// Directories that the globs of one chart look into: the largest repositories have some ten thousand.
const DIRECTORIES_MAX: usize = 20_000;
/// Levels of directories that `**` goes down.
const DEPTH_MAX: usize = 64;

/// Where a file of values is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ValueFile {
    /// As it is written, variables replaced.
    name: String,
    field: &'static str,
    source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
enum Source {
    /// A path in a tree, or a glob on its paths.
    Local(Place),
    Remote(Need),
}

/// The texts of the files of one chart, as they are read.
pub(crate) struct Texts<'v, 'a> {
    view: &'v mut View<'a>,
    ignore_missing: bool,
    files: Vec<ValuesFile>,
    needs: Vec<Need>,
    directories: usize,
}

// === impl ValueFile ===

impl ValueFile {
    /// What a written entry names.
    pub(crate) fn of(
        field: &'static str,
        written: &str,
        top: &str,
        trees: &Trees,
        environment: &Environment,
        schemes: &[String],
    ) -> Result<Self, RenderError> {
        let outside = || RenderError::Outside { field, path: written.to_owned() };
        if let Some((name, rest)) = reference(written) {
            if trees.referenced.contains_key(name) {
                let path = environment.substitute(rest);
                let clean = clean(&path).filter(|path| !path.is_empty()).ok_or_else(outside)?;
                let source = Source::Local(Place { root: Root::Referenced(name.to_owned()), path: clean });
                return Ok(Self { name: format!("${name}/{path}"), field, source });
            }
            if !environment.has(name) {
                return Err(RenderError::UnknownReference { name: name.to_owned() });
            }
        }
        let name = environment.substitute(written);
        let source = if let Some(scheme) = scheme(&name) {
            if !schemes.iter().any(|allowed| allowed.eq_ignore_ascii_case(scheme)) {
                let (scheme, allowed) = (scheme.to_owned(), schemes.join(", "));
                return Err(RenderError::Scheme { field, scheme, allowed });
            }
            Source::Remote(Need::Resource { url: name.clone() })
        } else {
            let path = if name.starts_with('/') { clean(&name) } else { clean(&join(top, &name)) };
            Source::Local(Place { root: Root::Own, path: path.ok_or_else(outside)? })
        };
        Ok(Self { name, field, source })
    }

    /// The place, if it is one file.
    fn single(&self) -> Option<&Place> {
        match &self.source {
            Source::Local(place) if !name_glob::is_glob(&place.path) => Some(place),
            _ => None,
        }
    }

    /// How it is called in messages: a URL may hold a password.
    fn shown(&self) -> String {
        match &self.source {
            Source::Local(_) => self.name.clone(),
            Source::Remote(need) => need.to_string(),
        }
    }
}

/// The name and the rest of `$name/rest`.
fn reference(written: &str) -> Option<(&str, &str)> {
    let (name, rest) = written.strip_prefix('$')?.split_once('/')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, rest))
}

/// The scheme of a URL, as Go reads it.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_scheme)).then_some(scheme)
}

// === impl Texts ===

impl<'v, 'a> Texts<'v, 'a> {
    pub(crate) fn new(view: &'v mut View<'a>, ignore_missing: bool) -> Self {
        Self { view, ignore_missing, files: Vec::new(), needs: Vec::new(), directories: 0 }
    }

    /// The texts that were read, and what is to be fetched.
    pub(crate) fn into_parts(self) -> (Vec<ValuesFile>, Vec<Need>) {
        (self.files, self.needs)
    }

    /// Reads all files that are named.
    pub(crate) fn value_files(&mut self, named: &[ValueFile]) -> Result<(), RenderError> {
        let by_themselves: BTreeSet<&Place> = named.iter().filter_map(ValueFile::single).collect();
        let mut seen: BTreeSet<Place> = BTreeSet::new();
        for file in named {
            match &file.source {
                Source::Local(pattern) if name_glob::is_glob(&pattern.path) => {
                    let places = self.matches(file, pattern)?;
                    if places.is_empty() && !self.ignore_missing {
                        return Err(RenderError::NoMatch { field: file.field, pattern: file.shown() });
                    }
                    for place in places {
                        if !by_themselves.contains(&place) && seen.insert(place.clone()) {
                            self.add(place.path.clone(), &place)?;
                        }
                    }
                }
                Source::Local(place) => {
                    if self.view.stat(place)? == Stat::Absent {
                        if self.ignore_missing {
                            continue;
                        }
                        return Err(RenderError::ValueFile { field: file.field, file: file.shown() });
                    }
                    if seen.insert(place.clone()) {
                        self.add(file.shown(), place)?;
                    }
                }
                Source::Remote(_) => {
                    if let Some(text) = self.one(file)? {
                        self.files.push(ValuesFile { name: file.shown(), text });
                    }
                }
            }
        }
        Ok(())
    }

    /// The text of one file, which must be there; none if it is to be fetched first.
    pub(crate) fn one(&mut self, file: &ValueFile) -> Result<Option<String>, RenderError> {
        let place = match &file.source {
            Source::Local(place) => place.clone(),
            Source::Remote(need) => {
                let Some(fetched) = self.view.fetched(need) else {
                    if !self.needs.contains(need) {
                        self.needs.push(need.clone());
                    }
                    return Ok(None);
                };
                Place { root: Root::Fetched(need.clone()), path: fetched.path.clone() }
            }
        };
        if self.view.stat(&place)? == Stat::Absent {
            return Err(RenderError::ValueFile { field: file.field, file: file.shown() });
        }
        self.text(&file.shown(), &place).map(Some)
    }

    fn add(&mut self, name: String, place: &Place) -> Result<(), RenderError> {
        if self.files.len() == FILES_MAX {
            return Err(RenderError::TooLarge { what: "files of values".to_owned(), limit: FILES_MAX.to_string() });
        }
        let text = self.text(&name, place)?;
        self.files.push(ValuesFile { name, text });
        Ok(())
    }

    fn text(&mut self, name: &str, place: &Place) -> Result<String, RenderError> {
        let text = self.view.read(place)?;
        String::from_utf8(text)
            .map_err(|_| RenderError::Unreadable { file: name.to_owned(), detail: "it is no text in UTF-8".to_owned() })
    }

    /// The files that match, as they are met: of each directory first what matches in it, then what is below.
    fn matches(&mut self, file: &ValueFile, pattern: &Place) -> Result<Vec<Place>, RenderError> {
        let mut places = vec![String::new()];
        let segments: Vec<&str> = pattern.path.split('/').collect();
        for (at, segment) in segments.iter().enumerate() {
            let is_last = at + 1 == segments.len();
            let mut next = Vec::new();
            let bad = |reason: String| RenderError::Glob { field: file.field, pattern: file.shown(), reason };
            let glob = (name_glob::is_glob(segment) && *segment != "**").then(|| name_glob::NameGlob::new(segment));
            let glob = glob.transpose().map_err(bad)?;
            for directory in places {
                match &glob {
                    _ if *segment == "**" => self.down(&pattern.root, directory, is_last, 0, &mut next)?,
                    Some(glob) => {
                        for (path, is_directory) in self.entries(&pattern.root, &directory)? {
                            let name = path.rsplit('/').next().unwrap_or_default();
                            if glob.matches(name) && is_directory != is_last {
                                next.push(path);
                            }
                        }
                    }
                    None => {
                        let path = join(&directory, segment);
                        let stat = self.view.stat(&Place { root: pattern.root.clone(), path: path.clone() })?;
                        if matches!((stat, is_last), (Stat::File { .. }, true) | (Stat::Directory { .. }, false)) {
                            next.push(path);
                        }
                    }
                }
            }
            places = next;
        }
        Ok(places.into_iter().map(|path| Place { root: pattern.root.clone(), path }).collect())
    }

    /// A directory and all below it, or with `files` all files in them.
    fn down(
        &mut self,
        root: &Root,
        directory: String,
        files: bool,
        depth: usize,
        into: &mut Vec<String>,
    ) -> Result<(), RenderError> {
        if depth > DEPTH_MAX {
            let what = format!("levels of directories in '{directory}'");
            return Err(RenderError::TooLarge { what, limit: DEPTH_MAX.to_string() });
        }
        let entries = self.entries(root, &directory)?;
        if !files {
            into.push(directory);
        }
        for (path, is_directory) in entries {
            if is_directory {
                self.down(root, path, files, depth + 1, into)?;
            } else if files {
                into.push(path);
            }
        }
        Ok(())
    }

    /// The paths in a directory, and whether each is a directory. Links are followed, those that lead nowhere count as files.
    fn entries(&mut self, root: &Root, directory: &str) -> Result<Vec<(String, bool)>, RenderError> {
        self.directories += 1;
        if self.directories > DIRECTORIES_MAX {
            let what = "directories that the globs of value files look into".to_owned();
            return Err(RenderError::TooLarge { what, limit: DIRECTORIES_MAX.to_string() });
        }
        let place = |path: &str| Place { root: root.clone(), path: path.to_owned() };
        let mut paths = Vec::new();
        for entry in self.view.list(&place(directory))? {
            let path = join(directory, &entry.name);
            let is_directory = match entry.kind {
                EntryKind::Directory => true,
                EntryKind::File { .. } => false,
                EntryKind::Link { .. } => matches!(self.view.stat(&place(&path)), Ok(Stat::Directory { .. })),
                EntryKind::Submodule | EntryKind::Other => continue,
            };
            paths.push((path, is_directory));
        }
        Ok(paths)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reads::Present;
    use crate::script::{request, tree, trees};
    use crate::{Capabilities, Fetched};

    const FILES: [(&str, &str); 11] = [
        ("app/Chart.yaml", "name: a"),
        ("app/values-a.yaml", "a"),
        ("app/values-b.yaml", "b"),
        ("app/envs/z.yaml", "z"),
        ("app/envs/dev/x.yaml", "x"),
        ("app/envs/dev/deep/w.yaml", "w"),
        ("app/envs/prod/x.yml", "no"),
        ("app/web.yaml", "web"),
        ("shared/base.yaml", "base"),
        ("root.yaml", "root"),
        ("app/[odd].yaml", "odd"),
    ];

    /// The names and texts of what is read, and what is needed.
    type Found = (Vec<(String, String)>, Vec<Need>);

    /// What is found, or the message of an error.
    fn read(files: &[&str], ignore_missing: bool) -> Result<Found, String> {
        let mut trees = trees(&FILES);
        trees.referenced.insert("values".to_owned(), tree(&[("prod/v.yaml", "ref"), ("v-web.yaml", "ref web")]));
        let need = Need::Resource { url: "https://u:p@a.example/there.yaml".to_owned() };
        trees.fetched.push(Fetched { need, tree: tree(&[("there.yaml", "remote")]), path: "there.yaml".to_owned() });
        let request = request(json!({"repoURL": "u"}));
        let environment = Environment::of(&request);
        let schemes = ["https".to_owned()];
        let of = |file: &&str| ValueFile::of("valueFiles", file, "app", &trees, &environment, &schemes);
        let files: Result<Vec<ValueFile>, RenderError> = files.iter().map(of).collect();
        let files = files.map_err(|error| error.to_string())?;
        let capabilities = Capabilities::default();
        let present = Present { trees: &trees, capabilities: &capabilities, revision: "", engine: None };
        let mut view = View::new(present);
        let mut texts = Texts::new(&mut view, ignore_missing);
        texts.value_files(&files).map_err(|error| error.to_string())?;
        let (read, needs) = texts.into_parts();
        Ok((read.into_iter().map(|file| (file.name, file.text)).collect(), needs))
    }

    #[test]
    fn files_are_found_in_the_order_in_which_they_count() {
        let table: [(&[&str], &[&str]); 15] = [
            (&["values-a.yaml", "/root.yaml", "../shared/base.yaml", "./web.yaml"], &["a", "root", "base", "web"]),
            (&["values-b.yaml", "values-a.yaml", "values-b.yaml"], &["b", "a"]),
            // Variables.
            (&["$ARGOCD_APP_NAME.yaml", "${ARGOCD_APP_NAME}.yaml"], &["web"]),
            // Another source; variables behind its name only.
            (&["$values/prod/v.yaml", "$values/v-$ARGOCD_APP_NAME.yaml"], &["ref", "ref web"]),
            (&["$values/*/v.yaml"], &["ref"]),
            // Globs, by name, and what is named by itself at its own place.
            (&["values-*.yaml"], &["a", "b"]),
            (&["values-*.yaml", "values-a.yaml"], &["b", "a"]),
            (&["values-a.yaml", "values-*.yaml"], &["a", "b"]),
            (&["values-[!a].yaml"], &["b"]),
            (&["values-{a,b}*.yaml"], &["a", "b"]),
            // A directory first, then what is below it.
            (&["envs/**/*.yaml"], &["z", "x", "w"]),
            (&["envs/*/x.yaml"], &["x"]),
            (&["/**/base.yaml"], &["base"]),
            (&["envs/**"], &["w", "x", "no", "z"]),
            (&["https://u:p@a.example/there.yaml"], &["remote"]),
        ];
        for (files, expected) in table {
            let (read, needs) = read(files, false).unwrap();
            let read: Vec<&str> = read.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(read, expected, "{files:?}");
            assert_eq!(needs, []);
        }
    }

    #[test]
    fn what_is_not_here_is_needed() {
        let (read, needs) =
            read(&["https://a.example/v.yaml", "values-a.yaml", "https://a.example/v.yaml"], false).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(needs, [Need::Resource { url: "https://a.example/v.yaml".to_owned() }]);
    }

    #[test]
    fn what_is_missing_is_an_error_unless_it_may_be() {
        for file in ["missing.yaml", "no/*.yaml", "$values/missing.yaml", "x-*.yaml"] {
            let error = read(&[file], false).unwrap_err();
            assert!(error.contains(file) && error.contains("ignoreMissingValueFiles"), "{error}");
            let (read, _) = read(&[file, "values-a.yaml"], true).unwrap();
            assert_eq!(read.len(), 1, "{file}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let table = [
            ("../../etc/passwd", "leads out"),
            ("/../x.yaml", "leads out"),
            ("$values/../../x.yaml", "leads out"),
            ("$values/", "leads out"),
            ("$nobody/x.yaml", "no source with the ref 'nobody'"),
            ("http://a.example/x.yaml", "scheme 'http'"),
            ("secrets://u:hunter2@x", "scheme 'secrets'"),
            ("envs", "directory"),
            ("[z-a]*.yaml", "not a valid glob"),
        ];
        for (file, word) in table {
            let error = read(&[file], true).unwrap_err();
            assert!(error.contains(word) && !error.contains("hunter2"), "{file}: {error}");
        }
        // A URL is named without its password.
        let (read, _) = read(&["https://u:p@a.example/there.yaml"], false).unwrap();
        assert!(!read[0].0.contains("u:p"), "{}", read[0].0);
    }
}
