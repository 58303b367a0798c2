//! Answering what a worker asks.
//!
//! Invariant: whoever answers is given only clean paths, and what does not fit into a frame is an error for the user, never
//! a broken line.

use super::frame::{FRAME_BYTES_MAX, TooLarge, frame};
use super::message::{Answer, AnsweredFile, Ask, Data, Place, Said};
use super::{Answers, TreeFile};

/// How much content fits into a frame, in bytes: base64 makes four of three.
const CONTENT_BYTES_MAX: usize = FRAME_BYTES_MAX / 4 * 3;
/// The longest path, in bytes: as on Linux.
const PATH_BYTES_MAX: usize = 4096;
/// For an error without words, which the worker would take for none.
const NO_REASON: &str = "it could not be answered, and nothing says why";

/// The frame that answers a question, and the error if it is one.
pub(crate) fn answer(ask: Ask, answers: &mut dyn Answers) -> (Vec<u8>, Option<String>) {
    let place = ask.place().map(Place::shown).unwrap_or_default();
    let error = match answered(ask, answers).map(|answer| frame(&Said::Answer(answer))) {
        Ok(Ok(frame)) => return (frame, None),
        Ok(Err(TooLarge)) => too_large(&place),
        Err(error) if error.is_empty() => NO_REASON.to_owned(),
        Err(error) => error,
    };
    let said = frame(&Said::Answer(Answer::Error(error.clone())));
    // One that no frame can hold says nothing that anybody would read.
    let said = said.or_else(|TooLarge| frame(&Said::Answer(Answer::Error(NO_REASON.to_owned()))));
    (said.unwrap_or_default(), Some(error))
}

fn answered(ask: Ask, answers: &mut dyn Answers) -> Result<Answer, String> {
    if let Some(place) = ask.place() {
        place.check()?;
    }
    match ask {
        Ask::Stat(Place { root, path }) => answers.stat(&root, &path).map(Answer::Kind),
        Ask::List(Place { root, path }) => answers.list(&root, &path).map(Answer::Entries),
        Ask::Read(place) => {
            let data = answers.read(&place.root, &place.path)?;
            if data.len() > CONTENT_BYTES_MAX { Err(too_large(&place.shown())) } else { Ok(Answer::Data(Data(data))) }
        }
        Ask::Tree(place) => {
            let files = answers.tree(&place.root, &place.path)?;
            if files.iter().map(|file| file.data.len()).sum::<usize>() > CONTENT_BYTES_MAX {
                return Err(too_large(&place.shown()));
            }
            let file = |TreeFile { path, data }| AnsweredFile { path, data: Data(data) };
            Ok(Answer::Files(files.into_iter().map(file).collect()))
        }
        Ask::KubeVersion {} => answers.kube_version().map(Answer::Text),
        Ask::HasApiVersion { name } => answers.has_api_version(&name).map(Answer::Yes),
        Ask::ApiVersions {} => answers.api_versions().map(Answer::Names),
    }
}

fn too_large(place: &str) -> String {
    let megabytes = CONTENT_BYTES_MAX / (1024 * 1024);
    format!(
        "'{place}' holds more than {megabytes} MB, more than a render may read at once; leave out what it does not need"
    )
}

// === impl Ask ===

impl Ask {
    fn place(&self) -> Option<&Place> {
        match self {
            Self::Stat(place) | Self::List(place) | Self::Read(place) | Self::Tree(place) => Some(place),
            Self::KubeVersion {} | Self::HasApiVersion { .. } | Self::ApiVersions {} => None,
        }
    }
}

// === impl Place ===

impl Place {
    /// The worker has cleaned its paths; what it may read does not hang on that.
    fn check(&self) -> Result<(), String> {
        let clean = |part: &str| !part.is_empty() && part != "." && part != "..";
        let inside = matches!(self.path.as_str(), "" | ".") || self.path.split('/').all(clean);
        if inside && self.path.len() <= PATH_BYTES_MAX && !self.path.contains('\0') {
            return Ok(());
        }
        let path: String = self.path.chars().take(200).collect();
        Err(format!("{path:?} is no path inside the source; only what lies in it can be read"))
    }

