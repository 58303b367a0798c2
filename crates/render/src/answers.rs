//! Asking the renderer, and answering what it asks.
//!
//! Whatever a worker reads it is given through the [`View`] of its render. Entry point: [`ask`].

use crate::reads::{Place, Read, Root};
use crate::tree::{EntryKind, Stat, join};
use crate::view::View;
use crate::workers::{self, Answers, DirectoryEntry, Done, FileKind, Job, Need, Reply, TreeFile};
use crate::{RenderError, Tool};

/// The longest message of a tool that is passed on, in bytes: it ends up in a condition, and its end tells most.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Names in a directory that is listed for a worker: the largest that people keep have some thousand.
const NAMES_MAX: usize = 50_000;
/// What the roots of fetched things begin with, in the workers' protocol.
const FETCHED: &str = "need:";

/// What a worker makes of a job, or what it needs first. `why` tells what makes it a job of that tool.
pub(crate) fn ask(
    view: &mut View,
    job: &Job,
    tool: &'static str,
    why: &str,
) -> Result<Result<Done, Vec<Need>>, RenderError> {
    let Some(engine) = view.present().engine else {
        return Err(RenderError::NoRenderer { tool, why: why.to_owned() });
    };
    view.note(Read::Renderer);
    let mut answering = Answering { view, error: None };
    let reply = engine.render(job, &mut answering);
    if let Some(error) = answering.error {
        return Err(error);
    }
    let failed = |view: &View, message: &str| RenderError::Failed { tool, message: told(view, message) };
    match reply? {
        Reply::Done(done) => Ok(Ok(done)),
        Reply::Needs(needs) if needs.iter().all(|need| view.fetched(need).is_some()) => {
            let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
            Err(failed(view, &format!("it asks once more for what it was given: {}", needs.join(", "))))
        }
        Reply::Needs(needs) => Ok(Err(needs)),
        Reply::Failed(message) => Err(failed(view, &message)),
    }
}

/// What a job says of what was fetched.
pub(crate) fn fetched(view: &View) -> Vec<workers::Fetched> {
    let all = view.present().trees.fetched.iter().enumerate();
    all.map(|(at, fetched)| workers::Fetched {
        need: fetched.need.clone(),
        root: format!("{FETCHED}{at}"),
        path: fetched.path.clone(),
    })
    .collect()
}

/// Puts what a worker says of a render beside the manifests into words: warnings, and what is not the same in every render.
/// That one is kept for the commit it was made at.
pub(crate) fn warnings(view: &mut View, done: &Done) -> Vec<String> {
    let mut warnings: Vec<String> = done.warnings.iter().map(|warning| told(view, warning)).collect();
    if !done.unstable.is_empty() {
        view.note(Read::Revision);
        let what = bounded(&done.unstable.join(", "));
        warnings.push(format!(
            "{what}: this gives something else in every render; what was rendered stays until the next commit or version"
        ));
    }
    warnings
}

/// What a tool says, as people may read it: without what was encrypted, and without the logins of URLs that it repeats.
fn told(view: &View, message: &str) -> String {
    bounded(&without_logins(&view.masked(message)))
}

/// A text without user and password of the URLs in it.
fn without_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + "://".len());
        shown.push_str(before);
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '`' | '<' | '>');
        let authority = &behind[..behind.find(ends).unwrap_or(behind.len())];
        rest = &behind[authority.rfind('@').map_or(0, |at| at + 1)..];
    }
    shown + rest
}

/// Bounds a message: the beginning names what was rendered, the end the reason.
fn bounded(message: &str) -> String {
    if message.len() <= MESSAGE_BYTES_MAX {
        return message.to_owned();
    }
    let half = MESSAGE_BYTES_MAX / 2;
    let (begin, end) = (message.floor_char_boundary(half), message.ceil_char_boundary(message.len() - half));
    format!("{} … {}", &message[..begin], &message[end..])
}

/// Answers one worker. What goes wrong is kept as it is: the worker only repeats its words.
struct Answering<'v, 'a> {
    view: &'v mut View<'a>,
    error: Option<RenderError>,
}

