//! Our YAML against the recorded answers of Go's. `tools/oracles/yaml` records them:
//! `cd tools/oracles/yaml && go run . ../../../crates/object/tests/data`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;

use serde::Deserialize;
use trueup_object::Node;
use trueup_object::yaml::{self, Document};

/// Texts that we read otherwise than Go, and why.
const READ_OTHERWISE: &[(&str, &str)] = &[
    ("[1:]", COLON),
    ("{k: 1:}", COLON),
    ("[a:]", COLON),
    ("{k: a:}", COLON),
    ("[a?]", QUESTION),
    ("{k: a?}", QUESTION),
    ("{a?: 1}", QUESTION),
    ("[a?b]", QUESTION),
    ("[!foo, b]", TAG),
    ("[!!str, 1]", TAG),
    ("\u{feff}# c\n\u{feff}a: 1", "a byte order mark at the start of a line is no part of the key"),
    ("%YAML 1.2\n---\na: 1", "the newer version is understood too"),
    ("a: \"\\/\"", JSON),
    ("[\"\\ud83d\\ude00\"]", JSON),
    ("{\"a\": \"\\ud83d\\ude00\"}", JSON),
    ("{\"a\": \"\\/\\u0041\", \"b\": [1.0, 1e3, true, null]}", JSON),
];
const COLON: &str = "refused: our parser wants a string that ends in a colon quoted inside brackets";
const QUESTION: &str = "our parser takes a question mark inside a word for what it is";
const TAG: &str = "refused: our parser wants a space between a tag and a comma";
const JSON: &str = "JSON's own escapes are understood";

/// Values that Go prints so that they, or what follows them, are read back otherwise; ours are not.
const LOST_BY_GO: &[(&str, &str)] = &[
    ("\u{85}", "taken for a line break when Go reads the JSON back as YAML before it prints"),
    (r#"{"\u003c\u003c":"#, "printed as a key that is read as a merge"),
    (r#"\u2028""#, "a last line that ends so has no line feed, and is given one"),
];

#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    text: String,
    #[serde(default)]
    base64: String,
    json: Option<String>,
    #[serde(default)]
    partial: bool,
}

#[derive(Deserialize)]
struct Several {
    text: String,
    documents: Vec<String>,
    #[serde(default)]
    error: bool,
}

#[derive(Deserialize)]
struct Printed {
    json: String,
    yaml: String,
}

fn json(text: &str) -> Node {
    Node::from_json(text.as_bytes()).unwrap()
}

/// The text of a case; base64 is decoded here, because the crate's own decoder is what is tested.
fn bytes(read: &Read) -> Vec<u8> {
    if read.base64.is_empty() {
        return read.text.clone().into_bytes();
    }
    let sextets = read.base64.bytes().filter(|byte| *byte != b'=').map(|byte| {
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".bytes().position(|b| b == byte).unwrap()
    });
    let (mut bits, mut count, mut bytes) = (0usize, 0, Vec::new());
    for sextet in sextets {
        bits = bits << 6 | sextet;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

fn first(documents: Vec<Document>) -> Node {
    documents.into_iter().next().map(|document| document.node).unwrap_or_default()
}

#[test]
fn reads_what_go_reads() {
    let cases: Vec<Read> = serde_json::from_str(include_str!("data/yaml-read.json")).unwrap();
    let mut report = String::new();
    for case in &cases {
        let ours = yaml::documents(&bytes(case));
        let same = match (&case.json, &ours) {
            // Where Go drops the rest of a malformed text in silence, we refuse it.
            (Some(_), Err(_)) if case.partial => true,
            (Some(wanted), Ok(documents)) if !case.partial => {
                first(documents.clone()).to_json() == json(wanted).to_json()
            }
            (None, Err(_)) => true,
            _ => false,
        };
        let expected = READ_OTHERWISE.iter().any(|(text, _)| *text == case.text);
        if same == expected {
            let ours = ours.map(|documents| first(documents).to_string());
            writeln!(report, "{:?}{}\n   Go: {:?}\n ours: {ours:?}", case.text, case.base64, case.json).unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn every_exception_is_tried() {
    let cases: Vec<Read> = serde_json::from_str(include_str!("data/yaml-read.json")).unwrap();
    for (text, _) in READ_OTHERWISE {
        assert!(cases.iter().any(|case| case.text == *text), "{text:?} is not among the recorded texts");
    }
}

#[test]
fn finds_the_documents_that_kubernetes_finds() {
    let cases: Vec<Several> = serde_json::from_str(include_str!("data/yaml-documents.json")).unwrap();
    let mut report = String::new();
    for case in &cases {
        let ours = yaml::documents(case.text.as_bytes());
        let same = match &ours {
            Ok(ours) => {
                !case.error
                    && ours.iter().map(|one| &one.node).eq(&case
                        .documents
                        .iter()
                        .map(|one| json(one))
                        .collect::<Vec<_>>())
            }
            Err(_) => case.error,
        };
        if !same {
            writeln!(report, "{:?}\n   Go: {:?} {}\n ours: {ours:?}", case.text, case.documents, case.error).unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn prints_what_go_prints() {
    let cases: Vec<Printed> = serde_json::from_str(include_str!("data/yaml-print.json")).unwrap();
    let mut report = String::new();
    for case in &cases {
        if LOST_BY_GO.iter().any(|(part, _)| case.json.contains(part)) {
            continue;
        }
        let ours = yaml::print(&json(&case.json));
        if ours != case.yaml {
            writeln!(report, "{}\n   Go: {:?}\n ours: {ours:?}", case.json, case.yaml).unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
}
