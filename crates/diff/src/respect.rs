//! What is written where some fields are left as they are: `RespectIgnoreDifferences`.
//!
//! Leaving a field out of an apply would remove it if it is ours, so live's own value is sent instead; the write has to bear
//! the version of the object that it was read from. Entry point: [`respected`].

use std::collections::BTreeSet;

use trueup_object::{Node, Path};

use crate::Input;
use crate::base::Base;
use crate::compare::is_left_to_managers;
use crate::desired::{Here, Purpose, differing};
use crate::ignore::{Ignore, Pointers};
use crate::kinds::Kinds;
use crate::owners::Owners;
use crate::place::put;

/// The manifest with live's values at what is ignored; nothing if there is none. `whole` if what the manifest lacks would go
/// by the write, whoever owns it.
pub fn respected(input: &Input, whole: bool) -> Option<Node> {
    let input = &Input { projection: None, ..*input };
    let owners = Owners::of(input.live);
    let evidence = owners.evidence();
    let kinds = Kinds::root(&evidence, input.schema, input.built_in);
    let pointers = Pointers::new(input.ignore);
    let differences = |ignore| differing(input, &owners, &Here { kinds, ignore }, Purpose::Projection).differences;
    let mut counted = differences(pointers.root());
    counted.retain(|difference| !is_left_to_managers(input, &owners, &difference.path));
    // There may be as many as the object has leaves.
    let counted: BTreeSet<Path> = counted.into_iter().map(|difference| difference.path).collect();
    let mut values: Vec<_> = differences(Ignore::default())
        .into_iter()
        .filter(|difference| !counted.contains(&difference.path))
        // What live lacks is nobody's.
        .filter_map(|difference| Some((difference.path, difference.live?)))
        .collect();
    let base = Base::of(input.desired, whole.then_some(input.live), input.live, &owners, input.former);
    base.walk(kinds, &pointers.root(), input.desired, input.live, &mut |leaf| {
        if leaf.ignored && !leaf.wanted && (whole || leaf.is_held()) {
            values.push((leaf.path.clone(), leaf.live.clone()));
        }
    });
    let mut respected = input.desired.clone();
    for (path, value) in &values {
        put(&mut respected, &path.0, value.clone());
    }
    (!values.is_empty()).then_some(respected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schema;

    fn json(text: &str) -> Node {
        Node::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_ignored_is_sent_as_live_has_it() {
        let entries = r#"[{"manager":"trueup","operation":"Apply","apiVersion":"v1","fieldsV1":{"f:spec":{"f:a":{},"f:gone":{},
                "f:list":{"k:{\"name\":\"x\"}":{".":{},"f:v":{}},"k:{\"name\":\"y\"}":{".":{},"f:v":{}}}}}},
            {"manager":"tuner","operation":"Update","apiVersion":"v1","fieldsV1":{"f:spec":{"f:b":{}}}}]"#;
        let live = json(&format!(
            r#"{{"apiVersion":"v1","metadata":{{"managedFields":{entries}}},"spec":{{"a":1,"b":1,"gone":1,"other":1,"map":{{"k":1}},
                "list":[{{"name":"y","v":1}},{{"name":"x","v":1}}]}}}}"#
        ));
        let desired =
            r#"{"apiVersion":"v1","spec":{"a":2,"b":2,"new":2,"list":[{"name":"x","v":2},{"name":"y","v":2}]}}"#;
        let sent = |spec: &str| Some(json(&format!(r#"{{"apiVersion":"v1","spec":{spec}}}"#)));
        let list = r#"[{"name":"x","v":2},{"name":"y","v":2}]"#;
        for (pointers, managers, whole, expected) in [
            (&[][..], &[][..], false, None),
            (&["/spec/a"], &[], false, sent(&format!(r#"{{"a":1,"b":2,"new":2,"list":{list}}}"#))),
            (&[], &["tuner"], false, sent(&format!(r#"{{"a":2,"b":1,"new":2,"list":{list}}}"#))),
            // Live lacks it: it is sent as Git says.
            (&["/spec/new"], &[], false, None),
            // Git lacks it: what is ours would go without it, what is another's would not.
            (&["/spec/gone"], &[], false, sent(&format!(r#"{{"a":2,"b":2,"gone":1,"new":2,"list":{list}}}"#))),
            (&["/spec/other"], &[], false, None),
            (&["/spec/other"], &[], true, sent(&format!(r#"{{"a":2,"b":2,"other":1,"new":2,"list":{list}}}"#))),
            (&["/spec/map"], &[], true, sent(&format!(r#"{{"a":2,"b":2,"map":{{"k":1}},"new":2,"list":{list}}}"#))),
            // An item is the one of its name, wherever it stands.
            (
                &["/spec/list/0/v"],
                &[],
                false,
                sent(r#"{"a":2,"b":2,"new":2,"list":[{"name":"x","v":1},{"name":"y","v":1}]}"#),
            ),
        ] as [(&[&str], &[&str], bool, Option<Node>); 9]
        {
            let desired = json(desired);
            let schema = Schema::unknown();
            let plain = Input::plain(&desired, &live, &schema);
            let input = Input { ignore: pointers, ignore_managers: managers, ..plain };
            assert_eq!(respected(&input, whole), expected, "{pointers:?} {managers:?} {whole}");
        }
    }
}
