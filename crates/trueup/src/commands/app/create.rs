//! `trueup app create`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use trueup_api::annotations::{REFRESH, RESOURCES_FINALIZER, TRACKING_ID};
use trueup_api::{DEFAULT_PROJECT, crd};
use trueup_cluster::ClusterError;
use trueup_object::{Node, yaml};

use crate::access::{self, AccessArgs, DEFAULT_NAMESPACE};
use crate::command_error::{CommandError, Outcome, internal_error_with_message, user_error, user_error_with_message};
use crate::commands::app::checks::{self, Rules};
use crate::commands::app::client::{self, Client};
use crate::commands::app::patch::metadata;
use crate::commands::app::spec_args::SpecArgs;
use crate::commands::app::view::{self, View};
use crate::input;
use crate::output::{DataFormat, Output, talk};

pub(crate) const ABOUT: &str = "\
Creates an Application from flags in Argo CD's words, from a file, or from both: flags win. --namespace is where the \
controller and the project are; an Application that is to be elsewhere is NAMESPACE/NAME, or its file says so. What exists is only changed with --upsert. Specification, project and, on the API server, every field are checked before anything is written; whether the \
repository can be reached is told by the controller, in the Application's conditions.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app create shop-dev --repo https://git.example.com/shop.git \\
      --path environments/dev --revision main --dest-name in-cluster --dest-namespace shop-dev \\
      --sync-policy automated --auto-prune
  trueup app create cache --repo https://charts.example.com --helm-chart redis --revision 1.x \\
      --helm-set replicas=3 --dest-name in-cluster --dest-namespace cache
  trueup app create -f shop-dev.yaml --upsert
  trueup app create -f shop-dev.yaml --path environments/test --dry-run -o yaml
  trueup app get shop-dev -o yaml | trueup app create shop-test -f - --dest-namespace shop-test";

/// Bytes of a file that are read: more than the API server takes of one object.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
const FINALIZERS: &[&str] = &["metadata", "finalizers"];
/// What of an Application that was read from a cluster does not belong to a new one.
const NOT_NEW: [&[&str]; 12] = [
    &["status"],
    &["operation"],
    &["metadata", "uid"],
    &["metadata", "resourceVersion"],
    &["metadata", "creationTimestamp"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "ownerReferences"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"],
    &["metadata", "annotations", REFRESH],
    &["metadata", "annotations", TRACKING_ID],
];

/// The arguments of `trueup app create`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct CreateArgs {
    /// The Application, as NAME or NAMESPACE/NAME; that of the file, if not given.
    name: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// An Application to begin with, in YAML or JSON; - is stdin.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Delete the objects of the Application when it is deleted, whoever does that.
    #[arg(long)]
    set_finalizer: bool,
    /// Change the Application if there is one that is not the same.
    #[arg(long)]
    upsert: bool,
    /// Refuse what the project does not permit.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    validate: bool,
    /// Write nothing; the API server says what would come of it.
    #[arg(long)]
    dry_run: bool,
    /// Print the Application.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<DataFormat>,
    // Last, because what follows would stand under its heading.
    #[command(flatten)]
    spec: SpecArgs,
}

/// Creates the Application.
pub(crate) async fn run(args: &CreateArgs) -> Result<Outcome, CommandError> {
    let start = args.file.as_deref().map(read).transpose()?;
    let app = build(args, start)?;
    let view = View(&app);
    let checked = checks::valid(&app)?;
    let client = Client::connect_in(&args.access, view.text(&["metadata", "namespace"])).await?;
    if args.validate {
        Rules::of(&client, view, &checked.project).await?.permit(view, &checked)?;
    }
    let (words, mut made) = write(&client, &app, args).await?;
    if args.dry_run {
        // What the API server made up for it belongs to nobody: the rest can be put into Git.
        for field in NOT_NEW {
            made.remove_at(field);
        }
    }
    let mut output = Output::stdout();
    if let Some(format) = args.output {
        output.data(&view::printable(&made), format)?;
    }
    output.finish()?;
    if args.output.is_some() {
        view::left_out(&made).into_iter().for_each(talk::note);
    }
    talk::note(&format!("{}: {words}", view.qualified_name()));
    Ok(Outcome::Done)
}

async fn write(client: &Client, app: &Node, args: &CreateArgs) -> Result<(&'static str, Node), CommandError> {
    let name = View(app).name();
    match client.cluster().create_raw(client.kind(), app, args.dry_run).await {
        Ok(text) => Ok((if args.dry_run { "would be created" } else { "created" }, client.read(&text)?)),
        Err(ClusterError::AlreadyExists) => {
            let there = client.get(name).await?;
            let patch = replace(View(&there), app);
            if patch.is_empty() {
                return Ok(("is there already, and the same", there));
            }
            if !args.upsert {
                let qualified = View(app).qualified_name();
                return Err(user_error(format!("{qualified} is there already, and is not the same"))
                    .hinted(format!("change it: --upsert, or trueup app set {qualified}")));
            }
            let changed = client.patch_as(name, args.dry_run, |there| Ok(replace(there, app))).await?;
            Ok((if args.dry_run { "would be changed" } else { "changed" }, changed))
        }
        Err(error) => Err(access::explained("cannot create the Application", error)),
    }
}

