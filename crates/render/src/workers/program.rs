//! Where the renderer is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What a socket is written with.
const UNIX: &str = "unix:";
/// The program beside ours.
const NAME: &str = "trueup-renderer";

/// Where the renderer is: a program to start, or a socket at which it is served. Always an absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A program, of which each worker is a child of this process.
    Child(PathBuf),
    /// A socket, of which each connection is a worker.
    Socket(PathBuf),
}

/// Why a text names no renderer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is no place of a renderer: {reason}; give the path of trueup-renderer, or unix: and the path of its socket"
)]
pub struct ProgramError {
    text: String,
    reason: String,
}

// === impl Program ===

impl Program {
    /// The renderer that lies beside a program, if one does.
    pub fn beside(exe: &Path) -> Option<Self> {
        let path = exe.with_file_name(NAME);
        path.is_file().then_some(Self::Child(path))
    }
}

/// `PATH` or `unix:PATH`. No path is looked for in `$PATH`: what runs is what was named.
impl FromStr for Program {
    type Err = ProgramError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, kind): (&str, fn(PathBuf) -> Self) = match text.strip_prefix(UNIX) {
            Some(path) => (path, Self::Socket),
            None => (text, Self::Child),
        };
        let absolute = std::path::absolute(path);
        absolute.map(kind).map_err(|error| ProgramError { text: text.to_owned(), reason: error.to_string() })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Child(path) => write!(f, "{}", path.display()),
            Self::Socket(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_program_or_a_socket() {
        let here = std::env::current_dir().unwrap();
        assert_eq!("/bin/r".parse(), Ok(Program::Child("/bin/r".into())));
        assert_eq!("r".parse(), Ok(Program::Child(here.join("r"))));
        assert_eq!("unix:/run/r.sock".parse(), Ok(Program::Socket("/run/r.sock".into())));
        for nothing in ["", "unix:"] {
            let error = nothing.parse::<Program>().unwrap_err();
            assert!(error.to_string().contains("unix: and the path"), "{error}");
        }
    }

    #[test]
    fn it_lies_beside_a_program_or_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (exe, beside) = (dir.path().join("trueup"), dir.path().join(NAME));
        assert_eq!(Program::beside(&exe), None);
        std::fs::create_dir(&beside).unwrap();
        assert_eq!(Program::beside(&exe), None);
        std::fs::remove_dir(&beside).unwrap();
        std::fs::write(&beside, "").unwrap();
        assert_eq!(Program::beside(&exe), Some(Program::Child(beside)));
    }
}
