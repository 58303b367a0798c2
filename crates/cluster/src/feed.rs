//! Everything that there is of one collection, and then every change: a list, and a watch that goes on from it.
//!
//! Invariants: between [`FeedEvent::Listing`] and [`FeedEvent::Complete`] everything that is there is shown; after it
//! every change is, in order, or there is a new listing. A lost connection resumes without a listing. It never ends by
//! itself, and backs off by itself. Entry point: [`Feed::run`].

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff::{Backoff, spread};
use crate::connect::{SILENCE_MAX, chain};
use crate::counters::Verb;
use crate::error::{Asked, ClusterError, classify};
use crate::head::Head;
use crate::kind::escape;
use crate::page::PageSize;
use crate::request::{Broken, Call, Failure, JSON, METADATA, METADATA_LIST, REQUEST_TIMEOUT, Requests};

/// How long one watch lasts, more or less: long enough to cost nothing at rest.
const WATCH_TIME: Duration = Duration::from_mins(30);
/// How long one page may take: only so many are read at once, and a server that hangs must not hold up the others.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// A watch that lasted this long was a good one.
const STEADY: Duration = Duration::from_secs(10);
/// The most bytes of one event. No object in etcd is above a few MiB.
const EVENT_BYTES_MAX: usize = 32 << 20;
/// What the buffer of a watch may keep between events: most objects are smaller.
const BUFFER_BYTES: usize = 16 << 10;

