//! The wire over SSH: `git-upload-pack` on the server, spoken to through one channel.
//!
//! Invariant: nothing is sent to a server before its host key is known to be its own. One connection carries any number of
//! commands, one after the other; one whose answer was not read to its end is given up. Entry point: [`Ssh::open`].

use std::borrow::Cow;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use russh::client::{self, Handle, Msg};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Preferred};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

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
    _handle: Handle<Visitor>,
    /// The connection ends with it.
    _line: Line,
}

/// Shuts a connection down when it is dropped: the task that serves it is not ours, and a server that goes on talking could
/// keep it for as long as it likes.
struct Line(std::net::TcpStream);

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

// === impl Line ===

impl Line {
    /// The connection, and what ends it.
    fn hold(stream: TcpStream) -> io::Result<(Self, TcpStream)> {
        let stream = stream.into_std()?;
        let line = Self(stream.try_clone()?);
        Ok((line, TcpStream::from_std(stream)?))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // It fails where the server was faster.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

async fn connect(remote: &Remote, limits: &Limits) -> Result<Session, GitError> {
    let place = remote.url.ssh_place().ok_or_else(|| broken(remote, "it is no ssh:// URL"))?;
    if remote.access.proxy.is_some() {
        let detail = "a proxy for SSH is not supported: use the https:// URL of the repository, or no proxy".to_owned();
        return Err(GitError::Settings { repository: remote.to_string(), detail });
    }
    let key = ssh_key::read(remote)?;
    let stream = timeout(CONNECT_TIMEOUT, reach(&place.host, place.port)).await;
    let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let split = stream.and_then(Line::hold);
    let (line, stream) = split.map_err(|error| {
        let late = error.kind() == io::ErrorKind::TimedOut;
        broken(remote, &if late { "no answer in time".to_owned() } else { error.to_string() })
    })?;
    // From here on the server may let us wait.
    let begun = timeout(limits.idle, begin(remote, place, key, (line, stream), limits)).await;
    begun.unwrap_or_else(|_| Err(broken(remote, "the SSH server does not come to an end with its greeting")))
}

/// Connects to the first address of a host that answers.
async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    first_of(&addresses, CONNECT_TIMEOUT, TcpStream::connect).await
}

/// Tries one address after the other. Each has its share of the time that is left: one that swallows packets must not be in the
/// way of those behind it.
async fn first_of<T, F: Future<Output = io::Result<T>>>(
    addresses: &[SocketAddr],
    time: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let ends = Instant::now() + time;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for (at, &address) in (1..=addresses.len()).rev().zip(addresses) {
        let left = ends.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(at).unwrap_or(u32::MAX);
        last = match timeout(share, connect(address)).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
    }
    Err(last)
}

async fn begin(
    remote: &Remote,
    place: &SshPlace,
    key: PrivateKey,
    (line, stream): (Line, TcpStream),
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
    Ok(Session { channel, _handle: handle, _line: line })
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
            Judgement::UnreadableRevocation => {
                let detail = "a line with @revoked in ssh_known_hosts of the ConfigMap argocd-ssh-known-hosts-cm cannot be \
                              read, so nobody can tell which key it means: correct or remove it";
                GitError::Settings { repository, detail: detail.to_owned() }
            }
            Judgement::AuthorityOnly => GitError::HostCertificate { repository, host, key },
        })))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use trueup_bed::{Deadline, SshKey, until};

    use super::*;
    use crate::{Access, Login, RepoUrl, Secret};

    /// Greets, and then says nothing, again and again: messages that are to be ignored.
    async fn trickle(mut stream: TcpStream) -> io::Result<()> {
        const IGNORE: [u8; 16] = [0, 0, 0, 12, 6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        stream.write_all(b"SSH-2.0-trickle\r\n").await?;
        let mut heard = [0; 1024];
        let mut often = tokio::time::interval(Duration::from_millis(20));
        loop {
            tokio::select! {
                read = stream.read(&mut heard) => if read? == 0 { return Ok(()) },
                _ = often.tick() => stream.write_all(&IGNORE).await?,
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_never_ends_its_greeting_keeps_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (all, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (accepted, still_open) = (Arc::clone(&all), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let open = Arc::clone(&still_open);
                accepted.fetch_add(1, Ordering::Relaxed);
                open.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let _ = trickle(stream).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        let key = SshKey::generate("ed25519", "").unwrap();
        let access = Access { login: Login::Key(Secret::new(key.private)), insecure: true, ..Access::default() };
        let url = RepoUrl::parse(&format!("ssh://git@127.0.0.1:{port}/a")).unwrap();
        let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
        let error = connect(&Remote { url, access }, &limits).await.err().unwrap();
        assert!(error.to_string().contains("does not come to an end"), "{error}");
        assert_eq!(all.load(Ordering::Relaxed), 1);
        let closed = until("the connection is closed", Deadline::SHORT, async || match open.load(Ordering::Relaxed) {
            0 => Ok(()),
            open => Err(open),
        });
        closed.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_packets_is_not_in_the_way_of_the_next() {
        let addresses: Vec<SocketAddr> =
            ["[2001:db8::1]:22", "192.0.2.1:22", "192.0.2.2:22"].iter().map(|text| text.parse().unwrap()).collect();
        let connect = async |address: SocketAddr| match address {
            address if address == addresses[0] => std::future::pending().await,
            address if address == addresses[1] => Err(io::ErrorKind::ConnectionRefused.into()),
            address => Ok(address),
        };
        let begun = Instant::now();
        assert_eq!(first_of(&addresses, CONNECT_TIMEOUT, connect).await.unwrap(), addresses[2]);
        assert_eq!(begun.elapsed().as_secs(), CONNECT_TIMEOUT.as_secs() / 3);
        let refused = first_of(&addresses[..2], CONNECT_TIMEOUT, connect).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(first_of(&[], CONNECT_TIMEOUT, connect).await.is_err());
    }
}
