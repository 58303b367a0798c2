//! What our YAML promises beyond Go's answers: limits, lines in errors, and that what is printed is read again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;

use proptest::prelude::*;
use trueup_object::yaml::{documents, print};
use trueup_object::{Map, Node, Number};

fn node(text: &str) -> Node {
    let documents = documents(text.as_bytes()).unwrap();
    assert_eq!(documents.len(), 1, "{documents:?}");
    documents.into_iter().next().unwrap().node
}

fn refused(text: &str) -> (usize, String) {
    let error = documents(text.as_bytes()).unwrap_err();
    (error.line, error.message)
}

#[test]
fn tells_where_documents_start() {
    let lines = |text: &str| documents(text.as_bytes()).unwrap().iter().map(|one| one.line).collect::<Vec<_>>();
    assert_eq!(lines("# c\n---\na: 1\n---\n\n# d\nb: 2\n---\n---\n- c\n"), [3, 7, 10]);
    assert_eq!(lines("{\"a\": 1}\n\n{\"b\": 2}"), [1, 3]);
}

#[test]
fn tells_the_line_of_an_error() {
    let open = "did not find expected ',' or ']', while parsing a flow sequence from line 2";
    assert_eq!(refused("a: 1\nb: [\nc: 2\n"), (4, open.into()));
    assert_eq!(refused("a: 1\n\tb: 2\n").0, 2);
    let (line, message) = refused("a: 1\n---\npassword: *hunter2\n");
    assert!(line == 3 && message.contains("quote the value") && !message.contains("hunter2"), "{message}");
    let (line, message) = refused("a: &hunter2\n  b: *hunter2\n");
    assert!(line == 2 && message.contains("contains itself") && !message.contains("hunter2"), "{message}");
    assert_eq!(refused("a:\n  b: .inf\n").0, 2);
    assert_eq!(refused("a: 1\nb: \u{1}\n").0, 2);
    assert_eq!(documents(b"a: 1\nb: 2\nc: \xff\n").unwrap_err().line, 3);
    assert_eq!(documents(b"a: [").unwrap_err().to_string(), "line 2: did not find expected node content");
    assert_eq!(refused("a: 1\n\nb: [!x, y]\n").0, 3);
}

#[test]
fn errors_do_not_quote_values() {
    for text in
        ["a: !!int hunter2", "a: !!binary hunter2", "hunter2: [", "a: \"hunter2", "? [hunter2]\n: 1", "<<: hunter2"]
    {
        assert!(!refused(text).1.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_last_line_without_an_end_is_ended_as_kubernetes_does() {
    for (text, wanted) in [
        ("a: |\n  x", r#"{"a":"x\n"}"#),
        ("a: |\n  x ", r#"{"a":"x \n"}"#),
        ("a: |+\n  x", r#"{"a":"x\n"}"#),
        ("a: >-\n  x\n  y", r#"{"a":"x y"}"#),
        ("a: |\n  x\n", r#"{"a":"x\n"}"#),
        ("a: |+\n  x\n  ", r#"{"a":"x\n\n"}"#),
        ("a: |\n  x\n# c", r#"{"a":"x\n"}"#),
        ("a: |\n  x\nb: 1", r#"{"a":"x\n","b":1}"#),
        ("a: |", r#"{"a":""}"#),
    ] {
        assert_eq!(node(text).to_string(), wanted, "{text:?}");
    }
}

#[test]
fn refuses_alias_bombs() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let list = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{list}]").unwrap();
    }
    assert!(refused(&bomb).1.contains("too large"));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 40].join(", "));
    assert!(refused(&long).1.contains("too large"));
    let fair = format!("a: &a {{b: c}}\nd: [{}]\n", vec!["*a"; 1000].join(", "));
    assert_eq!(node(&fair).list_at(&["d"]).len(), 1000);
}

#[test]
fn refuses_deep_nesting() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deepest = node(&nested(127));
    assert_eq!(Node::from_json(&deepest.to_json()).unwrap(), deepest);
    assert!(refused(&nested(128)).1.contains("too deep"));
    assert!(refused(&nested(100_000)).1.contains("too deep"));
    assert!(refused(&"- ".repeat(1000)).1.contains("too deep"));
    assert!(
        refused(&format!("- &a {}\n- {}*a{}\n", nested(100), "[".repeat(50), "]".repeat(50))).1.contains("too deep")
    );
}

#[test]
fn prints_as_people_expect() {
    let manifest = "\
apiVersion: v1
data:
  config.yaml: |
    a: 1
    b: 2
  empty: \"\"
  enabled: \"true\"
  mode: \"0644\"
kind: ConfigMap
metadata:
  finalizers:
  - a/b
  labels: {}
  name: web
";
    assert_eq!(print(&node(manifest)), manifest);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[a-z:#\n \t'\"|>-]{0,12}",
        "[\\PC\n]{0,8}",
        "[0-9_.eExob:+-]{1,8}",
        proptest::collection::vec(any::<char>(), 0..6).prop_map(|characters| characters.into_iter().collect()),
        "[\u{85}\u{a0}\u{2028}\u{2029}\u{feff}\r\n ab]{0,6}",
        "([a-z]{1,9} ){0,40}",
        Just("yes".to_owned()),
        Just("null".to_owned()),
        Just("<<".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Bool),
        any::<i64>().prop_map(Node::from),
        any::<u64>().prop_filter_map("fits i64", |value| i64::try_from(value)
            .is_err()
            .then_some(Node::Number(Number::Uint(value)))),
        any::<f64>().prop_filter_map("finite", |value| Number::from_f64(value).map(Node::Number)),
        text().prop_map(Node::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Node::List),
            proptest::collection::vec((text(), inner), 0..5).prop_map(|entries| {
                Node::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect::<Map>())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_read_again(value in value()) {
        let printed = print(&value);
        let read = documents(printed.as_bytes()).map_err(|error| TestCaseError::fail(format!("{error}\n{printed}")))?;
        let read = read.into_iter().next().map(|document| document.node).unwrap_or_default();
        prop_assert_eq!(read.to_json(), value.to_json(), "{}", printed);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Err(error) = documents(&bytes) {
            prop_assert!(error.line > 0 && !error.message.is_empty());
        }
    }

    #[test]
    fn json_is_yaml(value in value()) {
        let list = Node::List(vec![value.clone()]);
        prop_assert_eq!(documents(&list.to_json()).unwrap()[0].node.to_json(), list.to_json());
        let map = Node::Map([("k".into(), value)].into_iter().collect());
        prop_assert_eq!(documents(&map.to_json()).unwrap()[0].node.to_json(), map.to_json());
    }
}
