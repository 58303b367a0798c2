//! Git LFS on a git server: its batch API and the files themselves, as far as a reader needs them.
//!
//! The files lie where `git lfs clean`, run in the bare repository, puts them. Entry point: [`answer`].

use std::path::Path;
use std::path::PathBuf;

use axum::body::Body;
use axum::body::Bytes;
use axum::response::Response;
use http::HeaderMap;
use http::Method;
use http::StatusCode;
use http::header;
use serde::Deserialize;
use serde_json::json;

/// What follows the URL of a repository in that of its batch API.
const BATCH: &str = "/info/lfs/objects/batch";
/// What follows it in those of its files.
pub(crate) const FILES: &str = "/lfs-files";
/// What has to be shown to get a file, as signed URLs of object storage do.
const TICKET: (&str, &str) = ("x-ticket", "let me in");
const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

#[derive(Deserialize)]
struct Asked {
    operation: String,
    objects: Vec<Wanted>,
}

#[derive(Deserialize)]
struct Wanted {
    oid: String,
    size: u64,
}

/// Answers a request that is about LFS; nothing if it is not.
///
/// `dir` is the bare repository, `files` the URL below which its files are said to be.
pub(crate) fn answer(dir: &Path, files: &str, parts: &http::request::Parts, body: &Bytes) -> Option<Response> {
    let path = parts.uri.path();
    if path.ends_with(BATCH) {
        return Some(if parts.method == Method::POST { batch(dir, files, &parts.headers, body) } else { refused(405) });
    }
    let oid = path.split_once(&format!("{FILES}/"))?.1;
    let ticket = parts.headers.get(TICKET.0).is_some_and(|shown| shown == TICKET.1);
    let content = file(dir, oid).filter(|_| ticket).and_then(|path| std::fs::read(path).ok());
    Some(content.map_or_else(|| refused(403), |content| Response::new(Body::from(content))))
}

fn batch(dir: &Path, files: &str, headers: &HeaderMap, body: &Bytes) -> Response {
    let wants_lfs = headers.get(header::ACCEPT).is_some_and(|accepted| accepted == MEDIA_TYPE);
    let Some(asked) =
        serde_json::from_slice::<Asked>(body).ok().filter(|asked| wants_lfs && asked.operation == "download")
    else {
        return refused(422);
    };
    let objects: Vec<_> = asked.objects.iter().map(|wanted| object(dir, files, wanted)).collect();
    let mut response = Response::new(Body::from(json!({"transfer": "basic", "objects": objects}).to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(MEDIA_TYPE));
    response
}

fn object(dir: &Path, files: &str, wanted: &Wanted) -> serde_json::Value {
    let Wanted { oid, size } = wanted;
    if file(dir, oid).is_none_or(|path| !path.is_file()) {
        return json!({"oid": oid, "size": size, "error": {"code": 404, "message": "Object does not exist"}});
    }
    let download = json!({"href": format!("{files}/{oid}"), "header": {TICKET.0: TICKET.1}});
    json!({"oid": oid, "size": size, "actions": {"download": download}})
}

/// Where git-lfs keeps a file.
fn file(dir: &Path, oid: &str) -> Option<PathBuf> {
    let is_id = oid.len() == 64 && oid.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| dir.join("lfs/objects").join(&oid[..2]).join(&oid[2..4]).join(oid))
}

fn refused(status: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