/// The Application that flags and file describe.
fn build(args: &CreateArgs, start: Option<Node>) -> Result<Node, CommandError> {
    let mut app = start.unwrap_or_else(Node::map);
    for field in NOT_NEW {
        app.remove_at(field);
    }
    let own = |key: &str| View(&app).text(&["metadata", key]).to_owned();
    let (own_name, own_namespace) = (own("name"), own("namespace"));
    let text = args.name.as_deref().unwrap_or(&own_name);
    if text.is_empty() {
        return Err(user_error("the Application has no name").hinted("give one before the flags, or in the file"));
    }
    let default = view::or(&own_namespace, &args.access.namespace);
    let (namespace, name) = client::named(default, text)?;
    // The namespace that is named may be the controller's, or be meant for the Application.
    let other = args.access.namespace != DEFAULT_NAMESPACE && args.access.namespace != namespace;
    if other && !text.contains('/') {
        let (own, named) = (&own_namespace, &args.access.namespace);
        return Err(user_error(format!("the file says namespace '{own}', the command line says '{named}'"))
            .hinted(format!("say where the Application is to be: {own}/{name} or {named}/{name}")));
    }
    app.set_at(&["apiVersion"], Node::string(format!("{}/{}", crd::GROUP, crd::VERSION)));
    app.set_at(&["kind"], "Application".into());
    app.set_at(&["metadata", "name"], name.into());
    app.set_at(&["metadata", "namespace"], namespace.into());
    for (key, value) in args.spec.labels() {
        app.set_at(&["metadata", "labels", key], value.into());
    }
    for (key, value) in args.spec.annotations() {
        app.set_at(&["metadata", "annotations", key], value.into());
    }
    if args.set_finalizer {
        let mut finalizers = app.list_at(FINALIZERS).to_vec();
        if !finalizers.iter().any(|finalizer| finalizer.as_str() == Some(RESOURCES_FINALIZER)) {
            finalizers.push(RESOURCES_FINALIZER.into());
        }
        app.set_at(FINALIZERS, Node::List(finalizers));
    }
    let mut spec = app.get("spec").map_or_else(|| json!({}), |spec| json!(spec));
    args.spec.apply(&mut spec, None)?;
    if spec["project"].as_str().unwrap_or_default().is_empty() {
        spec["project"] = json!(DEFAULT_PROJECT);
    }
    let spec = Node::from_json(spec.to_string().as_bytes())
        .map_err(|error| internal_error_with_message("cannot read the specification", error))?;
    app.set_at(&["spec"], spec);
    Ok(app)
}

/// The patch that takes an Application that is there to the one that is wanted: its specification, and labels, annotations and
/// finalizers besides those that it has.
fn replace(there: View<'_>, wanted: &Node) -> Vec<Value> {
    let mut patch = Vec::new();
    if there.0.get("spec") != wanted.get("spec") {
        patch.push(json!({"op": "add", "path": "/spec", "value": wanted.get("spec")}));
    }
    patch.extend(metadata(there, texts(wanted, "labels"), texts(wanted, "annotations")));
    let mut finalizers = there.0.list_at(FINALIZERS).to_vec();
    let before = finalizers.len();
    for finalizer in wanted.list_at(FINALIZERS) {
        if !finalizers.contains(finalizer) {
            finalizers.push(finalizer.clone());
        }
    }
    if finalizers.len() > before {
        patch.push(json!({"op": "add", "path": "/metadata/finalizers", "value": finalizers}));
    }
    patch
}

/// The entries of `metadata.labels` or `metadata.annotations`.
fn texts<'a>(app: &'a Node, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let all = app.at(&["metadata", field]).and_then(Node::as_map).into_iter().flat_map(trueup_object::Map::iter);
    all.filter_map(|(key, value)| Some((key, value.as_str()?)))
}

/// Reads the one Application of a file.
pub(crate) fn read(path: &Path) -> Result<Node, CommandError> {
    let (name, text) = input::read(path, FILE_BYTES_MAX)?;
    one(&name, &text)
}

