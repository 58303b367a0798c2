//! How SOPS writes one encrypted value: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:str]`.
//!
//! Keeps the data key of one file. Entry points: [`Encrypted::parse`] and [`Cipher::open`]. The initialisation vectors of SOPS have 32
//! bytes, which aws-lc-rs does not take: this one cipher is that of the `aes-gcm` crate.

use aes_gcm::aead::array::Array;
use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::value::Value;

/// How long a data key is, in bytes.
const KEY_BYTES: usize = 32;
const KNOWN: &str = "AES256_GCM,";

/// One encrypted value, read.
pub(crate) struct Encrypted {
    data: Zeroizing<Vec<u8>>,
    vector: [u8; 32],
    tag: [u8; 16],
    kind: Kind,
}

/// What the value is once it is decrypted.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Int,
    Float,
    Bool,
    Comment,
}

/// Why a value cannot be had.
#[derive(Debug, PartialEq)]
pub(crate) enum Fault {
    /// It does not look encrypted.
    NotEncrypted,
    UnknownCipher,
    Damaged,
    Type,
}

/// The data key of a file, ready for use.
pub(crate) struct Cipher(AesGcm<Aes256, U32>);

/// Whether a text looks like an encrypted value.
pub(crate) fn looks_encrypted(text: &[u8]) -> bool {
    text.starts_with(b"ENC[") && text.ends_with(b"]")
}

// === impl Encrypted ===

impl Encrypted {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Fault> {
        if !looks_encrypted(text) {
            return Err(Fault::NotEncrypted);
        }
        let text = std::str::from_utf8(&text[4..text.len() - 1]).map_err(|_| Fault::Damaged)?;
        let rest = text.strip_prefix(KNOWN).ok_or(Fault::UnknownCipher)?;
        let parts = || {
            let (data, rest) = rest.strip_prefix("data:")?.split_once(",iv:")?;
            let (vector, rest) = rest.split_once(",tag:")?;
            let (tag, kind) = rest.split_once(",type:")?;
            let decode = |text: &str| STANDARD.decode(text).ok();
            Some((decode(data)?, decode(vector)?.try_into().ok()?, decode(tag)?.try_into().ok()?, kind))
        };
        let (data, vector, tag, kind) = parts().ok_or(Fault::Damaged)?;
        let kind = match kind {
            // A time was text before, and is text to Kubernetes.
            "str" | "bytes" | "time" => Kind::Text,
            "int" => Kind::Int,
            "float" => Kind::Float,
            "bool" => Kind::Bool,
            "comment" => Kind::Comment,
            _ => return Err(Fault::Type),
        };
        Ok(Self { data: Zeroizing::new(data), vector, tag, kind })
    }
}

// === impl Cipher ===

impl Cipher {
    /// None if the key has another length.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        if key.len() == KEY_BYTES { AesGcm::new_from_slice(key).ok().map(Self) } else { None }
    }

    /// Decrypts a value; none if it was a comment. The path keeps it from being moved: it is authenticated, too.
    pub(crate) fn open(&self, encrypted: Encrypted, path: &str) -> Result<Option<Value>, Fault> {
        let Encrypted { mut data, vector, tag, kind } = encrypted;
        let tag: Tag = Array(tag);
        self.0
            .decrypt_inout_detached(&Array(vector), path.as_bytes(), data.as_mut_slice().into(), &tag)
            .map_err(|_| Fault::Damaged)?;
        if kind == Kind::Text {
            return Ok(Some(Value::Text(data)));
        }
        let text = std::str::from_utf8(&data).map_err(|_| Fault::Type)?;
        Ok(Some(match kind {
            Kind::Comment => return Ok(None),
            Kind::Int => Value::Int(text.parse().map_err(|_| Fault::Type)?),
            Kind::Float => {
                let value: f64 = text.parse().map_err(|_| Fault::Type)?;
                if !value.is_finite() {
                    return Err(Fault::Type);
                }
                Value::Float(value)
            }
            Kind::Bool => match text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Value::Bool(true),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Value::Bool(false),
                _ => return Err(Fault::Type),
            },
            Kind::Text => Value::Text(data),
        }))
    }
}
