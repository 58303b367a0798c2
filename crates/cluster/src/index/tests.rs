use serde_json::json;

use super::*;

/// An index that watches ConfigMaps, in which `shop` is known.
struct Bench {
    index: Index,
    gvk: Gvk,
}

/// An object as the API server would send it.
fn object(name: &str, uid: &str, version: u64, tracking: Option<&str>) -> String {
    json!({"metadata": {
        "namespace": "prod", "name": name, "uid": uid, "resourceVersion": version.to_string(),
        "annotations": tracking.map(|id| json!({"argocd.argoproj.io/tracking-id": id})),
    }})
    .to_string()
}

fn ours(name: &str, version: u64) -> String {
    object(name, "u", version, Some(&format!("shop:/ConfigMap:prod/{name}")))
}

fn foreign(name: &str, version: u64) -> String {
    object(name, "u", version, None)
}

fn config_map(name: &str) -> ObjectKey {
    ObjectKey::new("", "ConfigMap", "prod", name)
}

fn told(app: &str, name: &str) -> Change {
    Change::Object { app: app.into(), key: config_map(name) }
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self { index: Index::default(), gvk: Gvk::from_api_version("v1", "ConfigMap") };
        assert!(bench.index.watch(&bench.gvk));
        bench.index.want("shop", std::iter::empty());
        bench
    }

    fn listed(objects: &[String], version: u64) -> Self {
        let mut bench = Self::new();
        bench.list(objects, version);
        bench
    }

    fn list(&mut self, objects: &[String], version: u64) -> Vec<Change> {
        self.index.begin_listing(&self.gvk);
        let mut changes = Vec::new();
        for object in objects {
            changes.extend(self.see(object, Sight::Listed));
        }
        changes.extend(self.index.complete_listing(&self.gvk, &version.to_string()));
        self.index.following(&self.gvk);
        changes
    }

    fn see(&mut self, json: &str, sight: Sight) -> Vec<Change> {
        let head = Head::read(json.as_bytes()).unwrap();
        let gvk = self.gvk.clone();
        self.index.see(&gvk, &head, sight, || Arc::new(Live::new(&gvk, &head, json.as_bytes().into())))
    }

    fn event(&mut self, json: &str) -> Vec<Change> {
        self.see(json, Sight::Event)
    }

    fn answer(&mut self, json: &str) -> Vec<Change> {
        self.see(json, Sight::Answer)
    }

    fn delete(&mut self, json: &str) -> Vec<Change> {
        self.index.gone(&self.gvk.clone(), &Head::read(json.as_bytes()).unwrap())
    }

    fn want(&mut self, app: &str, names: &[&str]) {
        let gvk = self.gvk.clone();
        self.index.want(app, names.iter().map(|name| (gvk.clone(), config_map(name))));
    }

    /// The version of an object whose text is kept.
    fn version(&self, name: &str) -> Option<String> {
        self.index.live(&self.gvk, &config_map(name)).map(|live| live.resource_version.clone())
    }

    fn is_foreign(&self, name: &str) -> bool {
        self.index.knows_foreign(&self.gvk, &config_map(name))
    }

    fn tracked(&self, app: &str) -> Vec<String> {
        let mut names: Vec<String> = self.index.tracked(app).into_iter().map(|(_, key)| key.name.to_string()).collect();
        names.sort();
        names
    }
}

#[test]
fn claimed_objects_are_kept_and_others_counted() {
    let mut bench = Bench::new();
    let changes = bench.list(&[ours("a", 1), foreign("b", 2)], 5);
    assert_eq!(changes, [told("shop", "a")]);
    assert_eq!((bench.version("a").as_deref(), bench.version("b")), (Some("1"), None));
    assert!(bench.is_foreign("b") && !bench.is_foreign("a") && !bench.is_foreign("c"));
    assert_eq!(bench.tracked("shop"), ["a"]);
    assert_eq!(bench.index.state(&bench.gvk), WatchState::Ready);
}

#[test]
fn a_claim_that_names_another_object_is_kept_and_not_listed() {
    let copied = object("endpoints", "u", 1, Some("shop:/Service:prod/web"));
    let mut bench = Bench::new();
    assert_eq!(bench.list(&[copied], 5), []);
    assert_eq!(bench.version("endpoints").as_deref(), Some("1"));
    assert!(bench.tracked("shop").is_empty());
}

#[test]
fn what_an_owner_removes_is_not_listed() {
    let owned = ours("a", 1).replace("\"metadata\":{", "\"metadata\":{\"ownerReferences\":[{\"uid\":\"x\"}],");
    let mut bench = Bench::new();
    assert_eq!(bench.list(&[owned], 5), []);
    assert!(bench.tracked("shop").is_empty());
}

