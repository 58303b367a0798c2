//! A signature packet of OpenPGP, version 4.
//!
//! Invariant: what a signature says of itself counts only where it is signed along; of the rest only who may have made it, and
//! a signature within it, which is checked itself. Entry point: [`Signature::parse`].

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};

use super::key::hex;
use super::packet::Reader;

/// What may be done with a key: sign data.
const FLAG_SIGNS: u8 = 0x02;

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    /// What it is about: a document, a name, a subkey, a revocation.
    pub(super) kind: u8,
    pub(super) algorithm: u8,
    hash: u8,
    /// The beginning of the packet, which is signed along.
    hashed: Vec<u8>,
    /// The numbers of the signature itself.
    pub(super) values: Vec<u8>,
    pub(super) said: Said,
    /// The ids of the keys that may have made it, in 16 digits.
    pub(super) issuers: Vec<String>,
    /// A subkey's own agreement to belong to a key.
    pub(super) embedded: Option<Box<Self>>,
}

/// What a signature says of itself, signed along.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// In seconds since 1970.
    pub(super) created: Option<i64>,
    /// Seconds after which the signature is void; none: never.
    pub(super) lasts: Option<i64>,
    /// Seconds after its making at which the key expires; none: never.
    pub(super) key_lasts: Option<i64>,
    /// Whether the key may sign data, where that is said.
    pub(super) signs: Option<bool>,
    /// The whole fingerprint of the key that made it.
    pub(super) issuer: Option<Vec<u8>>,
    /// Why a key is revoked.
    pub(super) reason: Option<String>,
}

/// The hashes that signatures may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(super) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }
}

impl Signature {
    /// Reads the body of a signature packet.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        Self::parse_at(body, true)
    }

    fn parse_at(body: &[u8], outermost: bool) -> Result<Self, String> {
        let mut reader = Reader(body);
        let version = reader.byte()?;
        if version != 4 {
            return Err(format!(
                "signatures of version {version} are not supported: only version 4, as GnuPG makes them"
            ));
        }
        let (kind, algorithm, hash) = (reader.byte()?, reader.byte()?, reader.byte()?);
        let length = usize::from(reader.u16()?);
        let signed_along = reader.take(length)?;
        // Version, kind, two algorithms and the length are before it.
        let hashed = body.get(..6 + length).unwrap_or_default().to_owned();
        let length = usize::from(reader.u16()?);
        let beside = reader.take(length)?;
        let _first_bytes_of_hash = reader.u16()?;
        let values = reader.rest().to_owned();
        let (said, issuers, embedded) = (Said::default(), Vec::new(), None);
        let mut signature = Self { kind, algorithm, hash, hashed, values, said, issuers, embedded };
        signature.read(signed_along, true, outermost)?;
        signature.read(beside, false, outermost)?;
        Ok(signature)
    }

    fn read(&mut self, bytes: &[u8], signed: bool, outermost: bool) -> Result<(), String> {
        let mut reader = Reader(bytes);
        while !reader.is_empty() {
            let length = reader.subpacket_length()?;
            let mut data = Reader(reader.take(length)?);
            let kind = data.byte()?;
            let (critical, kind) = (kind & 0x80 != 0, kind & 0x7f);
            match (kind, signed) {
                (2, true) => self.said.created = Some(i64::from(data.u32()?)),
                (3, true) => self.said.lasts = Some(i64::from(data.u32()?)).filter(|&seconds| seconds != 0),
                (9, true) => self.said.key_lasts = Some(i64::from(data.u32()?)).filter(|&seconds| seconds != 0),
                (16, _) => self.issuers.push(hex(data.take(8)?)),
                (27, true) => self.said.signs = Some(data.rest().first().is_some_and(|flags| flags & FLAG_SIGNS != 0)),
                (29, true) => {
                    let words = match data.byte()? {
                        1 => "it was replaced by another",
                        2 => "it was compromised",
                        3 => "it is no longer used",
                        _ => "no reason is given",
                    };
                    self.said.reason = Some(words.to_owned());
                }
                (32, _) if outermost => self.embedded = Self::parse_at(data.rest(), false).ok().map(Box::new),
                (33, _) => {
                    let version = data.byte()?;
                    let fingerprint = data.rest();
                    if version == 4 && fingerprint.len() == 20 {
                        self.issuers.push(hex(&fingerprint[12..]));
                        if signed {
                            self.said.issuer = Some(fingerprint.to_owned());
                        }
                    }
                }
                // Known, and of no matter here: whether it may be exported or revoked, preferences, the primary name, features,
                // the user's name, what it is about, whom it is for.
                (4 | 7 | 11 | 21..=28 | 30..=32 | 34 | 35 | 39, _) => {}
                (_, true) if critical => {
                    return Err(format!(
                        "the signature says something of the kind {kind} that must be understood, and is not"
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The hash that is signed, if it is one that cannot be forged.
    pub(super) fn hash(&self) -> Result<Hash, String> {
        let weak = |name: &str| Err(format!("its hash is {name}, which is not accepted: sign with SHA-256 or better"));
        match self.hash {
            8 => Ok(Hash::Sha256),
            9 => Ok(Hash::Sha384),
            10 => Ok(Hash::Sha512),
            1 => weak("MD5"),
            2 => weak("SHA-1"),
            3 => weak("RIPEMD-160"),
            11 => weak("SHA-224"),
            other => weak(&format!("of the kind {other}")),
        }
    }

    /// What is signed behind the data: the signature's own words, and how long they are.
    pub(super) fn trailer(&self) -> Vec<u8> {
        let mut trailer = self.hashed.clone();
        trailer.extend([0x04, 0xff]);
        // At most 6 and 65,535 bytes.
        trailer.extend(u32::try_from(self.hashed.len()).unwrap_or(u32::MAX).to_be_bytes());
        trailer
    }

    /// When it ends to count, if ever.
    pub(super) fn ends(&self) -> Option<i64> {
        Some(self.said.created?.saturating_add(self.said.lasts?))
    }

    /// Whether the key with this fingerprint may have made it.
    pub(super) fn may_be_by(&self, fingerprint: &[u8; 20]) -> bool {
        let named = self.issuers.is_empty() || self.issuers.contains(&hex(&fingerprint[12..]));
        named && self.said.issuer.as_ref().is_none_or(|issuer| issuer == fingerprint)
    }
}
