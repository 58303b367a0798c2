//! What the project of an application gives reason to say of it. Entry point: [`notices`].

use trueup_api::{Application, DEFAULT_PROJECT, Project, condition};

use crate::impersonation::{ENABLED, Setting};
use crate::observe::{Notice, View};
use crate::world::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER, World};
use crate::{orphans, windows};

/// Kinds by which whoever may write them in the controller's own namespace takes over what it may do: what Applications and
/// projects say, the settings and logins, and what runs as the controller.
const POWERFUL: [(&str, &str); 14] = [
    ("argoproj.io", "AppProject"),
    ("argoproj.io", "Application"),
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "Pod"),
    ("", "ReplicationController"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
];

/// How many wrong windows are told: each says enough, and a status is to have room for the rest.
const WRONG_MAX: usize = 5;

/// What there is to say.
pub(crate) fn notices(world: &World, application: &Application, view: &View) -> Vec<Notice> {
    let project = &*view.project;
    let wrong: Vec<String> = windows::of(&application.meta, &view.spec, project).wrong().collect();
    let warnings = wrong_windows(&project.name, &wrong)
        .into_iter()
        .chain(ignored_accounts(world.impersonation.get(), project))
        .chain(writes_to_our_own(&world.namespace, project));
    let warnings = warnings.map(|message| Notice { kind: condition::COMPARISON_WARNING, message });
    warnings.chain(orphans::notice(world, application, view)).collect()
}

/// The windows that are wrong, each with its reason, and how many more there are.
fn wrong_windows(project: &str, wrong: &[String]) -> Vec<String> {
    let told = |what: &str| format!("spec.syncWindows of project '{project}': {what}");
    let mut named: Vec<String> = wrong.iter().take(WRONG_MAX).map(|wrong| told(wrong)).collect();
    if wrong.len() > WRONG_MAX {
        named.push(told(&format!("{} more windows are wrong", wrong.len() - WRONG_MAX)));
    }
    named
}

/// That accounts are named which nobody impersonates.
fn ignored_accounts(setting: Setting, project: &Project) -> Option<String> {
    (setting == Setting::Off && project.names_service_accounts()).then(|| {
        format!(
            "spec.destinationServiceAccounts of project '{}' is not used: objects are written with the controller's own permissions unless {ENABLED} is \"true\" in argocd-cm",
            project.name
        )
    })
}

/// That a project lets its Applications write where the controller itself lives. Of `default`, which begins by allowing
/// everything, it is known.
fn writes_to_our_own(namespace: &str, project: &Project) -> Option<String> {
    let may_write = project.name != DEFAULT_PROJECT
        && project.permits_destination(IN_CLUSTER_SERVER, IN_CLUSTER_NAME, namespace)
        && POWERFUL.iter().any(|(group, kind)| project.permits_kind(group, kind, "", true));
    may_write.then(|| {
        format!(
            "project '{}' may write to namespace '{namespace}', where the controller lives: its Applications can change what every project allows; forbid it with a destination whose namespace is '!{namespace}'",
            project.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str, spec: &str) -> Project {
        Project::read(format!(r#"{{"metadata": {{"name": "{name}"}}, "spec": {spec}}}"#).as_bytes()).unwrap()
    }

    #[test]
    fn a_project_that_may_write_to_our_own_namespace_is_told_of() {
        for (name, spec, told) in [
            ("team", r#"{"destinations": [{"server": "*", "namespace": "*"}]}"#, true),
            ("team", r#"{"destinations": [{"name": "in-cluster", "namespace": "argocd"}]}"#, true),
            ("team", r#"{"destinations": [{"server": "*", "namespace": "team-*"}]}"#, false),
            (
                "team",
                r#"{"destinations": [{"server": "*", "namespace": "*"}, {"server": "*", "namespace": "!argocd"}]}"#,
                false,
            ),
            ("team", r#"{"destinations": [{"server": "https://other", "namespace": "*"}]}"#, false),
            (
                "team",
                r#"{"destinations": [{"server": "*", "namespace": "*"}], "namespaceResourceWhitelist": [{"group": "networking.k8s.io", "kind": "Ingress"}]}"#,
                false,
            ),
            // Whatever makes Pods runs as the controller.
            (
                "team",
                r#"{"destinations": [{"server": "*", "namespace": "*"}], "namespaceResourceWhitelist": [{"group": "apps", "kind": "DaemonSet"}]}"#,
                true,
            ),
            ("default", r#"{"destinations": [{"server": "*", "namespace": "*"}]}"#, false),
        ] {
            let said = writes_to_our_own("argocd", &project(name, spec));
            assert_eq!(said.is_some(), told, "{name} {spec}");
            assert!(said.is_none_or(|said| said.contains("'!argocd'")));
        }
    }

    #[test]
    fn some_wrong_windows_are_told_and_the_rest_counted() {
        let wrong = |count: usize| (0..count).map(|at| format!("w{at}")).collect::<Vec<_>>();
        assert_eq!(wrong_windows("team", &wrong(1)), ["spec.syncWindows of project 'team': w0"]);
        let many = wrong_windows("team", &wrong(WRONG_MAX + 2));
        assert_eq!(many.len(), WRONG_MAX + 1);
        assert!(many[WRONG_MAX].ends_with(": 2 more windows are wrong"), "{many:?}");
    }

    #[test]
    fn accounts_that_nobody_impersonates_are_told() {
        let names =
            project("team", r#"{"destinationServiceAccounts": [{"server": "*", "defaultServiceAccount": "a"}]}"#);
        assert!(ignored_accounts(Setting::Off, &names).is_some());
        assert!(
            ignored_accounts(Setting::Enforced, &names).is_none()
                && ignored_accounts(Setting::Lenient, &names).is_none()
        );
        assert!(ignored_accounts(Setting::Off, &project("team", "{}")).is_none());
    }
}
