//! Valid objects to begin with. Names and namespaces are filled in.

/// A valid object.
pub(crate) struct Seed {
    /// Its version.
    pub(crate) api_version: &'static str,
    /// Its kind.
    pub(crate) kind: &'static str,
    /// Everything beside `apiVersion`, `kind` and the name.
    pub(crate) body: &'static str,
}

/// The objects that cases begin with.
pub(crate) const SEEDS: &[Seed] = &[
    Seed { api_version: "v1", kind: "ConfigMap", body: CONFIG_MAP },
    Seed { api_version: "v1", kind: "Secret", body: SECRET },
    Seed { api_version: "v1", kind: "Service", body: SERVICE },
    Seed { api_version: "apps/v1", kind: "Deployment", body: DEPLOYMENT },
    Seed { api_version: "autoscaling/v2", kind: "HorizontalPodAutoscaler", body: AUTOSCALER },
    Seed { api_version: "networking.k8s.io/v1", kind: "NetworkPolicy", body: NETWORK_POLICY },
    Seed { api_version: "laws.example/v1", kind: "Specimen", body: SPECIMEN },
];

const CONFIG_MAP: &str = r#"{
  "metadata": {"labels": {"app": "a", "tier": "b"}, "annotations": {"note": "1000m"}},
  "data": {"one": "1", "two": "1000m", "yes": "yes", "text": "line\nline\n"},
  "binaryData": {"blob": "AAECAw=="}
}"#;

const SECRET: &str = r#"{
  "metadata": {"labels": {"app": "a"}},
  "type": "Opaque",
  "stringData": {"password": "hunter2", "user": "me"},
  "data": {"token": "YQ==", "key": "Yg=="}
}"#;

const SERVICE: &str = r#"{
  "metadata": {"labels": {"app": "a"}},
  "spec": {
    "type": "ClusterIP",
    "selector": {"app": "a", "tier": "b"},
    "ports": [
      {"name": "http", "port": 80, "targetPort": 8080},
      {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"},
      {"name": "dns-tcp", "port": 53}
    ],
    "sessionAffinity": "ClientIP",
    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}},
    "ipFamilyPolicy": "SingleStack",
    "publishNotReadyAddresses": true
  }
}"#;

const DEPLOYMENT: &str = r#"{
  "metadata": {"labels": {"app": "a"}, "annotations": {"note": "x"}},
  "spec": {
    "replicas": 0,
    "revisionHistoryLimit": 3,
    "selector": {"matchLabels": {"app": "a"}},
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
    "template": {
      "metadata": {"labels": {"app": "a", "tier": "b"}, "annotations": {"checksum": "1"}},
      "spec": {
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 10,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "supplementalGroups": [1, 2]},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}],
        "initContainers": [{"name": "init", "image": "init:1", "command": ["sh", "-c", "true"]}],
        "containers": [
          {
            "name": "web", "image": "web:1", "args": ["--one", "--two"], "imagePullPolicy": "IfNotPresent",
            "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}],
            "env": [
              {"name": "A", "value": "1"},
              {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
              {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": true}}}
            ],
            "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": 0.5, "memory": "128Mi"}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "conf", "mountPath": "/conf", "readOnly": true}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
            "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, "readOnlyRootFilesystem": true}
          },
          {"name": "side", "image": "side:1", "env": [{"name": "A", "value": ""}]}
        ],
        "volumes": [
          {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}},
          {"name": "conf", "configMap": {"name": "c", "items": [{"key": "k", "path": "p"}], "defaultMode": 420}},
          {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]}}
        ],
        "topologySpreadConstraints": [
          {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app": "a"}}}
        ],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
          {"weight": 1, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a"]}]}}}
        ]}}
      }
    }
  }
}"#;

const AUTOSCALER: &str = r#"{
  "metadata": {"labels": {"app": "a"}},
  "spec": {
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"},
    "minReplicas": 1, "maxReplicas": 5,
    "metrics": [
      {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}},
      {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1024Mi"}}}
    ],
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}
  }
}"#;

const NETWORK_POLICY: &str = r#"{
  "metadata": {"labels": {"app": "a"}},
  "spec": {
    "podSelector": {"matchLabels": {"app": "a"}, "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x", "y"]}]},
    "policyTypes": ["Ingress", "Egress"],
    "ingress": [{"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 80}, {"port": "dns", "protocol": "UDP"}]}],
    "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}], "ports": [{"port": 8000, "endPort": 9000}]}]
  }
}"#;

const SPECIMEN: &str = r#"{
  "metadata": {"labels": {"app": "a"}, "annotations": {"note": "x"}},
  "spec": {
    "text": "1000m", "count": 1, "ratio": 0.5, "enabled": true, "port": "http", "choice": "A",
    "atomic": ["a", "b", "a"],
    "set": ["a", "b"],
    "numbers": [1, 2],
    "byName": [{"name": "a", "value": "1", "tags": ["x"]}, {"name": "b", "value": "2", "inner": [{"id": 1, "text": "t"}]}],
    "byTwo": [{"port": 80, "protocol": "TCP", "text": "a"}, {"port": 80, "protocol": "UDP"}, {"port": 81}],
    "atomicItems": [{"a": "1", "b": "2"}, {"a": "3"}],
    "granular": {"a": "1", "b": "2"},
    "atomicMap": {"a": "1", "b": "2"},
    "free": {"a": [1, {"b": "c"}], "d": {"e": 1.5, "f": null}},
    "nested": {"deep": {"deeper": {"a": "1", "b": "2"}}},
    "template": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "1"}}
  }
}"#;

/// The kind with every type of list and map.
pub(crate) const DEFINITION: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: specimens.laws.example}
spec:
  group: laws.example
  scope: Namespaced
  names: {kind: Specimen, plural: specimens, singular: specimen}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          properties:
            status: {type: object, x-kubernetes-preserve-unknown-fields: true}
            spec:
              type: object
              properties:
                text: {type: string}
                defaulted: {type: string, default: fallback}
                count: {type: integer}
                ratio: {type: number}
                enabled: {type: boolean}
                port: {x-kubernetes-int-or-string: true}
                choice: {type: string, enum: [A, B, C]}
                nullable: {type: string, nullable: true}
                atomic: {type: array, items: {type: string}}
                set: {type: array, x-kubernetes-list-type: set, items: {type: string}}
                numbers: {type: array, x-kubernetes-list-type: set, items: {type: integer}}
                byName:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [name]
                  items:
                    type: object
                    required: [name]
                    properties:
                      name: {type: string}
                      value: {type: string}
                      extra: {type: string, default: given}
                      tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
                      inner:
                        type: array
                        x-kubernetes-list-type: map
                        x-kubernetes-list-map-keys: [id]
                        items: {type: object, required: [id], properties: {id: {type: integer}, text: {type: string}}}
                byTwo:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [port, protocol]
                  items:
                    type: object
                    required: [port]
                    properties:
                      port: {type: integer}
                      protocol: {type: string, default: TCP}
                      text: {type: string}
                atomicItems:
                  type: array
                  x-kubernetes-list-type: atomic
                  items: {type: object, properties: {a: {type: string}, b: {type: string}}}
                granular: {type: object, additionalProperties: {type: string}}
                atomicMap: {type: object, x-kubernetes-map-type: atomic, additionalProperties: {type: string}}
                free: {type: object, x-kubernetes-preserve-unknown-fields: true}
                nested:
                  type: object
                  properties:
                    deep:
                      type: object
                      properties:
                        deeper: {type: object, additionalProperties: {type: string}}
                        other: {type: object, default: {a: b}, additionalProperties: {type: string}}
                template: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}
";
