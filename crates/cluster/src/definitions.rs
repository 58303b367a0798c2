//! Watches what defines kinds: CustomResourceDefinitions and APIServices, their metadata only.
//!
//! A definition that comes, goes or changes makes its group to be read again, until the group shows it. Entry point:
//! [`watch`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use crate::cluster::{Shared, lock};
use crate::feed::{Feed, FeedEvent, Form, Sink};
use crate::head::Head;

/// When a group is read again after something in it changed. The API server serves a new definition 60 to 180 ms after it
/// was made; under load, or when a definition conflicts with another, it takes longer or never comes.
const READINGS: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_millis(3200),
];
/// How often a group is read after a definition in it changed: the change may show a moment later.
const CHANGED_READINGS: u32 = 2;
/// Marks the APIServices that the server makes by itself, one per group and version of its own and of definitions.
const AUTOMANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";

/// The definitions that are there.
#[derive(Default)]
pub(crate) struct Definitions {
    /// The generation of every CustomResourceDefinition by its name `<plural>.<group>`.
    generations: Mutex<HashMap<String, i64>>,
    /// The groups that wait for a reading.
    waiting: Mutex<HashMap<String, Waiting>>,
}

#[derive(Default)]
struct Waiting {
    expected: Vec<Expected>,
    readings: usize,
}

/// What a group must show before its reading is over.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// A definition with this plural.
    Present(String),
    /// None with this plural.
    Absent(String),
    /// So many readings.
    Readings(u32),
}

/// What is watched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    CustomResourceDefinitions,
    ApiServices,
}

/// Brings what a feed tells to discovery.
struct DefinitionSink {
    shared: Arc<Shared>,
    what: What,
    /// Generations by name, to be compared with.
    known: HashMap<String, i64>,
    listing: HashMap<String, i64>,
    listed_before: bool,
}

#[derive(Deserialize)]
struct Labelled {
    metadata: Labels,
}

#[derive(Deserialize)]
struct Labels {
    #[serde(default)]
    labels: Option<HashMap<String, String>>,
}

/// Watches both kinds of definitions.
pub(crate) fn watch(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    for (what, path, plural) in [
        (
            What::CustomResourceDefinitions,
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            "customresourcedefinitions",
        ),
        (What::ApiServices, "/apis/apiregistration.k8s.io/v1/apiservices", "apiservices"),
    ] {
        let feed = Feed {
            path: path.to_owned(),
            plural: plural.to_owned(),
            labels: None,
            name: None,
            form: Form::Metadata,
            kick: Arc::default(),
        };
        let mut sink = DefinitionSink {
            shared: Arc::clone(shared),
            what,
            known: HashMap::new(),
            listing: HashMap::new(),
            listed_before: false,
        };
        tasks.spawn(async move {
            let shared = Arc::clone(&sink.shared);
            feed.run(&shared.requests, &mut sink).await;
        });
    }
}

// === impl Definitions ===

impl Definitions {
    /// The generation of the definition of a kind; `None` if it has none or the definitions cannot be watched.
    pub(crate) fn generation(&self, group: &str, plural: &str) -> Option<i64> {
        lock(&self.generations).get(&format!("{plural}.{group}")).copied()
    }
}

// === impl DefinitionSink ===

impl Sink for DefinitionSink {
    async fn take(&mut self, event: FeedEvent<'_>) -> bool {
        match event {
            FeedEvent::Listing => self.listing.clear(),
            FeedEvent::Listed(head, json) => {
                if self.concerns(json) {
                    self.listing.insert(head.name.to_string(), self.mark(head));
                }
            }
            FeedEvent::Complete(_) => self.complete(),
            FeedEvent::Changed(head, json) => {
                if self.concerns(json) {
                    let (name, mark) = (head.name.to_string(), self.mark(head));
                    let before = self.known.insert(name.clone(), mark);
                    self.publish(|generations| generations.insert(name.clone(), mark));
                    if before != Some(mark) {
                        self.changed(&name, before.is_none());
                    }
                }
            }
            FeedEvent::Deleted(head, _) => {
                if self.known.remove(head.name.as_ref()).is_some() {
                    self.publish(|generations| generations.remove(head.name.as_ref()));
                    self.gone(&head.name);
                }
            }
            FeedEvent::Following | FeedEvent::Progress(_) => {}
            FeedEvent::Failed(failure) => {
                tracing::debug!(error = %failure.error, "definitions cannot be watched");
            }
        }
        true
    }
}

