//! Laws: what holds for any two objects of a kind that has lists and maps of every sort.

use std::collections::BTreeMap;

use proptest::prelude::*;
use trueup_diff::{Input, Projection, Schema, compare, takeover};
use trueup_object::{Map, Node, Path, Step};

use crate::support::{input, told, yaml};

fn schema() -> Schema {
    let crd = yaml(
        r"
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        properties:
          spec:
            properties:
              whole: {x-kubernetes-map-type: atomic}
              set: {x-kubernetes-list-type: set, items: {}}
              list:
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [id, zone]
                items:
                  properties:
                    zone: {default: a}
                    tags: {x-kubernetes-list-type: set, items: {}}
",
    );
    Schema::from_crd(&crd, "v1").unwrap()
}

// === objects ===

/// One item of the map list: without `zone` it is in zone a.
type Items = BTreeMap<(i64, bool), (Option<i64>, Vec<String>)>;

/// A manifest of the kind, part by part; `None` leaves a part out.
#[derive(Clone, Debug)]
struct Spec {
    scalar: Option<i64>,
    map: Option<BTreeMap<String, i64>>,
    whole: Option<BTreeMap<String, i64>>,
    set: Option<Vec<String>>,
    args: Option<Vec<i64>>,
    list: Option<Items>,
}

fn names() -> impl Strategy<Value = String> {
    "[a-d]"
}

fn specs() -> impl Strategy<Value = Spec> {
    let maps = || prop::option::of(prop::collection::btree_map(names(), 0..3_i64, 1..4));
    let sets = || prop::collection::btree_set(names(), 1..4).prop_map(|set| set.into_iter().collect::<Vec<_>>());
    let item = (prop::option::of(0..3_i64), sets());
    let items = prop::collection::btree_map((0..3_i64, any::<bool>()), item, 1..4);
    (
        prop::option::of(0..3_i64),
        maps(),
        maps(),
        prop::option::of(sets()),
        prop::option::of(prop::collection::vec(0..3_i64, 1..4)),
        prop::option::of(items),
    )
        .prop_map(|(scalar, map, whole, set, args, list)| Spec { scalar, map, whole, set, args, list })
}

impl Spec {
    /// As Git writes it: the default zone is left out.
    fn manifest(&self) -> Node {
        self.node(false)
    }

    /// As the server stores it.
    fn stored(&self) -> Node {
        self.node(true)
    }

    fn node(&self, with_defaults: bool) -> Node {
        let map = |map: &BTreeMap<String, i64>| {
            Node::Map(map.iter().map(|(key, value)| (key.as_str().into(), (*value).into())).collect())
        };
        let strings = |list: &[String]| Node::List(list.iter().map(|text| text.as_str().into()).collect());
        let mut spec = Node::map();
        let mut set = |key: &str, value: Option<Node>| {
            if let Some(value) = value {
                spec.set_at(&[key], value);
            }
        };
        set("scalar", self.scalar.map(Node::from));
        set("map", self.map.as_ref().map(map));
        set("whole", self.whole.as_ref().map(map));
        set("set", self.set.as_deref().map(strings));
        set("args", self.args.as_ref().map(|args| Node::List(args.iter().map(|it| (*it).into()).collect())));
        set(
            "list",
            self.list.as_ref().map(|items| {
                let items = items.iter().map(|((id, zone_b), (value, tags))| {
                    let mut item = Node::map();
                    item.set_at(&["id"], (*id).into());
                    if *zone_b || with_defaults {
                        item.set_at(&["zone"], if *zone_b { "b" } else { "a" }.into());
                    }
                    if let Some(value) = value {
                        item.set_at(&["value"], (*value).into());
                    }
                    item.set_at(&["tags"], strings(tags));
                    item
                });
                Node::List(items.collect())
            }),
        );
        object(spec)
    }

