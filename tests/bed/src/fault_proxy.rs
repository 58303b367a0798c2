//! A proxy before the API server that does harm when it is told to.
//!
//! It forwards everything as one user of the control plane, streams what is streamed, and asks a rule about each request
//! what is to become of it. Invariant: without a rule nothing is changed. Entry points: [`FaultProxy::start`] and
//! [`FaultProxy::misbehave`].

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::body::to_bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use futures::StreamExt;
use kube::Client;
use kube::Config;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ControlPlane;
use crate::Deadline;
use crate::Error;
use crate::Result;
use crate::until;

/// The most bytes of one request: etcd takes no more than a few MiB.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiFault {
    /// It is answered with this HTTP status, as an API server says it; 429 asks for a second of patience.
    Status(u16),
    /// It does not get to the API server, and is never answered.
    Swallow,
    /// The API server does it, and its answer gets lost.
    Withhold,
    /// It gets to the API server once the proxy behaves again.
    Hold,
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct ApiCall {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Its path without the query.
    pub path: String,
    /// Its query, as it was sent.
    pub query: String,
    /// The type of its body.
    pub content_type: String,
    /// Its body.
    pub body: String,
}

type Rule = Box<dyn Fn(&ApiCall) -> Option<ApiFault> + Send + Sync>;

/// A proxy before the API server. It ends with this value.
pub struct FaultProxy {
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    client: Client,
    rule: Mutex<Option<Rule>>,
    /// Whether there is a rule.
    misbehaves: watch::Sender<bool>,
    /// The requests that met a fault.
    caught: Mutex<Vec<ApiCall>>,
    /// Counts how often all watches have been ended as too old.
    expired: watch::Sender<u64>,
}

impl FaultProxy {
    /// Starts a proxy that asks as this user of the control plane.
    pub async fn start(control_plane: &ControlPlane, user: &str) -> Result<Self> {
        let theirs = Kubeconfig::read_from(control_plane.user_kubeconfig(user)?)?;
        let mut config = Config::from_custom_kubeconfig(theirs, &KubeConfigOptions::default()).await?;
        // Whoever asks tries again himself, if he likes.
        config.default_retry = false;
        let shared = Arc::new(Shared {
            client: Client::try_from(config)?,
            rule: Mutex::default(),
            misbehaves: watch::Sender::new(false),
            caught: Mutex::default(),
            expired: watch::Sender::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Error::Socket)?;
        let port = listener.local_addr().map_err(Error::Socket)?.port();
        let kubeconfig = control_plane.dir().join(format!("proxy-{port}.kubeconfig"));
        let content = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        });
        fs::write(&kubeconfig, content.to_string()).map_err(Error::file(&kubeconfig))?;
        let routes = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { kubeconfig, shared, task })
    }

    /// The kubeconfig that leads through it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Asks this rule about every request from now on.
    pub fn misbehave(&self, rule: impl Fn(&ApiCall) -> Option<ApiFault> + Send + Sync + 'static) {
        lock(&self.shared.caught).clear();
        *lock(&self.shared.rule) = Some(Box::new(rule));
        self.shared.misbehaves.send_replace(true);
    }

    /// Forwards everything again, and what was held. Who else is kept waiting stays so.
    pub fn behave(&self) {
        *lock(&self.shared.rule) = None;
        self.shared.misbehaves.send_replace(false);
    }

    /// Tells all watches under way that their version is too old (410), and ends them.
    pub fn expire_watches(&self) {
        self.shared.expired.send_modify(|times| *times += 1);
    }

    /// The requests that met a fault of the last rule.
    pub fn caught(&self) -> Vec<ApiCall> {
        lock(&self.shared.caught).clone()
    }

    /// Waits until so many requests have met a fault of the last rule.
    pub async fn until_caught(&self, wanted: usize) -> Result<()> {
        until(format!("{wanted} requests to meet a fault"), Deadline::LONG, async || {
            let caught = lock(&self.shared.caught).len();
            if caught >= wanted { Ok(()) } else { Err(caught) }
        })
        .await
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REQUEST_BYTES_MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let header = |name| parts.headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let call = ApiCall {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        content_type: header(http::header::CONTENT_TYPE).unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let fault = lock(&shared.rule).as_ref().and_then(|rule| rule(&call));
    let watches = call.query.contains("watch=true");
    if fault.is_some() && fault != Some(ApiFault::Withhold) {
        lock(&shared.caught).push(call.clone());
    }
    match fault {
        Some(ApiFault::Status(code)) => return refusal(code),
        Some(ApiFault::Swallow) => return std::future::pending().await,
        // The sender is as old as this proxy.
        Some(ApiFault::Hold) => drop(shared.misbehaves.subscribe().wait_for(|misbehaves| !misbehaves).await),
        Some(ApiFault::Withhold) | None => {}
    }
    // Before the request goes out, so that what expires from here on ends this watch too.
    let expired = shared.expired.subscribe();
    let mut onward = http::Request::builder().method(parts.method).uri(parts.uri);
    for name in [http::header::ACCEPT, http::header::CONTENT_TYPE, http::header::USER_AGENT] {
        if let Some(value) = parts.headers.get(&name) {
            onward = onward.header(name, value);
        }
    }
    let Ok(onward) = onward.body(kube::client::Body::from(body)) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let answer = shared.client.send(onward).await;
    if fault == Some(ApiFault::Withhold) {
        // Only now is it done.
        lock(&shared.caught).push(call);
        return std::future::pending().await;
    }
    match answer {
        Ok(answer) => {
            let (mut parts, body) = answer.into_parts();
            // They are of the other connection.
            for name in [http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING, http::header::CONNECTION] {
                parts.headers.remove(name);
            }
            let body = if watches { expiring(body, expired) } else { Body::new(body) };
            Response::from_parts(parts, body)
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// The body of a watch, until it expires.
fn expiring(body: kube::client::Body, mut expired: watch::Receiver<u64>) -> Body {
    let gone = Arc::new(AtomicBool::new(false));
    let end = {
        let gone = Arc::clone(&gone);
        async move {
            // A proxy that is dropped ends its watches without a word.
            gone.store(expired.changed().await.is_ok(), Ordering::Relaxed);
        }
    };
    let last = futures::stream::once(async move {
        let line = json!({"type": "ERROR", "object": status(410)}).to_string() + "\n";
        gone.load(Ordering::Relaxed).then(|| Ok(Bytes::from(line)))
    });
    let stream = Body::new(body).into_data_stream().take_until(end);
    Body::from_stream(stream.chain(last.filter_map(std::future::ready)))
}

fn refusal(code: u16) -> Response {
    let status_code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status_code, status(code).to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if code == 429 {
        headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"));
    }
    response
}

/// What an API server says of a failure.
fn status(code: u16) -> serde_json::Value {
    let reason = match code {
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": "made up by the test",
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
