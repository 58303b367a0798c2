//! Which application waits for which, who waits in a circle, and what a dependency lacks.
//!
//! [`Dependencies`] keeps the edges in both directions, so that whoever changes finds those that wait for it without a look at
//! the others. Invariant: both directions have the same edges. Entry points: [`Dependencies::set`], [`Dependencies::circle`]
//! and, for one dependency, [`lack`].

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use trueup_api::{HealthCode, Readiness, SyncCode};

/// Which application waits for which.
#[derive(Clone, Debug, Default)]
pub struct Dependencies {
    of: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    dependants: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
}

/// Where a dependency stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// It is being deleted.
    pub deleting: bool,
    /// Why what it says of itself cannot be gone by, if so.
    pub unsettled: Option<&'static str>,
    /// Whether the cluster is as Git says.
    pub sync: SyncCode,
    /// Whether its objects work.
    pub health: HealthCode,
}

/// What a dependency lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It does not exist.
    Absent,
    /// It is being deleted.
    Deleting,
    /// What it says of itself cannot be gone by.
    Unsettled(&'static str),
    /// It is not as Git says.
    Sync(SyncCode),
    /// It does not work.
    Health(HealthCode),
}

/// What a dependency lacks to be gone on from; none if it is there, that is, if it may be.
pub fn lack(standing: Option<&Standing>, readiness: Readiness) -> Option<Lack> {
    let Some(standing) = standing else { return Some(Lack::Absent) };
    if standing.deleting {
        return Some(Lack::Deleting);
    }
    if let Some(why) = standing.unsettled {
        return Some(Lack::Unsettled(why));
    }
    if standing.sync != SyncCode::Synced {
        return Some(Lack::Sync(standing.sync));
    }
    (readiness == Readiness::Healthy && standing.health != HealthCode::Healthy).then_some(Lack::Health(standing.health))
}

// === impl Dependencies ===

impl Dependencies {
    /// Sets what an application waits for; nothing, for one that is no more. Answers those beside it that wait in a circle with
    /// it, or did.
    pub fn set(&mut self, app: &Arc<str>, dependencies: BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        let before = self.of.get(app).cloned().unwrap_or_default();
        if before == dependencies {
            return BTreeSet::new();
        }
        let mut concerned = self.entangled(app);
        for gone in before.difference(&dependencies) {
            if let Some(dependants) = self.dependants.get_mut(gone) {
                dependants.remove(app);
                if dependants.is_empty() {
                    self.dependants.remove(gone);
                }
            }
        }
        for come in dependencies.difference(&before) {
            self.dependants.entry(Arc::clone(come)).or_default().insert(Arc::clone(app));
        }
        if dependencies.is_empty() {
            self.of.remove(app);
        } else {
            self.of.insert(Arc::clone(app), dependencies);
        }
        concerned.extend(self.entangled(app));
        concerned.remove(app);
        concerned
    }

    /// What an application waits for.
    pub fn of(&self, app: &str) -> impl Iterator<Item = &Arc<str>> {
        self.of.get(app).into_iter().flatten()
    }

    /// Who waits for an application.
    pub fn dependants(&self, app: &str) -> impl Iterator<Item = &Arc<str>> {
        self.dependants.get(app).into_iter().flatten()
    }

    /// The shortest way on which an application waits for itself, from it to the last before it; none if it does not.
    pub fn circle(&self, app: &str) -> Option<Vec<Arc<str>>> {
        let (start, _) = self.of.get_key_value(app)?;
        // From where each was reached first: the way back is the shortest.
        let mut from: HashMap<&Arc<str>, &Arc<str>> = HashMap::new();
        let mut next: VecDeque<&Arc<str>> = VecDeque::from([start]);
        while let Some(here) = next.pop_front() {
            for there in self.of(here) {
                if there == start {
                    let way = std::iter::successors(Some(here), |at| from.get(*at).copied());
                    let mut circle: Vec<Arc<str>> = way.map(Arc::clone).collect();
                    circle.reverse();
                    return Some(circle);
                }
                if !from.contains_key(there) {
                    from.insert(there, here);
                    next.push_back(there);
                }
            }
        }
        None
    }

