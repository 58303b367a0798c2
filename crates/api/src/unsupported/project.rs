//! What a project may say that is not honoured.
//!
//! Entry point: [`project_unsupported`].

use super::{Row, Unsupported, apply};
use crate::project_integrity::is_honoured;
use crate::project_spec::AppProjectSpec;

/// Fields of a project.
const PROJECT: &[Row<AppProjectSpec>] = &[
    Row {
        field: "spec.signatureKeys",
        stops: true,
        message: "they cannot be used together with spec.sourceIntegrity: move the keys there, or remove it",
        found: |spec| !spec.signature_keys.is_empty() && spec.source_integrity.is_some(),
    },
    Row {
        field: "spec.sourceIntegrity",
        stops: true,
        message: "it has no policies for Git, and others are not known: remove it, or name them in spec.sourceIntegrity.git",
        found: |spec| spec.source_integrity.as_ref().is_some_and(|integrity| integrity.git.is_none()),
    },
    Row {
        field: "spec.sourceIntegrity.git.policies.gpg",
        stops: true,
        message: "only the modes none and head are known, the whole history (strict) is not verified yet: use head, or leave the \
                  project's Applications to Argo CD",
        found: |spec| {
            let git = spec.source_integrity.as_ref().and_then(|integrity| integrity.git.as_ref());
            let mut policies = git.into_iter().flat_map(|git| &git.policies);
            policies.any(|policy| policy.gpg.as_ref().is_none_or(|gpg| !is_honoured(&gpg.mode)))
        },
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
            (
                "spec.signatureKeys",
                r#"{"signatureKeys": [{"keyID": "A"}], "sourceIntegrity": {"git": {"policies": []}}}"#,
            ),
            ("spec.sourceIntegrity", r#"{"sourceIntegrity": {}}"#),
            (
                "spec.sourceIntegrity.git.policies.gpg",
                r#"{"sourceIntegrity": {"git": {"policies": [{"repos": [{"url": "*"}], "gpg": {"mode": "strict", "keys": []}}]}}}"#,
            ),
            ("spec.permitOnlyProjectScopedClusters", r#"{"permitOnlyProjectScopedClusters": true}"#),
        ];
        check(PROJECT, &examples, |spec| project_unsupported(&read(spec)));
        let plain = r#"{"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}], "roles": [{"name": "r"}], "signatureKeys": [], "sourceNamespaces": ["a"], "syncWindows": [{"kind": "deny", "schedule": "* * * * *", "duration": "1h"}], "destinationServiceAccounts": [{"server": "*", "defaultServiceAccount": "a"}], "orphanedResources": {"warn": true}}"#;
        assert_eq!(project_unsupported(&read(plain)), []);
        for honoured in [
            r#"{"signatureKeys": [{"keyID": "A"}]}"#,
            r#"{"sourceIntegrity": {"git": {"policies": [{"repos": [{"url": "*"}], "gpg": {"mode": "head", "keys": ["A"]}}]}}}"#,
            r#"{"sourceIntegrity": {"git": {"policies": [{"repos": [{"url": "*"}], "gpg": {"mode": "none", "keys": []}}]}}}"#,
        ] {
            assert_eq!(project_unsupported(&read(honoured)), [], "{honoured}");
        }
    }
}