/// What a feed tells.
pub(crate) enum FeedEvent<'a> {
    /// A listing begins: what it does not show until it is complete is gone.
    Listing,
    /// An object of the listing.
    Listed(&'a Head<'a>, &'a RawValue),
    /// The listing is complete, as of this version.
    Complete(&'a str),
    /// A watch goes on from there.
    Following,
    /// An object came or changed.
    Changed(&'a Head<'a>, &'a RawValue),
    /// An object went.
    Deleted(&'a Head<'a>, &'a RawValue),
    /// Everything up to this version has been told.
    Progress(&'a str),
    /// Something failed and will be tried again.
    Failed(&'a Failure),
}

/// Who is told.
pub(crate) trait Sink: Send {
    /// Takes an event; false if nobody listens any more.
    fn take(&mut self, event: FeedEvent<'_>) -> impl Future<Output = bool> + Send;
}

/// A collection and how it is asked for.
pub(crate) struct Feed {
    /// Its path without a query.
    pub(crate) path: String,
    /// The plural name of the kind.
    pub(crate) plural: String,
    /// A label selector.
    pub(crate) labels: Option<String>,
    /// The name of the one object that is asked for.
    pub(crate) name: Option<String>,
    /// How much of each object is asked for.
    pub(crate) form: Form,
    /// Ends a wait.
    pub(crate) kick: Arc<Notify>,
}

/// How much of each object is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// All of it.
    Whole,
    /// Its metadata.
    Metadata,
}

/// Why a listing or a watch ended.
enum End {
    /// Nobody listens.
    Unheard,
    /// The server closed it in its own time.
    Closed,
    /// The position is too old: everything is listed again.
    Expired,
    Failed(Failure),
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageHead,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PageHead {
    resource_version: String,
    r#continue: String,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow)]
    what: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// What a bookmark says, and the code of an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Note {
    metadata: PageHead,
    code: u16,
}

// === impl Feed ===

impl Feed {
    /// Tells everything, until nobody listens.
    pub(crate) async fn run(self, requests: &Requests, sink: &mut impl Sink) {
        let mut backoff = Backoff::default();
        let mut page = PageSize::default();
        let mut position: Option<String> = None;
        loop {
            let mut steady = false;
            let end = match &mut position {
                None => match self.list(requests, &mut page, sink).await {
                    Ok(version) => {
                        position = Some(version);
                        continue;
                    }
                    Err(end) => end,
                },
                Some(position) => {
                    let begun = Instant::now();
                    let end = self.follow(requests, position, sink).await;
                    steady = begun.elapsed() >= STEADY;
                    end
                }
            };
            if steady {
                backoff.reset();
            }
            let wait = match end {
                End::Unheard => return,
                End::Closed if steady => continue,
                End::Closed => backoff.next(true),
                End::Expired => {
                    position = None;
                    if steady { Duration::ZERO } else { backoff.next(true) }
                }
                End::Failed(failure) => {
                    if !sink.take(FeedEvent::Failed(&failure)).await {
                        return;
                    }
                    let wait = backoff.next(failure.network);
                    failure.retry_after.map_or(wait, |asked| wait.max(asked))
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.kick.notified() => {}
                () = requests.link.recovered() => {}
            }
        }
    }

    /// Lists everything once. A listing that has become too old on its way is begun anew, once.
    pub(crate) async fn list_once(&self, requests: &Requests, sink: &mut impl Sink) -> Result<(), ClusterError> {
        let mut page = PageSize::default();
        let mut end = self.list(requests, &mut page, sink).await;
        if matches!(end, Err(End::Expired)) {
            end = self.list(requests, &mut page, sink).await;
        }
        match end {
            Ok(_) | Err(End::Unheard | End::Closed) => Ok(()),
            Err(End::Expired) => Err(ClusterError::Gone),
            Err(End::Failed(failure)) => Err(failure.error),
        }
    }

    /// Lists everything, page by page, and answers the version that the listing is of.
    async fn list(&self, requests: &Requests, page: &mut PageSize, sink: &mut impl Sink) -> Result<String, End> {
        let mut from = String::new();
        loop {
            // Held until the page has been taken, so that only so many pages are in memory at once.
            let turn = requests.lists.acquire().await;
            let mut query = format!("limit={}", page.limit());
            if !from.is_empty() {
                query.push_str("&continue=");
                escape(&mut query, &from);
            }
            let call = self.call(Verb::List, &query);
            let answer = tokio::time::timeout(PAGE_TIMEOUT, requests.once(&call)).await;
            let answer = answer.unwrap_or_else(|_| {
                let message = format!("no answer within {} s", PAGE_TIMEOUT.as_secs());
                Err(Failure::here(ClusterError::Unavailable { message }))
            });
            let answer = match answer {
                Ok(answer) => answer,
                Err(Failure { error: ClusterError::Gone, .. }) => return Err(End::Expired),
                Err(failure) => return Err(End::Failed(failure)),
            };
            let list: Page<'_> =
                serde_json::from_slice(&answer).map_err(|_| End::Failed(malformed("it is no list")))?;
            let items = list.items.unwrap_or_default();
            page.learn(answer.len(), items.len());
            if from.is_empty() && !sink.take(FeedEvent::Listing).await {
                return Err(End::Unheard);
            }
            for item in items {
                // What we cannot name could be anything, so a listing that holds it is not complete.
                let head = Head::read(item.get().as_bytes());
                let head = head.ok_or_else(|| End::Failed(malformed("an object in the list has no name")))?;
                if !sink.take(FeedEvent::Listed(&head, item)).await {
                    return Err(End::Unheard);
                }
            }
            drop(turn);
            from = list.metadata.r#continue;
            if from.is_empty() {
                let version = list.metadata.resource_version;
                let heard = sink.take(FeedEvent::Complete(&version)).await;
                return if heard { Ok(version) } else { Err(End::Unheard) };
            }
        }
    }

    /// Watches from a position, and moves it.
    async fn follow(&self, requests: &Requests, position: &mut String, sink: &mut impl Sink) -> End {
        let seconds = spread(WATCH_TIME).as_secs();
        let mut query = format!("watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion=");
        escape(&mut query, position);
        let opened = tokio::time::timeout(REQUEST_TIMEOUT, requests.open(&self.call(Verb::Watch, &query))).await;
        let answer = match opened {
            Ok(Ok(answer)) => answer,
            Ok(Err(Failure { error: ClusterError::Gone, .. })) => return End::Expired,
            Ok(Err(failure)) => return End::Failed(failure),
            Err(_) => return End::Failed(requests.broken(Broken::Network("the watch does not begin".to_owned()))),
        };
        if !sink.take(FeedEvent::Following).await {
            return End::Unheard;
        }
        let mut body = answer.body;
        let mut lines = Lines::default();
        loop {
            let frame = match tokio::time::timeout(SILENCE_MAX, body.frame()).await {
                Ok(None) => return End::Closed,
                Ok(Some(Ok(frame))) => frame,
                // A server that goes away closes its watches like this; if it does not come back, the next one says so.
                Ok(Some(Err(error))) => {
                    tracing::debug!(resource = self.plural, error = chain(&error), "watch broke off");
                    return End::Closed;
                }
                Err(_) => {
                    let message = format!("the watch was silent for {} s", SILENCE_MAX.as_secs());
                    return End::Failed(requests.broken(Broken::Network(message)));
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            if !lines.push(&data) {
                return End::Failed(malformed("an event is too large"));
            }
            while let Some(line) = lines.next() {
                if let Some(end) = self.event(line, position, sink).await {
                    return end;
                }
            }
            lines.settle();
        }
    }

    /// Tells one event.
    async fn event(&self, line: &[u8], position: &mut String, sink: &mut impl Sink) -> Option<End> {
        let Ok(Line { what, object }) = serde_json::from_slice::<Line<'_>>(line) else {
            return Some(End::Failed(malformed("it is no event")));
        };
        let text = object.get().as_bytes();
        if what == "BOOKMARK" || what == "ERROR" {
            let note: Note = serde_json::from_slice(text).unwrap_or_default();
            if what == "ERROR" {
                let asked = Asked { plural: &self.plural, secret: self.is_secret(), json_patch: false };
                return Some(match classify(asked, note.code, text) {
                    ClusterError::Gone => End::Expired,
                    error => End::Failed(Failure::here(error)),
                });
            }
            *position = note.metadata.resource_version;
            return (!sink.take(FeedEvent::Progress(position)).await).then_some(End::Unheard);
        }
        let Some(head) = Head::read(text) else {
            // The position stays before it, so nothing is lost; if it stays that way, the kind is a failed one.
            return Some(End::Failed(malformed("an object in an event has no name")));
        };
        let heard = match what.as_ref() {
            "ADDED" | "MODIFIED" => sink.take(FeedEvent::Changed(&head, object)).await,
            "DELETED" => sink.take(FeedEvent::Deleted(&head, object)).await,
            _ => true,
        };
        head.resource_version.as_ref().clone_into(position);
        (!heard).then_some(End::Unheard)
    }

    /// Whether the server's words may quote a Secret.
    fn is_secret(&self) -> bool {
        self.plural == "secrets" && self.path.starts_with("/api/")
    }

    fn call(&self, verb: Verb, query: &str) -> Call {
        let mut address = format!("{}?{query}", self.path);
        if let Some(labels) = &self.labels {
            address.push_str("&labelSelector=");
            escape(&mut address, labels);
        }
        if let Some(name) = &self.name {
            address.push_str("&fieldSelector=metadata.name%3D");
            escape(&mut address, name);
        }
        let accept = match (self.form, verb) {
            (Form::Whole, _) => JSON,
            (Form::Metadata, Verb::List) => METADATA_LIST,
            (Form::Metadata, _) => METADATA,
        };
        Call { accept, plural: self.plural.clone(), secret: self.is_secret(), ..Call::read(verb, address) }
    }
}

fn malformed(message: &str) -> Failure {
    Failure::here(ClusterError::Malformed { message: message.to_owned() })
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    /// Where the next line begins.
    begin: usize,
    /// Up to where no end of a line has been found.
    searched: usize,
}

impl Lines {
    /// Adds bytes; false if a line becomes too long.
    fn push(&mut self, data: &Bytes) -> bool {
        self.buffer.extend_from_slice(data);
        self.buffer.len() <= EVENT_BYTES_MAX
    }

    /// The next whole line.
    fn next(&mut self) -> Option<&[u8]> {
        loop {
            let Some(length) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return None;
            };
            let (begin, end) = (self.begin, self.searched + length);
            self.begin = end + 1;
            self.searched = self.begin;
            if begin < end {
                return Some(&self.buffer[begin..end]);
            }
        }
    }

    /// Forgets what has been read.
    fn settle(&mut self) {
        self.buffer.drain(..self.begin);
        self.searched -= self.begin;
        self.begin = 0;
        if self.buffer.len() < BUFFER_BYTES && self.buffer.capacity() > BUFFER_BYTES {
            self.buffer.shrink_to(BUFFER_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&str]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            assert!(lines.push(&Bytes::copy_from_slice(chunk.as_bytes())));
            while let Some(line) = lines.next() {
                found.push(String::from_utf8(line.to_vec()).unwrap());
            }
            lines.settle();
        }
        found
    }

    #[test]
    fn lines_are_whole_wherever_the_stream_is_cut() {
        let text = "one\ntwo\n\nthree\nrest";
        let expected = ["one", "two", "three"];
        assert_eq!(cut(&[text]), expected);
        for at in 0..text.len() {
            assert_eq!(cut(&[&text[..at], &text[at..]]), expected, "cut at {at}");
        }
        let bytes: Vec<&str> = text.split_inclusive(|_| true).collect();
        assert_eq!(cut(&bytes), expected);
    }

    #[test]
    fn the_buffer_of_a_large_event_is_given_back() {
        let mut lines = Lines::default();
        assert!(lines.push(&Bytes::from(format!("{}\n{}", "x".repeat(1 << 20), "y"))));
        assert_eq!(lines.next().map(<[u8]>::len), Some(1 << 20));
        assert!(lines.next().is_none());
        lines.settle();
        assert!(lines.buffer.capacity() <= BUFFER_BYTES);
        assert!(!lines.push(&Bytes::from(vec![b'x'; EVENT_BYTES_MAX])));
    }

    #[test]
    fn a_list_may_have_no_items() {
        for json in [r#"{"metadata":{"resourceVersion":"5"},"items":null}"#, r#"{"metadata":{"resourceVersion":"5"}}"#]
        {
            let page: Page<'_> = serde_json::from_str(json).unwrap();
            assert!(page.items.unwrap_or_default().is_empty() && page.metadata.resource_version == "5");
        }
    }
}
