//! The report of a step that did not hold: what was expected, what was seen, and where to begin to look.

use super::failure::Failure;
use super::stage::Stage;
use crate::terminal::Look;
use crate::terminal::Terminal;

/// Lines of the controller's log: the last warning and what led to it.
const LOG_LINES: usize = 20;
/// Events per Application.
const EVENTS: usize = 8;

/// Tells what went wrong.
pub(crate) async fn report(terminal: Terminal, failure: &Failure, stage: Option<&Stage>) {
    terminal.failed(&failure.step, failure.took);
    terminal.line("");
    terminal.line(&format!("  expected  {}", failure.expected));
    terminal.line(&format!("  seen      {}", failure.seen));
    if let Some(stage) = stage {
        applications(terminal, stage).await;
        let lines = stage.last_log_lines(LOG_LINES);
        if !lines.is_empty() {
            headline(terminal, "The controller's last lines");
            for line in lines {
                terminal.line(&format!("  {line}"));
            }
        }
    }
    terminal.line("");
    terminal.line("Nothing is left running. 'cargo xtask demo --once --keep' leaves the logs behind.");
}

/// Tells how every Application stands.
async fn applications(terminal: Terminal, stage: &Stage) {
    let Ok(applications) = stage.applications().await else {
        headline(terminal, "The API server does not say how the Applications stand");
        return;
    };
    for application in applications {
        let state =
            application.settled(None).map_or_else(|seen| seen, |()| format!("{}: Synced, Healthy", application.name()));
        headline(terminal, &state);
        for object in application.objects_in_trouble() {
            terminal.line(&format!("  object     {object}"));
        }
        for condition in application.conditions() {
            terminal.line(&format!("  condition  {condition}"));
        }
        let events = stage.events(application.name(), None).await.unwrap_or_default();
        for event in &events[events.len().saturating_sub(EVENTS)..] {
            terminal.line(&format!("  event      {event}"));
        }
    }
}

fn headline(terminal: Terminal, text: &str) {
    terminal.line("");
    terminal.line(&format!("  {}", terminal.dress(Look::Bold, text)));
}