    /// What the server makes of an object when this is applied to it, by the book of server-side apply.
    fn applied_to(&self, live: &Self) -> Self {
        fn map<K: Ord + Clone, V: Clone>(
            ours: Option<&BTreeMap<K, V>>,
            theirs: Option<&BTreeMap<K, V>>,
        ) -> Option<BTreeMap<K, V>> {
            let (Some(ours), Some(theirs)) = (ours, theirs) else { return ours.or(theirs).cloned() };
            Some(theirs.iter().chain(ours).map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        fn set(ours: &[String], theirs: &[String]) -> Vec<String> {
            ours.iter().chain(theirs.iter().filter(|text| !ours.contains(text))).cloned().collect()
        }
        let list = match (&self.list, &live.list) {
            (Some(ours), Some(theirs)) => {
                let mut merged = theirs.clone();
                for (key, (value, tags)) in ours {
                    let there = merged.entry(*key).or_default();
                    *there = (value.or(there.0), set(tags, &there.1));
                }
                Some(merged)
            }
            (ours, theirs) => ours.as_ref().or(theirs.as_ref()).cloned(),
        };
        Self {
            scalar: self.scalar.or(live.scalar),
            map: map(self.map.as_ref(), live.map.as_ref()),
            whole: self.whole.clone().or_else(|| live.whole.clone()),
            set: match (&self.set, &live.set) {
                (Some(ours), Some(theirs)) => Some(set(ours, theirs)),
                (ours, theirs) => ours.as_ref().or(theirs.as_ref()).cloned(),
            },
            args: self.args.clone().or_else(|| live.args.clone()),
            list,
        }
    }
}

fn object(spec: Node) -> Node {
    let mut object = Node::map();
    object.set_at(&["apiVersion"], "example.dev/v1".into());
    object.set_at(&["spec"], spec);
    object
}

/// The same object with every list that is no single value turned around.
fn turned(object: &Node) -> Node {
    let mut object = object.clone();
    for list in ["set", "list"] {
        if let Some(Node::List(items)) =
            object.as_map_mut().and_then(|it| it.get_mut("spec")?.as_map_mut()?.get_mut(list))
        {
            items.reverse();
        }
    }
    object
}

fn in_custom_resource<'a>(desired: &'a Node, live: &'a Node, schema: &'a Schema) -> Input<'a> {
    Input { built_in: false, ..input(desired, live, schema) }
}

/// Every leaf of a manifest with a changed value: where, and the object that has it changed.
fn changes(manifest: &Node, stored: &Node) -> Vec<(Path, Node)> {
    let mut changes = Vec::new();
    let spec = manifest.get("spec").unwrap();
    let mut change = |path: &[&str], keys: &[&str], value: Node| {
        let mut changed = stored.clone();
        changed.set_at(keys, value);
        changes.push((Path::of_fields(path), changed));
    };
    if spec.get("scalar").is_some() {
        change(&["spec", "scalar"], &["spec", "scalar"], 9.into());
    }
    for (key, _) in spec.get("map").and_then(Node::as_map).into_iter().flat_map(Map::iter) {
        change(&["spec", "map", key], &["spec", "map", key], 9.into());
    }
    for (key, _) in spec.get("whole").and_then(Node::as_map).into_iter().flat_map(Map::iter) {
        change(&["spec", "whole"], &["spec", "whole", key], 9.into());
    }
    if spec.get("whole").is_some() {
        change(&["spec", "whole"], &["spec", "whole", "more"], 9.into());
    }
    if let Some(Node::List(args)) = spec.get("args") {
        change(&["spec", "args"], &["spec", "args"], Node::List([args.as_slice(), &[9.into()]].concat()));
    }
    let items = stored.list_at(&["spec", "list"]);
    for wanted in spec.list_at(&["list"]).iter().filter(|item| item.get("value").is_some()) {
        let zone = wanted.get("zone").cloned().unwrap_or_else(|| "a".into());
        let at = items.iter().position(|it| it.get("id") == wanted.get("id") && it.get("zone") == Some(&zone)).unwrap();
        let mut changed = items.to_vec();
        changed[at].set_at(&["value"], 9.into());
        let mut object = stored.clone();
        object.set_at(&["spec", "list"], Node::List(changed));
        let key = Step::key([("id".into(), wanted.get("id").unwrap().clone()), ("zone".into(), zone)]);
        let path = Path::of_fields(&["spec", "list"]).with(key).with(Step::field("value"));
        changes.push((path, object));
    }
    changes
}

