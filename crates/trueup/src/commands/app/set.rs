//! `trueup app set`.

use clap::Args;
use clap_complete::ArgValueCompleter;
use serde_json::{Value, json};
use trueup_api::annotations::TRACKING_ID;
use trueup_object::Node;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, internal_error_with_message, user_error};
use crate::commands::app::checks::{self, Rules};
use crate::commands::app::client::Client;
use crate::commands::app::patch::metadata;
use crate::commands::app::spec_args::SpecArgs;
use crate::commands::app::view::View;
use crate::complete;
use crate::output::talk;

pub(crate) const ABOUT: &str = "\
Changes what is named of an Application, in Argo CD's words; all else stays. An Application that Git or an ApplicationSet manages \
is set back from there: change it there instead.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app set shop-dev --revision v1.4.2
  trueup app set shop-dev --sync-policy automated --auto-prune --self-heal
  trueup app set shop-dev --sync-policy none
  trueup app set shop-dev --sync-option CreateNamespace=true --sync-option '!Validate'
  trueup app set shop-dev --helm-set image.tag=1.4.2 --values values-prod.yaml
  trueup app set shop-dev --kustomize-image web=registry.example.com/web:1.4.2
  trueup app set shop-dev --source-position 2 --revision v1.4.2
  trueup app set shop-dev --label team=shop";

/// What `automated` says beside itself, and the flags of it.
const AUTOMATED: [(&str, &str); 3] =
    [("prune", "--auto-prune"), ("selfHeal", "--self-heal"), ("allowEmpty", "--allow-empty")];

/// The arguments of `trueup app set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Refuse what the project does not permit.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    validate: bool,
    /// Which of several sources the flags of a source are of; the first is 1.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    source_position: Option<u16>,
    // Last, because what follows would stand under its heading.
    #[command(flatten)]
    spec: SpecArgs,
}

/// Changes the Application.
pub(crate) async fn run(args: &SetArgs) -> Result<Outcome, CommandError> {
    if args.spec.is_empty() && args.source_position.is_none() {
        return Err(user_error("nothing to set is named").hinted("see what can be: trueup app set --help"));
    }
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let app = client.get(&name).await?;
    let checked = checks::valid(&changed(View(&app), (&args.spec, args.source_position))?)?;
    let rules = if args.validate { Some(Rules::of(&client, View(&app), &checked.project).await?) } else { None };
    if let Some(manager) = manager(View(&app)) {
        talk::warning(&format!("{} is managed by {manager}, which may undo this", View(&app).qualified_name()));
    }
    let (mut words, mut lost) = ("", None);
    let app = client
        .patch(&name, |app| {
            let patch = request(app, (&args.spec, args.source_position), rules.as_ref())?;
            lost = switched_off(app, &patch);
            words = if patch.is_empty() { "is so already" } else { "changed" };
            Ok(patch)
        })
        .await?;
    talk::note(&format!("{}: {words}", View(&app).qualified_name()));
    lost.as_deref().into_iter().for_each(talk::note);
    Ok(Outcome::Done)
}

/// What an Application that ceases to sync by itself forgets, and how that is had back.
fn switched_off(before: View<'_>, patch: &[Value]) -> Option<String> {
    let spec = &patch.iter().find(|operation| operation["path"] == "/spec")?["value"];
    if !spec["syncPolicy"]["automated"].is_null() {
        return None;
    }
    let automated = before.0.at(&["spec", "syncPolicy", "automated"])?;
    let on = |field: &str| automated.get(field).and_then(Node::as_bool) == Some(true);
    let (fields, flags): (Vec<&str>, Vec<&str>) = AUTOMATED.into_iter().filter(|(field, _)| on(field)).unzip();
    (!fields.is_empty()).then(|| {
        format!(
            "{} went with it; all of it back: trueup app set {} --sync-policy automated {}",
            fields.join(" and "),
            before.qualified_name(),
            flags.join(" ")
        )
    })
}

/// The whole Application as it would be.
fn changed(app: View<'_>, (args, position): (&SpecArgs, Option<u16>)) -> Result<Node, CommandError> {
    let mut spec = json!(app.0.get("spec"));
    args.apply(&mut spec, position)?;
    let spec = Node::from_json(spec.to_string().as_bytes())
        .map_err(|error| internal_error_with_message("cannot read the changed specification", error))?;
    let mut app = app.0.clone();
    app.set_at(&["spec"], spec);
    Ok(app)
}

/// The patch of what is otherwise by now, if the Application is valid and permitted with it: somebody else may have changed it
/// since the first look.
fn request(app: View<'_>, named: (&SpecArgs, Option<u16>), rules: Option<&Rules>) -> Result<Vec<Value>, CommandError> {
    let (args, _) = named;
    let changed = changed(app, named)?;
    let checked = checks::read(&changed)?;
    if let Some(rules) = rules {
        rules.permit(app, &checked)?;
    }
    let mut patch = Vec::new();
    let spec = json!(changed.get("spec"));
    if spec != json!(app.0.get("spec")) {
        patch.push(json!({"op": "add", "path": "/spec", "value": spec}));
    }
    patch.extend(metadata(app, args.labels(), args.annotations()));
    Ok(patch)
}

