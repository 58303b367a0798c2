//! How the lists and maps of one object are told apart.
//!
//! What the API server wrote into `fieldsV1` for this very object comes first, then the schema of the kind, then the
//! default: a list is one value, a map is not. Entry point: [`Kinds`], a place in both that moves along with a walk.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use trueup_object::{FieldSet, Node, Step};

use crate::schema::Place;
use crate::{ListKind, Schema};

/// What `fieldsV1` entries say about the kinds of lists and maps, whoever owns them. All items of a list are taken as one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    fields: BTreeMap<CompactString, Self>,
    items: Option<Box<Self>>,
    list: Option<ListKind>,
    /// Somebody owns the place as a whole. It may be one value, or have been empty.
    leaf: bool,
}

/// A place in the evidence and in the schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kinds<'a> {
    evidence: Option<&'a Evidence>,
    schema: Place<'a>,
    /// At the root, where `metadata` is still ahead.
    root: bool,
    built_in: bool,
}

/// How a list or a map is told apart, and how sure that is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known<T> {
    pub(crate) kind: T,
    /// Otherwise a schema could say something else.
    pub(crate) sure: bool,
}

// === impl Evidence ===

impl Evidence {
    /// Learns from the field set of one owner.
    pub(crate) fn learn(&mut self, set: &FieldSet) {
        for (step, branch) in set.children() {
            let below = match step {
                Step::Field(name) => self.fields.entry(name.clone()).or_default(),
                Step::Key(fields) => {
                    self.learn_keys(fields.iter().map(|(name, _)| name));
                    self.items.get_or_insert_default()
                }
                Step::Value(_) => {
                    self.list = Some(ListKind::Set);
                    continue;
                }
                Step::Index(_) => continue,
            };
            below.leaf |= branch.member && branch.below.is_empty();
            below.learn(&branch.below);
        }
    }

    /// An item names only the keys that it has, so the keys of a list are those of all its items.
    fn learn_keys<'k>(&mut self, names: impl Iterator<Item = &'k CompactString>) {
        let mut keys = match self.list.take() {
            Some(ListKind::Map(keys)) => keys,
            _ => Vec::new(),
        };
        for name in names {
            if !keys.contains(name) {
                keys.push(name.clone());
            }
        }
        self.list = Some(ListKind::Map(keys));
    }
}

// === impl Kinds ===

impl<'a> Kinds<'a> {
    /// The place of the whole object.
    pub(crate) fn root(evidence: &'a Evidence, schema: &'a Schema, built_in: bool) -> Self {
        Self { evidence: Some(evidence), schema: schema.root(), root: true, built_in }
    }

    /// The place of a map's entry.
    pub(crate) fn field(self, name: &str) -> Self {
        let schema = if self.root && name == "metadata" { Schema::metadata() } else { self.schema.field(name) };
        Self { evidence: self.evidence.and_then(|it| it.fields.get(name)), schema, root: false, ..self }
    }

    /// The place of a list's items.
    pub(crate) fn items(self) -> Self {
        Self { evidence: self.evidence.and_then(|it| it.items.as_deref()), schema: self.schema.items(), ..self }
    }

