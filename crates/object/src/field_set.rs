//! The set of leaves that an owner holds, as `fieldsV1` writes it.
//!
//! Keeps a set of paths as a tree. Invariant: no branch is empty, so equal sets are equal values. Entry point:
//! [`FieldSet::from_fields_v1`].

use std::collections::BTreeMap;

use crate::path::StepError;
use crate::{Map, Node, Path, Step};

/// A set of paths.
///
/// A path may be a member and have members below it: a list item that somebody put there (`.`) and some of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(BTreeMap<Step, Branch>);

/// What a set holds at one step and below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// Whether the path that ends here is itself a member.
    pub member: bool,
    /// The members below.
    pub below: FieldSet,
}

/// A tree is not what `fieldsV1` may hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldSetError {
    /// Something else than a map where a set of steps should be.
    #[error("a field set must be made of maps")]
    NotAMap,
    /// A step that cannot be read.
    #[error(transparent)]
    Step(#[from] StepError),
}

// === impl FieldSet ===

impl FieldSet {
    /// Reads a `fieldsV1` tree. Steps of a kind that we do not know are skipped with all that is below them, as Go does.
    pub fn from_fields_v1(node: &Node) -> Result<Self, FieldSetError> {
        let mut set = BTreeMap::new();
        for (text, below) in node.as_map().ok_or(FieldSetError::NotAMap)?.iter() {
            if text == "." {
                continue;
            }
            let step = match Step::from_fields_v1(text) {
                Ok(step) => step,
                Err(StepError::Unknown(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            let map = below.as_map().ok_or(FieldSetError::NotAMap)?;
            let branch = Branch { member: map.is_empty() || map.contains("."), below: Self::from_fields_v1(below)? };
            if branch.is_live() {
                set.insert(step, branch);
            }
        }
        Ok(Self(set))
    }

    /// Writes the set as a `fieldsV1` tree.
    pub fn to_fields_v1(&self) -> Node {
        let entries = self.0.iter().map(|(step, branch)| {
            let mut below = branch.below.to_fields_v1();
            if branch.member && !branch.below.is_empty() {
                below.set_at(&["."], Node::map());
            }
            (step.to_fields_v1().into(), below)
        });
        Node::Map(entries.collect::<Map>())
    }

    /// Adds a path. The root itself is never a member.
    pub fn insert(&mut self, path: &Path) {
        let mut set = self;
        for (at, step) in path.0.iter().enumerate() {
            let branch = set.0.entry(step.clone()).or_default();
            branch.member |= at + 1 == path.0.len();
            set = &mut branch.below;
        }
    }

    /// Whether the path itself is a member.
    pub fn contains(&self, path: &Path) -> bool {
        self.branch(path).is_some_and(|branch| branch.member)
    }

    /// Whether the path belongs to this set: it is a member, something below it is, or it lies inside a member that was
    /// taken as one (a member with nothing below).
    pub fn covers(&self, path: &Path) -> bool {
        let mut set = self;
        for step in &path.0 {
            match set.0.get(step) {
                None => return false,
                Some(branch) if branch.member && branch.below.is_empty() => return true,
                Some(branch) => set = &branch.below,
            }
        }
        !set.is_empty()
    }

    /// What the set holds at `path` and below it.
    pub fn branch(&self, path: &Path) -> Option<&Branch> {
        let (last, way) = path.0.split_last()?;
        way.iter().try_fold(self, |set, step| Some(&set.0.get(step)?.below))?.0.get(last)
    }

    /// What the set holds one step down.
    pub fn child(&self, step: &Step) -> Option<&Branch> {
        self.0.get(step)
    }

    /// What the set holds one step down, in order.
    pub fn children(&self) -> impl ExactSizeIterator<Item = (&Step, &Branch)> {
        self.0.iter()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members of either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut set = self.clone();
        for (step, theirs) in &other.0 {
            let branch = set.0.entry(step.clone()).or_default();
            branch.member |= theirs.member;
            branch.below = branch.below.union(&theirs.below);
        }
        set
    }

    /// The members that `other` has not.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.filter(|step, ours| match other.0.get(step) {
            None => ours.clone(),
            Some(theirs) => {
                Branch { member: ours.member && !theirs.member, below: ours.below.difference(&theirs.below) }
            }
        })
    }

    /// The members that are neither in `other` nor below a member of `other`.
    #[must_use]
    pub fn difference_below(&self, other: &Self) -> Self {
        self.filter(|step, ours| match other.0.get(step) {
            None => ours.clone(),
            Some(theirs) if theirs.member => Branch::default(),
            Some(theirs) => Branch { member: ours.member, below: ours.below.difference_below(&theirs.below) },
        })
    }

    /// The members of both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.filter(|step, ours| match other.0.get(step) {
            None => Branch::default(),
            Some(theirs) => {
                Branch { member: ours.member && theirs.member, below: ours.below.intersection(&theirs.below) }
            }
        })
    }

    /// Every member path, in order.
    pub fn leaves(&self) -> Vec<Path> {
        let mut leaves = Vec::new();
        self.collect(&mut Vec::new(), &mut leaves);
        leaves
    }

    fn collect(&self, way: &mut Vec<Step>, leaves: &mut Vec<Path>) {
        for (step, branch) in &self.0 {
            way.push(step.clone());
            if branch.member {
                leaves.push(Path(way.clone()));
            }
            branch.below.collect(way, leaves);
            way.pop();
        }
    }

    fn filter(&self, keep: impl Fn(&Step, &Branch) -> Branch) -> Self {
        let kept = self.0.iter().map(|(step, branch)| (step.clone(), keep(step, branch)));
        Self(kept.filter(|(_, branch)| branch.is_live()).collect())
    }
}

