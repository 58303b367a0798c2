//! Tables: one object, written by hand, and what a comparison says of it.

use trueup_diff::{Former, Input, Projection, Schema, compare, takeover, without_duplicates};
use trueup_object::Node;

use crate::support::{input, told, yaml};

/// Each document is one case. `entries` are managedFields: manager, operation, subresource, fields. `schema` is the
/// schema of the object as a CRD has it. `expect` is what is told; a missing list means in line, without a word.
const CASES: &str = r#"
# --- desired has it
name: desired has it, live is equal
desired: {data: {a: "1"}}
live: {data: {a: "1"}}
---
name: desired has it, live is equal, somebody else owns it
desired: {data: {a: "1"}}
live: {data: {a: "1"}}
entries: [[kubectl-edit, Update, "", {"f:data": {"f:a": {}}}]]
---
name: desired has it, live has another value
desired: {data: {a: "1"}}
live: {data: {a: "2"}}
entries: [[kubectl-edit, Update, "", {"f:data": {"f:a": {}}}]]
expect: [changed .data.a by kubectl-edit]
---
name: desired has it, live has not
desired: {data: {a: "1", b: "2"}}
live: {data: {a: "1"}}
expect: [missing .data.b]
---
name: what is missing as a whole is told as one
desired: {data: {a: "1", b: "2"}, spec: {x: {w: 1, z: [1]}}}
live: {spec: {}}
expect: [missing .data, missing .spec.x]
# --- desired has it not, base has it
---
name: live still has base's value
desired: {data: {a: "1"}}
base: {data: {a: "1", b: "2"}}
live: {data: {a: "1", b: "2"}}
entries: [[trueup, Apply, "", {"f:data": {"f:a": {}}}], [kubectl-edit, Update, "", {"f:data": {"f:b": {}}}]]
expect: [extra .data.b by kubectl-edit]
---
name: live has another value but it is ours
desired: {data: {a: "1"}}
base: {data: {a: "1", b: "2"}}
live: {data: {a: "1", b: "3"}}
entries: [[trueup, Apply, "", {"f:data": {"f:a": {}, "f:b": {}}}]]
expect: [extra .data.b by trueup]
---
name: base is not known, our entry is
desired: {data: {a: "1"}}
live: {data: {a: "1", b: "3"}}
entries: [[trueup, Apply, "", {"f:data": {"f:a": {}, "f:b": {}}}]]
expect: [extra .data.b by trueup]
---
name: somebody set another value since
desired: {spec: {x: 1}}
base: {spec: {x: 1, replicas: 3}}
live: {spec: {x: 1, replicas: 7}}
entries: [[trueup, Apply, "", {"f:spec": {"f:x": {}}}], [hand, Update, "", {"f:spec": {"f:replicas": {}}}]]
expect: [given up .spec.replicas to hand]
---
name: another value that nobody owns is given up too
desired: {spec: {x: 1}}
base: {spec: {x: 1, w: 3}}
live: {spec: {x: 1, w: 7}}
entries: [[trueup, Apply, "", {"f:spec": {"f:x": {}}}]]
expect: ["given up .spec.w to "]
---
name: handed over to an autoscaler
desired: {spec: {x: 1}}
base: {spec: {x: 1, replicas: 3}}
live: {spec: {x: 1, replicas: 3}}
entries: [[trueup, Apply, "", {"f:spec": {"f:x": {}}}], [kube-controller-manager, Update, scale, {"f:spec": {"f:replicas": {}}}]]
expect: [shared .spec.replicas with kube-controller-manager]
---
name: another applier holds it with us
desired: {data: {a: "1"}}
base: {data: {a: "1", b: "2"}}
live: {data: {a: "1", b: "2"}}
entries: [[trueup, Apply, "", {"f:data": {"f:a": {}, "f:b": {}}}], [flux, Apply, "", {"f:data": {"f:b": {}}}]]
expect: [shared .data.b with flux]
---
name: live has it no more
desired: {data: {a: "1"}}
base: {data: {a: "1", b: "2"}}
live: {data: {a: "1"}}
---
name: neither desired nor base has it
desired: {data: {a: "1"}}
base: {data: {a: "1"}}
live: {data: {a: "1", c: "9"}}
entries: [[trueup, Apply, "", {"f:data": {"f:a": {}}}], [kubectl-edit, Update, "", {"f:data": {"f:c": {}}}]]
---
name: a base of another version says nothing but its metadata
desired: {apiVersion: example.dev/v2, spec: {x: 1}}
base: {apiVersion: example.dev/v1, metadata: {labels: {l: "1"}}, spec: {old: 1}}
live: {apiVersion: example.dev/v2, metadata: {labels: {l: "1"}}, spec: {x: 1, old: 1}}
entries: [[trueup, Apply, "", {"f:spec": {"f:x": {}}}]]
expect: [extra .metadata.labels.l]
# --- while we never applied
---
name: what client-side apply remembers is base
desired: {data: {a: "1"}}
live:
  metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"apiVersion":"v1","data":{"a":"1","b":"2"}}'}}
  data: {a: "1", b: "2"}
