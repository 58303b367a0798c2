//! Registries that answer by the rules of HTTP, but not the truth.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http::{Response, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use trueup_bed::{Chart, HelmServer};
use trueup_git::GitError;
use trueup_registry::{Limits, Package, RegistryError};

use crate::bench::{artifact, basic, bench, bench_with, chart};

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A server that says what it is told to.
struct Liar {
    host: String,
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Liar {
    async fn start(says: impl Fn(&str, &Request) -> Response<Body> + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let ears = Arc::clone(&heard);
        let answer = move |request: Request| {
            let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
            let shown = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
            ears.lock().unwrap().push(format!("{} {path} {}", request.method(), shown.unwrap_or_default()));
            std::future::ready(says(&path, &request))
        };
        let router = Router::new().fallback(answer);
        let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Self { host, heard, task }
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }

    fn chart(&self) -> Package {
        chart(&format!("oci://{}", self.host), "redis")
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn ok(body: impl Into<Body>) -> Response<Body> {
    Response::new(body.into())
}

fn status(code: u16, headers: &[(&str, &str)]) -> Response<Body> {
    let mut response = Response::builder().status(StatusCode::from_u16(code).unwrap());
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::empty()).unwrap()
}

fn manifest(digest: &str, size: usize) -> String {
    let kind = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    format!(r#"{{"schemaVersion":2,"layers":[{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}]}}"#)
}

#[tokio::test]
async fn a_manifest_must_have_its_digest() {
    let liar = Liar::start(|_, _| {
        let mut response = ok(manifest(EMPTY, 0));
        response.headers_mut().insert("docker-content-digest", EMPTY.parse().unwrap());
        response
    });
    let liar = liar.await;
    let error = bench().get(&liar.chart(), "1.0.0").await.unwrap_err();
    assert!(matches!(&error, RegistryError::Digest { what, .. } if what == "the manifest"), "{error}");
    assert!(error.to_string().contains(EMPTY));
}

#[tokio::test]
async fn without_a_head_the_manifest_itself_tells_its_digest() {
    for head in [405, 200] {
        let liar = Liar::start(move |path, request| match path {
            path if path.contains("/manifests/") && request.method() == "HEAD" => status(head, &[]),
            path if path.contains("/manifests/") => ok(manifest(EMPTY, 0)),
            _ => ok(""),
        });
        let liar = liar.await;
        let error = bench().get(&liar.chart(), "1.0.0").await.unwrap_err();
        // An empty blob has the digest, and is no archive.
        assert!(matches!(&error, RegistryError::Archive { .. }), "{error}");
        assert_eq!(liar.heard().len(), 3, "the manifest is not asked for twice");
    }
}

#[tokio::test]
async fn a_blob_must_have_its_digest_and_size() {
    for (promised, size, sent) in [(EMPTY, 0, "x"), (EMPTY, 1, "x"), (EMPTY, 3, "x"), (EMPTY, usize::MAX / 2, "")] {
        let liar = Liar::start(
            move |path, _| if path.contains("/manifests/") { ok(manifest(promised, size)) } else { ok(sent) },
        );
        let error = bench().get(&liar.await.chart(), "1.0.0").await.unwrap_err();
        let fits = match &error {
            RegistryError::Size { expected, actual, .. } => *expected == size as u64 && *actual == 1,
            RegistryError::Digest { what, .. } => size == 1 && what == "the archive",
            RegistryError::Repository(GitError::TooLarge { .. }) => size > 3,
            _ => false,
        };
        assert!(fits, "{size}: {error}");
    }
}

#[tokio::test]
async fn a_blob_may_be_elsewhere_and_nobody_there_learns_who_we_are() {
    let archive = Chart::new("redis", "1.0.0").archive();
    let storage = HelmServer::start().await.unwrap();
    let digest = storage.publish(&Chart::new("redis", "1.0.0"));
    let (place, size) = (storage.url("charts/redis-1.0.0.tgz"), archive.len());
    let liar = Liar::start(move |path, request| match path {
        _ if !request.headers().contains_key("authorization") => status(401, &[("www-authenticate", "Basic realm=x")]),
        path if path.contains("/manifests/") => ok(manifest(&format!("sha256:{digest}"), size)),
        _ => status(307, &[("location", &place)]),
    });
    let liar = liar.await;
    let package = Package::chart(&liar.host, "redis", &basic("bot", "hunter2"), true).unwrap();
    assert!(bench().get(&package, "1.0.0").await.unwrap().files.contains_key("Chart.yaml"));
    let requests = storage.requests();
    assert!(requests.len() == 1 && requests[0].authorization.is_none(), "{requests:?}");
}

#[tokio::test]
async fn a_list_of_tags_comes_to_an_end() {
    let limits = Limits { tag_pages: 5, tags: 8, ..Limits::default() };
    let page = |tags: &str, next: &str| {
        let mut response = ok(format!(r#"{{"tags":[{tags}]}}"#));
        response.headers_mut().insert("link", format!("<{next}>; rel=\"next\"").parse().unwrap());
        response
    };
    let many = (0..9).map(|n| format!("\"1.0.{n}\"")).collect::<Vec<_>>().join(",");
    for (tags, next, why) in [
        ("\"1.0.0\"".to_owned(), "/v2/redis/tags/list?last=1.0.0", "the limit of 5 pages"),
        (many, "/v2/redis/tags/list", "the limit of 8 tags"),
        (String::new(), "http://127.0.0.1:1/v2/redis/tags/list", "goes on elsewhere"),
        ("1".to_owned(), "", "a list of tags"),
    ] {
        let liar = Liar::start(move |_, _| page(&tags, next)).await;
        let error = bench_with(limits).resolve(&liar.chart(), "*").await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert!(liar.heard().len() <= 5);
    }
}

#[tokio::test]
async fn who_never_lets_us_in_is_not_asked_for_ever() {
    let liar = Liar::start(|path, request| match path {
        path if path.starts_with("/token") => ok(r#"{"token":"t","expires_in":300}"#),
        _ => {
            let host = request.headers()["host"].to_str().unwrap();
            status(401, &[("www-authenticate", &format!("Bearer realm=\"http://{host}/token\",service=\"s\""))])
        }
    });
    let liar = liar.await;
    let package = Package::chart(&liar.host, "redis", &basic("bot", "hunter2"), false).unwrap();
    let error = bench().resolve(&package, "*").await.unwrap_err();
    assert!(matches!(error, RegistryError::Repository(GitError::Unauthorized { .. })), "{error}");
    let heard = liar.heard();
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert!(heard[0].ends_with("tags/list?n=1000 "), "nothing is shown before it is asked for");
    assert_eq!(heard[1], "GET /token?service=s&scope=repository%3Aredis%3Apull Basic Ym90Omh1bnRlcjI=");
    assert!(heard[2].ends_with("Bearer t"), "{heard:?}");
}

#[tokio::test]
async fn a_service_that_gives_no_token_is_told() {
    for (challenge, answer, why) in [
        ("Bearer realm=\"ftp://h/\"", "", "no https:// URL"),
        ("Bearer realm=\"http://HOST/token\"", "hunter2", "no token"),
        ("Bearer realm=\"http://HOST/token\"", "{\"token\":\"\"}", "no token"),
        ("Bearer realm=\"http://HOST/token\"", "{\"access_token\":\"a\\nb\"}", "no token"),
        ("Negotiate", "", "asks for a login"),
    ] {
        let liar = Liar::start(move |path, request| {
            let host = request.headers()["host"].to_str().unwrap();
            if path.starts_with("/token") {
                return ok(answer);
            }
            status(401, &[("www-authenticate", &challenge.replace("HOST", host))])
        });
        let error = bench().resolve(&liar.await.chart(), "*").await.unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_registry_s_words_without_ours() {
    let liar = Liar::start(|_, request| {
        let shown = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        if shown.is_none() {
            return status(401, &[("www-authenticate", "Basic realm=\"x\"")]);
        }
        let mut response = ok(r#"{"errors":[{"code":"DENIED","message":"not for hunter2"}]}"#);
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    });
    let liar = liar.await;
    let package = Package::chart(&liar.host, "redis", &basic("bot", "hunter2"), false).unwrap();
    let error = bench().resolve(&package, "*").await.unwrap_err().to_string();
    assert!(error.contains("DENIED not for …") && !error.contains("hunter2"), "{error}");
    let busy = Liar::start(|_, _| status(429, &[("retry-after", "7")])).await;
    let error = bench().resolve(&artifact(&format!("oci://{}/a", busy.host)), "latest").await.unwrap_err();
    assert_eq!(error.patience().map(|it| it.as_secs()), Some(7));
}
