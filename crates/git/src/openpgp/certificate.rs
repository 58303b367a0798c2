//! A key of the keyring as people export it: the primary key, its names and subkeys, and what its owner says of each.
//!
//! Invariant: nothing but the primary key itself is taken for granted. Names, subkeys, flags, expiries and revocations count where
//! the primary key signed them, with a hash that holds; a revocation that cannot be checked counts as well. A subkey signs only if
//! it agreed itself to belong to the key. Entry point: [`Certificate::read`].

use super::key::{PublicKey, Refused};
use super::packet::{Packet, packets};
use super::signature::Signature;
use crate::remote::one_line;

const SIGNATURE: u8 = 2;
const SECRET_KEY: u8 = 5;
const PUBLIC_KEY: u8 = 6;
const SECRET_SUBKEY: u8 = 7;
const NAME: u8 = 13;
const PUBLIC_SUBKEY: u8 = 14;
const PICTURE: u8 = 17;

/// Kinds of signatures.
const CERTIFICATIONS: std::ops::RangeInclusive<u8> = 0x10..=0x13;
const SUBKEY_BINDING: u8 = 0x18;
const AGREEMENT: u8 = 0x19;
const DIRECT: u8 = 0x1f;
const KEY_REVOCATION: u8 = 0x20;
const SUBKEY_REVOCATION: u8 = 0x28;
const NAME_REVOCATION: u8 = 0x30;

/// A primary key with its subkeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(super) primary: Member,
    pub(super) subkeys: Vec<Member>,
    /// The name that its owner gave it, shortened; may be empty.
    pub(super) name: String,
}

/// A key, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) key: PublicKey,
    /// In seconds since 1970; none: never.
    pub(super) expires: Option<i64>,
    /// Why it was revoked.
    pub(super) revoked: Option<String>,
    /// Why what it signs does not count.
    pub(super) unusable: Option<String>,
}

/// A key, name or subkey, with the signatures that follow it.
struct Part<'a> {
    packet: Packet<'a>,
    signatures: Vec<Signature>,
}

impl Certificate {
    /// Reads the certificates in OpenPGP data.
    pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Self>, String> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        for packet in packets(bytes)? {
            match packet.tag {
                SECRET_KEY | SECRET_SUBKEY => {
                    return Err(
                        "it is a PRIVATE key, which nobody else may have: store the public one (gpg --export --armor)"
                            .to_owned(),
                    );
                }
                SIGNATURE => {
                    // One that we cannot read is by somebody else, or of a kind that says nothing here.
                    if let (Some(part), Ok(signature)) = (parts.last_mut(), Signature::parse(packet.body)) {
                        part.signatures.push(signature);
                    }
                }
                PUBLIC_KEY | PUBLIC_SUBKEY | NAME | PICTURE => parts.push(Part { packet, signatures: Vec::new() }),
                _ => {}
            }
        }
        let mut rest = parts.as_slice();
        let mut certificates = Vec::new();
        while let Some((first, others)) = rest.split_first() {
            if first.packet.tag != PUBLIC_KEY {
                return Err("it does not begin with a public key".to_owned());
            }
            let end = others.iter().position(|part| part.packet.tag == PUBLIC_KEY).unwrap_or(others.len());
            let (own, next) = others.split_at(end);
            certificates.push(Self::assemble(first, own)?);
            rest = next;
        }
        Ok(certificates)
    }

    /// The last 16 digits of the primary key's fingerprint.
    pub(crate) fn id(&self) -> String {
        self.primary.key.id()
    }

    fn assemble(first: &Part<'_>, parts: &[Part<'_>]) -> Result<Self, String> {
        let key = PublicKey::parse(first.packet.body)?;
        let mut owner = Owner { key: &key, refused: None };
        let revoked = owner.revoked(&first.signatures, KEY_REVOCATION, &[]);
        let direct = owner.newest(&first.signatures, |kind| kind == DIRECT, &[]);
        let mut certified: Option<&Signature> = None;
        let mut name = String::new();
        for part in parts.iter().filter(|part| matches!(part.packet.tag, NAME | PICTURE)) {
            let about = named(&part.packet);
            let own = owner.newest(&part.signatures, |kind| CERTIFICATIONS.contains(&kind), &about);
            let taken_back = owner.revoked(&part.signatures, NAME_REVOCATION, &about).is_some();
            let Some(own) = own.filter(|_| !taken_back) else { continue };
            if certified.is_none_or(|other| other.said.created < own.said.created) {
                certified = Some(own);
            }
            if name.is_empty() && part.packet.tag == NAME {
                name = one_line(&String::from_utf8_lossy(part.packet.body));
            }
        }
        let own: Vec<&Signature> = [direct, certified].into_iter().flatten().collect();
        let unusable = if own.is_empty() {
            let why = owner.refused.map(|why| format!(" ({why})")).unwrap_or_default();
            Some(format!(
                "its owner's own signature on it is missing or does not count{why}: export it again, or let its owner renew it"
            ))
        } else {
            may_not_sign(&key, own.iter().filter_map(|signature| signature.said.signs))
        };
        let expires = expiry(&key, &own);
        let subkeys = parts.iter().filter(|part| part.packet.tag == PUBLIC_SUBKEY);
        let subkeys = subkeys.filter_map(|part| subkey(&key, part)).collect();
        Ok(Self { primary: Member { key, expires, revoked, unusable }, subkeys, name })
    }
}

