//! What of an Application its project does not permit: the controller syncs none of that. Entry point: [`problems`].

use std::collections::{BTreeSet, HashMap};

use trueup_api::{App, Project, Unsupported};
use trueup_cluster::Kind;
use trueup_object::Gvk;
use trueup_render::Targets;

use crate::commands::app::diff::IN_CLUSTER;
use crate::commands::app::view;

/// How it is said of something that nothing is synced because of it.
const STOPS: &str = "the controller syncs nothing because of it";

/// Where an Application lies, and where it is governed from.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands::app) struct Seat<'a> {
    pub(in crate::commands::app) namespace: &'a str,
    pub(in crate::commands::app) controller_namespace: &'a str,
}

/// What stands against a sync, each in one sentence.
pub(super) fn problems(
    project: &Project,
    app: &App,
    seat: Seat<'_>,
    targets: &Targets,
    kinds: &HashMap<Gvk, Kind>,
) -> Vec<String> {
    let name = &app.project;
    let [server, cluster] = IN_CLUSTER;
    let mut problems = of_application(project, app, seat);
    let mut objects = BTreeSet::new();
    for target in &targets.objects {
        let key = &target.key;
        let namespaced = kinds.get(&target.gvk).map_or(!key.namespace.is_empty(), |kind| kind.namespaced);
        if !project.permits_kind(&key.group, &key.kind, &key.name, namespaced) {
            objects.insert(format!(
                "project '{name}' does not permit {key} (a sync leaves it out): its kind is not allowed"
            ));
        } else if namespaced && !project.permits_destination(server, cluster, &key.namespace) {
            objects.insert(format!(
                "project '{name}' does not permit {key} (a sync leaves it out): its namespace is not allowed"
            ));
        }
    }
    problems.extend(objects);
    problems
}

/// What stands against any sync of the Application, whatever its objects are.
pub(in crate::commands::app) fn of_application(project: &Project, app: &App, seat: Seat<'_>) -> Vec<String> {
    let name = &app.project;
    let (server, cluster) = address(app);
    let mut problems = Vec::new();
    if !project.permits_application_namespace(seat.namespace, seat.controller_namespace) {
        problems.push(format!(
            "project '{name}' does not take Applications of the namespace '{}' ({STOPS}): add it to sourceNamespaces",
            seat.namespace
        ));
    }
    for source in app.sources.iter().filter(|source| !project.permits_source(&source.repo_url)) {
        let url = view::redacted_url(&source.repo_url);
        problems
            .push(format!("project '{name}' does not permit the repository {url} ({STOPS}): add it to sourceRepos"));
    }
    let namespace = &app.destination.namespace;
    if [server, cluster] != IN_CLUSTER {
        let [our_server, our_name] = IN_CLUSTER;
        let which = if cluster.is_empty() { server } else { cluster };
        // What the project says of a cluster that nobody manages helps nobody.
        problems.push(format!(
            "there is no cluster '{which}' ({STOPS}): only the cluster of the controller is managed ({our_server}, or by name {our_name})"
        ));
    } else if !project.permits_destination(server, cluster, namespace) {
        problems.push(format!(
            "project '{name}' does not permit the namespace '{namespace}' of {server} ({STOPS}): add it to destinations"
        ));
    }
    for unsupported in project.unsupported() {
        problems.push(format!("project '{name}': {}", told(unsupported)));
    }
    problems
}

/// The address and the name of the cluster, as far as they can be told without asking.
fn address(app: &App) -> (&str, &str) {
    let destination = &app.destination;
    let [server, name] = IN_CLUSTER;
    if destination.server == server || destination.name == name {
        (server, name)
    } else {
        (&destination.server, &destination.name)
    }
}

/// Something that is not honoured, and what follows from that, once.
pub(in crate::commands::app) fn told(unsupported: &Unsupported) -> String {
    let Unsupported { field, stops, message } = unsupported;
    if *stops {
        format!("{field}: {message} ({STOPS})")
    } else if message.contains("has no effect") {
        format!("{field}: {message}")
    } else {
        format!("{field}: {message} (it has no effect)")
    }
}

#[cfg(test)]
mod tests {
    use trueup_api::Application;
    use trueup_api::source::DirectorySource;
    use trueup_render::render_directory;

    use super::*;
    use crate::commands::app::diff::placed::placed;

    #[test]
    fn what_a_project_forbids_is_named() {
        let application = br#"{"metadata":{"name":"shop","namespace":"argocd"},"spec":{"project":"team",
            "source":{"repoURL":"https://u:hunter2@git.example/a","path":"a"},
            "destination":{"name":"in-cluster","namespace":"shop"}}}"#;
        let application = Application::read(application).unwrap();
        let app = application.spec.as_ref().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let object = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: elsewhere\n";
        std::fs::write(dir.path().join("a.yaml"), object).unwrap();
        let rendered = render_directory(dir.path(), &DirectorySource::default()).unwrap();
        let targets = placed(&rendered, app, "", "shop", &HashMap::new());
        let said = |spec: &str| {
            let text = format!(r#"{{"metadata":{{"name":"team"}},"spec":{spec}}}"#);
            let seat = Seat { namespace: "team-a", controller_namespace: "argocd" };
            problems(&Project::read(text.as_bytes()).unwrap(), app, seat, &targets, &HashMap::new()).join("\n")
        };
        let none = said(r#"{"sourceRepos":[],"destinations":[]}"#);
        for part in [
            "the repository https://git.example/a",
            "the namespace 'shop'",
            "ConfigMap elsewhere/a",
            "Applications of the namespace 'team-a'",
        ] {
            assert!(none.contains(part), "{part}: {none}");
        }
        assert!(!none.contains("hunter2"), "{none}");
        let all =
            r#""sourceNamespaces":["team-*"],"sourceRepos":["*"],"destinations":[{"server":"*","namespace":"*"}]"#;
        assert_eq!(said(&format!("{{{all}}}")), "");
        let kind = said(&format!(r#"{{{all},"namespaceResourceBlacklist":[{{"group":"","kind":"ConfigMap"}}]}}"#));
        assert!(kind.contains("its kind is not allowed"), "{kind}");
        let clusters = said(&format!(r#"{{{all},"permitOnlyProjectScopedClusters":true}}"#));
        assert!(clusters.contains("syncs nothing because of it"), "{clusters}");
    }

    #[test]
    fn that_something_has_no_effect_is_said_once() {
        let said = |stops: bool, message: &str| {
            told(&Unsupported { field: "f".to_owned(), stops, message: message.to_owned() })
        };
        assert_eq!(said(false, "X: has no effect yet"), "f: X: has no effect yet");
        assert_eq!(said(false, "not reported yet"), "f: not reported yet (it has no effect)");
        assert_eq!(said(true, "not run yet"), "f: not run yet (the controller syncs nothing because of it)");
    }
}
