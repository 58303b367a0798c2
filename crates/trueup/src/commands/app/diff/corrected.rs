//! What an object would be after a sync: live, with each difference put right. Entry point: [`corrected`].

use trueup_diff::{Difference, What};
use trueup_object::{Node, Path, Step};

/// Live with the values of Git where they differ, and without what Git dropped.
pub(super) fn corrected(live: &Node, desired: &Node, differences: &[Difference]) -> Node {
    let mut node = live.clone();
    for Difference { path, what, .. } in differences {
        // The difference's own values may be masked.
        match (what, at(desired, path)) {
            (What::Changed | What::Missing, Some(value)) => put(&mut node, &path.0, value),
            _ => take(&mut node, &path.0),
        }
    }
    node
}

/// The value at a path.
fn at<'a>(node: &'a Node, path: &Path) -> Option<&'a Node> {
    path.0.iter().try_fold(node, |node, step| match step {
        Step::Field(name) => node.get(name),
        Step::Key(_) | Step::Value(_) | Step::Index(_) => {
            let items = node.as_list()?;
            items.get(position(items, step)?)
        }
    })
}

fn put(node: &mut Node, path: &[Step], value: &Node) {
    let Some((step, rest)) = path.split_first() else {
        *node = value.clone();
        return;
    };
    if let Step::Field(name) = step {
        put(node.force_map().entry(name), rest, value);
        return;
    }
    if node.as_list().is_none() {
        *node = Node::List(Vec::new());
    }
    let Some(items) = node.as_list_mut() else { return };
    let place = position(items, step).unwrap_or_else(|| {
        items.push(fresh(step));
        items.len() - 1
    });
    put(&mut items[place], rest, value);
}

/// An item that a path names but that is not there yet.
fn fresh(step: &Step) -> Node {
    match step {
        Step::Key(fields) => Node::Map(fields.iter().cloned().collect()),
        Step::Value(value) => value.clone(),
        Step::Field(_) | Step::Index(_) => Node::Null,
    }
}

/// Takes out the value at a path, and every map and list that it was the last of: the server stores none that is empty because
/// its last item went.
fn take(node: &mut Node, path: &[Step]) {
    let Some((step, rest)) = path.split_first() else { return };
    match step {
        Step::Field(name) => {
            let Some(map) = node.as_map_mut() else { return };
            let emptied = match map.get_mut(name) {
                Some(child) if !rest.is_empty() => {
                    take(child, rest);
                    is_empty(child)
                }
                _ => true,
            };
            if emptied {
                map.remove(name);
            }
        }
        Step::Key(_) | Step::Value(_) | Step::Index(_) => {
            let Some(items) = node.as_list_mut() else { return };
            let Some(place) = position(items, step) else { return };
            if rest.is_empty() {
                items.remove(place);
            } else {
                take(&mut items[place], rest);
            }
        }
    }
}

fn is_empty(node: &Node) -> bool {
    node.as_map().is_some_and(trueup_object::Map::is_empty) || node.as_list().is_some_and(<[Node]>::is_empty)
}

/// Where in a list the item is that a step names.
fn position(items: &[Node], step: &Step) -> Option<usize> {
    match step {
        Step::Field(_) => None,
        Step::Key(fields) => {
            let equal = |item: &Node, absent: bool| {
                fields.iter().all(|(key, value)| item.get(key).map_or(absent, |found| found == value))
            };
            // A key that the server fills in by default, as a port's protocol, may be absent in Git.
            let exact = items.iter().position(|item| equal(item, false));
            exact.or_else(|| {
                items.iter().position(|item| fields.iter().any(|(key, _)| item.get(key).is_some()) && equal(item, true))
            })
        }
        Step::Value(value) => items.iter().position(|item| item == value),
        Step::Index(place) => (*place < items.len()).then_some(*place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(json: &str) -> Node {
        Node::from_json(json.as_bytes()).unwrap()
    }

    fn difference(path: Path, what: What) -> Difference {
        Difference {
            path,
            pointer: String::new(),
            what,
            desired: None,
            live: None,
            owner: None,
            doubtful: false,
            drift: false,
        }
    }

    fn key(name: &str, value: &str) -> Step {
        Step::key([(name.into(), Node::from(value))])
    }

    fn check(live: &str, desired: &str, path: Path, what: What, expected: &str) {
        assert_eq!(
            corrected(&node(live), &node(desired), &[difference(path, what)]),
            node(expected),
            "{live} {desired}"
        );
    }

    #[test]
    fn values_of_git_take_the_place_of_others() {
        let spec = Path::of_fields(&["spec", "replicas"]);
        check(
            r#"{"spec":{"replicas":5,"x":1}}"#,
            r#"{"spec":{"replicas":2}}"#,
            spec.clone(),
            What::Changed,
            r#"{"spec":{"replicas":2,"x":1}}"#,
        );
        check("{}", r#"{"spec":{"replicas":2}}"#, spec, What::Missing, r#"{"spec":{"replicas":2}}"#);
    }

    #[test]
    fn items_are_found_by_their_keys() {
        let image = |name: &str| Path::of_fields(&["c"]).with(key("name", name)).with(Step::field("image"));
        let live = r#"{"c":[{"name":"side","image":"s"},{"name":"web","image":"old","x":1}]}"#;
        let desired = r#"{"c":[{"name":"web","image":"new"},{"name":"more","image":"m"}]}"#;
        let changed = r#"{"c":[{"name":"side","image":"s"},{"name":"web","image":"new","x":1}]}"#;
        check(live, desired, image("web"), What::Changed, changed);
        let added =
            r#"{"c":[{"name":"side","image":"s"},{"name":"web","image":"old","x":1},{"name":"more","image":"m"}]}"#;
        check(live, desired, image("more"), What::Missing, added);
    }

    #[test]
    fn a_key_that_the_server_adds_may_be_absent_in_git() {
        let port = Step::key([("port".into(), Node::from(80)), ("protocol".into(), Node::from("TCP"))]);
        let path = Path::of_fields(&["p"]).with(port).with(Step::field("name"));
        check(
            r#"{"p":[{"port":80,"protocol":"TCP","name":"a"}]}"#,
            r#"{"p":[{"port":80,"name":"b"}]}"#,
            path,
            What::Changed,
            r#"{"p":[{"port":80,"protocol":"TCP","name":"b"}]}"#,
        );
    }

    #[test]
    fn what_git_dropped_goes_with_its_empty_parents() {
        let label = Path::of_fields(&["m", "labels", "a"]);
        check(r#"{"m":{"labels":{"a":"1"},"name":"n"}}"#, "{}", label.clone(), What::Extra, r#"{"m":{"name":"n"}}"#);
        check(
            r#"{"m":{"labels":{"a":"1","b":"2"}}}"#,
            "{}",
            label.clone(),
            What::Extra,
            r#"{"m":{"labels":{"b":"2"}}}"#,
        );
        check("{}", "{}", label, What::Extra, "{}");
        let item = Path::of_fields(&["c"]).with(key("name", "web"));
        check(r#"{"c":[{"name":"web"},{"name":"x"}]}"#, "{}", item, What::Extra, r#"{"c":[{"name":"x"}]}"#);
        let value = Path::of_fields(&["f"]).with(Step::Value(Node::from("b")));
        check(r#"{"f":["a","b"]}"#, "{}", value.clone(), What::Extra, r#"{"f":["a"]}"#);
        check(r#"{"f":["a"]}"#, r#"{"f":["b"]}"#, value, What::Missing, r#"{"f":["a","b"]}"#);
    }
}
