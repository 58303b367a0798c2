//! The walk over a file: decrypts its values and holds them against its message authentication code. Entry point: [`decrypt`].

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA512};

use crate::cipher::{Cipher, Encrypted, Fault, looks_encrypted};
use crate::error::Problem;
use crate::metadata::Metadata;
use crate::rule::{Place, Rule};
use crate::value::{Entries, Value};

/// What the code begins with where only encrypted values count, so that it differs from one over all: SHA-256 of `sops`.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Decrypts all documents in place. If it fails they are half done, and must not be used.
pub(crate) fn decrypt(documents: &mut [Entries], metadata: &Metadata, data_key: &[u8]) -> Result<(), Problem> {
    let cipher = Cipher::new(data_key).ok_or(Problem::DataKey)?;
    let mut walk = Walk {
        cipher: &cipher,
        rule: &metadata.rule,
        only_encrypted: metadata.mac_only_encrypted,
        counted: Context::new(&SHA512),
        path: String::new(),
    };
    if walk.only_encrypted {
        walk.counted.update(&ONLY_ENCRYPTED);
    }
    for document in documents {
        walk.entries(document, metadata.rule.start())?;
    }
    let computed = hexadecimal(walk.counted.finish().as_ref());
    if metadata.mac.is_empty() {
        return Err(Problem::NoMac);
    }
    let at_mac = |fault| match fault {
        Fault::UnknownCipher => Problem::UnknownCipher { path: "sops.mac".to_owned() },
        Fault::NotEncrypted | Fault::Damaged | Fault::Type => Problem::Mac,
    };
    let said = Encrypted::parse(metadata.mac.as_bytes())
        .and_then(|encrypted| cipher.open(encrypted, &metadata.last_modified))
        .map_err(at_mac)?;
    match said {
        Some(Value::Text(text)) => verify_slices_are_equal(&text, computed.as_bytes()).map_err(|_| Problem::Mac),
        _ => Err(Problem::Mac),
    }
}

struct Walk<'m> {
    cipher: &'m Cipher,
    rule: &'m Rule,
    only_encrypted: bool,
    counted: Context,
    /// The keys to the present place, each with a colon after it. Items of lists have no step of their own.
    path: String,
}

// === impl Walk ===

impl Walk<'_> {
    fn entries(&mut self, entries: &mut Entries, place: Place) -> Result<(), Problem> {
        for (key, value) in entries {
            let outside = self.path.len();
            self.path.push_str(key);
            self.path.push(':');
            if !self.value(value, self.rule.below(place, key))? {
                return Err(Problem::Type { path: self.shown() });
            }
            self.path.truncate(outside);
        }
        Ok(())
    }

    /// Decrypts one value; false if it turned out to be a comment.
    fn value(&mut self, value: &mut Value, place: Place) -> Result<bool, Problem> {
        let encrypted = match value {
            Value::Null => return Ok(true),
            Value::Map(entries) => return self.entries(entries, place).map(|()| true),
            Value::List(items) => return self.list(items, place).map(|()| true),
            // An empty text is left as it is.
            Value::Text(text) => match place {
                Place::Encrypted => !text.is_empty(),
                Place::ByLooks => looks_encrypted(text),
                Place::Plain => false,
            },
            Value::Bool(_) | Value::Int(_) | Value::Float(_) if place == Place::Encrypted => {
                return Err(Problem::NotEncrypted { path: self.shown() });
            }
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
        };
        if encrypted && let Value::Text(text) = value {
            let opened = Encrypted::parse(text).and_then(|encrypted| self.cipher.open(encrypted, &self.path));
            match opened.map_err(|fault| self.problem(&fault))? {
                Some(plain) => *value = plain,
                None => return Ok(false),
            }
        }
        if encrypted || !self.only_encrypted {
            self.counted.update(&value.counted());
        }
        Ok(true)
    }

    /// SOPS makes an encrypted comment between two items an item: it goes.
    fn list(&mut self, items: &mut Vec<Value>, place: Place) -> Result<(), Problem> {
        let mut kept = Vec::with_capacity(items.len());
        for mut item in items.drain(..) {
            if self.value(&mut item, place)? {
                kept.push(item);
            }
        }
        *items = kept;
        Ok(())
    }

    fn problem(&self, fault: &Fault) -> Problem {
        let path = self.shown();
        match fault {
            Fault::NotEncrypted => Problem::NotEncrypted { path },
            Fault::UnknownCipher => Problem::UnknownCipher { path },
            Fault::Damaged => Problem::Damaged { path },
            Fault::Type => Problem::Type { path },
        }
    }

    /// The path for people.
    fn shown(&self) -> String {
        self.path.trim_end_matches(':').replace(':', ".")
    }
}

/// In capitals, as SOPS writes it.
fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |four: u8| char::from(DIGITS[usize::from(four)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