#[test]
fn our_own_echo_is_silent_and_older_events_are_dropped() {
    let mut bench = Bench::listed(&[ours("a", 1)], 5);
    assert_eq!(bench.answer(&ours("a", 10)), []);
    assert_eq!(bench.event(&ours("a", 7)), []);
    assert_eq!(bench.version("a").as_deref(), Some("10"));
    assert_eq!(bench.event(&ours("a", 10)), []);
    assert_eq!(bench.event(&ours("a", 11)), [told("shop", "a")]);
    assert_eq!(bench.version("a").as_deref(), Some("11"));
}

#[test]
fn a_write_tells_the_others_that_want_the_object() {
    let mut bench = Bench::listed(&[], 5);
    bench.want("other", &["a"]);
    assert_eq!(bench.answer(&ours("a", 10)), [told("other", "a")]);
}

#[test]
fn the_event_of_a_write_that_comes_before_its_answer_is_silent_too() {
    let mut bench = Bench::listed(&[ours("a", 1)], 5);
    bench.want("other", &["a"]);
    let gvk = bench.gvk.clone();
    let mut write = |events: &[u64], answer: Option<u64>| {
        bench.index.begin_write(&gvk, &config_map("a"));
        for version in events {
            assert_eq!(bench.event(&ours("a", *version)), []);
        }
        if let Some(version) = answer {
            assert_eq!(bench.answer(&ours("a", version)), []);
        }
        bench.index.end_write(&gvk, &config_map("a"))
    };
    assert_eq!(write(&[10], Some(10)), [told("other", "a")]);
    // Somebody else was faster than our write, and then faster again.
    assert_eq!(write(&[11, 12], Some(12)), [told("other", "a"), told("other", "a")]);
    assert_eq!(write(&[13, 14], Some(13)).iter().filter(|change| **change == told("shop", "a")).count(), 1);
    // A write that failed says nothing about the events.
    assert_eq!(write(&[15], None), [told("other", "a"), told("shop", "a")]);
    assert_eq!(bench.event(&ours("a", 16)), [told("other", "a"), told("shop", "a")]);
}

#[test]
fn the_answer_that_comes_after_the_deletion_raises_nobody_from_the_dead() {
    let mut bench = Bench::listed(&[], 5);
    bench.event(&ours("a", 10));
    bench.delete(&ours("a", 11));
    assert_eq!(bench.answer(&ours("a", 10)), []);
    assert_eq!(bench.version("a"), None);
    // One that is newer than all events is taken.
    bench.answer(&ours("a", 12));
    assert_eq!(bench.version("a").as_deref(), Some("12"));
}

#[test]
fn a_deletion_removes_the_same_object_only() {
    let mut bench = Bench::listed(&[ours("a", 1)], 5);
    bench.answer(&ours("a", 10).replace("\"u\"", "\"new\""));
    assert_eq!(bench.delete(&ours("a", 9)), []);
    assert_eq!(bench.version("a").as_deref(), Some("10"));
    assert_eq!(bench.delete(&ours("a", 12).replace("\"u\"", "\"new\"")), [told("shop", "a")]);
    assert_eq!((bench.version("a"), bench.tracked("shop").len()), (None, 0));
}

#[test]
fn a_new_listing_drops_what_vanished() {
    let mut bench = Bench::listed(&[ours("a", 1), ours("b", 2), foreign("c", 3), foreign("d", 3)], 5);
    bench.want("shop", &["d"]);
    let mut changes = bench.list(&[ours("a", 1)], 20);
    changes.sort_by_key(|change| format!("{change:?}"));
    assert_eq!(changes, [told("shop", "b"), told("shop", "d")]);
    assert_eq!(bench.tracked("shop"), ["a"]);
    assert!(!bench.is_foreign("c") && !bench.is_foreign("d"));
}

#[test]
fn a_write_that_is_newer_than_the_listing_survives_it() {
    let mut bench = Bench::new();
    bench.index.begin_listing(&bench.gvk);
    bench.answer(&ours("a", 10));
    bench.answer(&ours("b", 4));
    let changes = bench.index.complete_listing(&bench.gvk.clone(), "5");
    assert_eq!(changes, [told("shop", "b")]);
    assert_eq!((bench.version("a").as_deref(), bench.version("b")), (Some("10"), None));
}

#[test]
fn wanted_objects_are_kept_and_told_of() {
    let mut bench = Bench::listed(&[foreign("a", 1)], 5);
    bench.want("shop", &["a", "new"]);
    assert!(bench.is_foreign("a"));
    // Fetched, it is kept, though older than what the watch has come to.
    bench.answer(&foreign("a", 1));
    assert_eq!(bench.version("a").as_deref(), Some("1"));
    assert_eq!(bench.event(&foreign("a", 6)), [told("shop", "a")]);
    assert_eq!(bench.event(&foreign("new", 7)), [told("shop", "new")]);
    assert_eq!(bench.event(&foreign("b", 8)), []);
    assert_eq!(bench.delete(&foreign("a", 9)), [told("shop", "a")]);
    bench.want("shop", &[]);
    assert!(bench.version("new").is_none() && bench.is_foreign("new"));
    assert_eq!(bench.event(&foreign("new", 10)), []);
}