impl Answering<'_, '_> {
    fn place(&mut self, root: &str, path: &str) -> Result<Place, String> {
        let fetched = || {
            let at: usize = root.strip_prefix(FETCHED)?.parse().ok()?;
            self.view.present().trees.fetched.get(at).map(|fetched| Root::Fetched(fetched.need.clone()))
        };
        let root = match root.strip_prefix('$') {
            _ if root.is_empty() => Some(Root::Own),
            Some(name) => Some(Root::Referenced(name.to_owned())),
            None => fetched(),
        };
        let root = root.ok_or("the renderer asked for files of a source that it was not told of")?;
        Ok(Place { root, path: path.to_owned() })
    }

    fn told<T>(&mut self, result: Result<T, RenderError>) -> Result<T, String> {
        result.map_err(|error| self.error.get_or_insert(error).to_string())
    }
}

impl Answers for Answering<'_, '_> {
    fn stat(&mut self, root: &str, path: &str) -> Result<FileKind, String> {
        let place = self.place(root, path)?;
        let stat = self.view.stat(&place);
        Ok(match self.told(stat)? {
            Stat::Absent => FileKind::Absent,
            Stat::File { .. } => FileKind::File,
            Stat::Directory { .. } => FileKind::Directory,
        })
    }

    fn list(&mut self, root: &str, path: &str) -> Result<Vec<DirectoryEntry>, String> {
        let place = self.place(root, path)?;
        let list = self.view.list(&place);
        let list = self.told(list)?;
        if list.len() > NAMES_MAX {
            let what = format!("files and directories in '{path}'");
            return self.told(Err(RenderError::TooLarge { what, limit: NAMES_MAX.to_string() }));
        }
        let mut entries = Vec::with_capacity(list.len());
        for entry in list {
            let kind = match entry.kind {
                EntryKind::Directory | EntryKind::Submodule => FileKind::Directory,
                EntryKind::File { .. } => FileKind::File,
                EntryKind::Other => continue,
                // One that leads nowhere harms nobody who does not read it.
                EntryKind::Link { .. } => {
                    let link = Place { root: place.root.clone(), path: join(path, &entry.name) };
                    match self.view.stat(&link) {
                        Ok(Stat::Directory { .. }) => FileKind::Directory,
                        _ => FileKind::File,
                    }
                }
            };
            entries.push(DirectoryEntry { name: entry.name, kind });
        }
        Ok(entries)
    }

    fn read(&mut self, root: &str, path: &str) -> Result<Vec<u8>, String> {
        let place = self.place(root, path)?;
        let text = self.view.read(&place);
        self.told(text)
    }

    fn tree(&mut self, root: &str, path: &str) -> Result<Vec<TreeFile>, String> {
        let place = self.place(root, path)?;
        let files = self.view.whole(&place);
        self.told(files)
    }

    fn kube_version(&mut self) -> Result<String, String> {
        self.view.note(Read::KubeVersion);
        Ok(self.view.present().capabilities.kube_version.clone())
    }

    fn has_api_version(&mut self, name: &str) -> Result<bool, String> {
        self.view.note(Read::ApiVersion(name.to_owned()));
        Ok(self.view.present().capabilities.serves(name))
    }

    fn api_versions(&mut self) -> Result<Vec<String>, String> {
        self.view.note(Read::ApiVersions);
        Ok(self.view.present().capabilities.api_versions.to_vec())
    }
}

/// The manifests that a tool made, or what it needs first.
pub(crate) fn outcome(
    view: &mut View,
    tool: Tool,
    done: Result<Done, Vec<Need>>,
) -> Result<crate::renderer::Outcome, RenderError> {
    match done {
        Err(needs) => Ok(crate::renderer::Outcome::Needs(needs)),
        Ok(done) => {
            let warnings = warnings(view, &done);
            crate::read::read_documents(tool, &done.documents, warnings).map(crate::renderer::Outcome::Rendered)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_repeats_no_login() {
        for (text, shown) in [
            (r#"there is no "https://bob:hunter2@h/x" here"#, r#"there is no "https://h/x" here"#),
            ("ssh://git:p@ss@h:22/a, oci://t@h", "ssh://h:22/a, oci://h"),
            ("https://h/a@b and https://", "https://h/a@b and https://"),
            ("ä://ö:ü@ß mail a@b", "ä://ß mail a@b"),
        ] {
            assert_eq!(without_logins(text), shown);
        }
    }
}