fn one(name: &str, text: &[u8]) -> Result<Node, CommandError> {
    let documents = yaml::documents(text)
        .map_err(|error| user_error_with_message(format!("{name} cannot be read as YAML"), error))?;
    let [document] = documents.as_slice() else {
        return Err(user_error(format!("{name} has {} documents, where one Application is needed", documents.len()))
            .hinted("apply several: kubectl apply -f"));
    };
    let kind = document.node.str_at(&["kind"]).unwrap_or_default();
    let group =
        document.node.str_at(&["apiVersion"]).and_then(|version| version.split_once('/')).map(|(group, _)| group);
    if kind != "Application" || group != Some(crd::GROUP) {
        return Err(user_error(format!(
            "{name} is no Application of {}: it is a '{}'",
            crd::GROUP,
            view::or(kind, "?")
        )));
    }
    Ok(document.node.clone())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: CreateArgs,
    }

    fn built(line: &str, start: Option<&str>) -> Result<Node, CommandError> {
        let args = Line::try_parse_from(std::iter::once("create").chain(line.split_whitespace())).unwrap().args;
        build(&args, start.map(|text| one("x", text.as_bytes()).unwrap()))
    }

    const FILE: &str = "apiVersion: argoproj.io/v1alpha1\nkind: Application\n\
        metadata: {name: web, namespace: team-a, uid: u, annotations: {argocd.argoproj.io/tracking-id: a, b: c}}\n\
        spec:\n  project: team\n  source: {repoURL: http://git/a, path: dev}\nstatus: {sync: {}}\n";

    #[test]
    fn an_application_comes_from_flags() {
        let app =
            built("web -n team --repo http://git/a --path dev --dest-name in-cluster -l a=b --set-finalizer", None);
        let expected = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "web", "namespace": "team", "labels": {"a": "b"}, "finalizers": [RESOURCES_FINALIZER]},
            "spec": {"source": {"repoURL": "http://git/a", "path": "dev"}, "destination": {"name": "in-cluster"}, "project": "default"},
        });
        assert_eq!(json!(app.unwrap()), expected);
    }

    #[test]
    fn flags_win_over_the_file() {
        let app = built("-f x --path prod", Some(FILE)).unwrap();
        let view = View(&app);
        assert_eq!((view.qualified_name().as_str(), view.project()), ("team-a/web", "team"));
        assert_eq!(view.text(&["spec", "source", "path"]), "prod");
        assert_eq!(view.text(&["spec", "source", "repoURL"]), "http://git/a");
        assert!(app.get("status").is_none() && view.text(&["metadata", "uid"]).is_empty());
        assert_eq!((view.annotation(TRACKING_ID), view.annotation("b")), (None, Some("c")));
        let named = built("team-b/api -f x", Some(FILE)).unwrap();
        assert_eq!(View(&named).qualified_name(), "team-b/api");
    }

    #[test]
    fn two_namespaces_are_a_question() {
        let error = built("-f x -n staging", Some(FILE)).unwrap_err();
        assert_eq!(error.lines().join(" "), "the file says namespace 'team-a', the command line says 'staging'");
        assert!(error.hints[0].contains("team-a/web or staging/web"), "{:?}", error.hints);
        for (line, name) in [("-f x -n team-a", "team-a/web"), ("team-b/web -f x -n staging", "team-b/web")] {
            assert_eq!(View(&built(line, Some(FILE)).unwrap()).qualified_name(), name);
        }
    }

    #[test]
    fn a_file_holds_one_application() {
        let said = |text: &str| one("x", text.as_bytes()).unwrap_err().error.to_string();
        assert!(said(&format!("{FILE}---\n{FILE}")).contains("2 documents"));
        assert!(said("").contains("0 documents"));
        assert!(said("apiVersion: v1\nkind: ConfigMap\n").contains("is a 'ConfigMap'"));
        assert!(said("a: [").contains("cannot be read as YAML"));
    }

    #[test]
    fn an_upsert_takes_the_specification_and_adds_labels() {
        let there = Node::from_json(
            br#"{"metadata":{"labels":{"old":"1","same":"2"}},"spec":{"project":"a"},"status":{"sync":{}}}"#,
        )
        .unwrap();
        let wanted =
            Node::from_json(br#"{"metadata":{"labels":{"same":"2","new":"3"}},"spec":{"project":"b"}}"#).unwrap();
        let patch = replace(View(&there), &wanted);
        assert_eq!(
            Value::Array(patch),
            json!([{"op": "add", "path": "/spec", "value": {"project": "b"}},
                {"op": "add", "path": "/metadata/labels/new", "value": "3"}])
        );
        assert!(replace(View(&there), &there).is_empty());
    }

    #[test]
    fn an_upsert_adds_the_finalizers_that_are_missing() {
        let app = |finalizers: &[&str]| {
            Node::from_json(json!({"metadata": {"finalizers": finalizers}, "spec": {}}).to_string().as_bytes()).unwrap()
        };
        let patch = |there: &[&str], wanted: &[&str]| replace(View(&app(there)), &app(wanted));
        assert_eq!(
            patch(&["other"], &[RESOURCES_FINALIZER]),
            [json!({"op": "add", "path": "/metadata/finalizers", "value": ["other", RESOURCES_FINALIZER]})]
        );
        assert!(patch(&["other", RESOURCES_FINALIZER], &[RESOURCES_FINALIZER]).is_empty());
    }
}