impl DefinitionSink {
    /// The server's own APIServices say nothing that the definitions do not say.
    fn concerns(&self, json: &RawValue) -> bool {
        let labelled = |json: &RawValue| {
            let labels = serde_json::from_str::<Labelled>(json.get()).ok()?.metadata.labels?;
            labels.contains_key(AUTOMANAGED).then_some(())
        };
        self.what == What::CustomResourceDefinitions || labelled(json).is_none()
    }

    /// What tells two states of a definition apart. Whether an APIService is available does not count into its
    /// generation, so each of its versions is another state.
    fn mark(&self, head: &Head<'_>) -> i64 {
        match self.what {
            What::CustomResourceDefinitions => head.generation,
            What::ApiServices => head.resource_version.parse().unwrap_or_default(),
        }
    }

    fn complete(&mut self) {
        let before = std::mem::replace(&mut self.known, std::mem::take(&mut self.listing));
        self.publish(|generations| generations.clone_from(&self.known));
        // What is there at the start is what discovery reads anyway.
        if !std::mem::replace(&mut self.listed_before, true) {
            return;
        }
        for (name, mark) in &self.known {
            let known = before.get(name);
            if known != Some(mark) {
                self.changed(name, known.is_none());
            }
        }
        for name in before.keys().filter(|name| !self.known.contains_key(*name)) {
            self.gone(name);
        }
    }

    fn publish<T>(&self, change: impl FnOnce(&mut HashMap<String, i64>) -> T) {
        if self.what == What::CustomResourceDefinitions {
            change(&mut lock(&self.shared.definitions.generations));
        }
    }

    fn changed(&self, name: &str, new: bool) {
        let Some((first, group)) = name.split_once('.') else { return };
        let expected = match self.what {
            What::CustomResourceDefinitions if new => Expected::Present(first.to_owned()),
            What::CustomResourceDefinitions | What::ApiServices => Expected::Readings(CHANGED_READINGS),
        };
        expect(&self.shared, group, expected);
    }

    fn gone(&self, name: &str) {
        let Some((first, group)) = name.split_once('.') else { return };
        let expected = match self.what {
            What::CustomResourceDefinitions => Expected::Absent(first.to_owned()),
            What::ApiServices => Expected::Readings(CHANGED_READINGS),
        };
        expect(&self.shared, group, expected);
    }
}

/// Reads a group again because it does not seem to have a kind any more that it had.
pub(crate) fn doubt(shared: &Arc<Shared>, group: &str) {
    expect(shared, group, Expected::Readings(1));
}

/// Reads a group until it shows what is expected. One reading serves all that is expected of a group.
fn expect(shared: &Arc<Shared>, group: &str, expected: Expected) {
    if !shared.discovery.loaded() {
        return;
    }
    let fresh = {
        let mut waiting = lock(&shared.definitions.waiting);
        let fresh = !waiting.contains_key(group);
        let entry = waiting.entry(group.to_owned()).or_default();
        entry.readings = 0;
        if !entry.expected.contains(&expected) {
            entry.expected.push(expected);
        }
        fresh
    };
    if fresh {
        tokio::spawn(read(Arc::clone(shared), group.to_owned()));
    }
}

async fn read(shared: Arc<Shared>, group: String) {
    loop {
        let wait = lock(&shared.definitions.waiting).get(&group).and_then(|it| READINGS.get(it.readings).copied());
        let Some(wait) = wait else {
            tracing::debug!(group, "a definition does not show in its group");
            lock(&shared.definitions.waiting).remove(&group);
            return;
        };
        tokio::time::sleep(wait).await;
        if let Err(error) = shared.read_group(&group).await {
            tracing::debug!(group, %error, "group cannot be read");
        }
        let mut waiting = lock(&shared.definitions.waiting);
        let Some(entry) = waiting.get_mut(&group) else { return };
        entry.readings += 1;
        entry.expected.retain_mut(|expected| match expected {
            Expected::Present(plural) => !shared.discovery.has_plural(&group, plural),
            Expected::Absent(plural) => shared.discovery.has_plural(&group, plural),
            Expected::Readings(left) => {
                *left = left.saturating_sub(1);
                *left > 0
            }
        });
        if entry.expected.is_empty() {
            waiting.remove(&group);
            return;
        }
    }
}
