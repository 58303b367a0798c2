//! What a command is given to read: a file, or stdin. Entry point: [`read`].

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::command_error::{CommandError, user_error, user_error_with_message};

/// Reads a file, or stdin for `-`, and says how it is called in messages. More than `bytes_max` is an error.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<(String, Vec<u8>), CommandError> {
    let mut text = Vec::new();
    let (name, read) = if path == Path::new("-") {
        ("stdin".to_owned(), io::stdin().lock().take(bytes_max + 1).read_to_end(&mut text))
    } else {
        let read = File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut text));
        (format!("'{}'", path.display()), read)
    };
    let read = read.map_err(|error| user_error_with_message(format!("cannot read {name}"), error))?;
    if read as u64 > bytes_max {
        return Err(user_error(format!("{name} has more than the {bytes_max} bytes that are accepted"))
            .hinted("give it in parts"));
    }
    Ok((name, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "abcd").unwrap();
        assert_eq!(read(&path, 4).unwrap(), (format!("'{}'", path.display()), b"abcd".to_vec()));
        assert!(read(&path, 3).unwrap_err().error.to_string().contains("more than the 3 bytes"));
        assert!(read(dir.path(), 3).unwrap_err().error.to_string().contains("cannot read"));
    }
}
