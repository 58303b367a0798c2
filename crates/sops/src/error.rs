//! What can be wrong with an encrypted file. Entry point: [`SopsError`].
//!
//! Invariant: no message holds a plain text, a key, or a value of the file; keys of its maps and public recipients may appear.

use std::fmt;

/// The most bytes of a path or a list of recipients that a message repeats.
const QUOTED_BYTES_MAX: usize = 400;

/// A file that cannot be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{name}': {problem}")]
pub struct SopsError {
    /// The file.
    pub name: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// More than [`crate::FILE_BYTES_MAX`].
    #[error("larger than 16 MiB, the most that is decrypted: split the file")]
    TooLarge,
    /// It cannot be read as what it is said to be.
    #[error("not readable as {format}{}: {message}", Line(*.line))]
    Malformed {
        /// YAML, JSON, dotenv or INI.
        format: &'static str,
        /// The line in question, from 1; 0 if it is not known.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// What SOPS adds to a file is not there.
    #[error("not encrypted by SOPS, or cut off: it has no 'sops' part. Encrypt it by 'sops encrypt --in-place'")]
    NoMetadata,
    /// What SOPS adds to a file is damaged.
    #[error("the 'sops' part is damaged: {0}. Restore the file from before it was edited, or encrypt it anew")]
    Metadata(String),
    /// There is no key at all.
    #[error("no key is given to decrypt with: it is encrypted for {}", Quoted(.recipients))]
    NoKeys {
        /// For whom it is encrypted.
        recipients: String,
    },
    /// None of the keys fits.
    #[error(
        "none of the keys given fits: it is encrypted for {}, the keys are those of {}. Give the secret key of one of the former, \
         or add one of the latter to the file by 'sops rotate --add-age KEY --in-place'{}", Quoted(.recipients), Quoted(.keys), Groups(*.opened, *.needed)
    )]
    NoKeyFits {
        /// For whom it is encrypted.
        recipients: String,
        /// The public halves of the keys that were given.
        keys: String,
        /// How many of its groups of keys were opened.
        opened: usize,
        /// How many of them it takes.
        needed: usize,
    },
    /// Only keys that live elsewhere, and that we do not ask, open it.
    #[error(
        "encrypted only for {}, which is not asked from here: add an age key to the file, by 'sops rotate --add-age KEY --in-place'", Quoted(.recipients)
    )]
    NotForUs {
        /// For whom it is encrypted.
        recipients: String,
    },
    /// A key fits, but what it should open is damaged.
    #[error("the data key that is encrypted for {} is damaged: {message}. Restore the file, or encrypt it anew", Quoted(.recipient))]
    Envelope {
        /// For whom it is encrypted.
        recipient: String,
        /// What is wrong.
        message: &'static str,
    },
    /// What was opened is no key.
    #[error("the data key is not of 32 bytes: the 'sops' part was changed by hand. Encrypt the file anew")]
    DataKey,
    /// A value should be encrypted.
    #[error("'{}' is not encrypted, but has to be: edit the file by 'sops edit', or encrypt it anew", Quoted(.path))]
    NotEncrypted {
        /// Where it is.
        path: String,
    },
    /// A value is encrypted in a way that is not known.
    #[error("'{}' is encrypted by something else than AES256_GCM: a newer SOPS may have written it", Quoted(.path))]
    UnknownCipher {
        /// Where it is.
        path: String,
    },
    /// A value cannot be decrypted.
    #[error("'{}' cannot be decrypted: it was changed, moved here from elsewhere, or encrypted with another data key. Restore it, or encrypt the file anew", Quoted(.path))]
    Damaged {
        /// Where it is.
        path: String,
    },
    /// A value was decrypted and is not of the type that the file says.
    #[error("'{}' is not of the type that stands beside it: encrypt the file anew", Quoted(.path))]
    Type {
        /// Where it is.
        path: String,
    },
    /// The code is missing.
    #[error("its message authentication code (sops.mac) is missing: restore it, or encrypt the file anew")]
    NoMac,
    /// The code does not fit the content.
    #[error(
        "its message authentication code (sops.mac) does not fit: something in it was changed without SOPS, or lost. Restore it, or edit it by 'sops edit'"
    )]
    Mac,
    /// The plain text cannot be printed in the format.
    #[error("'{}' cannot be printed in this format: {message}", Quoted(.path))]
    Unprintable {
        /// Where it is.
        path: String,
        /// Why.
        message: &'static str,
    },
}

impl Problem {
    pub(crate) fn metadata(message: impl Into<String>) -> Self {
        Self::Metadata(message.into())
    }
}

/// ` (line 3)`, if it is known.
struct Line(usize);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " (line {})", self.0) }
    }
}

/// A text from the file, cut and without what could mislead a terminal.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = (0..=QUOTED_BYTES_MAX.min(self.0.len())).rev().find(|at| self.0.is_char_boundary(*at));
        let shown = &self.0[..end.unwrap_or_default()];
        for c in shown.chars() {
            fmt::Write::write_char(f, if c.is_control() { '\u{fffd}' } else { c })?;
        }
        f.write_str(if shown.len() < self.0.len() { "…" } else { "" })
    }
}

/// How many groups of keys are missing, if there are several.
struct Groups(usize, usize);

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1 > 1 { write!(f, " ({} of {} groups of keys were opened)", self.0, self.1) } else { Ok(()) }
    }
}
