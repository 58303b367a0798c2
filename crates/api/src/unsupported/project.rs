//! What a project may say that is not honoured.
//!
//! Entry point: [`project_unsupported`].

use super::{Row, Unsupported, apply};
use crate::project_spec::AppProjectSpec;

/// Fields of a project.
const PROJECT: &[Row<AppProjectSpec>] = &[
    Row {
        field: "spec.signatureKeys",
        stops: true,
        message: "signatures are not verified yet: remove the keys, or leave the project's Applications to Argo CD",
        found: |spec| !spec.signature_keys.is_empty(),
    },
    Row {
        field: "spec.sourceIntegrity",
        stops: true,
        message: "signatures are not verified yet: remove the field, or leave the project's Applications to Argo CD",
        found: |spec| spec.source_integrity.is_some(),
    },
    Row {
        field: "spec.permitOnlyProjectScopedClusters",
        stops: true,
        message: "clusters of a project are not known yet: remove the field, and name the clusters in spec.destinations",
        found: |spec| spec.permit_only_project_scoped_clusters,
    },
];

/// What of a project is not honoured.
pub(crate) fn project_unsupported(spec: &AppProjectSpec) -> Vec<Unsupported> {
    apply(PROJECT, spec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unsupported::examples::{check, read};

    #[test]
    fn every_row_of_projects() {
        let examples = [
            ("spec.signatureKeys", r#"{"signatureKeys": [{"keyID": "A"}]}"#),
            ("spec.sourceIntegrity", r#"{"sourceIntegrity": {"git": {"policies": []}}}"#),
            ("spec.permitOnlyProjectScopedClusters", r#"{"permitOnlyProjectScopedClusters": true}"#),
        ];
        check(PROJECT, &examples, |spec| project_unsupported(&read(spec)));
        let plain = r#"{"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}], "roles": [{"name": "r"}], "signatureKeys": [], "sourceNamespaces": ["a"], "syncWindows": [{"kind": "deny", "schedule": "* * * * *", "duration": "1h"}], "destinationServiceAccounts": [{"server": "*", "defaultServiceAccount": "a"}], "orphanedResources": {"warn": true}}"#;
        assert_eq!(project_unsupported(&read(plain)), []);
    }
}