    fn shown(&self) -> String {
        if self.path.is_empty() { ".".to_owned() } else { self.path.clone() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{DirectoryEntry, FileKind};
    use super::*;

    /// Answers with as many bytes as the path says, and remembers what it was asked.
    #[derive(Default)]
    struct Sizes(Vec<String>);

    impl Answers for Sizes {
        fn stat(&mut self, _root: &str, path: &str) -> Result<FileKind, String> {
            self.0.push(path.to_owned());
            Ok(FileKind::File)
        }
        fn list(&mut self, _root: &str, _path: &str) -> Result<Vec<DirectoryEntry>, String> {
            Err(String::new())
        }
        fn read(&mut self, _root: &str, path: &str) -> Result<Vec<u8>, String> {
            Ok(vec![b'a'; path.parse().unwrap()])
        }
        fn tree(&mut self, _root: &str, path: &str) -> Result<Vec<TreeFile>, String> {
            let file = || TreeFile { path: "a".to_owned(), data: vec![0; path.parse().unwrap()] };
            Ok(vec![file(), file()])
        }
        fn kube_version(&mut self) -> Result<String, String> {
            Err("no cluster".to_owned())
        }
        fn has_api_version(&mut self, _name: &str) -> Result<bool, String> {
            Err("no such cluster".to_owned())
        }
        fn api_versions(&mut self) -> Result<Vec<String>, String> {
            Ok(vec![])
        }
    }

    fn place(path: &str) -> Place {
        Place { root: String::new(), path: path.to_owned() }
    }

    #[test]
    fn what_fits_into_no_frame_is_an_error_for_the_user() {
        for (ask, error) in [
            (Ask::Read(place(&(CONTENT_BYTES_MAX + 1).to_string())), "more than 72 MB"),
            (Ask::Tree(place(&(CONTENT_BYTES_MAX / 2 + 1).to_string())), "more than 72 MB"),
            (Ask::List(place("")), NO_REASON),
            (Ask::KubeVersion {}, "no cluster"),
            (Ask::HasApiVersion { name: "v1".to_owned() }, "no such cluster"),
        ] {
            let (said, told) = answer(ask, &mut Sizes::default());
            assert!(told.unwrap().contains(error), "{error}");
            assert!(said[4..].starts_with(br#"{"answer":{"error":""#));
        }
        let (said, told) = answer(Ask::Read(place("1000")), &mut Sizes::default());
        assert!(told.is_none() && said.len() > 1000);
    }

    #[test]
    fn a_path_that_leaves_the_tree_reaches_nobody() {
        let mut sizes = Sizes::default();
        for path in ["..", "a/../b", "/etc/passwd", "a//b", "a/", "./a", "a\0b", &"a/".repeat(4000)] {
            let (_, told) = answer(Ask::Stat(place(path)), &mut sizes);
            assert!(told.unwrap().contains("no path inside the source"), "{path}");
        }
        assert!(sizes.0.is_empty());
        for path in ["", ".", "a", "a/b..c/.d", "..a"] {
            assert!(answer(Ask::Stat(place(path)), &mut sizes).1.is_none(), "{path}");
        }
        assert_eq!(sizes.0, ["", ".", "a", "a/b..c/.d", "..a"]);
    }

    proptest! {
        #[test]
        fn no_path_that_is_let_through_leaves_the_tree(path in r"[a./\\\x00]{0,8}") {
            if place(&path).check().is_ok() {
                let mut depth = 0;
                for part in path.split('/') {
                    depth += match part { ".." => -1, "" | "." => 0, _ => 1 };
                    prop_assert!(depth >= 0);
                }
                prop_assert!(!path.starts_with('/'));
            }
        }
    }
}
