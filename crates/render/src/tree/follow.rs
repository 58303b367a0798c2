//! The way along a path, links included: the same for every tree that has links.
//!
//! Invariant: it never leaves the tree. Entry point: [`follow`].

use crate::RenderError;

/// How many links a way may lead through, as Linux counts them at most; people use one.
const HOPS_MAX: usize = 40;
const LEAVES: &str = "it leaves the repository";

/// What is under one name.
pub(super) enum Step<D, F> {
    Directory(D),
    File(F),
    Link(String),
    Submodule,
    Absent,
}

/// What is at the end of the way.
pub(super) enum Found<D, F> {
    Directory(D),
    File(F),
    Absent,
}

/// Goes along a path from the root; `step` looks up one name in a directory.
pub(super) fn follow<D: Clone, F>(
    path: &str,
    root: D,
    mut step: impl FnMut(&D, &str) -> Result<Step<D, F>, RenderError>,
) -> Result<Found<D, F>, RenderError> {
    let mut ahead: Vec<String> = names(path);
    // The directories on the way, none of them a link: one name back is the directory above.
    let mut way = vec![root];
    let mut walked: Vec<String> = Vec::new();
    let mut first: Option<(String, String)> = None;
    let mut hops = 0;
    while let Some(name) = ahead.pop() {
        let refused = |reason: &str| {
            let (file, target) = first.clone().unwrap_or_else(|| (path.to_owned(), path.to_owned()));
            RenderError::Link { file, target, reason: reason.to_owned() }
        };
        if name == ".." {
            way.pop();
            if way.is_empty() {
                return Err(refused(LEAVES));
            }
            walked.pop();
            continue;
        }
        let Some(here) = way.last() else { return Err(refused(LEAVES)) };
        match step(here, &name)? {
            Step::Directory(directory) => {
                way.push(directory);
                walked.push(name);
            }
            Step::File(file) if ahead.is_empty() => return Ok(Found::File(file)),
            Step::Link(target) => {
                walked.push(name);
                let file = walked.join("/");
                walked.pop();
                first.get_or_insert_with(|| (file.clone(), target.clone()));
                let refused = |reason: &str| RenderError::Link {
                    file: first.as_ref().map_or(file.clone(), |(file, _)| file.clone()),
                    target: first.as_ref().map_or(target.clone(), |(_, target)| target.clone()),
                    reason: reason.to_owned(),
                };
                hops += 1;
                if hops > HOPS_MAX {
                    return Err(refused(&format!("it leads through more than {HOPS_MAX} links")));
                }
                if target.starts_with('/') {
                    return Err(refused(LEAVES));
                }
                ahead.extend(names(&target));
            }
            Step::Submodule if first.is_some() => return Err(refused("it leads into a submodule")),
            Step::Submodule => {
                walked.push(name);
                return Err(RenderError::Submodule { file: walked.join("/") });
            }
            Step::File(_) | Step::Absent if first.is_some() => return Err(refused("nothing is there")),
            Step::File(_) | Step::Absent => return Ok(Found::Absent),
        }
    }
    Ok(way.pop().map_or(Found::Absent, Found::Directory))
}

/// The names on a path, the last one first.
fn names(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|name| !name.is_empty() && *name != ".").map(str::to_owned).collect()
}
