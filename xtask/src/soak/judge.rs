//! Whether the cluster is as Git says: judged by comparing manifests with live objects here, not by what Trueup says of
//! itself; that is judged beside. Entry points: [`differences`], [`applications`], [`identities`].

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use serde_json::Value;
use trueup_bed::Change;
use trueup_bed::Sighting;

use super::kind::NAMESPACE;
use super::wanted::Key;
use super::wanted::Wanted;

/// Every way in which live objects differ from what Git holds, and whatever is left of what it held. `live` has all objects
/// of our kinds.
pub(super) fn differences(wanted: &Wanted, live: &HashMap<Key, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for application in &wanted.applications {
        for object in &application.objects {
            let key = application.key(object);
            let Some(there) = live.get(&key) else {
                found.push(format!("{key} is not there"));
                continue;
            };
            missing(&object.manifest, there, "", &mut |path, git, live| {
                found.push(format!("{key} has {live} at {path}, Git has {git}"));
            });
            let data = there["data"].as_object();
            for gone in object.removed.iter().filter(|gone| data.is_some_and(|data| data.contains_key(*gone))) {
                found.push(format!("{key} still has the key {gone}, which Git removed"));
            }
            let id = there["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].as_str().unwrap_or_default();
            if id.split(':').next() != Some(&application.name) {
                found.push(format!("{key} has the tracking id '{id}', though {} has it", application.name));
            }
        }
    }
    found.extend(wanted.gone.iter().filter(|key| live.contains_key(key)).map(|key| format!("{key} is left over")));
    found
}

/// What Applications say of themselves that they should not, once nothing moves any more. `head` answers the head of a
/// repository.
pub(super) fn applications(wanted: &Wanted, live: &[Value], head: impl Fn(usize) -> String) -> Vec<String> {
    let by_name: HashMap<&str, &Value> =
        live.iter().filter_map(|it| Some((it["metadata"]["name"].as_str()?, it))).collect();
    let mut found = Vec::new();
    for application in &wanted.applications {
        let name = &application.name;
        let Some(status) = by_name.get(name.as_str()).map(|it| &it["status"]) else {
            found.push(format!("Application {name} is not there"));
            continue;
        };
        let mut say = |what: String| found.push(format!("Application {name}: {what}"));
        let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str).unwrap_or("nothing").to_owned();
        let (sync, health) = (text("/sync/status"), text("/health/status"));
        if (sync.as_str(), health.as_str()) != ("Synced", "Healthy") {
            say(format!("{sync}, {health}: {}", text("/operationState/message")));
        }
        let head = head(application.repository);
        if text("/sync/revision") != head {
            say(format!("its revision is {}, Git is at {head}", text("/sync/revision")));
        }
        if let Some(count) = status["drift"]["count"].as_u64().filter(|count| *count > 0) {
            say(format!("{count} objects have drifted"));
        }
        for condition in status["conditions"].as_array().into_iter().flatten() {
            let of = |key: &str| condition[key].as_str().unwrap_or_default();
            if of("type").ends_with("Error") {
                say(format!("{}: {}", of("type"), of("message")));
            }
        }
    }
    found
}

/// Every deletion that neither Git nor a person asked for. An object that Git always held keeps its identity, unless a person
/// deleted it.
pub(super) fn identities(wanted: &Wanted, deleted: &[(Key, String)], sightings: &[Sighting]) -> Vec<String> {
    let by_hand: BTreeSet<&str> = deleted.iter().map(|(_, uid)| uid.as_str()).collect();
    let held: BTreeSet<Key> =
        wanted.applications.iter().flat_map(|it| it.objects.iter().map(|object| it.key(object))).collect();
    let places: BTreeSet<&str> = wanted.applications.iter().map(|it| it.namespace.as_str()).collect();
    let mut uids: BTreeMap<Key, BTreeSet<&str>> = BTreeMap::new();
    let mut found = Vec::new();
    for sighting in sightings {
        let key = Key::of(sighting);
        if sighting.kind == NAMESPACE.name {
            if sighting.change == Change::Deleted && places.contains(sighting.name.as_str()) {
                found.push(format!("{key} was deleted, with everything in it"));
            }
            continue;
        }
        if !held.contains(&key) {
            continue;
        }
        uids.entry(key.clone()).or_default().insert(&sighting.uid);
        if sighting.change == Change::Deleted && !by_hand.contains(sighting.uid.as_str()) {
            found.push(format!("{key} was deleted by nobody, though Git holds it ({})", sighting.uid));
        }
    }
    for (key, uids) in uids {
        let allowed = 1 + uids.iter().filter(|uid| by_hand.contains(**uid)).count();
        if uids.len() > allowed {
            found.push(format!("{key} had {} identities, people account for {allowed}", uids.len()));
        }
    }
    found
}

/// Tells every leaf of a manifest that an object does not have, or has otherwise. What the object has besides is not told.
fn missing(git: &Value, live: &Value, path: &str, tell: &mut impl FnMut(&str, &Value, &Value)) {
    match (git, live) {
        (Value::Object(git), Value::Object(live)) => {
            for (key, value) in git {
                missing(value, live.get(key).unwrap_or(&Value::Null), &format!("{path}.{key}"), tell);
            }
        }
        (Value::Array(git), Value::Array(live)) if git.len() == live.len() => {
            for (at, (git, live)) in git.iter().zip(live).enumerate() {
                missing(git, live, &format!("{path}[{at}]"), tell);
            }
        }
        (git, live) if git == live => {}
        (git, live) => tell(path, git, live),
    }
}

