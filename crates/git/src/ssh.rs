//! The wire over SSH: `git-upload-pack` on the server, spoken to through one channel.
//!
//! Invariant: nothing is sent to a server before its host key is known to be its own. One connection carries any number of
//! commands, one after the other; one whose answer was not read to its end is given up. Entry point: [`Ssh::open`].

use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use russh::client::{self, Handle, Msg};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Preferred};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http_client::CONNECT_TIMEOUT;
use crate::known_hosts::{self, Judgement, KnownHosts};
use crate::protocol::{self, Answer, Capabilities, Wire};
use crate::remote::Remote;
use crate::ssh_key;
use crate::ssh_place::SshPlace;
use crate::ssh_rsa::RsaSigner;
use crate::store::lock;
use crate::{GitError, Limits};

/// How often a connection on which nothing is said is tried: some firewalls forget it after a minute.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How much of what the server's program says about its failure is kept, in bytes.
const COMPLAINT_MAX: usize = 4 * 1024;
/// What servers say of a repository that is not there, or not for us.
const NOT_FOUND: [&str; 4] = ["not found", "does not exist", "not appear to be a git repository", "no such repository"];

/// A repository on an SSH server.
pub(crate) struct Ssh<'a> {
    remote: &'a Remote,
    limits: Limits,
    /// The connection while no answer is being read from it.
    free: Free,
}

type Free = Arc<Mutex<Option<Session>>>;

/// A connection, with the program that answers.
struct Session {
    channel: Channel<Msg>,
    /// The connection ends with it.
    _handle: Handle<Visitor>,
}

/// An answer that is being read.
pub(crate) struct Heard<'a> {
    session: Session,
    free: Free,
    remote: &'a Remote,
    idle: Duration,
    /// What the program said beside its answer.
    complaint: Vec<u8>,
}

// === impl Ssh ===

impl<'a> Ssh<'a> {
    /// Connects, and hears what the server can do.
    pub(crate) async fn open(remote: &'a Remote, limits: &Limits) -> Result<(Self, Capabilities), GitError> {
        let wire = Self { remote, limits: *limits, free: Free::default() };
        let session = connect(remote, limits).await?;
        let capabilities = protocol::capabilities(wire.heard(session), remote, limits).await?;
        Ok((wire, capabilities))
    }

    /// A connection in place of one whose answer was not read to its end.
    async fn reconnect(&self) -> Result<Session, GitError> {
        let session = connect(self.remote, &self.limits).await?;
        protocol::capabilities(self.heard(session), self.remote, &self.limits).await?;
        let free = lock(&self.free).take();
        free.ok_or_else(|| broken(self.remote, "the server says more than was asked"))
    }

    fn heard(&self, session: Session) -> Heard<'a> {
        let (free, remote) = (Arc::clone(&self.free), self.remote);
        Heard { session, free, remote, idle: self.limits.idle, complaint: Vec::new() }
    }
}

impl<'a> Wire for Ssh<'a> {
    type Answer = Heard<'a>;

    async fn send(&self, command: Vec<u8>) -> Result<Heard<'a>, GitError> {
        let free = lock(&self.free).take();
        let session = if let Some(session) = free { session } else { self.reconnect().await? };
        let sent = timeout(self.limits.idle, session.channel.data_bytes(command)).await;
        match sent {
            Ok(Ok(())) => Ok(self.heard(session)),
            Ok(Err(error)) => Err(broken(self.remote, &error.to_string())),
            Err(_) => Err(broken(self.remote, "the server takes nothing more")),
        }
    }

    fn remote(&self) -> &Remote {
        self.remote
    }
}

impl Answer for Heard<'_> {
    async fn piece(&mut self) -> Result<Option<Bytes>, GitError> {
        loop {
            let heard = timeout(self.idle, self.session.channel.wait()).await;
            match heard.map_err(|_| broken(self.remote, "no answer in time"))? {
                Some(ChannelMsg::Data { data }) if !data.is_empty() => return Ok(Some(data)),
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = COMPLAINT_MAX.saturating_sub(self.complaint.len());
                    self.complaint.extend_from_slice(&data[..data.len().min(room)]);
                }
                Some(ChannelMsg::Failure) => {
                    let message = "it does not run git-upload-pack for us".to_owned();
                    return Err(GitError::Server { repository: self.remote.to_string(), message });
                }
                // After the end of the answer it may still complain; then the channel closes.
                Some(ChannelMsg::Close) | None => break,
                Some(_) => {}
            }
        }
        // The protocol ends where we end it: this is too early, and mostly there are words about it.
        let complaint = String::from_utf8_lossy(&self.complaint);
        let complaint = complaint.trim();
        if complaint.is_empty() {
            return Ok(None);
        }
        let (repository, message) = (self.remote.to_string(), self.remote.scrub(complaint));
        let lower = complaint.to_lowercase();
        Err(if NOT_FOUND.iter().any(|words| lower.contains(words)) {
            GitError::RepositoryNotFound { repository }
        } else {
            GitError::Server { repository, message }
        })
    }

    fn done(self) {
        *lock(&self.free) = Some(self.session);
    }
}

