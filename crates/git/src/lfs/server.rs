//! Git LFS over HTTP: its batch API, which says where files are, and fetching them ("basic" transfer).
//!
//! Invariant: our login goes to the repository's own server only; what the server names for a file goes where it names, and not on
//! after a redirect to another one. Nothing moves from `https` to `http`. Entry points: [`locate`] and [`download`].

use std::collections::HashMap;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::files::Incoming;
use super::pointer::Pointer;
use crate::web::Site;

/// Files that are asked for in one request: what servers take (GitHub: 100).
pub(super) const BATCH: usize = 100;
/// Bytes of the answer to one request: some kilobytes for each file, for signed URLs.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// As many as lead from a server to its object storage, and then some.
const REDIRECTS_MAX: usize = 5;
const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// Where a file is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    url: Url,
    headers: HeaderMap,
}

#[derive(Serialize)]
struct Asked<'a> {
    operation: &'a str,
    transfers: [&'a str; 1],
    objects: Vec<AskedObject>,
    hash_algo: &'a str,
}

#[derive(Serialize)]
struct AskedObject {
    oid: String,
    size: u64,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    transfer: Option<String>,
    #[serde(default)]
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    #[serde(default)]
    actions: Option<Actions>,
    #[serde(default)]
    error: Option<Refused>,
}

#[derive(Deserialize)]
struct Actions {
    #[serde(default)]
    download: Option<Download>,
}

#[derive(Deserialize)]
struct Download {
    href: String,
    #[serde(default)]
    header: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    message: String,
}

/// Asks where files are; for each, or for all, why it cannot be had.
pub(super) async fn locate(
    site: &Site,
    pointers: &[Pointer],
) -> Result<HashMap<Pointer, Result<Place, String>>, String> {
    let base = site.base().as_str().trim_end_matches('/');
    let base = base.strip_suffix(".git").unwrap_or(base);
    let url = Url::parse(&format!("{base}.git/info/lfs/objects/batch")).map_err(|error| error.to_string())?;
    let objects = pointers.iter().map(|pointer| AskedObject { oid: pointer.to_string(), size: pointer.size }).collect();
    let asked = Asked { operation: "download", transfers: ["basic"], objects, hash_algo: "sha256" };
    let asked = serde_json::to_vec(&asked).map_err(|error| error.to_string())?;
    let request = site.request(Method::POST, &url).await.map_err(|error| error.to_string())?;
    let request = site.with_login(request).map_err(|error| error.to_string())?;
    let request = request.header(ACCEPT, MEDIA_TYPE).header(CONTENT_TYPE, MEDIA_TYPE).body(asked);
    let response = request.send().await.map_err(|error| site.failed(&url, &error).to_string())?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err("the server of the repository has no Git LFS for it (404)".to_owned()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(format!("the server refuses our login for Git LFS ({})", response.status().as_u16()));
        }
        status => return Err(format!("the server answers with HTTP status {status}")),
    }
    let answer = body(response, &url, site).await?;
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| "the answer of the server is none of Git LFS")?;
    if answer.transfer.as_deref().is_some_and(|transfer| transfer != "basic") {
        return Err("the server offers no transfer that is supported (basic)".to_owned());
    }
    let mut objects: HashMap<String, Object> =
        answer.objects.into_iter().map(|object| (object.oid.clone(), object)).collect();
    let found = pointers.iter().map(|pointer| (*pointer, place(objects.remove(&pointer.to_string()), site)));
    Ok(found.collect())
}

/// Where the server says that a file is.
fn place(object: Option<Object>, site: &Site) -> Result<Place, String> {
    let object = object.ok_or("the server says nothing of it")?;
    if let Some(refused) = object.error {
        return Err(format!("the server answers: {}", site.scrub(&refused.message)));
    }
    let download = object.actions.and_then(|actions| actions.download);
    let download = download.ok_or("the server does not say where it is")?;
    let url = Url::parse(&download.href).map_err(|_| "the server names no URL for it")?;
    check(site.base(), &url)?;
    let mut headers = HeaderMap::new();
    for (name, value) in download.header.unwrap_or_default() {
        let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
        let (Ok(name), Ok(mut value)) = (name, value) else {
            return Err("the server names a header that is none".to_owned());
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(Place { url, headers })
}

/// Whether one may go from one URL to the other.
fn check(from: &Url, to: &Url) -> Result<(), String> {
    match (from.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => Ok(()),
        _ => Err(format!("it is said to be at a {} URL, which is not followed", to.scheme())),
    }
}

/// Fetches a file.
pub(super) async fn download(site: &Site, place: &Place, mut incoming: Incoming) -> Result<(), String> {
    let mut response = get(site, place).await?;
    let disk = |error: std::io::Error| format!("it cannot be stored: {error}");
    while let Some(piece) = chunk(&mut response, &place.url, site).await? {
        if !incoming.write(&piece).map_err(disk)? {
            return Err("the server sends more than the file has".to_owned());
        }
    }
    if incoming.finish().map_err(disk)? {
        Ok(())
    } else {
        Err("the server sends something else: its size or SHA-256 differs".to_owned())
    }
}

async fn get(site: &Site, place: &Place) -> Result<Response, String> {
    let mut url = place.url.clone();
    let mut headers = place.headers.clone();
    for _ in 0..=REDIRECTS_MAX {
        let mut request = site.request(Method::GET, &url).await.map_err(|error| error.to_string())?;
        if site.is_own(&url) && !headers.contains_key(AUTHORIZATION) {
            request = site.with_login(request).map_err(|error| error.to_string())?;
        }
        let response = request.headers(headers.clone()).send().await;
        let response = response.map_err(|error| site.failed(&url, &error).to_string())?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        if !response.status().is_redirection() {
            return Err(format!("the server of the file answers with HTTP status {}", response.status()));
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let next = url.join(location).map_err(|_| "the server of the file redirects to nowhere")?;
        check(&url, &next)?;
        if next.origin() != url.origin() {
            headers.clear();
        }
        url = next;
    }
    Err(format!("the server of the file redirects more than {REDIRECTS_MAX} times"))
}

async fn body(mut response: Response, url: &Url, site: &Site) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(piece) = chunk(&mut response, url, site).await? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(format!("the answer of the server has more than {ANSWER_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

async fn chunk(response: &mut Response, url: &Url, site: &Site) -> Result<Option<bytes::Bytes>, String> {
    response.chunk().await.map_err(|error| site.failed(url, &error).to_string())
}
