//! Files that SOPS encrypted, decrypted in memory.
//!
//! Keeps nothing: texts and keys go in, plain text comes out in a type that does not show it and is zeroed when dropped. (What the
//! readers and printers allocate in between is freed, not zeroed.) Invariant: nothing comes out that the file's own message
//! authentication code does not cover, and no error tells a plain text. Entry points: [`Keys`], [`is_encrypted`] and [`decrypt`].
//!
//! The formats are those of SOPS itself, and so is their reading, against which the tests hold this crate: recorded answers of the
//! real command. Keys are age's, read by our own few lines over the one crypto library of the house (the `age` crate would bring
//! a second generation of every cryptographic crate along).

mod age;
mod cipher;
mod detect;
mod error;
mod format;
mod keys;
mod metadata;
mod rule;
mod shamir;
mod text;
mod timestamp;
mod tree;
mod value;

use std::fmt;

use zeroize::Zeroizing;

pub use detect::is_encrypted;
pub use error::{Problem, SopsError};
pub use format::Format;
pub use keys::{KeyError, Keys};

/// The largest file that is read, in bytes: ten times what an object in the API server may hold.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// A file in plain text.
///
/// It is shown to nobody, and zeroed when it is dropped.
pub struct Decrypted(Zeroizing<Vec<u8>>);

// === impl Decrypted ===

impl Decrypted {
    /// The text, for whom it is meant for.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Decrypts a file, whose name is only used in errors.
///
/// What comes out has the format that went in, without what SOPS added. YAML is printed anew: its objects are the same, its
/// comments, anchors and the order of its keys are not. So are the comments of dotenv and INI files left out.
pub fn decrypt(name: &str, format: Format, text: &[u8], keys: &Keys) -> Result<Decrypted, SopsError> {
    let open = || {
        if text.len() > FILE_BYTES_MAX {
            return Err(Problem::TooLarge);
        }
        let mut documents = format.read(text)?;
        let metadata = format.take_metadata(&mut documents)?;
        let data_key = metadata.data_key(keys)?;
        tree::decrypt(&mut documents, &metadata, &data_key)?;
        format.print(&documents)
    };
    open().map(Decrypted).map_err(|problem| SopsError { name: name.to_owned(), problem })
}
