//! What the bodies of webhooks say, in the words of each kind of server.
//!
//! Pure. Invariants: any bytes are an event or an error, never a panic; every ref of a body counts, and of very many all are meant; what
//! else a body holds is passed over without being kept. Entry point: [`read`].

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::provider::Provider;
use super::push::{Event, Push};

/// As many refs of one push are told apart; with more any ref may have changed. Servers themselves send no event beyond some dozens.
const REFS_MAX: usize = 1000;

/// Why a body means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// The words of the parser quote the body, so only the place is told.
    #[error(
        "the body is not the JSON of such an event (line {line}, column {column}): choose JSON as its content type"
    )]
    Json { line: usize, column: usize },
    #[error("the body names no repository by its URL")]
    NoRepository,
}

/// Reads a body. `kind` is the kind of event that the headers tell.
pub(super) fn read(provider: Provider, kind: &str, body: &[u8]) -> Result<Event, BodyError> {
    match provider {
        Provider::GitHub => match kind {
            "push" => whole(json::<RefBody>(body)?),
            _ => Ok(Event::Nothing),
        },
        Provider::Gitea => match kind {
            "push" | "create" | "delete" => whole(json::<RefBody>(body)?),
            _ => Ok(Event::Nothing),
        },
        Provider::GitLab => {
            let kinds = json::<Kinds>(body)?;
            let mut kinds = [kinds.object_kind, kinds.event_name].into_iter().flatten();
            if kinds.any(|kind| matches!(&*kind, "push" | "tag_push" | "repository_update")) {
                whole(json::<GitLabBody>(body)?)
            } else {
                Ok(Event::Nothing)
            }
        }
        Provider::BitbucketCloud => match kind {
            "repo:push" => whole(json::<BitbucketCloudBody>(body)?),
            _ => Ok(Event::Nothing),
        },
        Provider::BitbucketServer => match kind {
            "repo:refs_changed" => whole(json::<BitbucketServerBody>(body)?),
            _ => Ok(Event::Nothing),
        },
        Provider::AzureDevOps => match json::<Kinds>(body)?.event_type.as_deref() {
            Some("git.push") => whole(json::<AzureBody>(body)?),
            _ => Ok(Event::Nothing),
        },
        Provider::Trueup => whole(json::<OwnBody>(body)?),
    }
}

/// A body that tells of a push.
trait Told {
    fn urls(&mut self) -> Vec<String>;
    /// The refs that changed; `None` if it may be any.
    fn refs(&mut self) -> Option<Vec<String>>;
}

fn whole(mut body: impl Told) -> Result<Event, BodyError> {
    let refs = body.refs().unwrap_or_default();
    Push::new(body.urls(), refs).map(Event::Push).ok_or(BodyError::NoRepository)
}

fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BodyError> {
    serde_json::from_slice(body).map_err(|error| BodyError::Json { line: error.line(), column: error.column() })
}

/// The full names that a name may stand for.
fn full(name: String, kind: Option<&str>) -> Vec<String> {
    match kind {
        _ if name.starts_with("refs/") => vec![name],
        Some("tag") => vec![format!("refs/tags/{name}")],
        Some("branch" | "named_branch") => vec![format!("refs/heads/{name}")],
        _ => vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")],
    }
}

/// What kind of event a body is. Read first: the rest of other kinds has other forms.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Kinds {
    object_kind: Option<String>,
    event_name: Option<String>,
    #[serde(rename = "eventType")]
    event_type: Option<String>,
}

/// A repository, under all the names that servers give to its URLs.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Repository {
    html_url: Option<String>,
    clone_url: Option<String>,
    ssh_url: Option<String>,
    git_url: Option<String>,
    web_url: Option<String>,
    http_url: Option<String>,
    git_http_url: Option<String>,
    git_ssh_url: Option<String>,
    homepage: Option<String>,
    url: Option<String>,
    #[serde(rename = "remoteUrl")]
    remote_url: Option<String>,
    links: Option<Links>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Links {
    html: Option<Link>,
    clone: Option<Few<Link>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Link {
    href: Option<String>,
}

/// GitHub, Gitea and its kin.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RefBody {
    r#ref: Option<String>,
    ref_type: Option<String>,
    repository: Option<Repository>,
}