#[test]
fn a_foreign_object_that_is_wanted_and_goes_is_told_of() {
    let mut bench = Bench::listed(&[foreign("a", 1)], 5);
    bench.want("shop", &["a"]);
    assert_eq!(bench.delete(&foreign("a", 6)), [told("shop", "a")]);
    assert!(!bench.is_foreign("a"));
}

#[test]
fn an_object_moves_from_one_application_to_another() {
    let mut bench = Bench::listed(&[ours("a", 1)], 5);
    bench.want("other", &[]);
    let moved = object("a", "u", 6, Some("other:/ConfigMap:prod/a"));
    assert_eq!(bench.event(&moved), [told("other", "a"), told("shop", "a")]);
    assert_eq!((bench.tracked("shop").len(), bench.tracked("other").len()), (0, 1));
    assert_eq!(bench.event(&foreign("a", 7)), [told("other", "a")]);
    assert!(bench.is_foreign("a") && bench.tracked("other").is_empty());
}

#[test]
fn who_is_not_known_is_not_told() {
    let mut bench = Bench::listed(&[], 5);
    let stranger = object("a", "u", 6, Some("stranger:/ConfigMap:prod/a"));
    assert_eq!(bench.event(&stranger), []);
    assert_eq!((bench.tracked("stranger"), bench.index.claimants()), (vec!["a".to_owned()], vec!["stranger".into()]));
    bench.event(&ours("b", 7));
    bench.index.forget("shop");
    assert_eq!(bench.event(&ours("b", 8)), []);
    assert_eq!(bench.tracked("shop"), ["b"]);
}

#[test]
fn a_ready_kind_fails_after_some_failures_and_a_new_one_at_once() {
    let mut bench = Bench::new();
    assert!(bench.index.failed(&bench.gvk, "forbidden", true));
    assert!(!bench.index.failed(&bench.gvk, "forbidden", true), "told once");
    assert!(bench.index.failed(&bench.gvk, "broken", true), "another reason");
    bench.list(&[], 5);
    assert_eq!(bench.index.state(&bench.gvk), WatchState::Ready);
    assert!(!bench.index.failed(&bench.gvk, "starting", true));
    assert!(!bench.index.failed(&bench.gvk, "starting", true));
    assert!(bench.index.failed(&bench.gvk, "starting", true));
    assert!(bench.index.following(&bench.gvk), "it goes on without a listing");
    assert_eq!(bench.index.state(&bench.gvk), WatchState::Ready);
}

#[test]
fn a_busy_server_does_not_fail_a_new_kind_at_once() {
    let mut bench = Bench::new();
    assert!(!bench.index.failed(&bench.gvk, "busy", false));
    assert!(!bench.index.failed(&bench.gvk, "busy", false));
    assert!(bench.index.failed(&bench.gvk, "busy", false));
}

#[test]
fn what_is_not_watched_is_not_kept() {
    let mut bench = Bench::listed(&[ours("a", 1)], 5);
    bench.index.unwatch(&bench.gvk);
    assert_eq!((bench.version("a"), bench.tracked("shop").len()), (None, 0));
    assert_eq!(bench.answer(&ours("a", 9)), []);
    assert_eq!(bench.version("a"), None);
}

#[test]
fn versions_that_are_no_numbers_are_taken_as_they_come() {
    let mut bench = Bench::new();
    let at = |version: &str| {
        ours("a", 1).replace("\"resourceVersion\":\"1\"", &format!("\"resourceVersion\":\"{version}\""))
    };
    bench.event(&at("x"));
    assert_eq!(bench.event(&at("b")), [told("shop", "a")]);
    assert_eq!(bench.event(&at("b")), []);
    assert_eq!(bench.version("a").as_deref(), Some("b"));
}

#[test]
fn another_installation_id_changes_whose_every_object_is() {
    let theirs = json!({"metadata": {
        "namespace": "prod", "name": "b", "uid": "u", "resourceVersion": "2", "annotations": {
            "argocd.argoproj.io/tracking-id": "shop:/ConfigMap:prod/b", "argocd.argoproj.io/installation-id": "blue",
        },
    }});
    let mut bench = Bench::listed(&[ours("a", 1), theirs.to_string()], 2);
    let tracked = |bench: &Bench| bench.index.tracked("shop").into_iter().map(|(_, key)| key).collect::<Vec<_>>();
    assert_eq!(tracked(&bench), [config_map("a")]);
    bench.index.set_installation("blue");
    assert_eq!(tracked(&bench), [config_map("b")]);
    assert_eq!(bench.index.claimants(), ["shop"]);
    // What an event shows is judged by the same id.
    assert_eq!(bench.event(&ours("c", 3)), []);
    assert_eq!(tracked(&bench), [config_map("b")]);
    bench.index.set_installation("");
    let mut names = tracked(&bench);
    names.sort();
    assert_eq!(names, [config_map("a"), config_map("c")]);
}
