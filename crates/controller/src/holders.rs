//! Which application holds which object.
//!
//! An application holds what its current render holds; while that is unknown, what its inventory lists. An object is
//! never pruned while another application holds it, and never taken from an application that holds it. Entry points:
//! [`Holders::hold`] and [`Holders::other`].

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trueup_object::ObjectKey;

/// Who holds what, over all applications.
#[derive(Default)]
pub(crate) struct Holders(Mutex<State>);

#[derive(Default)]
struct State {
    held: HashMap<Arc<str>, Held>,
    /// The applications that hold an object, in the order in which they came.
    by_key: HashMap<ObjectKey, Vec<Arc<str>>>,
    /// Applications that want an object which another one holds.
    waiting: HashMap<ObjectKey, HashSet<Arc<str>>>,
}

#[derive(Default)]
struct Held {
    keys: HashSet<ObjectKey>,
    /// The keys come from a render, not from the inventory.
    rendered: bool,
}

// === impl Holders ===

impl Holders {
    /// What the inventory of an application lists, for as long as no render of it is known.
    pub(crate) fn inventory(&self, app: &str, keys: impl IntoIterator<Item = ObjectKey>) {
        let mut state = self.state();
        if !state.held.get(app).is_some_and(|held| held.rendered) {
            state.replace(app, keys.into_iter().collect(), false);
        }
    }

    /// What the current render of an application holds. Answers who waits for something that it has let go.
    pub(crate) fn hold(&self, app: &str, keys: impl IntoIterator<Item = ObjectKey>) -> HashSet<Arc<str>> {
        self.state().replace(app, keys.into_iter().collect(), true)
    }

    /// What an application is about to have besides, while its current render is not known. Answers who is to say so.
    pub(crate) fn hold_besides(&self, app: &str, keys: impl IntoIterator<Item = ObjectKey>) -> HashSet<Arc<str>> {
        let mut state = self.state();
        let (mut all, rendered) =
            state.held.get(app).map(|held| (held.keys.clone(), held.rendered)).unwrap_or_default();
        all.extend(keys);
        state.replace(app, all, rendered)
    }

    /// Forgets an application that is no more. Answers who waits for something that it held.
    pub(crate) fn forget(&self, app: &str) -> HashSet<Arc<str>> {
        let mut state = self.state();
        let waking = state.replace(app, HashSet::new(), false);
        state.held.remove(app);
        for waiting in state.waiting.values_mut() {
            waiting.remove(app);
        }
        state.waiting.retain(|_, waiting| !waiting.is_empty());
        waking
    }

    /// Whether this application holds the object.
    pub(crate) fn holds(&self, app: &str, key: &ObjectKey) -> bool {
        self.state().held.get(app).is_some_and(|held| held.keys.contains(key))
    }

    /// Another application that holds the object, the first that did.
    pub(crate) fn other(&self, app: &str, key: &ObjectKey) -> Option<Arc<str>> {
        let state = self.state();
        state.by_key.get(key)?.iter().find(|holder| &***holder != app).cloned()
    }

    /// Whether any application holds the object.
    pub(crate) fn is_held(&self, key: &ObjectKey) -> bool {
        self.state().by_key.contains_key(key)
    }

    /// Another application that holds something in a namespace. Looks at everything: asked only before a namespace goes.
    pub(crate) fn other_in(&self, app: &str, namespace: &str) -> Option<Arc<str>> {
        let state = self.state();
        let inside = state.by_key.iter().filter(|(key, _)| key.namespace == namespace);
        inside.flat_map(|(_, holders)| holders).find(|holder| &***holder != app).cloned()
    }

    /// Wakes this application once the object is let go.
    pub(crate) fn wait_for(&self, app: &str, key: &ObjectKey) {
        self.state().waiting.entry(key.clone()).or_default().insert(app.into());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole between any two statements that change it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn replace(&mut self, app: &str, keys: HashSet<ObjectKey>, rendered: bool) -> HashSet<Arc<str>> {
        let name: Arc<str> = app.into();
        let held = self.held.entry(name.clone()).or_default();
        held.rendered = rendered;
        let gone: Vec<ObjectKey> = held.keys.difference(&keys).cloned().collect();
        let come: Vec<ObjectKey> = keys.difference(&held.keys).cloned().collect();
        held.keys = keys;
        let mut waking = HashSet::new();
        for key in come {
            let holders = self.by_key.entry(key).or_default();
            // Who held it alone says so now.
            waking.extend(holders.iter().cloned());
            holders.push(name.clone());
        }
        for key in gone {
            if let Some(holders) = self.by_key.get_mut(&key) {
                holders.retain(|holder| *holder != name);
                waking.extend(holders.iter().cloned());
                if holders.is_empty() {
                    self.by_key.remove(&key);
                }
            }
            waking.extend(self.waiting.remove(&key).unwrap_or_default());
        }
        waking.remove(app);
        waking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new("", "ConfigMap", "ns", name)
    }

    #[test]
    fn the_inventory_counts_until_there_is_a_render() {
        let holders = Holders::default();
        holders.inventory("a", [key("x")]);
        assert!(holders.holds("a", &key("x")));
        holders.hold("a", [key("y")]);
        holders.inventory("a", [key("x")]);
        assert!(!holders.holds("a", &key("x")) && holders.holds("a", &key("y")));
    }

    #[test]
    fn what_is_held_besides_lasts_until_there_is_a_render() {
        let holders = Holders::default();
        holders.inventory("a", [key("x")]);
        holders.hold("b", [key("y")]);
        assert_eq!(holders.hold_besides("a", [key("y")]), HashSet::from(["b".into()]));
        assert!(holders.holds("a", &key("x")) && holders.holds("a", &key("y")));
        holders.hold("a", [key("x")]);
        assert!(!holders.holds("a", &key("y")));
        holders.hold_besides("a", [key("z")]);
        holders.inventory("a", []);
        assert!(holders.holds("a", &key("x")) && holders.holds("a", &key("z")), "a render was known before");
    }

    #[test]
    fn letting_go_wakes_who_waits() {
        let holders = Holders::default();
        holders.hold("a", [key("x"), key("y")]);
        holders.hold("b", [key("x")]);
        assert_eq!(holders.other("b", &key("x")).as_deref(), Some("a"));
        assert_eq!(holders.other_in("b", "ns").as_deref(), Some("a"));
        assert_eq!(holders.other_in("b", "elsewhere"), None);
        holders.wait_for("b", &key("x"));
        assert_eq!(holders.hold("a", [key("x")]), HashSet::new());
        assert_eq!(holders.hold("a", []), HashSet::from(["b".into()]));
        assert_eq!(holders.other("b", &key("x")), None);
    }

    #[test]
    fn an_application_that_is_gone_holds_nothing() {
        let holders = Holders::default();
        holders.hold("a", [key("x")]);
        holders.wait_for("b", &key("x"));
        assert_eq!(holders.forget("a"), HashSet::from(["b".into()]));
        assert_eq!(holders.other("b", &key("x")), None);
    }
}
