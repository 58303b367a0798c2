//! The listener of webhooks: `POST /api/webhook`, and nothing else.
//!
//! Invariants: connections, the time of a request and the bytes of all bodies together are bounded, whoever sends; before a body is read,
//! everything has been judged that needs none; no answer tells whether a repository is known. Entry points: [`Webhooks`] and
//! [`Webhooks::listen`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep, timeout, timeout_at};

use super::bodies;
use super::check::{self, Refusal};
use super::keys::Keys;
use super::provider::Provider;
use super::push::{Event, Push};
use crate::world::lock;

/// Where webhooks are sent to, as upstream.
const PATH: &str = "/api/webhook";
/// Connections at a time: a burst of a large organisation. More wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// The head of a request, in bytes: as large as common proxies let it be.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The head of a request must be here by then; and so long a connection may be idle.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// A whole body must be here by then: the largest, over a line of 20 Mbit/s.
const BODY_DEADLINE: Duration = Duration::from_secs(20);
/// No connection lasts longer, so that no trick with one can.
const CONNECTION_MAX: Duration = Duration::from_mins(10);
/// The bytes of all bodies together: one of the largest size that is accepted by default, and hundreds of usual ones.
const BODIES_BYTES_MAX: usize = 64 * MIB;
/// The largest body by default, as upstream.
const BODY_BYTES_DEFAULT: usize = 50 * MIB;
/// In what the bytes of bodies are counted.
const UNIT: usize = 1024;
/// Connections that wait to be accepted: as many as Linux lets a program have by itself.
const BACKLOG: u32 = 1024;
/// After an error of accepting, which is a lack of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const MIB: usize = 1024 * 1024;

/// The setting of the largest body, in MiB.
const BODY_MAX_SETTING: &str = "webhook.maxPayloadSizeMB";

/// What decides about webhooks, and what was counted of them.
pub(crate) struct Webhooks {
    /// `None` until they have been read.
    keys: RwLock<Option<Arc<Keys>>>,
    body_bytes_max: AtomicUsize,
    bodies: Arc<Semaphore>,
    /// By sender and outcome.
    requests: Family<Labels, Counter>,
    /// By the URLs of those that were known.
    repositories: Family<Labels, Counter>,
    in_flight: AtomicUsize,
    /// Reserved until it is listened at.
    socket: Mutex<Option<(SocketAddr, TcpSocket)>>,
}

type Labels = Vec<(&'static str, String)>;

/// Who takes what the listener hears.
pub(crate) trait Desk: Send + Sync + 'static {
    /// Whether we act at all now.
    fn is_open(&self) -> bool;
    /// Something was pushed.
    fn pushed(&self, push: &Push);
    /// What decides.
    fn webhooks(&self) -> &Webhooks;
}

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    status: StatusCode,
    words: String,
    /// What it is counted as.
    outcome: &'static str,
}

// === impl Webhooks ===

