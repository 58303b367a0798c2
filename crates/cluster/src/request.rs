//! One request to the API server and its answer as bytes.
//!
//! Invariants: every request ends within [`REQUEST_TIMEOUT`], no answer is larger than [`ANSWER_BYTES_MAX`], every
//! failure passes through `error::classify`, and nothing of an answer is logged. Entry point: [`Requests::send`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use tokio::sync::Semaphore;

use crate::concurrency::Concurrency;
use crate::connect::chain;
use crate::counters::{Tally, Verb};
use crate::error::{Asked, ClusterError, classify, retry_after};
use crate::gate::Gate;
use crate::kind::Kind;
use crate::link::Link;

/// How long one request may take: the API server itself gives up after 60 s.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(65);
/// The most bytes of one answer. The largest are lists, whose pages are cut to about one MiB, unless single objects are
/// larger; no object in etcd is above a few MiB.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The most bytes that are read of an answer that is an error.
const ERROR_BYTES_MAX: usize = 1 << 20;
/// How often a request is sent again that the server refused unseen with 429.
const THROTTLED_TRIES: u32 = 4;
/// The wait after a 429 that asks for none.
const THROTTLED_WAIT: Duration = Duration::from_secs(1);
/// How many lists are read at once: each holds a page in memory.
pub(crate) const LISTS_AT_ONCE: usize = 4;

/// Sends requests.
pub(crate) struct Requests {
    client: Client,
    pub(crate) concurrency: Concurrency,
    /// One permit per page of a list that is being read.
    pub(crate) lists: Semaphore,
    pub(crate) tally: Tally,
    pub(crate) link: Arc<Link>,
    pub(crate) gate: Gate,
}

/// One request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) verb: Verb,
    /// Path and query.
    pub(crate) address: String,
    pub(crate) accept: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    pub(crate) plural: String,
    /// Whose permissions count instead of our own.
    pub(crate) user: Option<Arc<str>>,
    /// The body is a Secret, so the server's words may quote it.
    pub(crate) secret: bool,
}

/// What a request failed with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ClusterError,
    /// The server was not heard at all.
    pub(crate) network: bool,
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<Duration>,
}

/// Names the user as whom a request is judged.
const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");
/// The usual representation.
pub(crate) const JSON: &str = "application/json";
/// A server-side apply; JSON is YAML.
pub(crate) const APPLY_PATCH: &str = "application/apply-patch+yaml";
/// A JSON patch.
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
/// A patch that is merged as the kind says.
pub(crate) const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
/// A patch that is merged key by key.
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
/// One object without spec and status.
pub(crate) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// A list of such.
pub(crate) const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

// === impl Call ===

impl Call {
    /// A request for one address of a kind, without a body.
    pub(crate) fn new(verb: Verb, kind: &Kind, address: String) -> Self {
        Self { plural: kind.plural.clone(), ..Self::read(verb, address) }
    }

    /// A request for an address that belongs to no kind.
    pub(crate) fn read(verb: Verb, address: String) -> Self {
        Self {
            verb,
            address,
            accept: JSON,
            content_type: JSON,
            body: Bytes::new(),
            plural: String::new(),
            user: None,
            secret: false,
        }
    }

    /// The same with a body.
    pub(crate) fn with_body(self, content_type: &'static str, body: Vec<u8>, secret: bool) -> Self {
        Self { content_type, body: body.into(), secret, ..self }
    }

    /// The same, judged by the permissions of that user, if there is one.
    pub(crate) fn by(self, user: Option<Arc<str>>) -> Self {
        Self { user, ..self }
    }

    fn method(&self) -> http::Method {
        match self.verb {
            Verb::Get | Verb::List | Verb::Watch | Verb::Discover => http::Method::GET,
            Verb::Apply | Verb::DryRun | Verb::Patch => http::Method::PATCH,
            Verb::Create | Verb::Claim => http::Method::POST,
            Verb::Replace | Verb::Renew => http::Method::PUT,
            Verb::Delete => http::Method::DELETE,
        }
    }

    /// Whether it may only be sent while writes may be under way. The Lease itself is written to come to that.
    fn gated(&self) -> bool {
        matches!(self.verb, Verb::Apply | Verb::Patch | Verb::Replace | Verb::Create | Verb::Delete)
    }

    fn asked(&self) -> Asked<'_> {
        Asked { plural: &self.plural, secret: self.secret, json_patch: self.content_type == JSON_PATCH }
    }
}

// === impl Requests ===

impl Requests {
    pub(crate) fn new(client: Client, link: Arc<Link>, gate: Gate) -> Self {
        Self {
            client,
            concurrency: Concurrency::new(),
            lists: Semaphore::new(LISTS_AT_ONCE),
            tally: Tally::default(),
            link,
            gate,
        }
    }

