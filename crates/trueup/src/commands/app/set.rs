//! `trueup app set`.

use clap::Args;
use clap_complete::ArgValueCompleter;
use serde_json::{Value, json};
use trueup_api::annotations::TRACKING_ID;
use trueup_object::Node;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, internal_error_with_message, user_error};
use crate::commands::app::checks;
use crate::commands::app::client::Client;
use crate::commands::app::patch::metadata;
use crate::commands::app::spec_args::SpecArgs;
use crate::commands::app::view::{self, View};
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
  trueup app set shop-dev --label team=shop";

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
    // Last, because what follows would stand under its heading.
    #[command(flatten)]
    spec: SpecArgs,
}

/// Changes the Application.
pub(crate) async fn run(args: &SetArgs) -> Result<Outcome, CommandError> {
    if args.spec.is_empty() {
        return Err(user_error("nothing to set is named").hinted("see what can be: trueup app set --help"));
    }
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let app = client.get(&name).await?;
    let controller_namespace = view::or(View(&app).text(&["status", "controllerNamespace"]), client.namespace());
    let checked = checks::valid(&changed(&app, &args.spec)?)?;
    if args.validate {
        checks::permitted(&client, controller_namespace, &checked).await?;
    }
    if let Some(manager) = manager(View(&app)) {
        talk::warning(&format!("{} is managed by {manager}, which may undo this", View(&app).qualified_name()));
    }
    let mut words = "";
    let app = client
        .patch(&name, |app| {
            let patch = request(app, &args.spec)?;
            words = if patch.is_empty() { "is so already" } else { "changed" };
            Ok(patch)
        })
        .await?;
    talk::note(&format!("{}: {words}", View(&app).qualified_name()));
    Ok(Outcome::Done)
}

/// The whole Application as it would be.
fn changed(app: &Node, args: &SpecArgs) -> Result<Node, CommandError> {
    let mut app = app.clone();
    let spec = spec(View(&app), args)?;
    let spec = Node::from_json(spec.to_string().as_bytes())
        .map_err(|error| internal_error_with_message("cannot read the changed specification", error))?;
    app.set_at(&["spec"], spec);
    Ok(app)
}

/// The specification as it would be.
fn spec(app: View<'_>, args: &SpecArgs) -> Result<Value, CommandError> {
    let mut spec = json!(app.0.get("spec"));
    args.apply(&mut spec)?;
    Ok(spec)
}

/// The patch of what is otherwise by now.
fn request(app: View<'_>, args: &SpecArgs) -> Result<Vec<Value>, CommandError> {
    let mut patch = Vec::new();
    let spec = spec(app, args)?;
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

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SpecArgs,
    }

    fn node(json: &str) -> Node {
        Node::from_json(json.as_bytes()).unwrap()
    }

    fn patch(app: &str, line: &str) -> Value {
        let args = Line::parse_from(std::iter::once("set").chain(line.split(' '))).args;
        Value::Array(request(View(&node(app)), &args).unwrap())
    }

    #[test]
    fn only_what_differs_is_written() {
        let app = r#"{"metadata":{"labels":{"a":"1"}},"spec":{"project":"x","source":{"path":"p"}}}"#;
        assert_eq!(patch(app, "--path p --label a=1"), json!([]));
        let spec = json!({"op": "add", "path": "/spec", "value": {"project": "x", "source": {"path": "q"}}});
        let label = json!({"op": "add", "path": "/metadata/labels/b~1c", "value": "2"});
        assert_eq!(patch(app, "--path q --label b/c=2"), json!([spec, label]));
        let annotations = json!({"op": "add", "path": "/metadata/annotations", "value": {"n": "v"}});
        assert_eq!(patch(app, "--annotations n=v"), json!([annotations]));
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
