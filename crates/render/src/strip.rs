//! What nobody may send, and what the server turns into something else at once: taken out before anything is compared.
//!
//! Pure. Entry point: [`strip`].

use trueup_api::annotations;
use trueup_object::{Gvk, Manifest, Map, Node};

/// Fields of `metadata` that the server alone writes.
const METADATA: [&str; 6] = ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"];

/// Built-in kinds whose `status` the server takes through a subresource only, by group. Of others it is sent: the server
/// decides.
const STATUS: [(&str, &[&str]); 14] = [
    (
        "",
        &[
            "Namespace",
            "Node",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "Pod",
            "ReplicationController",
            "ResourceQuota",
            "Service",
        ],
    ),
    ("admissionregistration.k8s.io", &["ValidatingAdmissionPolicy"]),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("apps", &["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    // Written by its controller, whatever the definition says of subresources.
    ("argoproj.io", &["Application"]),
    ("autoscaling", &["HorizontalPodAutoscaler"]),
    ("batch", &["CronJob", "Job"]),
    ("certificates.k8s.io", &["CertificateSigningRequest"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("networking.k8s.io", &["Ingress", "ServiceCIDR"]),
    ("policy", &["PodDisruptionBudget"]),
    ("resource.k8s.io", &["ResourceClaim"]),
    ("storage.k8s.io", &["VolumeAttachment"]),
];

/// Maps from string to string of built-in kinds, in which the server drops entries that are null.
const STRING_MAPS: [&[&str]; 13] = [
    &["spec", "nodeSelector"],
    &["spec", "selector", "matchLabels"],
    &["spec", "podSelector", "matchLabels"],
    &["spec", "template", "metadata", "annotations"],
    &["spec", "template", "metadata", "labels"],
    &["spec", "template", "spec", "nodeSelector"],
    &["spec", "jobTemplate", "metadata", "annotations"],
    &["spec", "jobTemplate", "metadata", "labels"],
    &["spec", "jobTemplate", "spec", "template", "metadata", "annotations"],
    &["spec", "jobTemplate", "spec", "template", "metadata", "labels"],
    &["spec", "jobTemplate", "spec", "template", "spec", "nodeSelector"],
    &["data"],
    &["binaryData"],
];
/// Templates of built-in kinds: what makes manifests from Go types writes `creationTimestamp: null` into them.
const TEMPLATES: [&[&str]; 3] =
    [&["spec", "template"], &["spec", "jobTemplate"], &["spec", "jobTemplate", "spec", "template"]];
/// The groups of the kinds that [`STRING_MAPS`] and [`TEMPLATES`] are about.
const STRING_MAP_GROUPS: [&str; 5] = ["", "apps", "batch", "networking.k8s.io", "policy"];

/// Takes out of an object what is not sent.
pub(crate) fn strip(manifest: Manifest, gvk: &Gvk) -> Manifest {
    let mut node = manifest.node().clone();
    if let Some(metadata) = node.as_map_mut().and_then(|map| map.get_mut("metadata")?.as_map_mut()) {
        metadata.retain(|key, _| !METADATA.contains(&key));
    }
    // Whoever wrote it into Git: an object bears the id of the installation that applies it.
    node.remove_at(&["metadata", "annotations", annotations::INSTALLATION_ID]);
    let has_status = |(group, kinds): &(&str, &[&str])| *group == gvk.group && kinds.contains(&gvk.kind.as_str());
    if STATUS.iter().any(has_status) {
        node.remove_at(&["status"]);
    }
    if gvk.group == "argoproj.io" && gvk.kind == "Application" {
        node.remove_at(&["operation"]);
    }
    if STRING_MAP_GROUPS.contains(&gvk.group.as_str()) {
        for path in STRING_MAPS {
            drop_nulls(&mut node, path);
        }
        for path in TEMPLATES {
            let metadata = map_at(&mut node, path).and_then(|template| template.get_mut("metadata")?.as_map_mut());
            if let Some(metadata) =
                metadata.filter(|metadata| metadata.get("creationTimestamp").is_some_and(Node::is_null))
            {
                metadata.remove("creationTimestamp");
            }
        }
    }
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Secret") => encode(&mut node),
        ("", "Service" | "ReplicationController") => drop_nulls(&mut node, &["spec", "selector"]),
        _ => {}
    }
    // What an object must have is never taken out.
    Manifest::try_from(node).unwrap_or(manifest)
}

fn map_at<'n>(node: &'n mut Node, path: &[&str]) -> Option<&'n mut Map> {
    path.iter().try_fold(node, |node, key| node.as_map_mut()?.get_mut(key))?.as_map_mut()
}

fn drop_nulls(node: &mut Node, path: &[&str]) {
    if let Some(map) = map_at(node, path) {
        map.retain(|_, value| !value.is_null());
    }
}

/// Moves the `stringData` of a Secret into its `data`, where the server would put it without leaving a trace.
///
/// What is no string stays: the server refuses it by name.
fn encode(node: &mut Node) {
    drop_nulls(node, &["stringData"]);
    let Some(mut plain) = node.remove_at(&["stringData"]) else { return };
    if let Some(map) = plain.as_map_mut() {
        map.retain(|key, value| {
            let Some(text) = value.as_str() else { return true };
            node.set_at(&["data", key], base64(text.as_bytes()).into());
            false
        });
        if map.is_empty() {
            return;
        }
    }
    if !plain.is_null() {
        node.set_at(&["stringData"], plain);
    }
}

/// Base64 with padding, as Go's standard encoding: twenty lines are not worth a dependency.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|at| usize::from(chunk.get(at).copied().unwrap_or(0)));
        let group = a << 16 | b << 8 | c;
        for place in 0..4 {
            let letter = char::from(ALPHABET[group >> (18 - 6 * place) & 63]);
            text.push(if place > chunk.len() { '=' } else { letter });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str) -> String {
        let manifest = Manifest::try_from(Node::from_json(text.as_bytes()).unwrap()).unwrap();
        let gvk = manifest.gvk();
        strip(manifest, &gvk).node().to_string()
    }

    #[test]
    fn encodes_as_the_rfc_says() {
        let table =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in table {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfb]), "//77");
    }

    #[test]
    fn takes_out_what_nobody_may_send() {
        let table = [
            // What the server alone writes.
            (
                r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","uid":"u","resourceVersion":"1","generation":1,"selfLink":"/x","creationTimestamp":null,"managedFields":[],"finalizers":["f"],"annotations":{"argocd.argoproj.io/installation-id":"x","b":"c"}}}"#,
                r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"annotations":{"b":"c"},"finalizers":["f"],"name":"a"}}"#,
            ),
            // A status that goes through a subresource.
            (
                r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{},"status":{"replicas":1}}"#,
                r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{}}"#,
            ),
            (
                r#"{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"a"},"operation":{"sync":{}},"spec":{},"status":{}}"#,
                r#"{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"a"},"spec":{}}"#,
            ),
            (
                r#"{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"a"},"spec":{"jobTemplate":{"metadata":{"creationTimestamp":null},"spec":{"template":{"metadata":{"creationTimestamp":null,"labels":{"a":null,"b":"c"}}}}}}}"#,
                r#"{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"a"},"spec":{"jobTemplate":{"metadata":{},"spec":{"template":{"metadata":{"labels":{"b":"c"}}}}}}}"#,
            ),
            // Any other is sent.
            (
                r#"{"apiVersion":"example.com/v1","kind":"Deployment","metadata":{"name":"a"},"operation":1,"status":{"x":null}}"#,
                r#"{"apiVersion":"example.com/v1","kind":"Deployment","metadata":{"name":"a"},"operation":1,"status":{"x":null}}"#,
            ),
            // Nulls in maps of strings.
            (
                r#"{"apiVersion":"v1","data":{"a":null,"b":"c"},"kind":"ConfigMap","metadata":{"labels":{"x":null},"name":"a"}}"#,
                r#"{"apiVersion":"v1","data":{"b":"c"},"kind":"ConfigMap","metadata":{"labels":{},"name":"a"}}"#,
            ),
            (
                r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"clusterIP":null,"selector":{"a":"b","c":null}}}"#,
                r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"clusterIP":null,"selector":{"a":"b"}}}"#,
            ),
            // Of a kind that is not built in, nobody knows what null means.
            (
                r#"{"apiVersion":"example.com/v1","data":{"a":null},"kind":"A","metadata":{"name":"a"}}"#,
                r#"{"apiVersion":"example.com/v1","data":{"a":null},"kind":"A","metadata":{"name":"a"}}"#,
            ),
        ];
        for (text, expected) in table {
            assert_eq!(stripped(text), expected);
        }
    }

    #[test]
    fn the_plain_text_of_a_secret_wins_over_its_data() {
        let secret = |fields: &str| {
            let text =
                stripped(&format!(r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"a"}},{fields}}}"#));
            let node = Node::from_json(text.as_bytes()).unwrap();
            ["data", "stringData"].map(|key| node.get(key).map(ToString::to_string).unwrap_or_default())
        };
        let table = [
            (r#""stringData":{"a":"foo","b":""}"#, [r#"{"a":"Zm9v","b":""}"#, ""]),
            (r#""data":{"a":"eA==","c":"eQ=="},"stringData":{"a":"foo","n":null}"#, [r#"{"a":"Zm9v","c":"eQ=="}"#, ""]),
            (r#""stringData":{"a":"foo","port":80}"#, [r#"{"a":"Zm9v"}"#, r#"{"port":80}"#]),
            (r#""data":{"a":null},"stringData":null"#, ["{}", ""]),
            (r#""stringData":{}"#, ["", ""]),
            (r#""stringData":"x""#, ["", r#""x""#]),
        ];
        for (fields, expected) in table {
            assert_eq!(secret(fields), expected.map(str::to_owned), "{fields}");
        }
        // Not a Secret of Kubernetes.
        let other = r#"{"apiVersion":"example.com/v1","kind":"Secret","metadata":{"name":"a"},"stringData":{"a":"b"}}"#;
        assert_eq!(stripped(other), other);
    }
}