    /// Everybody who waits for an application and for whom it waits, over however many others.
    fn entangled(&self, app: &str) -> BTreeSet<Arc<str>> {
        let ahead = reached(app, |app| self.of.get(app));
        if !ahead.contains(app) {
            // Nobody waits for himself: it need not be looked for from the other side.
            return BTreeSet::new();
        }
        let behind = reached(app, |app| self.dependants.get(app));
        ahead.intersection(&behind).cloned().collect()
    }
}

/// All that can be reached in one or more steps.
fn reached<'a>(app: &str, step: impl Fn(&str) -> Option<&'a BTreeSet<Arc<str>>>) -> BTreeSet<Arc<str>> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Arc<str>> = step(app).into_iter().flatten().collect();
    while let Some(here) = next.pop() {
        if reached.insert(Arc::clone(here)) {
            next.extend(step(here).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(dependencies: &mut Dependencies, app: &str, of: &[&str]) -> Vec<String> {
        let concerned = dependencies.set(&app.into(), of.iter().map(|app| Arc::from(*app)).collect());
        concerned.iter().map(ToString::to_string).collect()
    }

    fn circle(dependencies: &Dependencies, app: &str) -> Option<String> {
        dependencies.circle(app).map(|circle| circle.join(" "))
    }

    #[test]
    fn who_changes_finds_who_waits() {
        let mut dependencies = Dependencies::default();
        set(&mut dependencies, "web", &["db", "queue"]);
        set(&mut dependencies, "api", &["db"]);
        assert_eq!(dependencies.dependants("db").map(|app| &**app).collect::<Vec<_>>(), ["api", "web"]);
        assert_eq!(dependencies.of("web").map(|app| &**app).collect::<Vec<_>>(), ["db", "queue"]);
        set(&mut dependencies, "web", &["queue"]);
        assert_eq!(dependencies.dependants("db").map(|app| &**app).collect::<Vec<_>>(), ["api"]);
        set(&mut dependencies, "api", &[]);
        assert_eq!(dependencies.dependants("db").count() + dependencies.of("api").count(), 0);
        assert!(!dependencies.dependants.contains_key("db"), "nothing is left of what is no more");
    }

    #[test]
    fn a_circle_is_found_by_every_member_and_by_nobody_else() {
        let mut dependencies = Dependencies::default();
        assert_eq!(set(&mut dependencies, "a", &["b"]), [""; 0]);
        assert_eq!(set(&mut dependencies, "b", &["c"]), [""; 0]);
        assert_eq!(set(&mut dependencies, "outside", &["a"]), [""; 0]);
        assert_eq!(set(&mut dependencies, "c", &["a", "elsewhere"]), ["a", "b"], "they are to say so now");
        assert_eq!(circle(&dependencies, "a").as_deref(), Some("a b c"));
        assert_eq!(circle(&dependencies, "b").as_deref(), Some("b c a"));
        assert_eq!(circle(&dependencies, "c").as_deref(), Some("c a b"));
        assert_eq!(circle(&dependencies, "outside"), None, "it waits for a circle, and is not in it");
        assert_eq!(circle(&dependencies, "elsewhere"), None);
        assert_eq!(circle(&dependencies, "nowhere"), None);
        // The shortest way is told.
        set(&mut dependencies, "a", &["b", "c"]);
        assert_eq!(circle(&dependencies, "a").as_deref(), Some("a c"));
        assert_eq!(set(&mut dependencies, "c", &[]), ["a", "b"], "they are to say so no longer");
        assert_eq!(circle(&dependencies, "a"), None);
    }

    #[test]
    fn who_waits_for_itself_is_a_circle() {
        let mut dependencies = Dependencies::default();
        assert_eq!(set(&mut dependencies, "a", &["a"]), [""; 0]);
        assert_eq!(circle(&dependencies, "a").as_deref(), Some("a"));
    }

    #[test]
    fn what_is_lacking() {
        let ready = Standing { deleting: false, unsettled: None, sync: SyncCode::Synced, health: HealthCode::Healthy };
        let (synced, healthy) = (Readiness::Synced, Readiness::Healthy);
        let unsettled = Standing { unsettled: Some("its sync runs"), ..ready.clone() };
        let away = |sync| Standing { sync, ..ready.clone() };
        let ill = |health| Standing { health, ..ready.clone() };
        for (standing, readiness, expected) in [
            (Some(ready.clone()), healthy, None),
            (Some(ready.clone()), synced, None),
            (None, synced, Some(Lack::Absent)),
            (Some(Standing { deleting: true, ..unsettled.clone() }), synced, Some(Lack::Deleting)),
            (Some(unsettled.clone()), healthy, Some(Lack::Unsettled("its sync runs"))),
            (Some(unsettled), synced, Some(Lack::Unsettled("its sync runs"))),
            (Some(away(SyncCode::OutOfSync)), synced, Some(Lack::Sync(SyncCode::OutOfSync))),
            (Some(away(SyncCode::Unknown)), healthy, Some(Lack::Sync(SyncCode::Unknown))),
            (Some(ill(HealthCode::Progressing)), healthy, Some(Lack::Health(HealthCode::Progressing))),
            (Some(ill(HealthCode::Suspended)), healthy, Some(Lack::Health(HealthCode::Suspended))),
            (Some(ill(HealthCode::Degraded)), synced, None),
        ] {
            assert_eq!(lack(standing.as_ref(), readiness), expected, "{standing:?} {readiness:?}");
        }
    }

    /// Edges between few names, so that they meet.
    fn edges() -> impl Strategy<Value = Vec<(u8, BTreeSet<u8>)>> {
        prop::collection::vec((0..6_u8, prop::collection::btree_set(0..6_u8, 0..4)), 0..20)
    }

    fn name(number: u8) -> Arc<str> {
        format!("app-{number}").into()
    }

    proptest! {
        #[test]
        fn both_directions_agree_and_only_the_last_word_counts(edges in edges()) {
            let mut dependencies = Dependencies::default();
            let mut last = HashMap::new();
            for (app, of) in &edges {
                let of: BTreeSet<Arc<str>> = of.iter().map(|number| name(*number)).collect();
                dependencies.set(&name(*app), of.clone());
                last.insert(name(*app), of);
            }
            for number in 0..6 {
                let app = name(number);
                let of: BTreeSet<_> = dependencies.of(&app).cloned().collect();
                prop_assert_eq!(&of, &last.get(&app).cloned().unwrap_or_default());
                let dependants: BTreeSet<_> = dependencies.dependants(&app).cloned().collect();
                let expected = last.iter().filter(|(_, of)| of.contains(&app)).map(|(app, _)| Arc::clone(app));
                prop_assert_eq!(dependants, expected.collect());
            }
        }

        #[test]
        fn a_circle_is_one_and_is_found_if_there_is_one(edges in edges()) {
            let mut dependencies = Dependencies::default();
            for (app, of) in &edges {
                dependencies.set(&name(*app), of.iter().map(|number| name(*number)).collect());
            }
            for number in 0..6 {
                let app = name(number);
                let ahead = reached(&app, |app| dependencies.of.get(app));
                let circle = dependencies.circle(&app);
                prop_assert_eq!(circle.is_some(), ahead.contains(&app));
                let Some(circle) = circle else { continue };
                prop_assert_eq!(&circle[0], &app);
                let once: BTreeSet<_> = circle.iter().collect();
                prop_assert_eq!(once.len(), circle.len());
                for (at, here) in circle.iter().enumerate() {
                    let next = &circle[(at + 1) % circle.len()];
                    prop_assert!(dependencies.of(here).any(|there| there == next));
                    // Whoever is on the way waits for itself, too.
                    prop_assert!(dependencies.circle(here).is_some());
                }
            }
        }

        #[test]
        fn whoever_comes_into_a_circle_or_out_of_one_is_told(edges in edges()) {
            let mut dependencies = Dependencies::default();
            for (app, of) in &edges {
                let before = dependencies.clone();
                let told = dependencies.set(&name(*app), of.iter().map(|number| name(*number)).collect());
                for number in (0..6).filter(|number| number != app) {
                    let other = name(number);
                    if before.circle(&other) != dependencies.circle(&other) {
                        prop_assert!(told.contains(&other), "{} changed its circle", other);
                    }
                }
            }
        }
    }
}
