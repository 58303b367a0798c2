//! How often each application drifted, by kind and manager.
//!
//! Invariant: an application has at most [`SERIES_MAX`] series and one for the rest, and none when it is gone. Entry points:
//! [`Drifts::saw`], [`Drifts::forget`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use trueup_api::Meta;
use trueup_diff::drift::Event;

use super::Labels;
use crate::world::lock;

/// The most kinds and managers of one application that are counted apart: whoever may write to the cluster chooses the names
/// of managers, and each costs the monitoring a series for ever.
const SERIES_MAX: usize = 20;
/// What is not counted apart.
const OTHER: &str = "other";

/// Drift so far, by application.
#[derive(Default)]
pub(crate) struct Drifts(Mutex<HashMap<String, Drifted>>);

struct Drifted {
    namespace: String,
    name: String,
    counts: BTreeMap<(String, String), u64>,
}

// === impl Drifts ===

impl Drifts {
    /// Counts one drift of an application.
    pub(crate) fn saw(&self, app: &str, meta: &Meta, event: &Event) {
        let kind = match &*event.key.group {
            "" => event.key.kind.to_string(),
            group => format!("{group}/{}", event.key.kind),
        };
        let mut drifts = lock(&self.0);
        let drifted = drifts.entry(app.to_owned()).or_insert_with(|| Drifted {
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            counts: BTreeMap::new(),
        });
        let mut series = (kind, event.manager.clone());
        if drifted.counts.len() >= SERIES_MAX && !drifted.counts.contains_key(&series) {
            series = (OTHER.to_owned(), OTHER.to_owned());
        }
        *drifted.counts.entry(series).or_default() += 1;
    }

    /// Forgets an application that is no more.
    pub(crate) fn forget(&self, app: &str) {
        lock(&self.0).remove(app);
    }

    /// All series.
    pub(crate) fn family(&self) -> Family<Labels, Counter> {
        let family = Family::<Labels, Counter>::default();
        for drifted in lock(&self.0).values() {
            for ((kind, manager), count) in &drifted.counts {
                let labels = vec![
                    ("namespace", drifted.namespace.clone()),
                    ("name", drifted.name.clone()),
                    ("kind", kind.clone()),
                    ("manager", manager.clone()),
                ];
                family.get_or_create(&labels).inc_by(*count);
            }
        }
        family
    }
}

#[cfg(test)]
mod tests {
    use trueup_diff::drift::Outcome;
    use trueup_object::ObjectKey;

    use super::*;

    fn event(kind: &str, manager: &str) -> Event {
        Event {
            key: ObjectKey::new("apps", kind, "ns", "x"),
            fields: Vec::new(),
            manager: manager.to_owned(),
            operation: String::new(),
            first_detected_at: String::new(),
            last_detected_at: String::new(),
            count: 1,
            outcome: Outcome::Detected,
        }
    }

    fn count(drifts: &Drifts, kind: &str, manager: &str) -> u64 {
        let labels = vec![
            ("namespace", "argocd".to_owned()),
            ("name", "web".to_owned()),
            ("kind", kind.to_owned()),
            ("manager", manager.to_owned()),
        ];
        drifts.family().get(&labels).map_or(0, |counter| counter.get())
    }

    #[test]
    fn the_series_of_an_application_are_bounded_and_go_with_it() {
        let drifts = Drifts::default();
        let meta = Meta { name: "web".into(), namespace: "argocd".into(), ..Meta::default() };
        for number in 0..3 * SERIES_MAX {
            drifts.saw("web", &meta, &event("Deployment", &format!("m{number}")));
        }
        drifts.saw("web", &meta, &event("Deployment", "m0"));
        assert_eq!(count(&drifts, "apps/Deployment", "m0"), 2);
        assert_eq!(count(&drifts, OTHER, OTHER), 2 * SERIES_MAX as u64);
        assert_eq!(lock(&drifts.0)["web"].counts.len(), SERIES_MAX + 1);
        // One noisy application blinds nobody else.
        drifts.saw("other", &Meta { name: "other".into(), ..meta }, &event("Deployment", "m99"));
        assert_eq!(lock(&drifts.0)["other"].counts.len(), 1);
        drifts.forget("web");
        assert_eq!(count(&drifts, "apps/Deployment", "m0"), 0);
    }
}
