//! Certificates for servers and clients of the test bed, from authorities that nobody else knows.

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::date_time_ymd;

use crate::Error;
use crate::Result;

/// An authority that signs certificates. Its own certificate is valid for ever.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its private key, both in PEM.
#[derive(Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Authority {
    /// A new authority of this name.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new()).map_err(|error| failed(&error))?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        CertifiedIssuer::self_signed(params, key).map(Self).map_err(|error| failed(&error))
    }

    /// Its certificate in PEM: what those must have who trust it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for host names and addresses; for a client its names say nothing.
    pub fn certify(&self, names: &[&str]) -> Result<Certified> {
        self.sign(names, 4000)
    }

    /// A certificate that was valid once.
    pub fn certify_expired(&self, names: &[&str]) -> Result<Certified> {
        self.sign(names, 2001)
    }

    fn sign(&self, names: &[&str], last_year: i32) -> Result<Certified> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).map_err(|error| failed(&error))?;
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let certificate = params.signed_by(&key, &self.0).map_err(|error| failed(&error))?;
        Ok(Certified { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn failed(error: &rcgen::Error) -> Error {
    Error::Certificate(error.to_string())
}
