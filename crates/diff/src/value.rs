//! Values at one place: whether they are equal, and how they are told apart on disk.

use trueup_object::{Digest, Map, Node, Number, Step, quantity};

use crate::ignore::Ignore;
use crate::kinds::Kinds;

/// Whether two values at one place are equal: exactly, but for numbers (`1` is `1.0`), quantities of built-in kinds, and
/// what is ignored.
pub(crate) fn equal(kinds: Kinds<'_>, ignore: &Ignore<'_>, a: &Node, b: &Node) -> bool {
    if ignore.here() || a == b {
        return true;
    }
    match (a, b) {
        (Node::Map(a), Node::Map(b)) => {
            let within = |one: &Map, other: &Map| {
                one.iter().all(|(key, value)| {
                    let ignore = ignore.field(key);
                    ignore.here() || other.get(key).is_some_and(|other| equal(kinds.field(key), &ignore, value, other))
                })
            };
            within(a, b) && within(b, a)
        }
        (Node::List(a), Node::List(b)) => {
            let counted = |items: &'_ [Node]| {
                let places = (0..items.len()).filter(|at| !ignore.item(&[Some(*at)]).here());
                places.collect::<Vec<_>>()
            };
            let (a_places, b_places) = (counted(a), counted(b));
            a_places.len() == b_places.len()
                && a_places.iter().zip(&b_places).all(|(at, other)| {
                    equal(kinds.items(), &ignore.item(&[Some(*at), Some(*other)]), &a[*at], &b[*other])
                })
        }
        _ => kinds.quantity() == Some(true) && quantity::equal(a, b),
    }
}

/// Whether a schema could make these two values equal after all: they are the same quantity, if they are quantities.
pub(crate) fn may_be_equal_quantities(kinds: Kinds<'_>, a: &Node, b: &Node) -> bool {
    kinds.quantity().is_none() && quantity::equal(a, b)
}

/// The value at a path. A key field that an item leaves out counts as the default that the path names.
pub(crate) fn find<'a>(node: &'a Node, path: &[Step]) -> Option<&'a Node> {
    path.iter().try_fold(node, |node, step| match step {
        Step::Field(name) => node.get(name),
        Step::Key(fields) => {
            let items = node.as_list()?;
            let exact = |item: &&Node| fields.iter().all(|(key, value)| item.get(key) == Some(value));
            let with_defaults = |item: &&Node| {
                fields.iter().any(|(key, _)| item.get(key).is_some())
                    && fields.iter().all(|(key, value)| item.get(key).is_none_or(|own| own == value))
            };
            items.iter().rfind(exact).or_else(|| items.iter().rfind(with_defaults))
        }
        Step::Value(value) => node.as_list()?.iter().find(|item| *item == value),
        Step::Index(at) => node.as_list()?.get(*at),
    })
}

/// The digest of a value. Equal values have equal digests, so numbers are brought into one form.
pub(crate) fn digest(value: &Node) -> Digest {
    Digest::of(&plain_numbers(value).to_json())
}

fn plain_numbers(value: &Node) -> Node {
    match value {
        Node::Number(Number::Float(float)) => Node::Number(whole(*float)),
        Node::List(items) => Node::List(items.iter().map(plain_numbers).collect()),
        Node::Map(map) => Node::Map(map.iter().map(|(key, value)| (key.into(), plain_numbers(value))).collect()),
        other => other.clone(),
    }
}

/// A float without a fraction as an integer, where one holds it exactly.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked, and the way back")]
fn whole(float: f64) -> Number {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if float.abs() <= EXACT && float.fract() == 0.0 { Number::Int(float as i64) } else { Number::Float(float) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schema;
    use crate::ignore::Pointers;
    use crate::kinds::Evidence;

    fn json(text: &str) -> Node {
        Node::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn ignored_parts_of_a_value_do_not_count() {
        let (evidence, schema) = (Evidence::default(), Schema::unknown());
        let kinds = Kinds::root(&evidence, &schema, false);
        for (pointers, a, b, expected) in [
            (&["/0/x"][..], r#"[{"x":1,"y":2}]"#, r#"[{"x":9,"y":2}]"#, true),
            (&["/0/x"], r#"[{"x":1,"y":2}]"#, r#"[{"y":2}]"#, true),
            (&["/0/x"], r#"[{"x":1,"y":2}]"#, r#"[{"x":1,"y":3}]"#, false),
            (&["/1"], "[1]", "[1,2]", true),
            (&["/0"], "[1]", "[1,2]", false),
            (&["/-"], "[1]", "[1,2]", false),
            (&["/a"], r#"{"b":1}"#, r#"{"a":1,"b":1}"#, true),
            (&[], r#"{"b":1}"#, r#"{"a":1,"b":1}"#, false),
            (&[], r#"{"b":1}"#, r#"{"b":1.0}"#, true),
            (&[], r#"{"b":"1"}"#, r#"{"b":1}"#, false),
        ] {
            let pointers = Pointers::new(pointers);
            assert_eq!(equal(kinds, &pointers.root(), &json(a), &json(b)), expected, "{a} {b}");
        }
    }

    #[test]
    fn finds_items_by_what_tells_them_apart() {
        let node =
            json(r#"{"ports":[{"port":53,"protocol":"UDP","name":"u"},{"port":53,"name":"t"}],"tags":["a","b"]}"#);
        let at = |steps: &[&str]| {
            let steps: Vec<_> = steps.iter().map(|step| Step::from_fields_v1(step).unwrap()).collect();
            find(&node, &steps).map(ToString::to_string)
        };
        assert_eq!(at(&["f:ports", r#"k:{"port":53,"protocol":"TCP"}"#, "f:name"]), Some(r#""t""#.into()));
        assert_eq!(at(&["f:ports", r#"k:{"port":53,"protocol":"UDP"}"#, "f:name"]), Some(r#""u""#.into()));
        assert_eq!(at(&["f:tags", r#"v:"b""#]), Some(r#""b""#.into()));
        assert_eq!(at(&["f:tags", "i:0"]), Some(r#""a""#.into()));
        assert_eq!(at(&["f:tags", r#"v:"c""#]), None);
        assert_eq!(at(&["f:none"]), None);
    }

    #[test]
    fn equal_numbers_have_equal_digests() {
        assert_eq!(digest(&json(r#"{"a":[1.0]}"#)), digest(&json(r#"{"a":[1]}"#)));
        assert_ne!(digest(&json("1.5")), digest(&json("1")));
        assert_ne!(digest(&json("1")), digest(&json(r#""1""#)));
    }
}
