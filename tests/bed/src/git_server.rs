//! A git server on loopback: smart HTTP by git's own `http-backend`, counted, and misbehaving on demand.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::response::Response;
use futures::Stream;
use futures::stream;
use http::HeaderMap;
use http::StatusCode;
use http::header;
use tempfile::TempDir;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::process::ChildStdout;
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::Asked;
use crate::Certified;
use crate::Error;
use crate::Fault;
use crate::Repository;
use crate::Result;
use crate::git_server_tls::TlsListener;
use crate::lfs;
use crate::repository::isolated_git;

/// Bytes. What a client may send: wants and haves, which are far fewer.
const MAX_REQUEST: usize = 64 << 20;
/// Bytes. What is read of an answer at once.
const CHUNK: usize = 64 << 10;
/// How long a byte of a trickle takes.
const DROP: Duration = Duration::from_secs(1);

type Repositories = Arc<Mutex<BTreeMap<String, Repository>>>;

/// How a git server is reached.
#[derive(Clone, Default)]
pub struct GitServerOptions {
    /// Its certificate; without one it speaks plain HTTP.
    pub tls: Option<Certified>,
    /// The authority, in PEM, of the clients that get in; without one everybody does.
    pub clients: Option<String>,
}

/// A git server with its repositories in a temporary directory. It ends with this value, or with its runtime.
pub struct GitServer {
    dir: TempDir,
    address: String,
    repositories: Repositories,
    task: JoinHandle<()>,
}

impl GitServer {
    /// Starts a server without repositories.
    pub async fn start() -> Result<Self> {
        Self::start_in(&std::env::temp_dir()).await
    }

    /// Starts a server whose repositories lie in a directory of their own within this one, and go with it.
    pub async fn start_in(parent: &Path) -> Result<Self> {
        Self::start_with(parent, GitServerOptions::default()).await
    }

    /// Starts a server that is reached as the options say. Behind TLS its URLs name `localhost`.
    pub async fn start_with(parent: &Path, options: GitServerOptions) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("trueup-git-").tempdir_in(parent).map_err(Error::file(parent))?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Error::Socket)?;
        let local = listener.local_addr().map_err(Error::Socket)?;
        let repositories = Repositories::default();
        let served = Served { root: dir.path().to_owned(), repositories: Arc::clone(&repositories) };
        let router = Router::new().fallback(answer).with_state(served);
        let (address, task) = match options.tls {
            None => {
                let task = tokio::spawn(async move {
                    let _ = axum::serve(listener, router).await;
                });
                (format!("http://{local}"), task)
            }
            Some(own) => {
                let listener = TlsListener::new(listener, &own, options.clients.as_deref())?;
                let task = tokio::spawn(async move {
                    let _ = axum::serve(listener, router).await;
                });
                (format!("https://localhost:{}", local.port()), task)
            }
        };
        Ok(Self { dir, address, repositories, task })
    }

    /// Makes an empty repository; the name may contain slashes.
    pub fn create(&self, name: &str) -> Result<Repository> {
        let url = format!("{}/{name}.git", self.address);
        let repository = Repository::create(self.dir.path().join(format!("{name}.git")), url)?;
        lock(&self.repositories).insert(format!("{name}.git"), repository.clone());
        Ok(repository)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Served {
    root: PathBuf,
    repositories: Repositories,
}

fn lock(repositories: &Repositories) -> std::sync::MutexGuard<'_, BTreeMap<String, Repository>> {
    repositories.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(served): State<Served>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_REQUEST).await else { return plain(StatusCode::PAYLOAD_TOO_LARGE) };
    let path = parts.uri.path().trim_start_matches('/');
    let name = path.find(".git/").map(|at| &path[..at + 4]);
    let Some(repository) = name.and_then(|name| lock(&served.repositories).get(name).cloned()) else {
        return plain(StatusCode::NOT_FOUND);
    };
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match repository.meet(kind(path, &body), authorization) {
        None => match lfs::answer(repository.dir(), &repository.large_files_url(), &parts, &body) {
            Some(answer) => answer,
            None => backend(&served, &parts, body, None).await,
        },
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Status(code)) => plain(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)),
        Some(Fault::Truncate(bytes)) => backend(&served, &parts, body, Some(Cut::Close(bytes))).await,
        Some(Fault::Stall(bytes)) => backend(&served, &parts, body, Some(Cut::Hang(bytes))).await,
        Some(Fault::Trickle) => backend(&served, &parts, body, Some(Cut::Trickle)).await,
    }
}

