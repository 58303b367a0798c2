//! Follows one Application by a watch until a question about it is answered. Entry points: [`follow`], and
//! [`follow_to_end`] for one that is to go.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior};
use trueup_cluster::{ClusterError, RawEvent};
use trueup_object::Node;

use crate::access;
use crate::command_error::{CommandError, unmet};
use crate::commands::app::client::Client;
use crate::commands::app::silence;
use crate::commands::app::view::View;
use crate::output::progress::Progress;
use crate::output::talk;

/// How often the elapsed time is drawn anew.
const TICK: Duration = Duration::from_secs(1);
/// After how long without an answer it is said why, if that can be known. A controller answers within a second.
const PATIENCE: Duration = Duration::from_secs(15);

/// What one state of the Application says about the question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict<T> {
    /// It is answered.
    Done(T),
    /// Not yet, and what is waited for.
    Waiting {
        /// In words.
        what: String,
        /// Whether the controller has not shown up yet.
        unanswered: bool,
    },
}

/// Shows each state of the Application from `since` on to `judge`, until that is done or `timeout` is over.
///
/// `since` is the version that our own write made: older states may still be on their way to us and say nothing.
pub(crate) async fn follow<T>(
    client: &Client,
    name: &str,
    since: &Node,
    timeout: Option<Duration>,
    judge: impl FnMut(View<'_>) -> Result<Verdict<T>, CommandError>,
) -> Result<T, CommandError> {
    follow_to_end(client, name, since, timeout, judge, || Err(gone(name))).await
}

/// The same, where it may also be the answer that the Application is gone.
pub(crate) async fn follow_to_end<T>(
    client: &Client,
    name: &str,
    since: &Node,
    timeout: Option<Duration>,
    mut judge: impl FnMut(View<'_>) -> Result<Verdict<T>, CommandError>,
    at_end: impl FnOnce() -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let mut progress = Progress::start();
    let mut last = String::new();
    let started = Instant::now();
    let mut suspicious = true;
    let mut unanswered = false;
    let mut weigh =
        |view: View<'_>, progress: &mut Progress, last: &mut String, unanswered: &mut bool| match judge(view)? {
            Verdict::Done(answer) => Ok(Some(answer)),
            Verdict::Waiting { what, unanswered: silent } => {
                progress.show(&format!("{}: {what}", view.qualified_name()));
                *last = what;
                *unanswered = silent;
                Ok(None)
            }
        };
    if let Some(answer) = weigh(View(since), &mut progress, &mut last, &mut unanswered)? {
        return Ok(answer);
    }
    let qualified = View(since).qualified_name();
    let asked = since;
    let since = version(View(since));
    let mut events = pin!(client.cluster().watch_one(client.kind(), client.namespace(), name));
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut seen_in_list = false;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = tick.tick() => {
                progress.tick();
                if let Some(timeout) = timeout.filter(|timeout| started.elapsed() >= *timeout) {
                    progress.end();
                    let error = unmet(format!("timed out after {timeout:?}: {last}"));
                    // Who waits no longer than our patience is not to go without the reason.
                    let error = if suspicious && unanswered {
                        error.hinted(silence::explain(client, View(asked)).await)
                    } else {
                        error
                    };
                    return Err(error.hinted(format!("see why: trueup app get {qualified}")));
                }
                if suspicious && unanswered && started.elapsed() >= PATIENCE {
                    suspicious = false;
                    let why = silence::explain(client, View(asked)).await;
                    progress.say(|| talk::warning(&format!("nothing has moved for {} s: {why}", PATIENCE.as_secs())));
                }
                continue;
            }
        };
        let app = match told(event, name, &mut seen_in_list)? {
            Told::State(app) => app,
            Told::Gone => {
                progress.end();
                return at_end();
            }
            Told::Failed(error @ (ClusterError::Forbidden { .. } | ClusterError::Unauthenticated)) => {
                progress.end();
                // Nobody grants it by waiting, nor does a login become valid.
                return Err(access::explained("cannot watch the Application", error)
                    .hinted(format!("what was asked for goes on; look at it: trueup app get {qualified}")));
            }
            Told::Failed(error) => {
                progress.say(|| talk::warning(&format!("cannot watch the Application, trying again: {error}")));
                continue;
            }
            Told::Nothing => continue,
        };
        let view = View(&app);
        if is_older(version(view), since) {
            continue;
        }
        if let Some(answer) = weigh(view, &mut progress, &mut last, &mut unanswered)? {
            progress.end();
            return Ok(answer);
        }
    }
}

/// What an event says of the Application.
enum Told {
    State(Node),
    Gone,
    Failed(ClusterError),
    Nothing,
}

fn told(event: Option<RawEvent>, name: &str, seen_in_list: &mut bool) -> Result<Told, CommandError> {
    let raw = match event {
        Some(RawEvent::InitApply(raw) | RawEvent::Apply(raw)) if raw.name == name => raw,
        Some(RawEvent::Delete(raw)) if raw.name == name => return Ok(Told::Gone),
        Some(RawEvent::Init) => {
            *seen_in_list = false;
            return Ok(Told::Nothing);
        }
        Some(RawEvent::InitDone) if !*seen_in_list => return Ok(Told::Gone),
        Some(RawEvent::Error(error)) => return Ok(Told::Failed(error)),
        Some(_) => return Ok(Told::Nothing),
        None => return Err(unmet("the watch of the Application ended").hinted("try again")),
    };
    *seen_in_list = true;
    Ok(Node::from_json(raw.json.get().as_bytes()).map_or(Told::Nothing, Told::State))
}

fn gone(name: &str) -> CommandError {
    unmet(format!("Application '{name}' was deleted meanwhile"))
}

/// The version as a number, where it is one.
fn version(view: View<'_>) -> Option<u64> {
    view.resource_version().parse().ok()
}

/// Versions that are no numbers cannot be compared: every state counts then.
fn is_older(version: Option<u64>, since: Option<u64>) -> bool {
    matches!((version, since), (Some(version), Some(since)) if version < since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_older_numbers_are_older() {
        assert!(is_older(Some(9), Some(10)));
        assert!(!is_older(Some(10), Some(10)));
        assert!(!is_older(Some(11), Some(10)));
        assert!(!is_older(None, Some(10)));
        assert!(!is_older(Some(9), None));
    }
}
