//! `trueup app drift`.

use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCompleter;

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome, user_error};
use crate::commands::app::client::Client;
use crate::commands::app::view::View;
use crate::commands::drift::{Told, cut, drifts, newest_first, print, seen_since};
use crate::output::{ListFormat, Output, talk};
use crate::{complete, duration};

pub(crate) const ABOUT: &str = "\
Shows what drifted in an Application, the newest first: who changed what, when, what Git says and what was there, and what became of \
it. What is over is told as well, as far as the status keeps it (the newest 20).

Exits with 1 if there is drift now, with 0 if there is none.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup app drift shop-dev
  trueup app drift shop-dev --since 24h -o wide
  trueup app drift shop-dev -o json | jq '.[] | select(.open)'";

/// The arguments of `trueup app drift`.
#[derive(Debug, Args)]
pub(crate) struct DriftArgs {
    /// The Application, as NAME or NAMESPACE/NAME.
    #[arg(add = ArgValueCompleter::new(complete::applications))]
    name: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Of what is over, only what was seen in this time; as 90m or 24h.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    since: Option<Duration>,
    /// How to print the events; 'name' prints the Application if it drifts now.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: ListFormat,
}

/// Prints the drift of one Application.
pub(crate) async fn run(args: &DriftArgs) -> Result<Outcome, CommandError> {
    let (client, name) = Client::connect_for(&args.access, &args.name).await?;
    let app = client.get(&name).await?;
    let app = View(&app);
    let name = app.qualified_name();
    if app.drift_count().is_none() {
        return Err(user_error(format!("{name} was not compared yet, so nothing is known of its drift"))
            .hinted(format!("see why: trueup app get {name}"))
            .hinted(format!("or wait for it: trueup app wait {name}")));
    }
    if app.sync_status() == "Unknown" {
        talk::warning(&format!("{name} cannot be compared at the moment: this is what was known before"));
    }
    let mut told: Vec<Told<'_>> =
        Told::all(app).filter(|told| args.since.is_none_or(|since| seen_since(told, since))).collect();
    newest_first(&mut told);
    let now = drifts(app);
    let drifting: Vec<View<'_>> = now.then_some(app).into_iter().collect();
    let mut output = Output::stdout();
    print(&mut output, &told, &drifting, &args.access.namespace, args.output, false)?;
    if let Some(text) = cut(app) {
        talk::note(&text);
    }
    if told.is_empty() && matches!(args.output, ListFormat::Table | ListFormat::Wide) {
        talk::note(&format!("{name}: no drift was seen"));
    }
    output.finish()?;
    Ok(if now { Outcome::Differs } else { Outcome::Done })
}
