//! `trueup crds`.

use crate::command_error::{CommandError, Outcome};
use crate::output::Output;

pub(crate) const ABOUT: &str = "\
Prints the CustomResourceDefinitions Application and AppProject as YAML documents, as this version of the controller needs them. \
They hold every field of Argo CD's own.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup crds | kubectl apply --server-side --force-conflicts -f -";

/// Prints the definitions.
pub(crate) fn run() -> Result<Outcome, CommandError> {
    let mut output = Output::stdout();
    for (_, text) in trueup_api::crd::files() {
        if !text.starts_with("---") {
            output.line("---")?;
        }
        output.text(&text)?;
        if !text.ends_with('\n') {
            output.text("\n")?;
        }
    }
    output.finish()?;
    Ok(Outcome::Done)
}
