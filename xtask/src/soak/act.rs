//! What happens: one act after another, chosen by the seed. Entry point: [`Act::next`].

use fastrand::Rng;
use serde_json::Value;
use serde_json::json;

use super::kind::CONFIG_MAP;
use super::kind::DEPLOYMENT;
use super::kind::Kind;
use super::kind::SECRET;
use super::kind::SERVICE;
use super::kind::VALUE;
use super::wanted::Application;
use super::wanted::Key;
use super::wanted::Object;
use super::wanted::Push;
use super::wanted::Wanted;

/// The most acts that go by until a killed controller is started again.
const DOWN_MAX: usize = 12;
/// The replicas that people scale to are none that Git has.
const SCALED_TO: std::ops::RangeInclusive<u8> = 4..=5;

/// One thing that happens.
#[derive(Debug)]
pub(super) enum Act {
    /// Somebody pushes.
    Push(Push),
    /// Somebody edits an object by hand.
    Edit(Change),
    /// Another program takes a field for itself, by a forced server-side apply.
    Seize(Change),
    /// Somebody scales a Deployment.
    Scale(Change),
    /// Somebody deletes an object.
    Delete(&'static Kind, Key),
    /// The controller is killed, and started again after so many acts.
    Kill(usize),
    /// The API server is killed and started again.
    RestartApiServer,
}

/// A change of one object.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) kind: &'static Kind,
    pub(super) key: Key,
    pub(super) patch: Value,
}

/// How rough it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// Everything happens.
    Rough,
    /// The controller is left alone, so that its memory tells something.
    Calm,
}

// === impl Act ===

impl Act {
    /// The next act. Of a thousand, some 550 are pushes; the controller dies every fiftieth, the API server every 125th.
    pub(super) fn next(wanted: &mut Wanted, random: &mut Rng, weather: Weather, number: usize) -> Self {
        let dice = random.u16(0..1000);
        let act = match dice {
            0..20 if weather == Weather::Rough => return Self::Kill(random.usize(0..=DOWN_MAX)),
            20..28 => return Self::RestartApiServer,
            28..240 => wanted.choose(random, None).map(|found| Self::Edit(edit(found, number))),
            240..304 => {
                let kind = if random.bool() { &CONFIG_MAP } else { &SECRET };
                wanted.choose(random, Some(kind)).map(|found| Self::Seize(seize(found, number)))
            }
            304..374 => wanted.choose(random, Some(&DEPLOYMENT)).map(|(application, object)| {
                let patch = json!({"spec": {"replicas": random.u8(SCALED_TO)}});
                Self::Scale(Change { kind: object.kind, key: application.key(object), patch })
            }),
            374..444 => wanted
                .choose(random, None)
                .map(|(application, object)| Self::Delete(object.kind, application.key(object))),
            _ => None,
        };
        act.unwrap_or_else(|| Self::Push(wanted.push(random)))
    }

    /// What to count it as.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Push(_) => "pushes",
            Self::Edit(_) => "edits by hand",
            Self::Seize(_) => "fields taken by another",
            Self::Scale(_) => "scalings by hand",
            Self::Delete(..) => "deletions by hand",
            Self::Kill(_) => "controller killed",
            Self::RestartApiServer => "API server restarted",
        }
    }
}

/// A merge patch of a leaf that Git has.
fn edit((application, object): (&Application, &Object), number: usize) -> Change {
    let patch = if object.kind.name == DEPLOYMENT.name {
        // A merge patch replaces lists.
        let mut containers = object.manifest["spec"]["template"]["spec"]["containers"].clone();
        containers[0]["env"][0]["value"] = json!(format!("edited-{number}"));
        json!({"spec": {"template": {"spec": {"containers": containers}}}})
    } else if object.kind.name == SERVICE.name {
        json!({"spec": {"selector": {"app": format!("edited-{number}")}}})
    } else {
        json!({"data": {VALUE: by_hand(object.kind, number)}})
    };
    Change { kind: object.kind, key: application.key(object), patch }
}

/// A whole object for a server-side apply, with the one leaf.
fn seize((application, object): (&Application, &Object), number: usize) -> Change {
    let key = application.key(object);
    let patch = json!({
        "apiVersion": object.kind.api_version(),
        "kind": object.kind.name,
        "metadata": {"name": key.name, "namespace": key.namespace},
        "data": {VALUE: by_hand(object.kind, number)},
    });
    Change { kind: object.kind, key, patch }
}

/// A value that Git never has.
fn by_hand(kind: &Kind, number: usize) -> String {
    if kind.name == SECRET.name { format!("aaaa{number:08}") } else { format!("by hand {number}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn counts(weather: Weather) -> BTreeMap<&'static str, usize> {
        let (mut wanted, mut random) = (Wanted::new(60), Rng::with_seed(1));
        let mut counts = BTreeMap::new();
        for number in 0..4000 {
            *counts.entry(Act::next(&mut wanted, &mut random, weather, number).name()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn everything_happens_in_rough_weather() {
        let counts = counts(Weather::Rough);
        assert_eq!(counts.len(), 7, "{counts:?}");
        assert!(counts["pushes"] > counts["edits by hand"] && counts["controller killed"] > 10, "{counts:?}");
    }

    #[test]
    fn the_controller_lives_in_calm_weather() {
        assert!(!counts(Weather::Calm).contains_key("controller killed"));
    }
}
