//! What keeps an application from beginning anything by itself: the others that it waits for.
//!
//! A fault, which does not end by itself, is told at once; a wait when it is long and something is withheld for it. Entry
//! points: [`find`] and [`note_withheld`] when it is decided what is due, [`notice`] for what is said of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{Application, Dependency, DependsOn, Meta, Readiness, Which, annotations, condition};
use trueup_plan::dependencies::{Lack, lack};

use crate::depends::{Stand, by_name, parent, stand, wait_for};
use crate::memory::Memory;
use crate::observe::Notice;
use crate::world::World;

/// A wait that is longer than this is told: a dependency that is in line is looked at faster.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many of those that are waited for are named: there may be as many as there are applications.
const NAMED_MAX: usize = 3;

/// What keeps an application from beginning anything by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hindrance {
    pub(crate) message: String,
    /// It does not end by itself: it is told even while there is nothing to do.
    fault: bool,
    /// Those that are named, and where they were seen.
    on: Vec<(Arc<str>, Stand)>,
}

/// What one of those lacks that are waited for.
struct Lacking {
    lack: Lack,
    /// Which application it is, and where it was seen; labels that select none are no application.
    seen: Option<(Arc<str>, Stand)>,
}

/// What an application waits for, between two looks.
pub(crate) struct WaitsFor {
    pub(crate) hindrance: Hindrance,
    since: Instant,
    /// Something would have been done without it.
    withheld: bool,
}

/// Finds out what keeps an application from beginning anything by itself.
pub(crate) fn find(world: &World, application: &Application, memory: &mut Memory) {
    let since = memory.waits_for.take().map_or_else(Instant::now, |before| before.since);
    memory.waits_for = hindrance(world, application).map(|hindrance| WaitsFor { hindrance, since, withheld: false });
}

/// Notes whether something was withheld because of that; if so it is told in a while.
pub(crate) fn note_withheld(world: &World, application: &Application, memory: &mut Memory, withheld: bool) {
    let Some(waits) = &mut memory.waits_for else { return };
    waits.withheld = withheld;
    let name = application.meta.instance.as_str();
    if withheld || waits.hindrance.fault {
        // One of them is enough to be waited for; those that are named are, so that what is told is so.
        for (other, seen) in &waits.hindrance.on {
            wait_for(world, name, other, seen);
        }
    }
    let told_at = waits.since + PATIENCE;
    if withheld && told_at > Instant::now() {
        world.queue.wake_at(name, told_at);
    }
}

/// What is said of it: a fault at once, a wait when it is long. After a restart nobody knows since when: what was said stays.
pub(crate) fn notice(application: &Application, memory: &Memory) -> Option<Notice> {
    let waits = memory.waits_for.as_ref()?;
    let said = || application.status.conditions.iter().any(|said| said.kind == condition::DEPENDENCY_WARNING);
    let long = || waits.since.elapsed() >= PATIENCE || said();
    let told = waits.hindrance.fault || (waits.withheld && long());
    told.then(|| Notice { kind: condition::DEPENDENCY_WARNING, message: waits.hindrance.message.clone() })
}

/// What keeps an application from beginning anything by itself, if something does.
fn hindrance(world: &World, application: &Application) -> Option<Hindrance> {
    let waits = world.depends.of(&application.meta.instance)?;
    let fault = |message: String| Some(Hindrance { message, fault: true, on: Vec::new() });
    let wish = match &waits.wish {
        Ok(wish) => wish,
        Err(error) => {
            return fault(format!("nothing is synced automatically, since nobody knows what to wait for: {error}"));
        }
    };
    let circle = waits.circle.as_ref().map(|circle| told_circle(circle));
    if let Some(message) = circle.or_else(|| told_parent(world, application, wish)) {
        return fault(message);
    }
    let mut lacking: BTreeMap<String, Lacking> = BTreeMap::new();
    for item in &wish.items {
        for (name, lacks) in lacks(world, item, &waits.on) {
            lacking.entry(name).or_insert(lacks);
        }
    }
    if lacking.is_empty() {
        return None;
    }
    let message = told_lacking(&lacking);
    let fault = lacking.values().any(|lacks| lacks.lack == Lack::Absent);
    let on = lacking.into_values().take(NAMED_MAX).filter_map(|lacks| lacks.seen).collect();
    Some(Hindrance { message, fault, on })
}

