//! Opens what age encrypted: as much of the format as a data key takes.
//!
//! A header says for whom the file key is wrapped; a short payload follows under that key. Invariant: nothing is opened whose
//! header was changed. Entry point: [`open`].

mod header;
mod identity;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use header::Header;
pub(crate) use identity::{Identity, IdentityError};

/// The longest envelope that is read, in bytes: one for 100 recipients has 20 KiB.
const ENVELOPE_BYTES_MAX: usize = 64 << 10;
/// How long the random part before a payload is, in bytes.
const PAYLOAD_NONCE_BYTES: usize = 16;
const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";

/// A key of the length that every step here uses.
type Key = Zeroizing<[u8; 32]>;

/// Why an envelope was not opened.
#[derive(Debug, PartialEq)]
pub(crate) enum AgeError {
    /// It is not for any of these keys.
    NoKeyFits,
    /// It is not whole, or was changed.
    Damaged(&'static str),
}

/// Opens an envelope in age's armour with the first key that fits.
pub(crate) fn open(armoured: &str, identities: &[Identity]) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let bytes = unarmour(armoured).ok_or(AgeError::Damaged("it is not in age's armour"))?;
    let header = Header::read(&bytes).ok_or(AgeError::Damaged("its header is malformed"))?;
    let mut file_key = None;
    for stanza in &header.stanzas {
        for identity in identities {
            if file_key.is_none() {
                file_key = identity.unwrap(stanza);
            }
        }
    }
    let file_key = file_key.ok_or(AgeError::NoKeyFits)?;
    let changed = AgeError::Damaged("its header was changed");
    let header_key = derive(&[], &file_key, b"header").ok_or(AgeError::Damaged("its file key cannot be used"))?;
    let header_key = hmac::Key::new(hmac::HMAC_SHA256, header_key.as_slice());
    hmac::verify(&header_key, header.covered, &header.code).map_err(|_| changed)?;
    payload(&file_key, header.payload).ok_or(AgeError::Damaged("its payload was changed or cut off"))
}

/// The payload: one last piece, since a data key is much shorter than a piece.
fn payload(file_key: &[u8], bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    /// Eleven bytes count the pieces, one tells the last.
    const FIRST_AND_LAST: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let (nonce, sealed) = bytes.split_at_checked(PAYLOAD_NONCE_BYTES)?;
    let key = derive(nonce, file_key, b"payload")?;
    unseal(&key, FIRST_AND_LAST, sealed)
}

/// Decrypts with ChaCha20-Poly1305.
fn unseal(key: &[u8; 32], nonce: [u8; 12], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?);
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let length = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// HKDF with SHA-256.
fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> Option<Key> {
    struct Length;
    impl KeyType for Length {
        fn len(&self) -> usize {
            32
        }
    }
    let mut key = Key::default();
    let info = [info];
    let random = Salt::new(HKDF_SHA256, salt).extract(secret);
    random.expand(&info, Length).ok()?.fill(&mut *key).ok()?;
    Some(key)
}

fn unarmour(text: &str) -> Option<Vec<u8>> {
    if text.len() > ENVELOPE_BYTES_MAX {
        return None;
    }
    let inner = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let symbols: Vec<u8> = inner.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(symbols).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What the real age sealed: recorded by `tools/oracles/sops`.
    fn envelopes() -> Vec<BTreeMap<String, String>> {
        serde_json::from_str(include_str!("../tests/data/envelopes.json")).unwrap()
    }

    /// The secret keys and the public ones.
    fn keys() -> BTreeMap<String, BTreeMap<String, String>> {
        serde_json::from_str(include_str!("../tests/data/keys.json")).unwrap()
    }

    fn identity(name: &str) -> Identity {
        let keys = keys();
        let secret = &keys["secret"][name];
        if name.starts_with("ssh-") {
            Identity::from_openssh(secret.trim()).unwrap()
        } else {
            Identity::from_age(secret.lines().last().unwrap()).unwrap()
        }
    }

    #[test]
    fn what_age_seals_is_opened_by_those_for_whom_it_is() {
        let envelopes = envelopes();
        for envelope in &envelopes {
            for name in ["one", "two", "three", "ssh-ed25519", "ssh-rsa"] {
                let opened = open(&envelope["sealed"], &[identity(name)]);
                if envelope["for"].split(' ').any(|recipient| recipient == name) {
                    assert_eq!(*opened.unwrap(), [b'k'; 32], "{name} of {}", envelope["for"]);
                } else {
                    assert_eq!(opened.unwrap_err(), AgeError::NoKeyFits, "{name} of {}", envelope["for"]);
                }
            }
        }
        assert!(envelopes.len() > 5);
    }

    #[test]
    fn public_halves_are_those_that_age_tells() {
        let keys = keys();
        for name in ["one", "two", "ssh-ed25519", "ssh-rsa"] {
            assert_eq!(identity(name).recipient(), keys["public"][name], "{name}");
        }
    }

    #[test]
    fn what_is_no_envelope_is_damaged() {
        for text in ["", "x", BEGIN, &format!("{BEGIN}\n{END}"), &format!("{BEGIN}\nYWdl\n{END}"), &"x".repeat(1 << 17)]
        {
            assert!(matches!(open(text, &[]), Err(AgeError::Damaged(_))), "{text:.40}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// No byte of an envelope for one key can be changed.
        #[test]
        fn nothing_in_an_envelope_can_be_changed(at in any::<prop::sample::Index>(), with in 1_u8..) {
            let envelopes = envelopes();
            let envelope = envelopes.iter().find(|envelope| envelope["for"] == "one").unwrap();
            let mut bytes = unarmour(&envelope["sealed"]).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= with;
            let changed = format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(bytes));
            prop_assert!(open(&changed, &[identity("one")]).is_err());
        }
    }
}
