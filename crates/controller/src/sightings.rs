//! A raw watch as what came and what went, whatever listings lie between.
//!
//! Kept: of every object that was shown and not yet taken away, its uid and version. Invariant: after
//! [`Sighting::Complete`] exactly what the server has is kept; an object that a listing only repeats is told to nobody.
//! Entry point: [`Sightings::next`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use trueup_cluster::{Cluster, ClusterError, Kind, Raw, RawEvent};

/// What a watch has to tell.
pub(crate) enum Sighting {
    /// An object came or changed.
    Here(Raw),
    /// An object went.
    Gone(Gone),
    /// Everything that there is has been told.
    Complete {
        /// For the first time.
        first: bool,
    },
    /// Something failed and is tried again.
    Failed(ClusterError),
}

/// An object that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Which one went; `None` where a listing does not show any of this name.
    pub(crate) uid: Option<String>,
}

type Events = Pin<Box<dyn Stream<Item = RawEvent> + Send>>;

/// A watch, and what it has shown.
pub(crate) struct Sightings {
    open: Box<dyn Fn() -> Events + Send>,
    events: Events,
    /// The watch was refused, and is begun anew with a listing.
    refused: bool,
    known: Known,
    /// Told already by the watch, and not yet told on.
    waiting: VecDeque<Sighting>,
}

#[derive(Default)]
struct Known {
    /// By namespace and name.
    objects: HashMap<Key, Version>,
    /// What the listing under way has shown.
    shown: HashSet<Key>,
    complete: bool,
}

type Key = (String, String);

#[derive(PartialEq, Eq)]
struct Version {
    uid: String,
    resource_version: String,
}

// === impl Sightings ===

impl Sightings {
    /// Watches a kind in one namespace or all, where labels match or all.
    pub(crate) fn of(cluster: &Cluster, kind: &Kind, namespace: Option<&str>, labels: Option<&str>) -> Self {
        let (cluster, kind) = (cluster.clone(), kind.clone());
        let (namespace, labels) = (namespace.map(str::to_owned), labels.map(str::to_owned));
        Self::new(Box::new(move || Box::pin(cluster.watch_raw(&kind, namespace.as_deref(), labels.as_deref()))))
    }

    /// Watches one object by its name.
    pub(crate) fn one(cluster: &Cluster, kind: &Kind, namespace: &str, name: &str) -> Self {
        let (cluster, kind) = (cluster.clone(), kind.clone());
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Self::new(Box::new(move || Box::pin(cluster.watch_one(&kind, &namespace, &name))))
    }

    fn new(open: Box<dyn Fn() -> Events + Send>) -> Self {
        Self { events: open(), open, refused: false, known: Known::default(), waiting: VecDeque::new() }
    }

    /// Whether everything has been told that there was at the start.
    pub(crate) fn complete(&self) -> bool {
        self.known.complete
    }

    /// The next; `None` only where the watch itself ended, which it never should.
    pub(crate) async fn next(&mut self) -> Option<Sighting> {
        loop {
            if let Some(sighting) = self.waiting.pop_front() {
                return Some(sighting);
            }
            let event = self.events.next().await?;
            match &event {
                // A watch that goes on where it stood would not tell that it is permitted again; a listing does, when it is
                // complete. Only once, or the pauses between its attempts would begin anew, too.
                RawEvent::Error(ClusterError::Forbidden { .. }) if self.known.complete && !self.refused => {
                    self.refused = true;
                    self.events = (self.open)();
                }
                RawEvent::InitDone => self.refused = false,
                _ => {}
            }
            self.known.take(event, &mut self.waiting);
        }
    }
}

// === impl Known ===

impl Known {
    fn take(&mut self, event: RawEvent, told: &mut VecDeque<Sighting>) {
        match event {
            RawEvent::Init => self.shown.clear(),
            RawEvent::InitApply(raw) => {
                self.shown.insert(key(&raw));
                self.saw(raw, told);
            }
            RawEvent::InitDone => {
                let shown = std::mem::take(&mut self.shown);
                self.objects.retain(|key, _| {
                    let here = shown.contains(key);
                    if !here {
                        let (namespace, name) = key.clone();
                        told.push_back(Sighting::Gone(Gone { namespace, name, uid: None }));
                    }
                    here
                });
                told.push_back(Sighting::Complete { first: !std::mem::replace(&mut self.complete, true) });
            }
            RawEvent::Apply(raw) => self.saw(raw, told),
            RawEvent::Delete(raw) => {
                self.objects.remove(&key(&raw));
                told.push_back(Sighting::Gone(Gone { namespace: raw.namespace, name: raw.name, uid: Some(raw.uid) }));
            }
            RawEvent::Error(error) => told.push_back(Sighting::Failed(error)),
        }
    }

