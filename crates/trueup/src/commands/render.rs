//! `trueup render`.

use std::path::PathBuf;

use clap::Args;
use trueup_render::{DirectoryOptions, render_directory};

use crate::command_error::{CommandError, Outcome, user_error_with_message};
use crate::output::{DataFormat, Output, talk};

pub(crate) const ABOUT: &str = "\
Prints the objects that a directory of YAML and JSON files holds, as the controller would read them: files in the order of their \
names, lists taken apart, values as Kubernetes reads them. No cluster is asked, and what the controller adds for an Application \
(namespace, tracking) is not added.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup render environments/dev
  trueup render . --recurse --exclude '{kustomization.yaml,test/*}'
  trueup render environments/dev -o json | jq '.items[].kind'";

/// The arguments of `trueup render`.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// The directory.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Read the directories below it as well.
    #[arg(long)]
    recurse: bool,
    /// Read only files whose path below DIR matches this glob.
    #[arg(long, value_name = "GLOB", default_value = "", hide_default_value = true)]
    include: String,
    /// Leave out files whose path below DIR matches this glob.
    #[arg(long, value_name = "GLOB", default_value = "", hide_default_value = true)]
    exclude: String,
    /// YAML documents, or one JSON list.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "yaml")]
    output: DataFormat,
}

/// Prints the objects.
pub(crate) fn run(args: &RenderArgs) -> Result<Outcome, CommandError> {
    let options =
        DirectoryOptions { recurse: args.recurse, include: args.include.clone(), exclude: args.exclude.clone() };
    let rendered = render_directory(&args.dir, &options)
        .map_err(|error| user_error_with_message(format!("'{}' cannot be rendered", args.dir.display()), error))?;
    for warning in &rendered.warnings {
        talk::warning(warning);
    }
    let mut output = Output::stdout();
    output.objects(rendered.manifests.iter().map(|manifest| manifest.node().clone()), args.output)?;
    output.finish()?;
    if rendered.manifests.is_empty() {
        talk::warning(&format!("there are no objects in '{}'", args.dir.display()));
    }
    Ok(Outcome::Done)
}
