//! The YAML reader against texts that nobody would write, for as many seconds as `TRUEUP_FUZZ_SECONDS` says (1 without it).
//!
//! Every text is read or refused. What is read nests no deeper, and holds no more, than the limits of the reader allow for a text of
//! its length.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::env;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use serde::Deserialize;
use trueup_object::node::DEPTH_MAX;
use trueup_object::{Manifest, Node, yaml};

/// How many texts are tried between two looks at the clock.
const TEXTS_AT_ONCE: u32 = 200;
/// The most values that aliases of one text stand for: the reader's own limit.
const COPIED_VALUES_MAX: usize = 400_000;

/// What YAML is made of.
const PIECES: [&str; 46] = [
    "a",
    "b: ",
    "c:\n",
    "? ",
    ": ",
    "- ",
    "-\n",
    "\n",
    "\n\n",
    "  ",
    "    ",
    "\t",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&a ",
    "&b ",
    "*a",
    "*b",
    "<<: ",
    "!",
    "!!int ",
    "!!binary ",
    "!<x> ",
    "|\n",
    ">-\n",
    "|2+\n",
    "\"",
    "'",
    "\\",
    "# c\n",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "@",
    "`",
    "0x1F",
    "1e400",
    ".nan",
    "2024-01-01",
    "~",
    "\u{feff}",
    "\u{85}",
    "🦀",
];

#[derive(Deserialize)]
struct Case {
    text: Option<String>,
}

/// Texts that Go was asked about, and a manifest.
fn written() -> Vec<String> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("data/yaml-read.json")).unwrap();
    let mut texts: Vec<String> = cases.into_iter().filter_map(|case| case.text).collect();
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: &n web\n  labels: {app: *n}\ndata:\n  a.yaml: |\n    x: 1\n  b: >-\n    folded\n    text\n";
    texts.extend(std::iter::repeat_n(manifest.to_owned(), texts.len() / 4));
    texts
}

/// Pieces in any order, some of them many times over.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = (select(&PIECES[..]), prop_oneof![9 => 1_usize..3, 1 => 1_usize..400]);
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| {
        pieces.into_iter().map(|(piece, times)| piece.repeat(times)).collect::<String>().into_bytes()
    })
}

/// A text with parts of it cut out, doubled, or replaced.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<Index>(), any::<Index>(), 0_usize..30, select(&PIECES[..]), any::<u8>(), 0_u8..4);
    (select(written()), proptest::collection::vec(change, 1..6)).prop_map(|(text, changes)| {
        let mut text = text.into_bytes();
        for (at, to, length, piece, byte, kind) in changes {
            let start = at.index(text.len() + 1);
            let end = (start + length).min(text.len());
            let part = match kind {
                0 => Vec::new(),
                1 => piece.as_bytes().to_vec(),
                2 => vec![byte],
                _ => {
                    let part = text[start..end].repeat(3);
                    let to = to.index(text.len() + 1);
                    text.splice(to..to, part);
                    continue;
                }
            };
            text.splice(start..end, part);
        }
        text
    })
}

/// Anchors whose values are made of aliases of earlier ones.
fn bombs() -> impl Strategy<Value = Vec<u8>> {
    (1_usize..14, 1_usize..14, "[a-z]{1,30}", any::<bool>()).prop_map(|(levels, width, leaf, merge)| {
        let mut text = format!("a0: &a0 {{k: {leaf}}}\n");
        for level in 1..levels {
            let one = format!("*a{}", level - 1);
            let entries = if merge {
                (0..width)
                    .map(|at| format!("k{at}: {one}"))
                    .chain([format!("<<: {one}")])
                    .collect::<Vec<_>>()
                    .join(", ")
            } else {
                (0..width).map(|at| format!("k{at}: [{one}, {one}]")).collect::<Vec<_>>().join(", ")
            };
            text.push_str(&["a", &level.to_string(), ": &a", &level.to_string(), " {", &entries, "}\n"].concat());
        }
        text.into_bytes()
    })
}

/// Values and depth.
fn size(node: &Node) -> (usize, usize) {
    let inner: Vec<(usize, usize)> = match node {
        Node::List(items) => items.iter().map(size).collect(),
        Node::Map(map) => map.iter().map(|(_, value)| size(value)).collect(),
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::String(_) => return (1, 0),
    };
    let values = inner.iter().map(|(values, _)| values).sum::<usize>();
    (1 + values, 1 + inner.iter().map(|(_, depth)| *depth).max().unwrap_or_default())
}

fn holds(text: &[u8]) -> Result<(), TestCaseError> {
    let documents = match yaml::documents(text) {
        Ok(documents) => documents,
        Err(error) => {
            prop_assert!(error.line > 0 && !error.message.is_empty());
            return Ok(());
        }
    };
    let mut values = 0;
    for document in documents {
        let (count, depth) = size(&document.node);
        values += count;
        prop_assert!(depth < DEPTH_MAX, "{depth} levels deep");
        prop_assert_eq!(&Node::from_json(&document.node.to_json()).unwrap(), &document.node);
        // Whatever it is, it is a manifest or it is told why not.
        if let Err(error) = Manifest::try_from(document.node) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
    prop_assert!(values <= text.len() + 1 + COPIED_VALUES_MAX, "{values} values of {} bytes", text.len());
    Ok(())
}

/// Tries texts until the time is up, at least once.
fn fuzz(texts: &impl Strategy<Value = Vec<u8>>) {
    let seconds = env::var("TRUEUP_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let end = Instant::now() + Duration::from_secs(seconds);
    let config = ProptestConfig { cases: TEXTS_AT_ONCE, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    loop {
        if let Err(error) = runner.run(texts, |text| holds(&text)) {
            panic!("{error}");
        }
        if Instant::now() >= end {
            return;
        }
    }
}

#[test]
fn pieces_of_yaml_in_any_order() {
    fuzz(&pieces());
}

#[test]
fn changed_texts() {
    fuzz(&changed());
}

#[test]
fn aliases_of_aliases() {
    fuzz(&bombs());
}