/// The hooks of projects and of the whole GitLab.
#[derive(Default, Deserialize)]
#[serde(default)]
struct GitLabBody {
    object_kind: Option<String>,
    r#ref: Option<String>,
    changes: Option<Few<GitLabChange>>,
    project: Option<Repository>,
    repository: Option<Repository>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GitLabChange {
    r#ref: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BitbucketCloudBody {
    push: Option<BitbucketCloudPush>,
    repository: Option<Repository>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BitbucketCloudPush {
    changes: Option<Few<BitbucketCloudChange>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BitbucketCloudChange {
    new: Option<BitbucketCloudRef>,
    old: Option<BitbucketCloudRef>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BitbucketCloudRef {
    r#type: Option<String>,
    name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BitbucketServerBody {
    changes: Option<Few<BitbucketServerChange>>,
    repository: Option<Repository>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BitbucketServerChange {
    r#ref: Option<BitbucketServerRef>,
    #[serde(rename = "refId")]
    ref_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BitbucketServerRef {
    id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AzureBody {
    resource: Option<AzureResource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AzureResource {
    #[serde(rename = "refUpdates")]
    ref_updates: Option<Few<AzureRef>>,
    repository: Option<Repository>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AzureRef {
    name: Option<String>,
}

/// Our own form.
#[derive(Deserialize)]
struct OwnBody {
    repository: String,
    r#ref: Option<String>,
}

// === impl Repository ===

impl Repository {
    fn urls(self) -> Vec<String> {
        let links = self.links.unwrap_or_default();
        let clones = links.clone.map(|links| links.items).unwrap_or_default();
        let hrefs = clones.into_iter().chain(links.html).map(|link| link.href);
        let named = [
            self.html_url,
            self.clone_url,
            self.ssh_url,
            self.git_url,
            self.web_url,
            self.http_url,
            self.git_http_url,
            self.git_ssh_url,
            self.homepage,
            self.url,
            self.remote_url,
        ];
        named.into_iter().chain(hrefs).flatten().collect()
    }
}

fn urls(repository: &mut Option<Repository>) -> Vec<String> {
    repository.take().map(Repository::urls).unwrap_or_default()
}

// === impl Told ===

impl Told for RefBody {
    fn urls(&mut self) -> Vec<String> {
        urls(&mut self.repository)
    }

    fn refs(&mut self) -> Option<Vec<String>> {
        Some(full(self.r#ref.take()?, self.ref_type.as_deref()))
    }
}

impl Told for GitLabBody {
    fn urls(&mut self) -> Vec<String> {
        [urls(&mut self.project), urls(&mut self.repository)].concat()
    }

    fn refs(&mut self) -> Option<Vec<String>> {
        let kind = if self.object_kind.as_deref() == Some("tag_push") { Some("tag") } else { Some("branch") };
        let one = self.r#ref.take().map(|name| full(name, kind));
        let many =
            self.changes.take().map(|changes| changes.refs(|change| full(change.r#ref.unwrap_or_default(), None)));
        match (one, many) {
            (one, None) => one,
            (one, Some(many)) => Some([one.unwrap_or_default(), many?].concat()),
        }
    }
}

impl Told for BitbucketCloudBody {
    fn urls(&mut self) -> Vec<String> {
        urls(&mut self.repository)
    }

    fn refs(&mut self) -> Option<Vec<String>> {
        let named = |side: Option<BitbucketCloudRef>| {
            side.and_then(|side| Some(full(side.name?, side.r#type.as_deref()))).unwrap_or_default()
        };
        self.push.take()?.changes?.refs(|change| [named(change.new), named(change.old)].concat())
    }
}

impl Told for BitbucketServerBody {
    fn urls(&mut self) -> Vec<String> {
        urls(&mut self.repository)
    }

    fn refs(&mut self) -> Option<Vec<String>> {
        self.changes.take()?.refs(|change| {
            let id = change.r#ref.and_then(|named| named.id).or(change.ref_id);
            id.map(|id| full(id, None)).unwrap_or_default()
        })
    }
}

impl Told for AzureBody {
    fn urls(&mut self) -> Vec<String> {
        self.resource.as_mut().map(|resource| urls(&mut resource.repository)).unwrap_or_default()
    }

    fn refs(&mut self) -> Option<Vec<String>> {
        let updates = self.resource.as_mut()?.ref_updates.take()?;
        updates.refs(|update| update.name.map(|name| full(name, None)).unwrap_or_default())
    }
}

impl Told for OwnBody {
    fn urls(&mut self) -> Vec<String> {
        vec![std::mem::take(&mut self.repository)]
    }

    fn refs(&mut self) -> Option<Vec<String>> {
        Some(full(self.r#ref.take()?, None))
    }
}

/// The first of a list, and whether there are more.
#[derive(Debug)]
struct Few<T> {
    items: Vec<T>,
    more: bool,
}

// === impl Few ===

impl<T> Few<T> {
    /// The refs that the items name; `None` if they do not name all.
    fn refs(self, named: impl Fn(T) -> Vec<String>) -> Option<Vec<String>> {
        (!self.more).then(|| self.items.into_iter().flat_map(named).collect())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
                let mut items = Vec::new();
                while items.len() < REFS_MAX {
                    match list.next_element()? {
                        Some(item) => items.push(item),
                        None => return Ok(Few { items, more: false }),
                    }
                }
                let mut more = false;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    more = true;
                }
                Ok(Few { items, more })
            }
        }

        deserializer.deserialize_seq(Items(PhantomData))
    }
}

#[cfg(test)]
mod tests;
