//! OpenPGP (RFC 4880 and 9580) as far as commits and tags are signed with it: one detached signature of version 4 over a document.
//!
//! Our own reader, on aws-lc (ADR 8). Nothing is decrypted, decompressed or written. Refused, each with its reason: MD5 and SHA-1,
//! RSA below 2048 bits, DSA, versions 3, 5 and 6, several signatures in one. Entry points: [`Certificate::read`] and [`verify`].

mod certificate;
mod key;
mod packet;
mod signature;

use jiff::Timestamp;

pub(crate) use certificate::Certificate;
use certificate::Member;
use key::Refused;
use packet::packets;
use signature::Signature;

use crate::armor;
use crate::verdict::{Signer, Verdict};

/// What a signature block is called.
const KIND: &str = "PGP SIGNATURE";
/// The packet of a signature.
const SIGNATURE: u8 = 2;
/// A signature over a document as it is.
const DOCUMENT: u8 = 0x00;

/// Who signed a document, and whether that counts at a time.
pub(crate) fn verify(document: &[u8], armored: &str, keyring: &[Certificate], now: Timestamp) -> Verdict {
    let signature = match read(armored) {
        Ok(signature) => signature,
        Err(reason) => return Verdict::Bad { key: None, reason },
    };
    let id = signature.said.issuer.as_ref().map(|fingerprint| key::hex(fingerprint));
    let id = id.or_else(|| signature.issuers.first().cloned()).unwrap_or_else(|| "without a name".to_owned());
    let mut refused = None;
    for (certificate, member) in members(keyring) {
        if signature.issuers.is_empty() || !signature.may_be_by(&member.key.fingerprint) {
            continue;
        }
        match member.key.check(&signature, document) {
            Ok(()) => return standing(certificate, member, &signature, now),
            Err(why) => refused = Some((member.key.id(), why)),
        }
    }
    match refused {
        None => Verdict::UnknownKey { id },
        Some((key, Refused::Unsupported(reason))) => Verdict::Bad { key: Some(key), reason },
        Some((key, Refused::Mismatch)) => {
            let reason = "it does not fit what is signed, which was changed, or was signed by another key".to_owned();
            Verdict::Bad { key: Some(key), reason }
        }
    }
}

fn read(armored: &str) -> Result<Signature, String> {
    let blocks = armor::blocks(armored, KIND)?;
    let [block] = blocks.as_slice() else { return Err("there is more than one signature".to_owned()) };
    let packets = packets(block)?;
    let [packet] = packets.as_slice() else { return Err("there is more than one signature, or none".to_owned()) };
    if packet.tag != SIGNATURE {
        return Err("it is something else than a signature".to_owned());
    }
    let signature = Signature::parse(packet.body)?;
    if signature.kind != DOCUMENT {
        return Err("it is about something else than a document".to_owned());
    }
    Ok(signature)
}

fn members(keyring: &[Certificate]) -> impl Iterator<Item = (&Certificate, &Member)> {
    keyring.iter().flat_map(|certificate| {
        std::iter::once(&certificate.primary).chain(&certificate.subkeys).map(move |member| (certificate, member))
    })
}

/// What a signature is worth that is by a key of the keyring.
fn standing(certificate: &Certificate, member: &Member, signature: &Signature, now: Timestamp) -> Verdict {
    let signer = Signer {
        key: member.key.id(),
        primary: certificate.primary.key.fingerprint_text(),
        name: certificate.name.clone(),
    };
    let keys = [&certificate.primary, member];
    if let Some(reason) = keys.iter().find_map(|member| member.revoked.clone()) {
        return Verdict::Revoked { signer, reason };
    }
    let bad = |reason: &str| Verdict::Bad { key: Some(member.key.id()), reason: reason.to_owned() };
    // The primary key may be for other things than data if a subkey signs.
    if let Some(reason) = &member.unusable {
        return bad(reason);
    }
    let Some(made) = signature.said.created else { return bad("it does not say when it was made") };
    if keys.iter().any(|member| made < member.key.created) {
        return bad("it says that it was made before its key was");
    }
    let now = now.as_second();
    let over = |end: Option<i64>| end.filter(|&end| end <= now);
    if let Some(end) = keys.iter().find_map(|member| over(member.expires)) {
        return Verdict::Expired { signer, reason: format!("which expired on {}", day(end)) };
    }
    if let Some(end) = over(signature.ends()) {
        return Verdict::Expired { signer, reason: format!("but was valid until {} only", day(end)) };
    }
    Verdict::Good(signer)
}

/// The day of a time, for people.
fn day(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map_or_else(|_| "a day long ago".to_owned(), |time| time.strftime("%Y-%m-%d").to_string())
}