/// Who else writes this Application, as far as it says.
fn manager(app: View<'_>) -> Option<String> {
    let owner = app.0.list_at(&["metadata", "ownerReferences"]).first();
    if let Some(owner) = owner {
        let text = |key: &str| owner.str_at(&[key]).unwrap_or_default();
        return Some(format!("{} '{}'", text("kind"), text("name")));
    }
    let parent = app.annotation(TRACKING_ID)?.split(':').next()?;
    Some(format!("application '{parent}', and so by Git"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use trueup_api::Project;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SpecArgs,
    }

    fn node(json: &str) -> Node {
        Node::from_json(json.as_bytes()).unwrap()
    }

    fn patch(app: &str, line: &str, rules: Option<&Rules>) -> Result<Value, CommandError> {
        let args = Line::parse_from(std::iter::once("set").chain(line.split(' '))).args;
        request(View(&node(app)), (&args, None), rules).map(Value::Array)
    }

    const APP: &str = r#"{"metadata":{"name":"a","namespace":"team-a","labels":{"a":"1"}},"spec":{"project":"x",
        "source":{"repoURL":"https://git/a","path":"p"},"destination":{"name":"in-cluster","namespace":"n"}}}"#;

    #[test]
    fn only_what_differs_is_written() {
        let patch = |line: &str| patch(APP, line, None).unwrap();
        assert_eq!(patch("--path p --label a=1"), json!([]));
        let mut spec = json!(node(APP).get("spec"));
        spec["source"]["path"] = json!("q");
        let spec = json!({"op": "add", "path": "/spec", "value": spec});
        let label = json!({"op": "add", "path": "/metadata/labels/b~1c", "value": "2"});
        assert_eq!(patch("--path q --label b/c=2"), json!([spec, label]));
        let annotations = json!({"op": "add", "path": "/metadata/annotations", "value": {"n": "v"}});
        assert_eq!(patch("--annotations n=v"), json!([annotations]));
    }

    #[test]
    fn what_it_is_by_now_is_judged() {
        let project = |spec: &str| Project::read(format!(r#"{{"metadata":{{"name":"x"}},"spec":{spec}}}"#).as_bytes());
        let rules = |spec: &str| Rules { project: project(spec).unwrap(), controller_namespace: "argocd".to_owned() };
        let all = r#""sourceRepos":["*"],"destinations":[{"server":"*","namespace":"*"}]"#;
        let said = |app: &str, rules: &Rules| patch(app, "--path q", Some(rules)).unwrap_err().error.to_string();
        let taking = rules(&format!(r#"{{"sourceNamespaces":["team-*"],{all}}}"#));
        assert!(patch(APP, "--path q", Some(&taking)).is_ok());
        assert!(said(APP, &rules(&format!("{{{all}}}"))).contains("add it to sourceNamespaces"));
        let moved = APP.replace(r#""project":"x""#, r#""project":"y""#);
        assert!(said(&moved, &taking).contains("team-a/a was moved to project 'y' meanwhile"));
        let broken = APP.replace("https://git/a", "");
        assert!(said(&broken, &taking).contains("the specification is not valid"));
    }

    #[test]
    fn what_goes_with_automated_sync_is_told() {
        let said = |automated: Value, line: &str| {
            let mut app: Value = serde_json::from_str(APP).unwrap();
            app["spec"]["syncPolicy"] = json!({"automated": automated, "retry": {"limit": 1}});
            let patch = patch(&app.to_string(), line, None).unwrap();
            switched_off(View(&node(&app.to_string())), patch.as_array().unwrap())
        };
        let both = json!({"prune": true, "selfHeal": true, "allowEmpty": false});
        assert_eq!(
            said(both.clone(), "--sync-policy none").as_deref(),
            Some(
                "prune and selfHeal went with it; all of it back: trueup app set team-a/a --sync-policy automated --auto-prune --self-heal"
            )
        );
        assert_eq!(said(both.clone(), "--path q"), None);
        assert_eq!(said(both, "--label x=y"), None);
        assert_eq!(said(json!({}), "--sync-policy none"), None);
    }

    #[test]
    fn who_manages_it_is_named() {
        let by = |metadata: &str| manager(View(&node(&format!(r#"{{"metadata":{metadata}}}"#))));
        assert_eq!(by("{}"), None);
        let set = r#"{"ownerReferences":[{"kind":"ApplicationSet","name":"all"}]}"#;
        assert_eq!(by(set).as_deref(), Some("ApplicationSet 'all'"));
        let child = format!(r#"{{"annotations":{{"{TRACKING_ID}":"apps:argoproj.io/Application:argocd/web"}}}}"#);
        assert_eq!(by(&child).as_deref(), Some("application 'apps', and so by Git"));
    }
}