// === impl Key ===

impl Key {
    fn of(sighting: &Sighting) -> Self {
        let kind = super::kind::KINDS.iter().map(|kind| kind.name).find(|name| *name == sighting.kind);
        Self {
            kind: kind.unwrap_or(NAMESPACE.name),
            namespace: sighting.namespace.clone(),
            name: sighting.name.clone(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;

    /// A cluster that is exactly as Git says.
    fn live(wanted: &Wanted) -> HashMap<Key, Value> {
        let mut live = HashMap::new();
        for application in &wanted.applications {
            for object in &application.objects {
                let key = application.key(object);
                let mut there = object.manifest.clone();
                let id = format!(
                    "{}:{}/{}:{}/{}",
                    application.name, object.kind.group, object.kind.name, key.namespace, key.name
                );
                there["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": id});
                there["status"] = json!({"more": true});
                live.insert(key, there);
            }
        }
        live
    }

    fn sighting(change: Change, key: &Key, uid: &str) -> Sighting {
        Sighting {
            change,
            kind: key.kind.to_owned(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            uid: uid.to_owned(),
            resource_version: "1".to_owned(),
            tracking_id: None,
            at: Instant::now(),
        }
    }

    #[test]
    fn every_difference_is_found() {
        let (mut wanted, mut random) = (Wanted::new(4), fastrand::Rng::with_seed(1));
        for _ in 0..200 {
            wanted.push(&mut random);
        }
        let exact = live(&wanted);
        assert_eq!(differences(&wanted, &exact), Vec::<String>::new());
        let application = &wanted.applications[0];
        let deployment = application.objects.iter().find(|it| it.kind.name == "Deployment").unwrap();
        let spoil = |change: &dyn Fn(&mut HashMap<Key, Value>)| {
            let mut spoilt = exact.clone();
            change(&mut spoilt);
            differences(&wanted, &spoilt)
        };
        let key = application.key(deployment);
        let found = spoil(&|live| live.get_mut(&key).unwrap()["spec"]["replicas"] = json!(9));
        assert!(found.len() == 1 && found[0].contains("has 9 at .spec.replicas"), "{found:?}");
        let found = spoil(&|live| drop(live.remove(&key)));
        assert!(found.len() == 1 && found[0].ends_with("is not there"), "{found:?}");
        let gone = wanted.gone.first().unwrap();
        let found = spoil(&|live| drop(live.insert(gone.clone(), json!({}))));
        assert!(found.len() == 1 && found[0].ends_with("is left over"), "{found:?}");
        let (of, held) = wanted
            .applications
            .iter()
            .find_map(|it| Some((it, it.objects.iter().find(|object| !object.removed.is_empty())?)))
            .unwrap();
        let removed = held.removed.first().unwrap();
        let found = spoil(&|live| live.get_mut(&of.key(held)).unwrap()["data"][removed.as_str()] = json!("x"));
        assert!(found.len() == 1 && found[0].contains("still has the key"), "{found:?}");
        let found = spoil(&|live| {
            let id = &mut live.get_mut(&key).unwrap()["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"];
            *id = json!("other:apps/Deployment:a/b");
        });
        assert!(found.len() == 1 && found[0].contains("tracking id"), "{found:?}");
    }

    #[test]
    fn an_application_must_be_in_line_at_the_head() {
        let wanted = Wanted::new(1);
        let status = |sync: &str, revision: &str, drift: u8, conditions: Value| {
            json!({"metadata": {"name": "app-0000"}, "status": {
                "sync": {"status": sync, "revision": revision}, "health": {"status": "Healthy"},
                "drift": {"count": drift}, "conditions": conditions,
            }})
        };
        let found = |live: &[Value]| applications(&wanted, live, |_| "head".to_owned()).len();
        let warning = json!([{"type": "SharedResourceWarning", "message": "m"}]);
        assert_eq!(found(&[status("Synced", "head", 0, warning)]), 0);
        assert_eq!(found(&[status("OutOfSync", "head", 0, json!([]))]), 1);
        assert_eq!(found(&[status("Synced", "old", 0, json!([]))]), 1);
        assert_eq!(found(&[status("Synced", "head", 2, json!([]))]), 1);
        assert_eq!(found(&[status("Synced", "head", 0, json!([{"type": "SyncError", "message": "m"}]))]), 1);
        assert_eq!(found(&[]), 1);
    }

    #[test]
    fn only_people_and_git_may_take_an_identity() {
        let wanted = Wanted::new(1);
        let key = wanted.applications[0].key(&wanted.applications[0].objects[0]);
        let (first, second) = (sighting(Change::Added, &key, "1"), sighting(Change::Added, &key, "2"));
        let lost = sighting(Change::Deleted, &key, "1");
        let by_hand = [(key.clone(), "1".to_owned())];
        let all = [first.clone(), lost, second.clone()];
        assert_eq!(identities(&wanted, &by_hand, &all), Vec::<String>::new());
        assert_eq!(identities(&wanted, &[], &all).len(), 2);
        // A deletion that the recorder missed shows by the second identity.
        assert_eq!(identities(&wanted, &[], &[first, second]).len(), 1);
        let other = Key { name: "not-in-git".to_owned(), ..key };
        assert_eq!(identities(&wanted, &[], &[sighting(Change::Deleted, &other, "3")]), Vec::<String>::new());
        let namespace = Key { kind: "Namespace", namespace: String::new(), name: "soak-000".to_owned() };
        assert_eq!(identities(&wanted, &[], &[sighting(Change::Deleted, &namespace, "4")]).len(), 1);
    }
}