/// What a request asks for. A compressed body is not looked into: git compresses what is longer than a kilobyte, and
/// only a fetch is.
fn kind(path: &str, body: &[u8]) -> Asked {
    if path.ends_with("/info/refs") {
        Asked::Discovery
    } else if !path.ends_with("/git-upload-pack") {
        Asked::Other
    } else if body.get(4..).is_some_and(|line| line.starts_with(b"command=ls-refs")) {
        Asked::LsRefs
    } else {
        Asked::Fetch
    }
}

/// What an answer suffers on its way.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// It ends after so many bytes, and so does the connection.
    Close(usize),
    /// It ends after so many bytes, and the connection stays.
    Hang(usize),
    /// It takes a second per byte.
    Trickle,
}

async fn backend(served: &Served, parts: &http::request::Parts, body: Bytes, cut: Option<Cut>) -> Response {
    match run_backend(served, parts, body, cut).await {
        Ok(response) => response,
        Err(error) => {
            eprintln!("git http-backend: {error}");
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Runs `git http-backend` as CGI (RFC 3875) and streams what it says.
async fn run_backend(
    served: &Served,
    parts: &http::request::Parts,
    body: Bytes,
    cut: Option<Cut>,
) -> std::io::Result<Response> {
    let mut command = Command::from(isolated_git());
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &served.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string());
    let passed = [
        ("git-protocol", "GIT_PROTOCOL"),
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
    ];
    for (header, variable) in passed {
        if let Some(value) = parts.headers.get(header).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::Error::other("no pipes"));
    };
    tokio::spawn(async move {
        let _ = stdin.write_all(&body).await;
    });
    let mut stdout = BufReader::new(stdout);
    let (status, headers) = read_head(&mut stdout).await?;
    let mut response = Response::new(Body::from_stream(content(child, stdout, cut)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Reads the header of a CGI answer.
async fn read_head(from: &mut BufReader<ChildStdout>) -> std::io::Result<(StatusCode, HeaderMap)> {
    let (mut status, mut headers) = (StatusCode::OK, HeaderMap::new());
    let mut line = String::new();
    loop {
        line.clear();
        if from.read_line(&mut line).await? == 0 {
            return Err(std::io::Error::other("ended before its header did"));
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { return Ok((status, headers)) };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            status = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        } else if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value.parse()) {
            headers.insert(name, value);
        }
    }
}

/// The content of an answer, up to where it is cut. What it comes from lives as long as somebody reads.
pub(crate) fn content(
    source: impl Send + 'static,
    from: impl AsyncRead + Unpin + Send + 'static,
    cut: Option<Cut>,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    let left = match cut {
        Some(Cut::Close(bytes) | Cut::Hang(bytes)) => bytes,
        Some(Cut::Trickle) | None => usize::MAX,
    };
    stream::unfold((source, from, left, false), move |(source, mut from, left, ended)| async move {
        if ended {
            return None;
        }
        if left == 0 {
            if matches!(cut, Some(Cut::Hang(_))) {
                let never: Infallible = std::future::pending().await;
                match never {}
            }
            // An error in the body makes the server close the connection before the end of the answer.
            return Some((Err(std::io::Error::other("cut")), (source, from, left, true)));
        }
        let mut most = left.min(CHUNK);
        if matches!(cut, Some(Cut::Trickle)) {
            tokio::time::sleep(DROP).await;
            most = 1;
        }
        let mut chunk = vec![0; most];
        match from.read(&mut chunk).await {
            Ok(0) => None,
            Ok(read) => {
                chunk.truncate(read);
                Some((Ok(chunk.into()), (source, from, left.saturating_sub(read), false)))
            }
            Err(error) => Some((Err(error), (source, from, left, true))),
        }
    })
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let challenge = header::HeaderValue::from_static("Basic realm=\"bed\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}