/// Whom an item means and what each of them lacks.
fn lacks(world: &World, item: &Dependency, on: &[Arc<str>]) -> Vec<(String, Lacking)> {
    let lacking = |name: &Arc<str>| {
        let seen = stand(world, name);
        let lack = match &seen.standing {
            None if world.may_be_there(name) => {
                Some(Lack::Unsettled("the Applications of its namespace cannot be listed"))
            }
            standing => lack(standing.as_ref(), item.readiness),
        };
        Some(Lacking { lack: lack?, seen: Some((Arc::clone(name), seen)) })
    };
    if let Some(name) = by_name(item, &world.namespace) {
        return lacking(&name.into()).map(|lacks| (shown(item), lacks)).into_iter().collect();
    }
    let others = on.iter().filter_map(|name| Some((name, world.applications.get(name)?)));
    let meant: Vec<(&Arc<str>, Arc<Application>)> = others.filter(|(_, other)| item.matches(&other.meta)).collect();
    if meant.is_empty() {
        return vec![(shown(item), Lacking { lack: Lack::Absent, seen: None })];
    }
    meant.into_iter().filter_map(|(name, other)| Some((qualified(&other.meta), lacking(name)?))).collect()
}

/// What is said of an application that waits for the health of the one that brings it, which is made from its own.
fn told_parent(world: &World, application: &Application, wish: &DependsOn) -> Option<String> {
    let parent = world.applications.get(&parent(application)?)?;
    let waits = |item: &Dependency| item.readiness == Readiness::Healthy && item.matches(&parent.meta);
    wish.items.iter().any(waits).then(|| {
        format!(
            "nothing is synced automatically, since the application waits for the health of {}, which brings it and is not \
             healthy before it; take that out of the annotation {}, or wait for @synced",
            qualified(&parent.meta),
            annotations::DEPENDS_ON
        )
    })
}

/// The words of an item for whom it means.
fn shown(item: &Dependency) -> String {
    match &item.on {
        Which::Named { namespace, name } => format!("{namespace}/{name}"),
        Which::Labelled { selector, .. } => format!("label:{selector}"),
    }
}

fn qualified(meta: &Meta) -> String {
    format!("{}/{}", meta.namespace, meta.name)
}

fn told_circle(circle: &[Arc<str>]) -> String {
    let way: Vec<&str> = circle.iter().chain(circle.first()).map(AsRef::as_ref).collect();
    format!(
        "nothing is synced automatically, since the application waits for itself: {}; take one of these out of an annotation {}",
        way.join(" -> "),
        annotations::DEPENDS_ON
    )
}

fn told_lacking(lacking: &BTreeMap<String, Lacking>) -> String {
    let one = |(name, lacks): (&String, &Lacking)| match lacks.lack {
        Lack::Absent => format!("there is no application {name}"),
        Lack::Deleting => format!("application {name} is being deleted"),
        Lack::Unsettled(why) => format!("application {name}: {why}"),
        Lack::Sync(code) => format!("application {name} is {code:?}"),
        Lack::Health(code) => format!("application {name} is {code:?}"),
    };
    let named: Vec<String> = lacking.iter().take(NAMED_MAX).map(one).collect();
    // How many others there are would be news whenever one of them is there.
    let others = if lacking.len() > NAMED_MAX { "; and others" } else { "" };
    format!("waiting for the applications that this one depends on: {}{others}", named.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_told_with_its_way() {
        let told = told_circle(&["b".into(), "c".into(), "a".into()]);
        assert!(told.contains("b -> c -> a -> b; take one of these out"), "{told}");
    }

    #[test]
    fn some_are_named_and_the_rest_is_not_counted() {
        let lacks = |name: &str, lack| (name.to_owned(), Lacking { lack, seen: None });
        let lacking = BTreeMap::from([
            lacks("a/d", Lack::Absent),
            lacks("a/c", Lack::Absent),
            lacks("a/b", Lack::Health(trueup_api::HealthCode::Progressing)),
            lacks("a/a", Lack::Unsettled("its sync runs")),
        ]);
        assert_eq!(
            told_lacking(&lacking),
            "waiting for the applications that this one depends on: application a/a: its sync runs; application a/b is \
             Progressing; there is no application a/c; and others"
        );
    }
}
