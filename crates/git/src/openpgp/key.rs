//! A public key of OpenPGP, version 4: its fingerprint, and whether a signature is by it.
//!
//! RSA, ECDSA on NIST's curves, and Ed25519, checked by aws-lc. Entry points: [`PublicKey::parse`] and [`PublicKey::check`].

use std::fmt::Write as _;

use aws_lc_rs::digest::{self, Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use super::packet::{Reader, padded};
use super::signature::{Hash, Signature};

/// Fewer bits than this are no longer out of reach.
const RSA_BITS_MIN: usize = 2048;
/// Bytes of an Ed25519 key; a signature has two such numbers.
const ED25519_BYTES: usize = 32;
const OID_ED25519: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];

/// Algorithms, by their numbers in keys and signatures.
const RSA: u8 = 1;
const RSA_SIGN_ONLY: u8 = 3;
const ECDSA: u8 = 19;
const EDDSA_LEGACY: u8 = 22;
const ED25519_PLAIN: u8 = 27;

/// A key that may have signed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    body: Vec<u8>,
    /// In seconds since 1970.
    pub(super) created: i64,
    material: Material,
    pub(super) fingerprint: [u8; 20],
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Ecdsa {
        curve: Curve,
        point: Vec<u8>,
    },
    Ed25519 {
        point: Vec<u8>,
    },
    /// What we cannot check, in words.
    Other(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not by this key over these bytes.
    Mismatch,
    /// It cannot be checked: its algorithm is weak, or unknown to us.
    Unsupported(String),
}

impl PublicKey {
    /// Reads the body of a key or subkey packet.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let mut reader = Reader(body);
        let version = reader.byte()?;
        if version != 4 {
            return Err(format!(
                "keys of version {version} are not supported: use one of version 4, as GnuPG makes it"
            ));
        }
        let created = i64::from(reader.u32()?);
        let material = match reader.byte()? {
            RSA | RSA_SIGN_ONLY => rsa(reader)?,
            ECDSA => ecdsa(reader)?,
            EDDSA_LEGACY => eddsa(reader)?,
            ED25519_PLAIN => Material::Ed25519 { point: reader.take(ED25519_BYTES)?.to_owned() },
            17 => Material::Other("DSA keys are".to_owned()),
            other => Material::Other(format!("keys with algorithm {other} are")),
        };
        let mut key = Self { body: body.to_owned(), created, material, fingerprint: [0; 20] };
        // Which names a key by SHA-1, for good: a name, and no signature.
        let digest = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &key.hashed());
        key.fingerprint.copy_from_slice(digest.as_ref());
        Ok(key)
    }

    /// The last 16 digits of the fingerprint: what people and signatures call the key.
    pub(super) fn id(&self) -> String {
        self.fingerprint_text()[24..].to_owned()
    }

    pub(super) fn fingerprint_text(&self) -> String {
        hex(&self.fingerprint)
    }

    /// The key as signatures about it hash it.
    pub(super) fn hashed(&self) -> Vec<u8> {
        // A longer key cannot be named; none has been made, and no signature about it would fit.
        let length = u16::try_from(self.body.len()).unwrap_or(u16::MAX);
        let mut hashed = vec![0x99];
        hashed.extend(length.to_be_bytes());
        hashed.extend(&self.body);
        hashed
    }

    /// Whether the algorithm is one for signatures.
    pub(super) fn signs(&self) -> bool {
        !matches!(self.material, Material::Other(_))
    }

    /// Whether the signature is by this key over these bytes.
    pub(super) fn check(&self, signature: &Signature, signed: &[u8]) -> Result<(), Refused> {
        let hash = signature.hash().map_err(Refused::Unsupported)?;
        let mut message = signed.to_vec();
        message.extend(signature.trailer());
        let mut values = Reader(&signature.values);
        let mut number = || values.number().map_err(|_| Refused::Mismatch);
        let fits = match (&self.material, signature.algorithm) {
            (Material::Other(what), _) => {
                return Err(Refused::Unsupported(format!("{what} not supported: use RSA, ECDSA or Ed25519")));
            }
            (Material::Rsa { modulus, exponent }, RSA | RSA_SIGN_ONLY) => {
                let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
                if bits < RSA_BITS_MIN {
                    return Err(Refused::Unsupported(format!(
                        "its RSA key has {bits} bits: fewer than {RSA_BITS_MIN} are not accepted"
                    )));
                }
                let value = padded(number()?, modulus.len()).ok_or(Refused::Mismatch)?;
                let parameters = match hash {
                    Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                    Hash::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
                    Hash::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
                };
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, &message, &value).is_ok()
            }
            (Material::Ecdsa { curve, point }, ECDSA) => {
                let length = curve.number_bytes();
                let mut value = padded(number()?, length).ok_or(Refused::Mismatch)?;
                value.extend(padded(number()?, length).ok_or(Refused::Mismatch)?);
                curve.fits(point, digest::digest(hash.algorithm(), &message).as_ref(), &value)
            }
            (Material::Ed25519 { point }, EDDSA_LEGACY) => {
                let mut value = padded(number()?, ED25519_BYTES).ok_or(Refused::Mismatch)?;
                value.extend(padded(number()?, ED25519_BYTES).ok_or(Refused::Mismatch)?);
                ed25519_fits(point, hash, &message, &value)
            }
            (Material::Ed25519 { point }, ED25519_PLAIN) => ed25519_fits(point, hash, &message, &signature.values),
            _ => false,
        };
        if fits { Ok(()) } else { Err(Refused::Mismatch) }
    }
}