impl<'a> FromIterator<&'a Path> for FieldSet {
    fn from_iter<I: IntoIterator<Item = &'a Path>>(paths: I) -> Self {
        let mut set = Self::default();
        paths.into_iter().for_each(|path| set.insert(path));
        set
    }
}

// === impl Branch ===

impl Branch {
    fn is_live(&self) -> bool {
        self.member || !self.below.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(json: &str) -> FieldSet {
        FieldSet::from_fields_v1(&Node::from_json(json.as_bytes()).unwrap()).unwrap()
    }

    const DEPLOYMENT: &str = r#"{"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}"#;

    #[test]
    fn reads_and_writes_what_a_server_wrote() {
        assert_eq!(set(DEPLOYMENT).to_fields_v1().to_string(), DEPLOYMENT);
    }

    #[test]
    fn names_every_member() {
        let leaves: Vec<_> = set(DEPLOYMENT).leaves().iter().map(ToString::to_string).collect();
        assert_eq!(
            leaves,
            [
                ".spec.replicas",
                r#".spec.template.spec.containers[name="web"]"#,
                r#".spec.template.spec.containers[name="web"].image"#,
                r#".spec.template.spec.containers[name="web"].name"#,
                r#".spec.template.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"]"#,
                r#".spec.template.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"].containerPort"#,
            ]
        );
    }

    #[test]
    fn covers_what_is_inside_a_member_and_above_one() {
        let set = set(r#"{"f:a":{"f:b":{}},"f:c":{".":{},"f:d":{}}}"#);
        for (path, covered) in [
            (&["a"][..], true),
            (&["a", "b"], true),
            (&["a", "b", "x"], true),
            (&["a", "x"], false),
            (&["c", "x"], false),
        ] {
            assert_eq!(set.covers(&Path::of_fields(path)), covered, "{path:?}");
        }
        assert!(set.contains(&Path::of_fields(&["c"])));
        assert!(!set.contains(&Path::of_fields(&["a"])));
    }

    #[test]
    fn skips_steps_of_a_later_server_and_refuses_broken_ones() {
        assert_eq!(set(r#"{"z:new":{"f:x":{}},"f:a":{}}"#), set(r#"{"f:a":{}}"#));
        for json in ["[]", r#"{"f:a":1}"#, r#"{"k:{":{}}"#] {
            assert!(FieldSet::from_fields_v1(&Node::from_json(json.as_bytes()).unwrap()).is_err(), "{json}");
        }
    }

    #[test]
    fn takes_out_a_member_with_all_below_it() {
        let whole = set(r#"{"f:a":{".":{},"f:b":{"f:c":{}},"f:d":{}},"f:e":{}}"#);
        assert_eq!(whole.difference_below(&set(r#"{"f:a":{"f:b":{}}}"#)), set(r#"{"f:a":{".":{},"f:d":{}},"f:e":{}}"#));
        assert_eq!(whole.difference_below(&set(r#"{"f:a":{}}"#)), set(r#"{"f:e":{}}"#));
    }

    fn steps() -> impl Strategy<Value = Step> {
        prop_oneof![
            "[a-c]".prop_map(Step::field),
            "[a-b]".prop_map(|name| Step::key([("name".into(), Node::from(name))])),
            (0..3_i64).prop_map(|value| Step::Value(value.into())),
            (0..2_usize).prop_map(Step::Index),
        ]
    }

    fn sets() -> impl Strategy<Value = FieldSet> {
        let path = prop::collection::vec(steps(), 1..4).prop_map(Path);
        prop::collection::vec(path, 0..8).prop_map(|paths| paths.iter().collect())
    }

    proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same_set(a in sets()) {
            prop_assert_eq!(FieldSet::from_fields_v1(&a.to_fields_v1()).unwrap(), a);
        }

        #[test]
        fn the_operations_are_those_of_sets(a in sets(), b in sets()) {
            use std::collections::BTreeSet;
            let paths = |set: &FieldSet| set.leaves().into_iter().collect::<BTreeSet<_>>();
            prop_assert_eq!(paths(&a.union(&b)), &paths(&a) | &paths(&b));
            prop_assert_eq!(paths(&a.difference(&b)), &paths(&a) - &paths(&b));
            prop_assert_eq!(paths(&a.intersection(&b)), &paths(&a) & &paths(&b));
        }

        #[test]
        fn equal_sets_are_equal_values(a in sets(), b in sets()) {
            prop_assert_eq!(a.union(&b), b.union(&a));
            prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
            prop_assert!(a.difference(&a).is_empty());
            let leaves = a.leaves();
            prop_assert_eq!(leaves.iter().collect::<FieldSet>(), a);
        }

        #[test]
        fn nothing_below_is_left(a in sets(), b in sets()) {
            let roots = b.leaves();
            let expected: Vec<_> =
                a.leaves().into_iter().filter(|path| !roots.iter().any(|root| path.starts_with(root))).collect();
            prop_assert_eq!(a.difference_below(&b).leaves(), expected);
        }
    }
}
