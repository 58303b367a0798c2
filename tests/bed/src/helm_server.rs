//! A Helm repository on loopback: an index and archives, counted, and misbehaving on demand.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use http::StatusCode;
use http::header;
use sha2::Digest;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Certified;
use crate::Chart;
use crate::Error;
use crate::Fault;
use crate::Result;
use crate::git_server::Cut;
use crate::git_server::content;
use crate::git_server_tls::TlsListener;
use crate::repository::base64;

/// The name of the index.
const INDEX: &str = "index.yaml";

/// How a Helm repository is reached.
#[derive(Clone, Default)]
pub struct HelmServerOptions {
    /// Its certificate; without one it speaks plain HTTP.
    pub tls: Option<Certified>,
    /// The authority, in PEM, of the clients that get in; without one everybody does.
    pub clients: Option<String>,
    /// The user name and password of who gets in; without one everybody does.
    pub login: Option<(String, String)>,
}

/// What a Helm repository was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmRequest {
    /// The path, without a `/` in front.
    pub path: String,
    /// The login that it was shown, as it stands in the header.
    pub authorization: Option<String>,
    /// What it answered.
    pub status: u16,
}

/// A Helm repository. It ends with this value, or with its runtime.
pub struct HelmServer {
    address: String,
    served: Arc<Mutex<Served>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Served {
    authorization: Option<String>,
    files: BTreeMap<String, Vec<u8>>,
    /// Lines of the index, by chart.
    entries: BTreeMap<String, String>,
    redirects: BTreeMap<String, String>,
    /// By path.
    faults: BTreeMap<String, Fault>,
    requests: Vec<HelmRequest>,
}

impl HelmServer {
    /// Starts a repository without charts that everybody may read.
    pub async fn start() -> Result<Self> {
        Self::start_with(HelmServerOptions::default()).await
    }

    /// Starts a repository that is reached as the options say. Behind TLS its URL names `localhost`.
    pub async fn start_with(options: HelmServerOptions) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Error::Socket)?;
        let local = listener.local_addr().map_err(Error::Socket)?;
        let login = options.login.map(|(user, password)| base64(format!("{user}:{password}").as_bytes()));
        let authorization = login.map(|login| format!("Basic {login}"));
        let served = Arc::new(Mutex::new(Served { authorization, ..Served::default() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&served));
        let (address, task) = match options.tls {
            None => {
                let serve = async move { drop(axum::serve(listener, router).await) };
                (format!("http://{local}"), tokio::spawn(serve))
            }
            Some(own) => {
                let listener = TlsListener::new(listener, &own, options.clients.as_deref())?;
                let serve = async move { drop(axum::serve(listener, router).await) };
                (format!("https://localhost:{}", local.port()), tokio::spawn(serve))
            }
        };
        let server = Self { address, served, task };
        server.write_index();
        Ok(server)
    }

    /// The URL of a path; that of the repository is the one of nothing.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }

    /// Publishes a chart: its archive, and an entry in the index. Answers the digest of the archive.
    pub fn publish(&self, chart: &Chart) -> String {
        let path = format!("charts/{}-{}.tgz", chart.name, chart.version);
        let archive = chart.archive();
        let digest = sha256(&archive);
        self.serve(&path, archive);
        self.list(chart, &path, Some(&digest));
        digest
    }

    /// Puts an entry into the index that names this URL and digest, whatever is there.
    pub fn list(&self, chart: &Chart, url: &str, digest: Option<&str>) {
        let mut entry = format!("  - apiVersion: v2\n    name: {}\n    version: {}\n", chart.name, chart.version);
        if let Some(digest) = digest {
            // Writing to a String cannot fail.
            let _ = writeln!(entry, "    digest: {digest}");
        }
        let _ = writeln!(entry, "    urls:\n    - {url}");
        self.lock().entries.entry(chart.name.clone()).or_default().push_str(&entry);
        self.write_index();
    }

    /// Takes a chart out of the index.
    pub fn withdraw(&self, chart: &str) {
        self.lock().entries.remove(chart);
        self.write_index();
    }

    /// Serves a file.
    pub fn serve(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.lock().files.insert(path.to_owned(), content.into());
    }

    /// Sends who asks for a path elsewhere.
    pub fn redirect(&self, path: &str, to: &str) {
        self.lock().redirects.insert(path.to_owned(), to.to_owned());
    }

    /// Lets a path misbehave from now on, or no longer.
    pub fn fault(&self, path: &str, fault: Option<Fault>) {
        let mut served = self.lock();
        match fault {
            Some(fault) => served.faults.insert(path.to_owned(), fault),
            None => served.faults.remove(path),
        };
    }

    /// What was asked since the last time that this was, in order.
    pub fn requests(&self) -> Vec<HelmRequest> {
        std::mem::take(&mut self.lock().requests)
    }

    fn write_index(&self) {
        let mut served = self.lock();
        let mut index = "apiVersion: v1\nentries:\n".to_owned();
        for (chart, entries) in &served.entries {
            let _ = write!(index, "  {chart}:\n{entries}");
        }
        index.push_str("generated: \"2026-01-02T03:04:05Z\"\n");
        served.files.insert(INDEX.to_owned(), index.into_bytes());
    }

    fn lock(&self) -> MutexGuard<'_, Served> {
        lock(&self.served)
    }
}

impl Drop for HelmServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(served: &Mutex<Served>) -> MutexGuard<'_, Served> {
    served.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

async fn answer(State(served): State<Arc<Mutex<Served>>>, request: Request) -> Response {
    let (response, hangs) = meet(&mut lock(&served), &request);
    if hangs { std::future::pending().await } else { response }
}

/// Answers, and notes what was asked; or says that it hangs.
fn meet(served: &mut Served, request: &Request) -> (Response, bool) {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (authorization, known) = (header(header::AUTHORIZATION), header(header::IF_NONE_MATCH));
    let fault = served.faults.get(&path).copied();
    let response = response(served, &path, authorization.as_deref(), known.as_deref(), fault);
    let status = response.status().as_u16();
    served.requests.push(HelmRequest { path, authorization, status });
    (response, fault == Some(Fault::Hang))
}

fn response(
    served: &Served,
    path: &str,
    authorization: Option<&str>,
    known: Option<&str>,
    fault: Option<Fault>,
) -> Response {
    if served.authorization.is_some() && served.authorization.as_deref() != authorization {
        return plain(StatusCode::UNAUTHORIZED);
    }
    if let Some(Fault::Status(code)) = fault {
        return plain(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    }
    if let Some(to) = served.redirects.get(path).and_then(|to| HeaderValue::from_str(to).ok()) {
        let mut response = plain(StatusCode::FOUND);
        response.headers_mut().insert(header::LOCATION, to);
        return response;
    }
    let Some(file) = served.files.get(path) else { return plain(StatusCode::NOT_FOUND) };
    let etag = format!("\"{}\"", sha256(file));
    if known == Some(&etag) {
        return plain(StatusCode::NOT_MODIFIED);
    }
    let cut = match fault {
        Some(Fault::Truncate(bytes)) => Some(Cut::Close(bytes)),
        Some(Fault::Stall(bytes)) => Some(Cut::Hang(bytes)),
        Some(Fault::Trickle) => Some(Cut::Trickle),
        _ => None,
    };
    let mut response = Response::new(Body::from_stream(content((), Cursor::new(file.clone()), cut)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.len()));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