impl Webhooks {
    pub(crate) fn new() -> Self {
        Self {
            keys: RwLock::default(),
            body_bytes_max: AtomicUsize::new(BODY_BYTES_DEFAULT),
            bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX / UNIT)),
            requests: Family::default(),
            repositories: Family::default(),
            in_flight: AtomicUsize::new(0),
            socket: Mutex::default(),
        }
    }

    /// Takes the secrets as they are now; answers whether they are news.
    pub(super) fn set_keys(&self, keys: Keys) -> bool {
        let mut known = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let news = known.as_deref() != Some(&keys);
        if news {
            *known = Some(Arc::new(keys));
        }
        news
    }

    /// Takes what the settings in `argocd-cm` say.
    pub(crate) fn set_settings(&self, settings: &BTreeMap<String, String>) {
        let set = settings.get(BODY_MAX_SETTING).map(|text| text.trim());
        let mebibytes = set.map(|text| text.parse::<usize>().ok().filter(|number| *number > 0));
        let wanted = match mebibytes {
            None => BODY_BYTES_DEFAULT,
            Some(Some(number)) => number.saturating_mul(MIB),
            Some(None) => {
                tracing::warn!(
                    setting = BODY_MAX_SETTING,
                    "the setting in argocd-cm is no number of MiB above 0: 50 counts"
                );
                BODY_BYTES_DEFAULT
            }
        };
        if wanted > BODIES_BYTES_MAX {
            let most = BODIES_BYTES_MAX / MIB;
            tracing::warn!(
                setting = BODY_MAX_SETTING,
                most,
                "the setting in argocd-cm is more than is kept of all webhooks: the most counts"
            );
        }
        self.body_bytes_max.store(wanted.min(BODIES_BYTES_MAX), Ordering::Relaxed);
    }

    /// Takes an address for ourselves, at which nobody listens yet: who stands by refuses connections, so that what stands before
    /// the controllers tries the next.
    pub(crate) fn reserve(&self, address: SocketAddr) -> std::io::Result<()> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        *lock(&self.socket) = Some((address, socket));
        Ok(())
    }

    /// Begins to listen at the address that was reserved; `None` if none was.
    pub(super) fn listener(&self) -> Result<Option<TcpListener>, (SocketAddr, std::io::Error)> {
        let Some((address, socket)) = lock(&self.socket).take() else { return Ok(None) };
        socket.listen(BACKLOG).map(Some).map_err(|error| (address, error))
    }

    /// Counts a push into a repository that is known.
    pub(super) fn pushed_into(&self, repository: String) {
        self.repositories.get_or_create(&vec![("repo", repository)]).inc();
    }

    /// Puts what was counted into a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "trueup_webhook_requests",
            "Webhooks, by sender and what became of them",
            self.requests.clone(),
        );
        let help = "Webhooks about repositories that are known";
        registry.register("argocd_webhook_requests", help, self.repositories.clone());
        let in_flight = Gauge::<i64>::default();
        in_flight.set(i64::try_from(self.in_flight.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
        registry.register("argocd_webhook_handlers_in_flight", "Webhooks that are being read", in_flight);
    }

    /// Takes webhooks for ever.
    pub(super) async fn listen(listener: TcpListener, desk: Arc<dyn Desk>) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        // They end with this.
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            // It is never closed.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection with a webhook cannot be accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let desk = Arc::clone(&desk);
            connections.spawn(async move {
                let _slot = slot;
                let service = service_fn(|request| {
                    let desk = Arc::clone(&desk);
                    async move { Ok::<_, Infallible>(answer(&*desk, request).await) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_DEADLINE)
                    .max_buf_size(HEAD_BYTES_MAX)
                    .serve_connection(TokioIo::new(stream), service);
                // Who sends nonsense or goes away is answered by the end of the connection.
                let _ = timeout(CONNECTION_MAX, connection).await;
            });
        }
    }

    fn keys(&self) -> Option<Arc<Keys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, provider: Option<Provider>, outcome: &str) {
        let provider = provider.map_or("unknown", Provider::name).to_owned();
        self.requests.get_or_create(&vec![("provider", provider), ("outcome", outcome.to_owned())]).inc();
    }
}

// === impl Reply ===

impl Reply {
    fn new(status: StatusCode, outcome: &'static str, words: impl Into<String>) -> Self {
        Self { status, words: words.into(), outcome }
    }

    /// The answer as it is sent. `unread`: something of the body may still be under way, so nothing else can follow.
    fn response(self, unread: bool) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.words + "\n")));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => drop(headers.insert(ALLOW, HeaderValue::from_static("POST"))),
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"webhook\""));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        if unread {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// One less again when it is dropped, however the request ends.
struct InFlight<'a>(&'a AtomicUsize);

impl<'a> InFlight<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn answer(desk: &dyn Desk, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let webhooks = desk.webhooks();
    let _in_flight = InFlight::new(&webhooks.in_flight);
    let provider = Provider::of(request.headers());
    let (reply, unread) = match judge(desk, provider, request).await {
        Ok(reply) => (reply, false),
        Err(reply) => (reply, true),
    };
    webhooks.count(provider, reply.outcome);
    tracing::debug!(
        sender = provider.map_or("unknown", Provider::name),
        status = reply.status.as_u16(),
        outcome = reply.outcome,
        "a webhook"
    );
    reply.response(unread)
}