    fn saw(&mut self, raw: Raw, told: &mut VecDeque<Sighting>) {
        let version = Version { uid: raw.uid.clone(), resource_version: raw.resource_version.clone() };
        let known = self.objects.insert(key(&raw), version);
        if known.is_none_or(|known| known.uid != raw.uid || known.resource_version != raw.resource_version) {
            told.push_back(Sighting::Here(raw));
        }
    }
}

fn key(raw: &Raw) -> Key {
    (raw.namespace.clone(), raw.name.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn raw(name: &str, uid: &str, version: &str) -> Raw {
        let json = serde_json::value::RawValue::from_string("{}".to_owned()).unwrap();
        Raw { namespace: "argocd".into(), name: name.into(), uid: uid.into(), resource_version: version.into(), json }
    }

    fn told(known: &mut Known, events: Vec<RawEvent>) -> Vec<String> {
        let mut told = VecDeque::new();
        for event in events {
            known.take(event, &mut told);
        }
        told.into_iter().map(word).collect()
    }

    fn word(sighting: Sighting) -> String {
        match sighting {
            Sighting::Here(raw) => format!("{} {}", raw.name, raw.resource_version),
            Sighting::Gone(gone) => format!("-{} {}", gone.name, gone.uid.as_deref().unwrap_or("?")),
            Sighting::Complete { first } => (if first { "first" } else { "again" }).to_owned(),
            Sighting::Failed(_) => "failed".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_was_refused_is_complete_again_when_it_may_be_listed() {
        let refused = || RawEvent::Error(ClusterError::Forbidden { message: "no".into() });
        let watches = Mutex::new(VecDeque::from([
            vec![Init, InitApply(raw("a", "1", "5")), InitApply(raw("b", "2", "5")), InitDone, refused()],
            vec![refused(), refused(), Init, InitApply(raw("b", "2", "6")), InitDone],
        ]));
        let mut sightings = Sightings::new(Box::new(move || {
            let events = watches.lock().unwrap().pop_front().unwrap();
            Box::pin(futures::stream::iter(events))
        }));
        let mut told = Vec::new();
        while let Some(sighting) = sightings.next().await {
            told.push(word(sighting));
        }
        assert_eq!(told, ["a 5", "b 5", "first", "failed", "failed", "failed", "b 6", "-a ?", "again"]);
    }

    use RawEvent::{Apply, Delete, Init, InitApply, InitDone};

    #[test]
    fn a_listing_tells_what_is_new_and_what_went() {
        let mut known = Known::default();
        let first = vec![Init, InitApply(raw("a", "1", "5")), InitApply(raw("b", "2", "6")), InitDone];
        assert_eq!(told(&mut known, first), ["a 5", "b 6", "first"]);
        let again = vec![Init, InitApply(raw("a", "1", "5")), InitApply(raw("c", "3", "7")), InitDone];
        assert_eq!(told(&mut known, again), ["c 7", "-b ?", "again"]);
        assert_eq!(told(&mut known, vec![Init, InitApply(raw("c", "4", "7")), InitDone]), ["c 7", "-a ?", "again"]);
    }

    #[test]
    fn a_listing_that_broke_off_takes_nothing_away() {
        let mut known = Known::default();
        told(&mut known, vec![Init, InitApply(raw("a", "1", "5")), InitApply(raw("b", "2", "5")), InitDone]);
        let broken = vec![Init, InitApply(raw("a", "1", "5")), RawEvent::Error(ClusterError::Gone), Init];
        assert_eq!(told(&mut known, broken), ["failed"]);
        assert_eq!(told(&mut known, vec![InitApply(raw("b", "2", "5")), InitDone]), ["-a ?", "again"]);
    }

    #[test]
    fn changes_are_told_as_they_come() {
        let mut known = Known::default();
        told(&mut known, vec![Init, InitDone]);
        let changes = vec![Apply(raw("a", "1", "5")), Apply(raw("a", "1", "6")), Delete(raw("a", "1", "7"))];
        assert_eq!(told(&mut known, changes), ["a 5", "a 6", "-a 1"]);
        assert_eq!(told(&mut known, vec![Apply(raw("a", "2", "8"))]), ["a 8"]);
    }
}
