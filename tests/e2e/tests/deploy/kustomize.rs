//! Manifests as kustomize builds them.

use std::process::Command;

use serde::Deserialize as _;
use serde_json::Value;
use trueup_bed::controlplane_binary;
use trueup_bed::workspace;

/// The objects that a directory of this repository is built to.
pub(crate) fn built(dir: &str) -> Vec<Value> {
    let output =
        Command::new(controlplane_binary().unwrap()).args(["kubectl", "kustomize"]).arg(workspace().join(dir)).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{dir}: {}", String::from_utf8_lossy(&output.stderr));
    parsed(&String::from_utf8(output.stdout).unwrap())
}

/// The documents of a YAML text.
pub(crate) fn parsed(text: &str) -> Vec<Value> {
    yaml_serde::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap()).collect()
}

/// The one object of a kind and name.
pub(crate) fn one<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let first = found.next().unwrap_or_else(|| panic!("there is no {kind} {name}"));
    assert!(found.next().is_none(), "there are two of {kind} {name}");
    first
}