    /// How the items of the list here are told apart.
    pub(crate) fn list(self) -> Known<&'a ListKind> {
        match self.evidence.and_then(|it| it.list.as_ref()) {
            Some(kind) => Known { kind, sure: true },
            None => Known { kind: self.schema.list(), sure: self.schema.is_known() },
        }
    }

    /// Whether the map here is one value.
    pub(crate) fn atomic_map(self) -> Known<bool> {
        match self.evidence {
            _ if self.root => Known { kind: false, sure: true },
            Some(it) if !it.fields.is_empty() => Known { kind: false, sure: true },
            _ if self.schema.is_known() => Known { kind: self.schema.is_atomic_map(), sure: true },
            // Owned as a whole although it has entries: one value, unless it was empty when it was written.
            Some(it) if it.leaf => Known { kind: true, sure: false },
            _ => Known { kind: false, sure: false },
        }
    }

    /// Whether two values here are equal as quantities; `None` if a schema would have to say whether they are any.
    pub(crate) fn quantity(self) -> Option<bool> {
        match (self.built_in, self.schema.is_known()) {
            (false, _) => Some(false),
            (true, true) => Some(self.schema.is_quantity()),
            (true, false) => None,
        }
    }

    /// The step to an item of the map list here, or `None` if the item has none of the keys.
    pub(crate) fn key_of(self, item: &Node, keys: &[CompactString]) -> Option<Step> {
        let item = item.as_map()?;
        let field = |key: &CompactString| {
            let value = item.get(key).cloned().or_else(|| self.key_default(key))?;
            Some((key.clone(), value))
        };
        let fields: Vec<_> = keys.iter().filter_map(field).collect();
        (!fields.is_empty()).then(|| Step::key(fields))
    }

    /// The items of a manifest by what tells them apart, as live knows them.
    ///
    /// An item may leave out a key that has a default. Where no schema says which, it is taken for the one live item that
    /// agrees in all other keys, and the answer is not sure.
    pub(crate) fn keyed(self, items: &[Node], keys: &[CompactString], live: &[Node]) -> Known<Vec<Option<Step>>> {
        let mut steps: Vec<_> = items.iter().map(|item| self.key_of(item, keys)).collect();
        let is_partial = |step: &Option<Step>| matches!(step, Some(Step::Key(fields)) if fields.len() < keys.len());
        if self.schema.is_known() || !steps.iter().any(is_partial) {
            return Known { kind: steps, sure: true };
        }
        let live: BTreeSet<_> = live.iter().filter_map(|item| self.key_of(item, keys)).collect();
        let free: Vec<_> = live.into_iter().filter(|step| !steps.contains(&Some(step.clone()))).collect();
        let mut sure = true;
        for step in steps.iter_mut().filter(|step| is_partial(step)) {
            let agrees = |other: &&Step| match (&*step, other) {
                (Some(Step::Key(part)), Step::Key(whole)) => part.iter().all(|field| whole.contains(field)),
                _ => false,
            };
            let mut agreeing = free.iter().filter(agrees);
            // A guess at best: somebody may have changed the very key that Git leaves out.
            sure = false;
            if let (Some(only), None) = (agreeing.next(), agreeing.next()) {
                *step = Some(only.clone());
            }
        }
        Known { kind: steps, sure }
    }

    fn key_default(self, key: &str) -> Option<Node> {
        match self.schema.key_default(key) {
            Some(value) => Some(value.clone()),
            // The one default that keys of built-in kinds have, for when only fieldsV1 names the keys.
            None if self.built_in && !self.schema.is_known() && key == "protocol" => Some("TCP".into()),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(texts: &[&str]) -> Evidence {
        let mut evidence = Evidence::default();
        for text in texts {
            evidence.learn(&FieldSet::from_fields_v1(&Node::from_json(text.as_bytes()).unwrap()).unwrap());
        }
        evidence
    }

    #[test]
    fn entries_come_before_the_schema() {
        let schema = Schema::from_crd(
            &Node::from_json(
                br#"{"spec":{"versions":[{"name":"v1","schema":{"openAPIV3Schema":{"properties":{"spec":{"properties":{
                    "a":{"items":{},"x-kubernetes-list-type":"set"},"b":{"items":{},"x-kubernetes-list-type":"set"}}}}}}}]}}"#,
            )
            .unwrap(),
            "v1",
        )
        .unwrap();
        let evidence = evidence(&[r#"{"f:spec":{"f:a":{"k:{\"id\":1}":{".":{}}}}}"#]);
        let spec = Kinds::root(&evidence, &schema, false).field("spec");
        assert_eq!(spec.field("a").list(), Known { kind: &ListKind::Map(vec!["id".into()]), sure: true });
        assert_eq!(spec.field("b").list(), Known { kind: &ListKind::Set, sure: true });
        assert_eq!(spec.field("c").list(), Known { kind: &ListKind::Atomic, sure: true });
    }

    #[test]
    fn what_no_entry_and_no_schema_says_is_not_sure() {
        let evidence = evidence(&[r#"{"f:spec":{"f:whole":{},"f:both":{}}}"#, r#"{"f:spec":{"f:both":{"f:x":{}}}}"#]);
        let schema = Schema::unknown();
        let spec = Kinds::root(&evidence, &schema, true).field("spec");
        assert_eq!(spec.atomic_map(), Known { kind: false, sure: true });
        assert_eq!(spec.field("whole").atomic_map(), Known { kind: true, sure: false });
        assert_eq!(spec.field("both").atomic_map(), Known { kind: false, sure: true });
        assert_eq!(spec.field("none").atomic_map(), Known { kind: false, sure: false });
        assert_eq!(spec.field("none").list(), Known { kind: &ListKind::Atomic, sure: false });
        assert_eq!(spec.field("none").quantity(), None);
    }

    #[test]
    fn items_learn_from_each_other() {
        let evidence =
            evidence(&[r#"{"f:c":{"k:{\"n\":1}":{".":{},"f:tags":{"v:\"x\"":{}}},"k:{\"n\":2}":{"f:n":{}}}}"#]);
        let schema = Schema::unknown();
        let items = Kinds::root(&evidence, &schema, false).field("c").items();
        assert_eq!(items.field("tags").list().kind, &ListKind::Set);
    }

    #[test]
    fn the_keys_of_a_list_are_those_of_all_its_items() {
        let evidence = evidence(&[r#"{"f:c":{"k:{\"a\":1}":{},"k:{\"a\":1,\"b\":2}":{},"k:{\"a\":3}":{}}}"#]);
        let schema = Schema::unknown();
        let list = Kinds::root(&evidence, &schema, false).field("c").list();
        assert_eq!(list.kind, &ListKind::Map(vec!["a".into(), "b".into()]));
    }

    #[test]
    fn a_key_that_is_left_out_takes_its_default() {
        let evidence = Evidence::default();
        let schema = Schema::unknown();
        let keys = ["port".into(), "protocol".into()];
        let item = Node::from_json(br#"{"port":80,"name":"http"}"#).unwrap();
        let key = |built_in| Kinds::root(&evidence, &schema, built_in).key_of(&item, &keys).unwrap().to_fields_v1();
        assert_eq!(key(true), r#"k:{"port":80,"protocol":"TCP"}"#);
        assert_eq!(key(false), r#"k:{"port":80}"#);
        assert_eq!(Kinds::root(&evidence, &schema, true).key_of(&"x".into(), &keys), None);
    }

    #[test]
    fn a_key_whose_default_nobody_knows_is_taken_from_live() {
        let (evidence, schema) = (Evidence::default(), Schema::unknown());
        let kinds = Kinds::root(&evidence, &schema, false);
        let list = |text: &str| Node::from_json(text.as_bytes()).unwrap().as_list().unwrap().to_vec();
        let keys = ["name".into(), "zone".into()];
        let live = list(r#"[{"name":"r","zone":"a"},{"name":"r","zone":"b"},{"name":"s","zone":"a"}]"#);
        for (items, expected, sure) in [
            (r#"[{"name":"s"}]"#, &[r#"k:{"name":"s","zone":"a"}"#][..], false),
            (
                r#"[{"name":"r"},{"name":"r","zone":"b"}]"#,
                &[r#"k:{"name":"r","zone":"a"}"#, r#"k:{"name":"r","zone":"b"}"#],
                false,
            ),
            (r#"[{"name":"r"}]"#, &[r#"k:{"name":"r"}"#], false),
            (r#"[{"name":"t"}]"#, &[r#"k:{"name":"t"}"#], false),
        ] {
            let keyed = kinds.keyed(&list(items), &keys, &live);
            let steps: Vec<_> = keyed.kind.iter().map(|step| step.as_ref().unwrap().to_fields_v1()).collect();
            assert_eq!((steps, keyed.sure), (expected.iter().map(ToString::to_string).collect(), sure), "{items}");
        }
    }
}