async fn connect(remote: &Remote, limits: &Limits) -> Result<Session, GitError> {
    let place = remote.url.ssh_place().ok_or_else(|| broken(remote, "it is no ssh:// URL"))?;
    if remote.access.proxy.is_some() {
        let detail = "a proxy for SSH is not supported: use the https:// URL of the repository, or no proxy".to_owned();
        return Err(GitError::Settings { repository: remote.to_string(), detail });
    }
    let key = ssh_key::read(remote)?;
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect((place.host.as_str(), place.port))).await;
    let stream = stream.map_err(|_| broken(remote, "no answer in time"))?;
    let stream = stream.map_err(|error| broken(remote, &error.to_string()))?;
    // From here on the server may let us wait.
    let begun = timeout(limits.idle, begin(remote, place, key, stream, limits)).await;
    begun.unwrap_or_else(|_| Err(broken(remote, "the SSH server does not come to an end with its greeting")))
}

async fn begin(
    remote: &Remote,
    place: &SshPlace,
    key: PrivateKey,
    stream: TcpStream,
    limits: &Limits,
) -> Result<Session, GitError> {
    let known = KnownHosts::of(place, &remote.access.known_hosts);
    let preferred = Preferred { key: Cow::Owned(known.algorithms()), ..Preferred::DEFAULT };
    let config = client::Config {
        preferred,
        keepalive_interval: Some(KEEPALIVE),
        inactivity_timeout: Some(limits.idle),
        nodelay: true,
        ..client::Config::default()
    };
    let visitor = Visitor { known, remote: remote.to_string(), host: place.known_as(), any: remote.access.insecure };
    let failed = |error: russh::Error| broken(remote, &error.to_string());
    let mut handle = match client::connect_stream(Arc::new(config), stream, visitor).await {
        Ok(handle) => handle,
        Err(Ended::Judged(error)) => return Err(*error),
        Err(Ended::Ssh(error)) => return Err(failed(error)),
    };
    log_in(remote, place, key, &mut handle).await?;
    let channel = handle.channel_open_session().await.map_err(failed)?;
    channel.set_env(false, "GIT_PROTOCOL", "version=2").await.map_err(failed)?;
    channel.exec(true, place.command()).await.map_err(failed)?;
    Ok(Session { channel, _handle: handle })
}

async fn log_in(
    remote: &Remote,
    place: &SshPlace,
    key: PrivateKey,
    handle: &mut Handle<Visitor>,
) -> Result<(), GitError> {
    let failed = |error: russh::Error| broken(remote, &error.to_string());
    let unusable = |detail: &str| GitError::Login { repository: remote.to_string(), detail: detail.to_owned() };
    let (name, user) = (known_hosts::fingerprint(key.public_key()), place.user.clone());
    let outcome = if key.algorithm().is_rsa() {
        let hashes: &[HashAlg] = match handle.best_supported_rsa_hash().await.map_err(failed)? {
            Some(Some(HashAlg::Sha256)) => &[HashAlg::Sha256],
            // Servers that do not say, and those that say more than they are configured for, may take one of them only.
            Some(Some(_)) | None => &[HashAlg::Sha512, HashAlg::Sha256],
            Some(None) => {
                return Err(unusable("the server takes RSA keys with SHA-1 only, which is broken: use an ed25519 key"));
            }
        };
        let mut signer = RsaSigner::new(&key)
            .ok_or_else(|| unusable("the RSA key cannot be used: it must have 2048 bits or more"))?;
        let mut outcome = None;
        for &hash in hashes {
            let (user, public) = (user.clone(), key.public_key().clone());
            let tried = handle.authenticate_publickey_with(user, public, Some(hash), &mut signer).await;
            let tried = tried.map_err(|_| broken(remote, "it ended while logging in"))?;
            let success = tried.success();
            outcome = Some(tried);
            if success {
                break;
            }
        }
        outcome
    } else {
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        Some(handle.authenticate_publickey(user, key).await.map_err(failed)?)
    };
    if outcome.is_some_and(|outcome| outcome.success()) {
        return Ok(());
    }
    Err(GitError::KeyRefused { repository: remote.to_string(), user: place.user.clone(), key: name })
}

fn broken(remote: &Remote, detail: &str) -> GitError {
    let detail = remote.scrub(&format!("the SSH connection failed: {detail}"));
    GitError::Unreachable { repository: remote.to_string(), detail }
}

/// Looks at the host key before anything else happens.
struct Visitor {
    known: KnownHosts,
    remote: String,
    host: String,
    /// Any key will do.
    any: bool,
}

/// How a connection ended before it began.
#[derive(Debug)]
enum Ended {
    Judged(Box<GitError>),
    Ssh(russh::Error),
}

impl From<russh::Error> for Ended {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl client::Handler for Visitor {
    type Error = Ended;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Ended> {
        if self.any {
            return Ok(true);
        }
        let (repository, host) = (self.remote.clone(), self.host.clone());
        // We ask for no certificates.
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let judgement = self.known.judge(key);
        let key = known_hosts::fingerprint(key);
        Err(Ended::Judged(Box::new(match judgement {
            Judgement::Known => return Ok(true),
            Judgement::Unknown => GitError::UnknownHost { repository, host, key },
            Judgement::Changed(known) => GitError::HostKeyChanged { repository, host, key, known: known.join(", ") },
            Judgement::Revoked => GitError::HostKeyRevoked { repository, host, key },
            Judgement::AuthorityOnly => GitError::HostCertificate { repository, host, key },
        })))
    }
}