entries: [[kubectl-client-side-apply, Update, "", {"f:data": {"f:a": {}, "f:b": {}}}]]
expect: [extra .data.b by kubectl-client-side-apply]
---
name: what client-side apply remembers is forgotten once we applied
desired: {data: {a: "1"}}
live:
  metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"apiVersion":"v1","data":{"a":"1","b":"2"}}'}}
  data: {a: "1", b: "2"}
entries: [[trueup, Apply, "", {"f:data": {"f:a": {}}}]]
---
name: what client-side apply remembers may be broken
desired: {data: {a: "1"}}
live: {metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"data":'}}, data: {a: "1", b: "2"}}
entries: [[kubectl-client-side-apply, Update, "", {"f:data": {"f:a": {}, "f:b": {}}}]]
---
name: an Update entry of a predecessor is no base, it holds defaults
desired: {spec: {x: 1}}
live: {spec: {x: 1, revisionHistoryLimit: 10}}
entries: [[argocd-controller, Update, "", {"f:spec": {"f:x": {}, "f:revisionHistoryLimit": {}}}]]
---
name: an Apply entry of a predecessor is base
desired: {data: {a: "1"}}
live: {data: {a: "1", b: "2"}}
entries: [[argocd-controller, Apply, "", {"f:data": {"f:a": {}, "f:b": {}}}]]
expect: [extra .data.b by argocd-controller]
---
name: the memory of client-side apply is nobody's to remove
desired: {data: {a: "1"}}
live: {metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}}, data: {a: "1"}}
entries: [[argocd-controller, Apply, "", {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/last-applied-configuration": {}}}}]]
---
name: an Apply entry of a tool that may still run is left to it
desired: {data: {a: "1"}}
live: {data: {a: "1", b: "2"}}
entries: [[kustomize-controller, Apply, "", {"f:data": {"f:a": {}, "f:b": {}}}]]
expect: [shared .data.b with kustomize-controller]
---
name: unless it is named as the one to migrate from
desired: {data: {a: "1"}}
live: {data: {a: "1", b: "2"}}
migrate: kustomize-controller
entries: [[kustomize-controller, Apply, "", {"f:data": {"f:a": {}, "f:b": {}}}]]
expect: [extra .data.b by kustomize-controller]
---
name: stringData of an older entry of ours
desired: {kind: Secret, data: {a: MQ==}}
live: {kind: Secret, data: {a: MQ==, b: Mg==}}
entries: [[trueup, Apply, "", {"f:stringData": {"f:a": {}, "f:b": {}}}], [x, Update, "", {"f:data": {"f:z": {}}}]]
expect: [extra .data.b]
---
name: stringData that client-side apply remembers
desired: {kind: Secret, data: {a: MQ==}}
live:
  kind: Secret
  metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"apiVersion":"v1","stringData":{"a":"1","b":"2","c":"3"}}'}}
  data: {a: MQ==, b: Mg==, c: b3RoZXI=}
entries: [[kubectl-client-side-apply, Update, "", {"f:data": {"f:a": {}, "f:b": {}, "f:c": {}}}]]
expect: [extra .data.b by kubectl-client-side-apply, given up .data.c to kubectl-client-side-apply]
# --- null, nothing and empty
---
name: null is in doubt
desired: {spec: {x: null, z: null}}
live: {spec: {x: 1}}
expect: [changed .spec.x, missing .spec.z]
---
name: null that is stored is in line
desired: {spec: {x: null}}
live: {spec: {x: null}}
---
name: something empty is not the same as nothing
desired: {spec: {l: [], m: {}, p: {o: {}}}}
live: {spec: {p: {}}}
expect: [missing .spec.l, missing .spec.m, missing .spec.p.o]
---
name: an empty map wants nothing in it
desired: {spec: {m: {}}}
live: {spec: {m: {x: 1}}}
schema: {properties: {}}
---
name: an empty map that is one value is to be empty
desired: {spec: {m: {}}}
live: {spec: {m: {x: 1}}}
schema: {properties: {spec: {properties: {m: {x-kubernetes-map-type: atomic}}}}}
expect: [changed .spec.m]
---
name: an empty list wants nothing in it if its items are told apart
desired: {spec: {l: [], a: []}}
live: {spec: {l: [1], a: [1]}}
schema: {properties: {spec: {properties: {l: {x-kubernetes-list-type: set, items: {}}}}}}
expect: [changed .spec.a]
---
name: our own empty map that Git dropped
desired: {spec: {x: 1}}
live: {spec: {x: 1, m: {}}}
entries: [[trueup, Apply, "", {"f:spec": {"f:x": {}, "f:m": {}}}]]
expect: [extra .spec.m by trueup]
---
name: a map that others filled is not ours to remove
desired: {metadata: {}}
base: {metadata: {labels: {a: "1"}}}
live: {metadata: {labels: {b: "2"}}}
entries: [[trueup, Apply, "", {"f:metadata": {"f:labels": {".": {}}}}], [other, Update, "", {"f:metadata": {"f:labels": {"f:b": {}}}}]]
# --- values
---
name: numbers by value, text exactly
desired: {spec: {a: 1, b: 1.0, c: "1", d: "80"}}
live: {spec: {a: 1.0, b: 1, c: "1.0", d: 80}}
expect: [changed .spec.c, changed .spec.d]
---
name: types do not mix
desired: {spec: {a: {x: 1}, b: [1], c: "1"}}
live: {spec: {a: "x", b: {x: 1}, c: {x: 1}}}
expect: [changed .spec.a, changed .spec.b, changed .spec.c]
---
name: what is a quantity nobody knows yet
desired: {spec: {cpu: 1000m}}
live: {spec: {cpu: "1"}}
built_in: true
expect: [changed .spec.cpu, needs schema]
---
name: a custom resource keeps its quantities as they are
desired: {spec: {cpu: 1000m, memory: 1024Mi}}
live: {spec: {cpu: "1", memory: 1Gi}}
expect: [changed .spec.cpu, changed .spec.memory]
# --- metadata and status
---
name: identity, the server's metadata and status are not compared
desired: {metadata: {name: a, uid: x, resourceVersion: "1", generation: 1, creationTimestamp: null}, status: {ok: false}}
live: {metadata: {name: b, uid: y, resourceVersion: "2", generation: 2}, status: {ok: true}}
---
name: labels and annotations by leaf, the tracking annotation too
desired: {metadata: {labels: {a: "1"}, annotations: {argocd.argoproj.io/tracking-id: shop}}}
live: {metadata: {labels: {a: "2", b: "3"}, annotations: {other: "x"}}}
expect: ['missing .metadata.annotations["argocd.argoproj.io/tracking-id"]', changed .metadata.labels.a]
---
name: finalizers are a set, owners a list by uid
desired: {metadata: {finalizers: [a, b], ownerReferences: [{uid: u, name: m1}]}}
base: {metadata: {finalizers: [a, b, c], ownerReferences: [{uid: v, name: m1}]}}
live: {metadata: {finalizers: [c, b, x], ownerReferences: [{uid: w, name: w}, {uid: v, name: m1}, {uid: u, name: m}]}}
expect:
- 'missing .metadata.finalizers[="a"]'
- 'extra .metadata.finalizers[="c"]'
- 'changed .metadata.ownerReferences[uid="u"].name'
- 'extra .metadata.ownerReferences[uid="v"]'
# --- lists
---
name: items are paired by their keys, others' items do not count
desired: {spec: {l: [{id: b, v: 2}, {id: a, v: 1}]}}
live: {spec: {l: [{id: e}, {id: a, v: 1, w: 3}, {id: b, v: 9}]}}
schema: {properties: {spec: {properties: {l: {x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [id], items: {}}}}}}
expect: ['changed .spec.l[id="b"].v']
---
name: an item is missing, one is dropped, as one each
desired: {spec: {l: [{id: a, v: 1}, {id: b, v: 2}]}}
base: {spec: {l: [{id: a, v: 1}, {id: c, v: 2}]}}
live: {spec: {l: [{id: a, v: 1}, {id: c, v: 9, w: 3}]}}
schema: {properties: {spec: {properties: {l: {x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [id], items: {}}}}}}
expect: ['missing .spec.l[id="b"]', 'extra .spec.l[id="c"]']
---
name: an item that another applier fills is left to it
desired: {spec: {l: [{id: a}]}}
base: {spec: {l: [{id: a}, {id: c}]}}
live: {spec: {l: [{id: a}, {id: c, v: 1}]}}
entries: [[trueup, Apply, "", {"f:spec": {"f:l": {'k:{"id":"c"}': {".": {}, "f:id": {}}}}}], [flux, Apply, "", {"f:spec": {"f:l": {'k:{"id":"c"}': {"f:v": {}}}}}]]
expect: ['shared .spec.l[id="c"] with flux']
---
name: keys come from our entry when nobody knows the schema
desired: {spec: {ports: [{port: 53}, {port: 53, protocol: UDP}]}}
live: {spec: {ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}}
built_in: true
entries: [[trueup, Apply, "", {"f:spec": {"f:ports": {'k:{"port":53,"protocol":"TCP"}': {".": {}, "f:port": {}}}}}]]
---
name: a key that is left out takes the schema's default
desired: {spec: {ports: [{port: 53}]}}
live: {spec: {ports: [{port: 53, protocol: SCTP}, {port: 53, protocol: TCP}]}}
base: {spec: {ports: [{port: 53}, {port: 53, protocol: SCTP}]}}
schema:
  properties:
    spec:
      properties:
        ports:
          x-kubernetes-list-type: map
          x-kubernetes-list-map-keys: [port, protocol]
          items: {properties: {protocol: {default: TCP}}}
expect: ['extra .spec.ports[port=53,protocol="SCTP"]']
---
name: a default that nobody knows is not guessed against live
desired: {spec: {l: [{id: a}]}}
base: {spec: {l: [{id: a}, {id: a, z: "2"}]}}
live: {spec: {l: [{id: a, z: "1"}, {id: a, z: "2"}]}}
entries: [[trueup, Apply, "", {"f:spec": {"f:l": {'k:{"id":"a","z":"1"}': {".": {}}, 'k:{"id":"a","z":"2"}': {".": {}}}}}]]
expect: ['missing .spec.l[id="a"]', needs schema]
---
name: of duplicate keys the last one counts
desired: {spec: {env: [{name: A, value: "1"}, {name: B, value: "2"}, {name: A, value: "3"}]}}
live: {spec: {env: [{name: B, value: "2"}, {name: A, value: "3"}]}}
schema: {properties: {spec: {properties: {env: {x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {}}}}}}
expect: ['twice .spec.env[name="A"]']
---
name: the order of variables and init containers means something
desired: {spec: {env: [{name: A}, {name: B}], initContainers: [{name: A}, {name: B}], other: [{name: A}, {name: B}]}}
live: {spec: {env: [{name: B}, {name: X}, {name: A}], initContainers: [{name: B}, {name: A}], other: [{name: B}, {name: A}]}}
schema:
  properties:
    spec:
      properties:
        env: {x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {}}
        initContainers: {x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {}}
        other: {x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {}}
expect: [changed .spec.env, changed .spec.initContainers]
---
name: a list of one value is compared as a whole
desired: {spec: {args: [a, b]}}
base: {spec: {args: [a, b], old: [x]}}
live: {spec: {args: [b, a], old: [x]}}
schema: {properties: {}}
expect: [changed .spec.args, extra .spec.old]
---
name: a list of an unknown kind asks for the schema
desired: {spec: {l: [a]}}
live: {spec: {l: [a, b]}}
expect: [changed .spec.l, needs schema]
---
name: a list of an unknown kind that is equal asks nothing
desired: {spec: {l: [a]}}
live: {spec: {l: [a]}}
---
name: a dropped list of an unknown kind that has changed asks for the schema
desired: {spec: {}}
base: {spec: {l: [a]}}
live: {spec: {l: [a, b]}}
expect: ["given up .spec.l to ", needs schema]
---
name: a set by value
desired: {spec: {s: [a, b, a]}}
base: {spec: {s: [c, d]}}
live: {spec: {s: [x, c, b]}}
schema: {properties: {spec: {properties: {s: {x-kubernetes-list-type: set, items: {}}}}}}
expect: ['missing .spec.s[="a"]', 'extra .spec.s[="c"]']
---
name: items without their keys make the list one value
desired: {spec: {l: [{v: 1}]}}
live: {spec: {l: [{id: a, v: 1}]}}
schema: {properties: {spec: {properties: {l: {x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [id], items: {}}}}}}
expect: [changed .spec.l]
# --- maps
---
name: a map that is one value, from the schema
desired: {spec: {s: {a: 1}, t: {a: 1}}}
live: {spec: {s: {a: 1, b: 2}, t: {a: 1, b: 2}}}
schema: {properties: {spec: {properties: {s: {x-kubernetes-map-type: atomic}}}}}
expect: [changed .spec.s]
---
name: a map that is one value, from our entry, until a schema says otherwise
desired: {spec: {s: {a: 1}, t: {a: 1}}}
live: {spec: {s: {a: 1, b: 2}, t: {a: 1, b: 2}}}
entries: [[other, Update, "", {"f:spec": {"f:s": {}}}], [trueup, Apply, "", {"f:spec": {"f:t": {"f:a": {}}}}]]
expect: [changed .spec.s by other, needs schema]
---
name: a map of which nobody knows more than that it has grown asks for the schema
desired: {spec: {s: {a: 1}}}
live: {spec: {s: {a: 1, b: 2}}}
entries: [[trueup, Apply, "", {"f:spec": {"f:x": {}}}]]
expect: [needs schema]
# --- ignored
---
name: what is ignored does not count, below and in lists neither
desired: {spec: {a: 1, b: {c: 1, d: 1}, l: [{id: e, v: 1, w: 1}, {id: f, v: 1}], args: [1, 2]}, metadata: {annotations: {a/b: "1"}}}
base: {spec: {gone: 1}}
live: {spec: {a: 2, b: {c: 2, d: 2}, l: [{id: f, v: 2}, {id: e, v: 2, w: 2}], args: [1, 3], gone: 1}, metadata: {annotations: {a/b: "2"}}}
schema: {properties: {spec: {properties: {l: {x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [id], items: {}}}}}}
ignore: [/spec/a, /spec/b, /spec/l/0/v, /spec/args/1, /spec/gone, /metadata/annotations/a~1b, /spec/l/-, /none]
expect: ['changed .spec.l[id="e"].w']
---
name: a whole object that is ignored
desired: {spec: {a: 1}}
live: {spec: {a: 2}}
ignore: [""]
---
name: what a named manager owns does not count, through a subresource and in lists neither
desired: {spec: {a: 1, b: 1, c: 1, l: [{id: e, v: 1, w: 1}], m: 1}, metadata: {labels: {a: "1"}}}
base: {spec: {gone: 1, went: 1}}
live: {spec: {a: 2, b: 2, c: 2, l: [{id: e, v: 2, w: 2}], gone: 1, went: 1}, metadata: {labels: {a: "2"}}}
entries:
  - [cert, Update, "", {"f:spec": {"f:a": {}, "f:l": {'k:{"id":"e"}': {"f:v": {}}}, "f:gone": {}}}]
  - [cert, Apply, status, {"f:spec": {"f:b": {}}}]
  - [other, Update, "", {"f:spec": {"f:c": {}}}]
managers: [cert, nobody]
expect: ['changed .metadata.labels.a', 'changed .spec.c by other', 'changed .spec.l[id="e"].w', 'missing .spec.m', 'extra .spec.went']
---
name: who owns only something in a list that is compared as one hides nothing of it
desired: {spec: {env: [{name: a, value: "1"}, {name: b, value: "1"}]}}
live: {spec: {env: [{name: b, value: "1"}, {name: a, value: "1"}]}}
entries: [[cert, Update, "", {"f:spec": {"f:env": {'k:{"name":"a"}': {"f:value": {}}}}}]]
managers: [cert]
expect: ['changed .spec.env by cert']
---
name: what we applied ourselves always counts
desired: {spec: {a: 1}}
base: {spec: {gone: 1}}
live: {spec: {a: 2, gone: 1}}
entries: [[trueup, Apply, "", {"f:spec": {"f:a": {}, "f:gone": {}}}]]
managers: [trueup]
expect: ['changed .spec.a by trueup', 'extra .spec.gone by trueup']
# --- replicas
---
name: replicas of an autoscaler are not drift
desired: {spec: {replicas: 2}}
live: {spec: {replicas: 5}}
entries: [[kube-controller-manager, Update, scale, {"f:spec": {"f:replicas": {}}}]]
expect: [scaled by kube-controller-manager]
---
name: replicas of a scaler that the annotation names
desired: {spec: {replicas: 2}}
live: {spec: {replicas: 5}}
scalers: [my-scaler]
entries: [[my-scaler, Update, scale, {"f:spec": {"f:replicas": {}}}]]
expect: [scaled by my-scaler]
---
name: replicas that nobody owns any more, where a scaler is named
desired: {spec: {replicas: 2}}
live: {spec: {replicas: 0}}
scalers: [my-scaler]
entries: [[trueup, Apply, "", {"f:spec": {"f:x": {}}}]]
expect: [scaled by my-scaler]
---
name: replicas that somebody scaled by hand are drift
desired: {spec: {replicas: 2}}
live: {spec: {replicas: 5}}
entries: [[kubectl, Update, scale, {"f:spec": {"f:replicas": {}}}]]
expect: [changed .spec.replicas by kubectl]
# --- the API server's own rules
---
name: aggregated rules are the server's
desired: {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, aggregationRule: {x: 1}, rules: []}
base: {apiVersion: rbac.authorization.k8s.io/v1, rules: [1]}
live: {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, aggregationRule: {x: 1}, rules: [1]}
expect: [aggregated]
"#;

/// The live object of a case, with its entries.
fn live(case: &Node) -> Node {
    let mut live = object(case.get("live").unwrap());
    let version = live.get("apiVersion").unwrap().clone();
    let entries: Vec<_> = case
        .list_at(&["entries"])
        .iter()
        .map(|entry| {
            let mut node = Node::map();
            for (at, key) in ["manager", "operation", "subresource", "fieldsV1"].into_iter().enumerate() {
                node.set_at(&[key], entry.as_list().unwrap()[at].clone());
            }
            node.set_at(&["apiVersion"], version.clone());
            node
        })
        .collect();
    if !entries.is_empty() {
        live.set_at(&["metadata", "managedFields"], Node::List(entries));
    }
    live
}

/// With the version that cases leave out.
fn object(node: &Node) -> Node {
    let mut node = node.clone();
    if node.get("apiVersion").is_none() {
        node.set_at(&["apiVersion"], "v1".into());
    }
    node
}

fn schema(case: &Node) -> Schema {
    let Some(schema) = case.get("schema") else { return Schema::unknown() };
    let mut version = Node::map();
    version.set_at(&["name"], "v1".into());
    version.set_at(&["schema", "openAPIV3Schema"], schema.clone());
    let mut crd = Node::map();
    crd.set_at(&["spec", "versions"], Node::List(vec![version]));
    Schema::from_crd(&crd, "v1").unwrap()
}

fn texts<'a>(case: &'a Node, key: &str) -> Vec<&'a str> {
    case.list_at(&[key]).iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn comparisons() {
    let cases = trueup_object::yaml::documents(CASES.as_bytes()).unwrap();
    assert!(cases.len() > 50, "the table is read whole: {}", cases.len());
    for case in cases.into_iter().map(|document| document.node) {
        let known = [
            "name", "desired", "base", "live", "entries", "schema", "expect", "ignore", "managers", "scalers",
            "migrate", "built_in",
        ];
        assert!(case.as_map().unwrap().iter().all(|(key, _)| known.contains(&key)), "{case}");
        let (desired, base) = (object(case.get("desired").unwrap()), case.get("base").map(object));
        let (live, schema) = (live(&case), schema(&case));
        let comparison = compare(&Input {
            base: base.as_ref(),
            ignore: &texts(&case, "ignore"),
            ignore_managers: &texts(&case, "managers"),
            scalers: &texts(&case, "scalers"),
            former: Former { named: case.str_at(&["migrate"]), ..Former::default() },
            built_in: case.get("built_in").is_some(),
            ..input(&desired, &live, &schema)
        });
        assert_eq!(told(&comparison), texts(&case, "expect"), "{}", case.str_at(&["name"]).unwrap());
    }
}

/// Whether each difference is drift: of a leaf that was changed by us, by another, by nobody known, and of one that live
/// lacks; base is what Git said before.
#[test]
fn drift_is_told_from_pending() {
    let live = yaml(
        r#"
apiVersion: v1
data: {ours: old, theirs: x, reverted: old, unowned: x, unknown: x, dropped: old}
metadata:
  managedFields:
  - {manager: trueup, operation: Apply, apiVersion: v1, fieldsV1: {"f:data": {"f:ours": {}, "f:dropped": {}}}}
  - {manager: kubectl-edit, operation: Update, apiVersion: v1, fieldsV1: {"f:data": {"f:theirs": {}, "f:reverted": {}}}}
"#,
    );
    let desired = yaml(
        "apiVersion: v1\ndata: {ours: new, theirs: new, reverted: new, unowned: new, unknown: new, deleted: new, added: new}",
    );
    let base =
        yaml("apiVersion: v1\ndata: {ours: old, theirs: old, reverted: old, unowned: old, deleted: old, dropped: old}");
    let schema = Schema::unknown();
    let drifted = |base: Option<&Node>, pending, never_synced| {
        let comparison = compare(&Input { base, pending, never_synced, ..input(&desired, &live, &schema) });
        assert_eq!(comparison.differences.len(), 8);
        let drifted = comparison.differences.iter().filter(|it| it.drift);
        drifted.map(|it| it.path.to_string().replace(".data.", "")).collect::<Vec<_>>()
    };
    assert_eq!(drifted(Some(&base), false, false).len(), 8, "Git has not moved: everything is drift");
    assert_eq!(drifted(Some(&base), true, false), ["deleted", "theirs", "unowned"]);
    assert_eq!(drifted(None, true, true), [""; 0], "the first adoption is no drift");
    assert_eq!(drifted(Some(&base), true, true), [""; 0]);
}

#[test]
fn a_projection_answers_until_something_else_is_there() {
    let desired = yaml(
        r#"{apiVersion: v1, spec: {cpu: "1000m", gone: null, list: [{x: 1}], plain: a, set: {never: true, stays: 1}, empty: {}}}"#,
    );
    let answer = yaml(
        r#"{apiVersion: v1, spec: {cpu: "1", list: [{x: 1, z: 2}], plain: a, set: {stays: 1}, more: 1}, metadata: {uid: u}}"#,
    );
    let schema = Schema::unknown();
    let projection = Projection::from_answer(&desired, &answer, &schema);
    assert!(!projection.is_empty());
    let told = |desired: &Node, live: &Node| {
        let comparison = compare(&Input {
            projection: Some(&projection),
            built_in: false,
            ..input(desired, live, &Schema::default())
        });
        comparison.differences.iter().map(|it| (it.path.to_string(), it.doubtful)).collect::<Vec<_>>()
    };
    assert_eq!(told(&desired, &answer), []);
    let mut live = answer.clone();
    live.set_at(&["status"], yaml("{ready: 1}"));
    live.set_at(&["metadata", "resourceVersion"], "9".into());
    assert_eq!(told(&desired, &live), [], "it survives what is not judged");
    live.set_at(&["spec", "cpu"], "2".into());
    assert_eq!(told(&desired, &live), [(".spec.cpu".into(), true)], "a disagreement asks again");
    let mut moved = desired.clone();
    moved.set_at(&["spec", "cpu"], "1500m".into());
    assert_eq!(told(&moved, &answer), [(".spec.cpu".into(), true)], "another value was never asked");
    assert_eq!(told(&desired, &desired), [], "what Git says is in line, whatever the server would make of it");
    assert!(Projection::from_answer(&desired, &desired, &schema).is_empty());
}

#[test]
fn secrets_do_not_leave_a_comparison() {
    let desired =
        yaml("{apiVersion: v1, kind: Secret, data: {a: aHVudGVyMg==, b: aHVudGVyMg==}, stringData: {c: hunter2}}");
    let base = yaml("{apiVersion: v1, kind: Secret, data: {d: aHVudGVyMg==}}");
    let live = yaml("{apiVersion: v1, kind: Secret, data: {a: aHVudGVyMw==, d: aHVudGVyMg==}}");
    let schema = Schema::unknown();
    let comparison = compare(&Input { base: Some(&base), ..input(&desired, &live, &schema) });
    assert_eq!(
        told(&comparison)[..4],
        ["changed .data.a", "missing .data.b", "extra .data.d", "missing .stringData"].map(String::from)
    );
    let text = format!("{comparison:?} {:?}", Projection::from_answer(&desired, &live, &schema));
    assert!(!text.contains("aHVudGVy") && !text.contains("hunter"), "{text}");
    let changed = &comparison.differences[0];
    assert_ne!(changed.desired, changed.live, "a change stays visible");
}

#[test]
fn a_pointer_leads_to_the_place_in_live() {
    let desired = yaml(r#"{apiVersion: v1, metadata: {annotations: {a/b: "1"}, finalizers: [x, v]}, spec: {a: [1]}}"#);
    let live = yaml(r#"{apiVersion: v1, metadata: {annotations: {a/b: "2"}, finalizers: [z, v, w]}, spec: {a: [2]}}"#);
    let base = yaml("{apiVersion: v1, metadata: {finalizers: [w]}}");
    let schema = Schema::unknown();
    let comparison = compare(&Input { base: Some(&base), ..input(&desired, &live, &schema) });
    let pointers: Vec<_> = comparison.differences.iter().map(|it| it.pointer.as_str()).collect();
    assert_eq!(pointers, ["/metadata/annotations/a~1b", "/metadata/finalizers/2", "/metadata/finalizers/0", "/spec/a"]);
    // The proposed pointers do what they promise, but for a missing item, whose place is another's.
    let rest = compare(&Input { base: Some(&base), ignore: &pointers, ..input(&desired, &live, &schema) });
    assert_eq!(told(&rest), ["needs schema"; 0]);
}

#[test]
fn duplicates_are_reduced_to_the_last() {
    let desired = yaml(
        r#"{apiVersion: v1, spec: {env: [{name: A, value: "1"}, {name: B}, {name: A, value: "3"}], args: [a, a], set: [x, z, x]}}"#,
    );
    let case = yaml(
        "schema: {properties: {spec: {properties: {env: {x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {}}, set: {x-kubernetes-list-type: set, items: {}}}}}}",
    );
    let (reduced, found) = without_duplicates(&desired, None, &schema(&case));
    assert_eq!(
        reduced,
        yaml(r#"{apiVersion: v1, spec: {env: [{name: B}, {name: A, value: "3"}], args: [a, a], set: [z, x]}}"#)
    );
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, [r#".spec.env[name="A"]"#, r#".spec.set[="x"]"#]);
    assert_eq!(without_duplicates(&desired, None, &Schema::unknown()), (desired, vec![]));
}

/// Entries before and after a takeover: manager, operation, subresource, fields.
struct Takeover {
    name: &'static str,
    desired: &'static str,
    base: &'static str,
    live: &'static str,
    before: &'static str,
    /// `None`: there is nothing to do.
    after: Option<&'static str>,
    first: bool,
}

const TAKEOVERS: &[Takeover] = &[
    Takeover {
        name: "an object that needs nothing removed is left as it is, whoever owns it",
        desired: "{data: {a: '1'}}",
        base: "{data: {a: '1'}}",
        live: "{data: {a: '1'}}",
        before: r#"[[trueup, Apply, "", {"f:data": {"f:a": {}}}], [helm, Update, "", {"f:data": {"f:a": {}}}]]"#,
        after: None,
        first: false,
    },
    Takeover {
        name: "what is solely ours is removed by the apply itself",
        desired: "{data: {a: '1'}}",
        base: "{data: {a: '1', b: '2'}}",
        live: "{data: {a: '1', b: '2'}}",
        before: r#"[[trueup, Apply, "", {"f:data": {"f:a": {}, "f:b": {}}}], [x, Update, "", {"f:data": {"f:c": {}}}]]"#,
        after: None,
        first: false,
    },
    Takeover {
        name: "Update entries give up the leaves of base and nothing else",
        desired: "{data: {a: '1'}}",
        base: "{data: {a: '1', b: '2'}}",
        live: "{data: {a: '1', b: '2', c: '3'}}",
        before: r#"[[trueup, Apply, "", {"f:data": {"f:a": {}}}], [x, Update, "", {"f:data": {"f:b": {}, "f:c": {}}}], [y, Update, "", {"f:data": {"f:b": {}}}]]"#,
        after: Some(
            r#"[[trueup, Apply, "", {"f:data": {"f:a": {}, "f:b": {}}}], [x, Update, "", {"f:data": {"f:c": {}}}]]"#,
        ),
        first: false,
    },
    Takeover {
        name: "other appliers and subresources are never touched",
        desired: "{data: {a: '1'}}",
        base: "{data: {a: '1', b: '2', c: '3', d: '4'}}",
        live: "{data: {a: '1', b: '2', c: '3', d: '4'}}",
        before: r#"[[x, Update, "", {"f:data": {"f:b": {}}}], [flux, Apply, "", {"f:data": {"f:c": {}}}], [hpa, Update, scale, {"f:data": {"f:d": {}}}]]"#,
        after: Some(
            r#"[[flux, Apply, "", {"f:data": {"f:c": {}}}], [hpa, Update, scale, {"f:data": {"f:d": {}}}], [trueup, Apply, "", {"f:data": {"f:a": {}, "f:b": {}}}]]"#,
        ),
        first: false,
    },
    Takeover {
        name: "the first apply drops the entries of former managers",
        desired: "{data: {a: '1'}}",
        base: "{data: {a: '1'}}",
        live: "{data: {a: '1', z: '9'}}",
        before: r#"[[argocd-controller, Update, "", {"f:data": {"f:a": {}, "f:z": {}}}], [kubectl-client-side-apply, Update, "", {"f:data": {"f:z": {}}}], [former, Update, "", {"f:data": {"f:z": {}}}], [argocd-controller, Update, status, {"f:status": {}}]]"#,
        after: Some(
            r#"[[argocd-controller, Update, status, {"f:status": {}}], [trueup, Apply, "", {"f:data": {"f:a": {}}}]]"#,
        ),
        first: true,
    },
    Takeover {
        name: "what was given up is not taken",
        desired: "{data: {a: '1'}}",
        base: "{data: {a: '1', b: '2', c: '3'}}",
        live: "{data: {a: '1', b: '9', c: '3'}}",
        before: r#"[[trueup, Apply, "", {"f:data": {"f:a": {}}}], [x, Update, "", {"f:data": {"f:b": {}, "f:c": {}}}]]"#,
        after: Some(
            r#"[[trueup, Apply, "", {"f:data": {"f:a": {}, "f:c": {}}}], [x, Update, "", {"f:data": {"f:b": {}}}]]"#,
        ),
        first: false,
    },
    Takeover {
        name: "an item goes with all that others put into it",
        desired: "{spec: {l: [{id: a}]}}",
        base: "{spec: {l: [{id: a}, {id: b, v: 1}]}}",
        live: "{spec: {l: [{id: a}, {id: b, v: 2, w: 3}]}}",
        before: r#"[[trueup, Apply, "", {"f:spec": {"f:l": {'k:{"id":"a"}': {".": {}, "f:id": {}}}}}], [x, Update, "", {"f:spec": {"f:l": {'k:{"id":"b"}': {".": {}, "f:id": {}, "f:v": {}, "f:w": {}}}}}]]"#,
        after: Some(
            r#"[[trueup, Apply, "", {"f:spec": {"f:l": {'k:{"id":"a"}': {".": {}, "f:id": {}}, 'k:{"id":"b"}': {".": {}, "f:id": {}, "f:v": {}}}}}]]"#,
        ),
        first: false,
    },
    Takeover {
        name: "without any entry the first apply claims what base says",
        desired: "{data: {a: '1'}}",
        base: "{data: {a: '1', b: '2'}}",
        live: "{data: {a: '1', b: '2', z: '9'}}",
        before: "[]",
        after: Some(r#"[[trueup, Apply, "", {"f:data": {"f:a": {}, "f:b": {}}}]]"#),
        first: true,
    },
    Takeover {
        name: "without any base what Git and live agree in is claimed",
        desired: "{data: {a: '1', b: '2'}}",
        base: "{}",
        live: "{data: {a: '1', b: '9', z: '9'}}",
        before: r#"[[helm, Update, "", {"f:data": {"f:a": {}, "f:z": {}}}]]"#,
        after: Some(r#"[[trueup, Apply, "", {"f:data": {"f:a": {}}}]]"#),
        first: true,
    },
    Takeover {
        name: "replicas that Git has are not claimed, they may not be sent",
        desired: "{spec: {a: 1, replicas: 2}}",
        base: "{spec: {a: 1, replicas: 2}}",
        live: "{spec: {a: 1, replicas: 2}}",
        before: r#"[[helm, Update, "", {"f:spec": {"f:a": {}, "f:replicas": {}}}]]"#,
        after: Some(r#"[[trueup, Apply, "", {"f:spec": {"f:a": {}}}]]"#),
        first: true,
    },
    Takeover {
        name: "a list is never left empty",
        desired: "{data: {b: '2'}}",
        base: "{}",
        live: "{data: {z: '9'}}",
        before: r#"[[helm, Update, "", {"f:data": {"f:z": {}}}]]"#,
        after: None,
        first: true,
    },
];

#[test]
fn takeovers() {
    let entries = |node: &Node| -> Vec<Node> {
        let tell = |entry: &Node| {
            let part = |key| entry.get(key).cloned().unwrap_or_else(|| "".into());
            Node::List(["manager", "operation", "subresource", "fieldsV1"].map(part).to_vec())
        };
        node.as_list().unwrap().iter().map(tell).collect()
    };
    for case in TAKEOVERS {
        let mut document = Node::map();
        document.set_at(&["live"], yaml(case.live));
        document.set_at(&["entries"], yaml(case.before));
        let (live, desired) = (live(&document), object(&yaml(case.desired)));
        let base = object(&yaml(case.base));
        let schema = Schema::unknown();
        let former = Former { named: Some("former"), ..Former::default() };
        let list = takeover(&desired, Some(&base), &live, &schema, former, case.first);
        let after = case.after.map(|after| yaml(after).as_list().unwrap().to_vec());
        assert_eq!(list.as_ref().map(entries), after, "{}", case.name);
        if let Some(list) = list {
            let mut taken = live.clone();
            taken.set_at(&["metadata", "managedFields"], list);
            let again = takeover(&desired, Some(&base), &taken, &schema, former, case.first);
            assert_eq!(again, None, "{}: once is enough", case.name);
        }
    }
}

#[test]
fn our_entry_of_another_version_is_written_anew() {
    let live = yaml(
        r#"
apiVersion: example.dev/v2
spec: {new: 1, gone: 2}
metadata:
  labels: {l: "1"}
  managedFields:
  - {manager: trueup, operation: Apply, apiVersion: example.dev/v1, fieldsV1: {"f:spec": {"f:old": {}}}}
  - {manager: x, operation: Update, apiVersion: example.dev/v1, fieldsV1: {"f:metadata": {"f:labels": {"f:l": {}}}, "f:spec": {"f:gone": {}}}}
"#,
    );
    let desired = yaml("{apiVersion: example.dev/v2, spec: {new: 1}}");
    let base = yaml(r#"{apiVersion: example.dev/v2, metadata: {labels: {l: "1"}}, spec: {new: 1, gone: 2}}"#);
    let list = takeover(&desired, Some(&base), &live, &Schema::unknown(), Former::default(), false).unwrap();
    let told: Vec<_> = list
        .as_list()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {}", entry.str_at(&["apiVersion"]).unwrap(), entry.get("fieldsV1").unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            r#"example.dev/v2 {"f:metadata":{"f:labels":{"f:l":{}}},"f:spec":{"f:gone":{},"f:new":{}}}"#,
            // What is written at another version cannot be read: its leaf of spec stays where it is.
            r#"example.dev/v1 {"f:spec":{"f:gone":{}}}"#,
        ]
    );
}
