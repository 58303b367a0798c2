//! Where this program may keep what it can get again.

use std::env;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::command_error::{CommandError, internal_error_with_message};

/// A directory for the cache. One that nobody asked for and that has no better place goes with this value.
#[derive(Debug)]
pub(crate) struct CacheDir {
    pub(crate) path: PathBuf,
    /// Removed when this is dropped.
    _temporary: Option<TempDir>,
}

// === impl CacheDir ===

impl CacheDir {
    /// The given directory, or the user's own for `purpose`, or a temporary one where a user has none, as in a container.
    pub(crate) fn open(given: Option<PathBuf>, purpose: &str) -> Result<Self, CommandError> {
        if let Some(path) = given {
            fs::create_dir_all(&path)
                .map_err(|error| {
                    internal_error_with_message(format!("cannot make the cache directory '{}'", path.display()), error)
                })
                .map_err(|error| error.hinted("give one that may be written with --cache-dir"))?;
            return Ok(Self { path, _temporary: None });
        }
        let own = users_own(env::var_os("XDG_CACHE_HOME").map(PathBuf::from), env::var_os("HOME").map(PathBuf::from));
        if let Some(path) = own.map(|dir| dir.join("trueup").join(purpose))
            && fs::create_dir_all(&path).is_ok()
        {
            return Ok(Self { path, _temporary: None });
        }
        // A fixed name in a directory that everybody may write could be made by somebody else first.
        let temporary = tempfile::Builder::new().prefix("trueup-").tempdir();
        let temporary = temporary
            .map_err(|error| internal_error_with_message("cannot make a temporary directory for the cache", error))
            .map_err(|error| error.hinted("give one that may be written with --cache-dir"))?;
        Ok(Self { path: temporary.path().to_path_buf(), _temporary: Some(temporary) })
    }
}

/// As the XDG rules have it: relative paths do not count.
fn users_own(xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    xdg.filter(absolute).or_else(|| home.filter(absolute).map(|home| home.join(".cache")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_cache_is_where_the_xdg_rules_say() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(users_own(path("/x"), path("/home/a")), path("/x"));
        assert_eq!(users_own(None, path("/home/a")), path("/home/a/.cache"));
        assert_eq!(users_own(path("relative"), path("/home/a")), path("/home/a/.cache"));
        assert_eq!(users_own(path(""), None), None);
    }

    #[test]
    fn a_given_directory_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("a/b");
        let cache = CacheDir::open(Some(wanted.clone()), "test").unwrap();
        assert_eq!(cache.path, wanted);
        drop(cache);
        assert!(wanted.is_dir());
    }
}
