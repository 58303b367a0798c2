//! `trueup app resources`.

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use trueup_object::Node;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome};
use crate::commands::app::client::Client;
use crate::commands::app::get::resources;
use crate::commands::app::view::{self, View};
use crate::complete;
use crate::output::{DataFormat, Output, talk};

pub(crate) const ABOUT: &str = "\
Lists the objects of an Application with their sync status and health, as the controller saw them last. Objects that they make in \
their turn, as the Pods of a Deployment, are not among them.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app resources shop-dev
  trueup app resources shop-dev -o name
  trueup app resources shop-dev -o json | jq '.[] | select(.status != \"Synced\")'";

/// The arguments of `trueup app resources`.
#[derive(Debug, Args)]
pub(crate) struct ResourcesArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    /// How to print the list.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: ResourcesFormat,
}

/// How objects are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ResourcesFormat {
    /// A table.
    Table,
    /// Kind and name alone, one a line, as kubectl prints them.
    Name,
    /// A JSON array of what the status says of each.
    Json,
    /// A YAML list of what the status says of each.
    Yaml,
}

/// Prints the objects.
pub(crate) async fn run(args: &ResourcesArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let app = client.get(&name).await?;
    let all = app.list_at(&["status", "resources"]);
    let mut output = Output::stdout();
    match args.output {
        ResourcesFormat::Table if all.is_empty() => {
            talk::note(&format!("no objects of {} are known", View(&app).qualified_name()));
        }
        ResourcesFormat::Table => {
            let text = resources(View(&app)).print(output.palette);
            output.text(&text)?;
        }
        ResourcesFormat::Name => {
            for entry in all {
                output.line(&view::object_name(&view::key(entry)))?;
            }
        }
        ResourcesFormat::Json => output.data(&Node::List(all.to_vec()), DataFormat::Json)?,
        ResourcesFormat::Yaml => output.yaml(&Node::List(all.to_vec()))?,
    }
    output.finish()?;
    Ok(Outcome::Done)
}