    /// Asks, and asks again where the server refused unseen to look (429).
    pub(crate) async fn send(&self, call: &Call) -> Result<Vec<u8>, ClusterError> {
        let mut tries = 1;
        loop {
            let pass = self.concurrency.enter().await;
            match tokio::time::timeout(REQUEST_TIMEOUT, Box::pin(self.allowed(call))).await {
                Ok(Ok(answer)) => {
                    pass.answered();
                    return Ok(answer);
                }
                Ok(Err(failure)) if failure.throttled() => {
                    let wait = failure.retry_after.unwrap_or(THROTTLED_WAIT);
                    pass.overloaded(Some(wait));
                    if tries >= THROTTLED_TRIES {
                        return Err(failure.error);
                    }
                    tries += 1;
                }
                Ok(Err(failure)) => {
                    // A request that the network lost says nothing about how fast the server is.
                    if !failure.network {
                        pass.answered();
                    }
                    return Err(failure.error);
                }
                Err(_) => {
                    pass.overloaded(None);
                    self.tally.failed();
                    self.link.down();
                    let seconds = REQUEST_TIMEOUT.as_secs();
                    return Err(ClusterError::Unavailable { message: format!("no answer within {seconds} s") });
                }
            }
        }
    }

    /// Asks once, if that may be.
    async fn allowed(&self, call: &Call) -> Result<Vec<u8>, Failure> {
        if call.gated() { self.gate.pass(self.once(call)).await } else { self.once(call).await }
    }

    /// Asks once and reads the whole answer. Lists come here directly: they have a limit of their own.
    pub(crate) async fn once(&self, call: &Call) -> Result<Vec<u8>, Failure> {
        let body = self.open(call).await?;
        read(body, ANSWER_BYTES_MAX).await.map_err(|error| self.broken(error))
    }

    /// Asks once; an answer of success is left to the caller to read.
    pub(crate) async fn open(&self, call: &Call) -> Result<Answer, Failure> {
        self.tally.asked(call.verb);
        let mut request = http::Request::builder().method(call.method()).uri(&call.address).header(ACCEPT, call.accept);
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, call.content_type);
        }
        if let Some(user) = &call.user {
            request = request.header(IMPERSONATE_USER, &**user);
        }
        let request = request.body(Body::from(call.body.clone())).map_err(|error| {
            Failure::here(ClusterError::Configuration { message: format!("not a valid request: {error}") })
        })?;
        let response = match self.client.send(request).await {
            Ok(response) => response,
            Err(error) => {
                self.tally.answered(call.verb, &call.plural, 0);
                return Err(self.lost(chain(&error)));
            }
        };
        self.link.up();
        let code = response.status().as_u16();
        self.tally.answered(call.verb, &call.plural, code);
        let (parts, body) = response.into_parts();
        let length = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let answer = Answer { body, length };
        if parts.status.is_success() {
            return Ok(answer);
        }
        self.tally.failed();
        if code == 429 {
            self.tally.throttled();
        }
        let text = read(answer, ERROR_BYTES_MAX).await.unwrap_or_default();
        let header = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = if code == 429 { retry_after(header, &text).or(Some(THROTTLED_WAIT)) } else { None };
        Err(Failure { error: classify(call.asked(), code, &text), network: false, retry_after })
    }

    /// An answer that broke off.
    pub(crate) fn broken(&self, error: Broken) -> Failure {
        match error {
            Broken::Network(message) => self.lost(message),
            Broken::TooLarge(bytes) => {
                Failure::here(ClusterError::Malformed { message: format!("it is larger than {bytes} bytes") })
            }
        }
    }

    fn lost(&self, message: String) -> Failure {
        self.tally.failed();
        self.link.down();
        Failure { error: ClusterError::Unavailable { message }, network: true, retry_after: None }
    }
}

// === impl Failure ===

impl Failure {
    /// A failure that did not come from the server.
    pub(crate) fn here(error: ClusterError) -> Self {
        Self { error, network: false, retry_after: None }
    }

    fn throttled(&self) -> bool {
        self.retry_after.is_some()
    }
}

/// An answer of success whose body is not yet read.
pub(crate) struct Answer {
    pub(crate) body: Body,
    length: Option<usize>,
}

/// Why a body could not be read to its end.
#[derive(Debug)]
pub(crate) enum Broken {
    Network(String),
    TooLarge(usize),
}

async fn read(answer: Answer, limit: usize) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::with_capacity(answer.length.unwrap_or_default().min(limit));
    let mut body = answer.body;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Broken::Network(chain(&error)))?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > limit {
                return Err(Broken::TooLarge(limit));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}