/// OpenPGP signs the hash of the message, as if that were the message.
fn ed25519_fits(point: &[u8], hash: Hash, message: &[u8], value: &[u8]) -> bool {
    let digest = digest::digest(hash.algorithm(), message);
    UnparsedPublicKey::new(&ED25519, point).verify(digest.as_ref(), value).is_ok()
}

fn rsa(mut reader: Reader<'_>) -> Result<Material, String> {
    let (modulus, exponent) = (reader.number()?.to_owned(), reader.number()?.to_owned());
    Ok(Material::Rsa { modulus, exponent })
}

fn ecdsa(mut reader: Reader<'_>) -> Result<Material, String> {
    let length = usize::from(reader.byte()?);
    let curve = match reader.take(length)? {
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07] => Curve::P256,
        [0x2b, 0x81, 0x04, 0x00, 0x22] => Curve::P384,
        [0x2b, 0x81, 0x04, 0x00, 0x23] => Curve::P521,
        _ => return Ok(Material::Other("ECDSA keys on other curves than NIST P-256, P-384 and P-521 are".to_owned())),
    };
    Ok(Material::Ecdsa { curve, point: reader.number()?.to_owned() })
}

fn eddsa(mut reader: Reader<'_>) -> Result<Material, String> {
    let length = usize::from(reader.byte()?);
    if reader.take(length)? != OID_ED25519 {
        return Ok(Material::Other("EdDSA keys on another curve than Ed25519 are".to_owned()));
    }
    match reader.number()? {
        // 0x40 says that the point is as Ed25519 itself writes it.
        [0x40, point @ ..] if point.len() == ED25519_BYTES => Ok(Material::Ed25519 { point: point.to_owned() }),
        _ => Err("its Ed25519 point is damaged".to_owned()),
    }
}

impl Curve {
    fn number_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// A longer hash goes with any curve: ECDSA takes as many bits of it, from the left, as the curve has.
    fn fits(self, point: &[u8], digest: &[u8], value: &[u8]) -> bool {
        let (verification, own): (&'static EcdsaVerificationAlgorithm, _) = match self {
            Self::P256 => (&ECDSA_P256_SHA256_FIXED, &SHA256),
            Self::P384 => (&ECDSA_P384_SHA384_FIXED, &SHA384),
            Self::P521 => (&ECDSA_P521_SHA512_FIXED, &SHA512),
        };
        let length = own.output_len();
        // A shorter hash would make forging easier than the curve does: nobody signs so (RFC 9580, section 5.2.3.2).
        let Some(digest) = digest.get(..length) else { return false };
        let Ok(digest) = Digest::import_less_safe(digest, own) else { return false };
        UnparsedPublicKey::new(verification, point).verify_digest(&digest, value).is_ok()
    }
}

/// Digits as OpenPGP writes them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A String takes everything.
        let _ = write!(text, "{byte:02X}");
        text
    })
}
