//! Manifests, as they stand in Git.

use std::fmt::Write as _;

/// A ConfigMap.
pub fn config_map(name: &str, data: &[(&str, &str)]) -> String {
    map_of_strings("ConfigMap", name, "data", data)
}

/// A Secret with `stringData`.
pub fn secret(name: &str, data: &[(&str, &str)]) -> String {
    map_of_strings("Secret", name, "stringData", data)
}

fn map_of_strings(kind: &str, name: &str, field: &str, data: &[(&str, &str)]) -> String {
    let mut text = format!("apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n{field}:\n");
    for (key, value) in data {
        let _ = writeln!(text, "  {key}: \"{value}\"");
    }
    text
}

/// A ConfigMap with annotations.
pub fn annotated(name: &str, annotations: &[(&str, &str)]) -> String {
    let mut text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations:\n");
    for (key, value) in annotations {
        let _ = writeln!(text, "    {key}: \"{value}\"");
    }
    text.push_str("data: {kept: \"yes\"}\n");
    text
}

/// A Deployment of one container `web`, with an environment variable to change.
pub fn deployment(name: &str, replicas: u32, colour: &str) -> String {
    format!(
        r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
        - name: web
          image: registry.example/web:1
          ports: [{{containerPort: 80}}]
          env: [{{name: COLOUR, value: "{colour}"}}]
"#
    )
}

/// A Service.
pub fn service(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  selector: {{app: {name}}}\n  ports: [{{port: 80}}]\n"
    )
}

/// The definition of a namespaced kind that takes everything.
pub fn definition(kind: &str, plural: &str, group: &str) -> String {
    let singular = kind.to_lowercase();
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: {kind}, listKind: {kind}List, plural: {plural}, singular: {singular}}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"
    )
}

/// A ClusterRole; its rules are YAML, indented by two.
pub fn cluster_role(name: &str, rules: &str) -> String {
    format!(
        "---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {name}}}
rules:
{rules}
"
    )
}

/// The binding of a ClusterRole to the group `operators`, everywhere.
pub fn bound(role: &str) -> String {
    binding("ClusterRoleBinding", &format!("{{name: {role}}}"), "ClusterRole", role)
}

/// The binding of a Role or ClusterRole to the group `operators` in one namespace.
pub fn bound_in(namespace: &str, kind: &str, role: &str) -> String {
    binding("RoleBinding", &format!("{{name: {role}, namespace: {namespace}}}"), kind, role)
}

fn binding(kind: &str, metadata: &str, role_kind: &str, role: &str) -> String {
    format!(
        "---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata: {metadata}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {role_kind}, name: {role}}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: operators}}]
"
    )
}