proptest! {
    #[test]
    fn what_was_applied_is_in_line(ours in specs(), theirs in specs()) {
        let schema = schema();
        let (desired, live) = (ours.manifest(), ours.applied_to(&theirs).stored());
        let comparison = compare(&in_custom_resource(&desired, &live, &schema));
        prop_assert_eq!(told(&comparison), Vec::<String>::new());
        // The same, once Git has said it before: nothing is to be removed.
        let comparison = compare(&Input { base: Some(&desired), ..in_custom_resource(&desired, &live, &schema) });
        prop_assert_eq!(told(&comparison), Vec::<String>::new());
    }

    #[test]
    fn a_changed_leaf_is_named(ours in specs(), theirs in specs()) {
        let schema = schema();
        let desired = ours.manifest();
        for (path, live) in changes(&desired, &ours.applied_to(&theirs).stored()) {
            let comparison = compare(&in_custom_resource(&desired, &live, &schema));
            let named: Vec<_> = comparison.differences.iter().map(|it| it.path.clone()).collect();
            prop_assert_eq!(named, vec![path]);
        }
    }

    #[test]
    fn what_git_does_not_say_is_none_of_our_business(ours in specs(), theirs in specs(), others in specs()) {
        let schema = schema();
        // Whatever else changes on the object, what we applied stays applied.
        let later = ours.applied_to(&others.applied_to(&theirs));
        let (desired, mut live) = (ours.manifest(), later.stored());
        live.set_at(&["spec", "unheard", "of"], 1.into());
        live.set_at(&["status", "ready"], true.into());
        prop_assert!(compare(&in_custom_resource(&desired, &live, &schema)).in_line());
    }

    #[test]
    fn the_place_of_an_item_does_not_matter(ours in specs(), theirs in specs(), before in specs()) {
        let schema = schema();
        let (desired, live, base) = (ours.manifest(), theirs.stored(), before.manifest());
        let straight = compare(&Input { base: Some(&base), ..in_custom_resource(&desired, &live, &schema) });
        for (desired, live, base) in [
            (turned(&desired), live.clone(), base.clone()),
            (desired.clone(), turned(&live), base.clone()),
            (desired.clone(), live.clone(), turned(&base)),
        ] {
            let other = compare(&Input { base: Some(&base), ..in_custom_resource(&desired, &live, &schema) });
            let sorted = |mut words: Vec<String>| { words.sort(); words };
            prop_assert_eq!(sorted(told(&straight)), sorted(told(&other)));
        }
    }

    #[test]
    fn the_servers_answer_is_in_line_whatever_it_is(ours in specs(), answer in specs()) {
        let schema = schema();
        let (desired, answer) = (ours.manifest(), answer.stored());
        let projection = Projection::from_answer(&desired, &answer, &schema);
        let asked = Input { projection: Some(&projection), ..in_custom_resource(&desired, &answer, &schema) };
        prop_assert!(compare(&asked).in_line());
        let plain = compare(&in_custom_resource(&desired, &answer, &schema));
        prop_assert_eq!(projection.is_empty(), plain.in_line());
    }

    #[test]
    fn what_is_removed_was_ours_and_is_wanted_no_more(ours in specs(), theirs in specs(), before in specs()) {
        let schema = schema();
        let (desired, live, base) = (ours.manifest(), theirs.stored(), before.manifest());
        let comparison = compare(&Input { base: Some(&base), ..in_custom_resource(&desired, &live, &schema) });
        let removed = comparison.differences.iter().filter(|it| !it.doubtful).map(|it| it.path.clone());
        for path in removed {
            let was = compare(&in_custom_resource(&base, &object(Node::map()), &schema));
            let is = compare(&in_custom_resource(&desired, &object(Node::map()), &schema));
            let says = |comparison: &trueup_diff::Comparison| {
                comparison.differences.iter().any(|it| it.desired.as_ref().is_some_and(|value| has(value, &it.path, &path)))
            };
            prop_assert!(says(&was), "{path} was never ours");
            prop_assert!(!says(&is), "{path} is wanted");
        }
    }

    #[test]
    fn taking_over_twice_changes_nothing(ours in specs(), theirs in specs(), before in specs()) {
        let schema = schema();
        let (desired, live, base) = (ours.manifest(), theirs.stored(), before.manifest());
        if let Some(entries) = takeover(&desired, Some(&base), &live, &schema, trueup_diff::Former::default(), true) {
            let mut taken = live.clone();
            taken.set_at(&["metadata", "managedFields"], entries);
            prop_assert_eq!(takeover(&desired, Some(&base), &taken, &schema, trueup_diff::Former::default(), true), None);
        }
    }
}

/// Whether the value at `root` has something at `path`.
fn has(value: &Node, root: &Path, path: &Path) -> bool {
    let Some(rest) = path.0.strip_prefix(root.0.as_slice()) else { return false };
    rest.iter()
        .try_fold(value, |value, step| match step {
            Step::Field(name) => value.get(name),
            Step::Value(wanted) => value.as_list()?.iter().find(|item| *item == wanted),
            Step::Key(fields) => value.as_list()?.iter().find(|item| {
                fields.iter().all(|(key, wanted)| match item.get(key) {
                    Some(own) => own == wanted,
                    None => key == "zone" && *wanted == Node::from("a"),
                })
            }),
            Step::Index(_) => None,
        })
        .is_some()
}
