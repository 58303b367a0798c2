//! Signatures by RSA keys, made by aws-lc: what the SSH library does itself for these takes a time that depends on the key.
//!
//! Entry point: [`RsaSigner::new`].

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair};
use russh::SendError;
use russh::keys::agent::AgentIdentity;
use russh::keys::{HashAlg, PrivateKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

/// Bytes of a key in PEM that need no second buffer, which would stay behind: enough for 8192 bits.
const PEM_BYTES: usize = 16 * 1024;

/// A private key that signs.
pub(crate) struct RsaSigner(RsaKeyPair);

/// No signature was made, or nobody was left to take it.
#[derive(Debug)]
pub(crate) struct NotSigned;

impl RsaSigner {
    /// Takes over a key; `None` if it is no RSA key of 2048 bits or more.
    pub(crate) fn new(key: &PrivateKey) -> Option<Self> {
        let mut pem = Zeroizing::new(Vec::with_capacity(PEM_BYTES));
        russh::keys::encode_pkcs8_pem(key, &mut *pem).ok()?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).ok()?;
        RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok().map(Self)
    }
}

impl russh::Signer for RsaSigner {
    type Error = NotSigned;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut request: Vec<u8>,
    ) -> Result<Vec<u8>, NotSigned> {
        let (name, padding): (&str, &'static dyn RsaEncoding) = match hash {
            Some(HashAlg::Sha256) => ("rsa-sha2-256", &RSA_PKCS1_SHA256),
            Some(HashAlg::Sha512) => ("rsa-sha2-512", &RSA_PKCS1_SHA512),
            _ => return Err(NotSigned),
        };
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(padding, &SystemRandom::new(), &request, &mut signature).map_err(|_| NotSigned)?;
        // RFC 8332: behind the request, one string that holds the algorithm and the signature, each a string.
        let mut both = Vec::new();
        for part in [name.as_bytes(), &signature] {
            append(&mut both, part)?;
        }
        append(&mut request, &both)?;
        Ok(request)
    }
}

/// Appends a string as SSH writes it: its length, then its bytes.
fn append(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), NotSigned> {
    let length = u32::try_from(bytes.len()).map_err(|_| NotSigned)?;
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(bytes);
    Ok(())
}

impl From<SendError> for NotSigned {
    fn from(_: SendError) -> Self {
        Self
    }
}