/// Takes a request; an error is the answer to one whose body has not been read to its end.
async fn judge(desk: &dyn Desk, provider: Option<Provider>, request: Request<Incoming>) -> Result<Reply, Reply> {
    if request.uri().path() != PATH {
        return Err(Reply::new(StatusCode::NOT_FOUND, "elsewhere", format!("webhooks go to {PATH}")));
    }
    if request.method() != Method::POST {
        return Err(Reply::new(StatusCode::METHOD_NOT_ALLOWED, "elsewhere", "webhooks are POST requests"));
    }
    let closed = |words: &str| Reply::new(StatusCode::SERVICE_UNAVAILABLE, "closed", words);
    if !desk.is_open() {
        return Err(closed("this controller is not the active one now"));
    }
    let webhooks = desk.webhooks();
    let keys = webhooks.keys().ok_or_else(|| closed("the Secret argocd-secret has not been read yet"))?;
    let provider = provider.ok_or_else(|| {
        let words = "no header says whose webhook this is: X-GitHub-Event, X-Gitlab-Event, X-Gitea-Event, X-Event-Key, \
                     X-Vss-ActivityId or X-Trueup-Signature-256";
        Reply::new(StatusCode::BAD_REQUEST, "unknown", words)
    })?;
    let (head, body) = request.into_parts();
    let claim = check::claim(provider, &head.headers, &keys).map_err(|refusal| refused(provider, refusal))?;
    if is_form(&head.headers) {
        let words = "the body is a form: choose application/json as the content type of the webhook";
        return Err(Reply::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unreadable", words));
    }
    let (body, held) = whole(webhooks, &head.headers, body).await?;
    let kind = provider.kind(&head.headers).to_owned();
    // A large one takes the time of a large one.
    let read = tokio::task::spawn_blocking(move || {
        let event = claim.holds(&body).then(|| bodies::read(provider, &kind, &body));
        drop(held);
        event
    });
    match read.await {
        Ok(Some(Ok(Event::Push(push)))) => {
            desk.pushed(&push);
            Ok(Reply::new(StatusCode::ACCEPTED, "taken", "taken"))
        }
        Ok(Some(Ok(Event::Nothing))) => {
            Ok(Reply::new(StatusCode::OK, "ignored", "nothing to be done about such an event"))
        }
        Ok(Some(Err(error))) => Ok(Reply::new(StatusCode::BAD_REQUEST, "unreadable", error.to_string())),
        Ok(None) => Ok(refused(provider, Refusal::Wrong(provider))),
        Err(_) => Ok(Reply::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", "the reading of the body broke off")),
    }
}

fn refused(provider: Provider, refusal: Refusal) -> Reply {
    let status = match (provider, refusal) {
        // Who sends a login only when it is asked for one.
        (Provider::AzureDevOps, Refusal::Unsigned(_)) => StatusCode::UNAUTHORIZED,
        _ => StatusCode::FORBIDDEN,
    };
    Reply::new(status, "refused", refusal.to_string())
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
}

/// Reads a body to its end, and what it holds of the room for all bodies.
async fn whole<B>(webhooks: &Webhooks, headers: &HeaderMap, mut body: B) -> Result<(Bytes, OwnedSemaphorePermit), Reply>
where
    B: Body<Data = Bytes> + Unpin,
{
    let most = webhooks.body_bytes_max.load(Ordering::Relaxed);
    let too_large = || {
        let words = format!("the body is larger than {} MiB, which {BODY_MAX_SETTING} of argocd-cm sets", most / MIB);
        Reply::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", words)
    };
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    if announced.is_some_and(|bytes: u64| usize::try_from(bytes).is_ok_and(|bytes| bytes > most)) {
        return Err(too_large());
    }
    let busy =
        || Reply::new(StatusCode::TOO_MANY_REQUESTS, "busy", "too many webhooks are being read: send it again later");
    let mut held = Arc::clone(&webhooks.bodies).try_acquire_many_owned(0).map_err(|_| busy())?;
    let mut read = BytesMut::new();
    let deadline = Instant::now() + BODY_DEADLINE;
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| {
            let words = format!("the body was not here within {} s", BODY_DEADLINE.as_secs());
            Reply::new(StatusCode::REQUEST_TIMEOUT, "late", words)
        })?;
        let frame = match frame {
            None => return Ok((read.freeze(), held)),
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Err(Reply::new(StatusCode::BAD_REQUEST, "unreadable", "the body broke off")),
        };
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > most {
            return Err(too_large());
        }
        read.extend_from_slice(&data);
        let missing = read.len().div_ceil(UNIT).saturating_sub(held.num_permits());
        let missing = u32::try_from(missing).map_err(|_| too_large())?;
        held.merge(Arc::clone(&webhooks.bodies).try_acquire_many_owned(missing).map_err(|_| busy())?);
    }
}

#[cfg(test)]
mod tests;
