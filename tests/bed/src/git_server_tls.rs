//! TLS in front of a git server.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::Listener;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::Certified;
use crate::Error;
use crate::Result;

/// Connections whose handshake is done and that nobody has taken yet.
const WAITING: usize = 16;

/// Hands out connections whose handshake is done. One that never ends keeps nobody else waiting.
pub(crate) struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    task: JoinHandle<()>,
}

impl TlsListener {
    /// Listens with a certificate. Where an authority for clients is named (PEM), only they get in.
    pub(crate) fn new(listener: TcpListener, own: &Certified, clients: Option<&str>) -> Result<Self> {
        let address = listener.local_addr().map_err(Error::Socket)?;
        let acceptor = TlsAcceptor::from(Arc::new(config(own, clients)?));
        let (done, ready) = mpsc::channel(WAITING);
        let task = tokio::spawn(async move {
            while let Ok((stream, from)) = listener.accept().await {
                let (acceptor, done) = (acceptor.clone(), done.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = done.send((stream, from)).await;
                    }
                });
            }
        });
        Ok(Self { address, ready, task })
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // Nothing comes any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

fn config(own: &Certified, clients: Option<&str>) -> Result<ServerConfig> {
    let failed = |error: &dyn std::fmt::Display| Error::Certificate(error.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = certificates(&own.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).map_err(|e| failed(&e))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(&e))?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(authority)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|e| failed(&e))?)
        }
    };
    builder.with_single_cert(chain, key).map_err(|e| failed(&e))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| Error::Certificate(error.to_string()))
}