/// A subkey, or nothing if it cannot be read or its key does not know it.
fn subkey(primary: &PublicKey, part: &Part<'_>) -> Option<Member> {
    let key = PublicKey::parse(part.packet.body).ok()?;
    let about = key.hashed();
    let mut owner = Owner { key: primary, refused: None };
    let revoked = owner.revoked(&part.signatures, SUBKEY_REVOCATION, &about);
    let Some(binding) = owner.newest(&part.signatures, |kind| kind == SUBKEY_BINDING, &about) else {
        // Of a stranger's subkey nothing is said; of one with a weak binding, why it does not count.
        let unusable = Some(owner.refused?);
        return Some(Member { key, expires: None, revoked, unusable });
    };
    let both = [primary.hashed(), about].concat();
    let agreed = binding
        .embedded
        .as_ref()
        .is_some_and(|agreement| agreement.kind == AGREEMENT && key.check(agreement, &both).is_ok());
    let unusable = match binding.said.signs {
        Some(true) if agreed => may_not_sign(&key, [true]),
        Some(true) => Some("the subkey never agreed to belong to the key".to_owned()),
        _ => may_not_sign(&key, [false]),
    };
    Some(Member { expires: expiry(&key, &[binding]), key, revoked, unusable })
}

/// Why a key may not sign data, if it may not, given what its signatures say.
fn may_not_sign(key: &PublicKey, said: impl IntoIterator<Item = bool>) -> Option<String> {
    if !key.signs() {
        // Its own check says which kind it is.
        return None;
    }
    said.into_iter().any(|signs| !signs).then(|| "it is not a key for signing data".to_owned())
}

/// When a key ends to count: the earliest that any of its newest signatures says.
fn expiry(key: &PublicKey, own: &[&Signature]) -> Option<i64> {
    let of_key = own.iter().filter_map(|signature| Some(key.created.saturating_add(signature.said.key_lasts?)));
    of_key.chain(own.iter().filter_map(|signature| signature.ends())).min()
}

/// A name as signatures about it hash it.
fn named(packet: &Packet<'_>) -> Vec<u8> {
    let mut about = vec![if packet.tag == NAME { 0xb4 } else { 0xd1 }];
    about.extend(u32::try_from(packet.body.len()).unwrap_or(u32::MAX).to_be_bytes());
    about.extend(packet.body);
    about
}

/// The owner of a primary key, as far as signatures are theirs.
struct Owner<'a> {
    key: &'a PublicKey,
    /// Why a signature that is theirs by its own words does not count.
    refused: Option<String>,
}

impl Owner<'_> {
    /// The newest of their signatures of these kinds about something.
    fn newest<'s>(&mut self, all: &'s [Signature], of: impl Fn(u8) -> bool, about: &[u8]) -> Option<&'s Signature> {
        let theirs = all.iter().filter(|signature| of(signature.kind) && self.is_named_by(signature));
        let mut theirs: Vec<&Signature> = theirs.filter(|signature| signature.said.created.is_some()).collect();
        theirs.sort_by_key(|signature| std::cmp::Reverse(signature.said.created));
        theirs.into_iter().find(|signature| match self.check(signature, about) {
            Ok(()) => true,
            Err(Refused::Mismatch) => false,
            Err(Refused::Unsupported(why)) => {
                self.refused.get_or_insert(why);
                false
            }
        })
    }

    /// Why they revoked it, if they did.
    fn revoked(&self, all: &[Signature], kind: u8, about: &[u8]) -> Option<String> {
        let theirs = all.iter().filter(|signature| signature.kind == kind && self.is_named_by(signature));
        let mut counting = theirs.filter(|signature| self.check(signature, about) != Err(Refused::Mismatch));
        counting
            .next()
            .map(|signature| signature.said.reason.clone().unwrap_or_else(|| "no reason is given".to_owned()))
    }

    fn is_named_by(&self, signature: &Signature) -> bool {
        signature.may_be_by(&self.key.fingerprint)
    }

    fn check(&self, signature: &Signature, about: &[u8]) -> Result<(), Refused> {
        self.key.check(signature, &[&self.key.hashed(), about].concat())
    }
}
