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
        /// What has come meanwhile, a line each.
        news: Vec<String>,
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
    judge: impl FnMut(View<'_>) -> Result<Verdict<T>, CommandError>,
    at_end: impl FnOnce() -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let mut wait = Wait::start(client, since, timeout, judge);
    if let Some(answer) = wait.weigh(View(since))? {
        return Ok(answer);
    }
    let since = version(View(since));
    let mut events = pin!(client.cluster().watch_one(client.kind(), client.namespace(), name));
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut seen_in_list = false;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = tick.tick() => {
                wait.tick().await?;
                continue;
            }
        };
        match told(event, name, &mut seen_in_list)? {
            Told::State(app) if !is_older(version(View(&app)), since) => {
                if let Some(answer) = wait.weigh(View(&app))? {
                    return Ok(answer);
                }
            }
            Told::Gone => return at_end(),
            Told::Failed(error) => wait.unwatched(error)?,
            Told::State(_) | Told::Nothing => {}
        }
    }
}

/// A wait for the answer, and what is said meanwhile.
struct Wait<'a, J> {
    client: &'a Client,
    judge: J,
    /// The Application as it was when we asked.
    asked: &'a Node,
    started: Instant,
    timeout: Option<Duration>,
    progress: Progress,
    /// What is waited for, in words.
    last: String,
    /// Whether the controller has not shown up yet.
    unanswered: bool,
    /// Whether it may still be said why.
    suspicious: bool,
}

// === impl Wait ===

impl<'a, J> Wait<'a, J> {
    fn start(client: &'a Client, asked: &'a Node, timeout: Option<Duration>, judge: J) -> Self {
        Self {
            client,
            judge,
            asked,
            started: Instant::now(),
            timeout,
            progress: Progress::start(),
            last: String::new(),
            unanswered: false,
            suspicious: true,
        }
    }

    /// Judges a state, and shows what is still waited for.
    fn weigh<T>(&mut self, app: View<'_>) -> Result<Option<T>, CommandError>
    where
        J: FnMut(View<'_>) -> Result<Verdict<T>, CommandError>,
    {
        match (self.judge)(app)? {
            Verdict::Done(answer) => Ok(Some(answer)),
            Verdict::Waiting { what, unanswered, news } => {
                for line in news {
                    self.progress.say(|| talk::note(&format!("{}: {line}", app.qualified_name())));
                }
                self.progress.show(&format!("{}: {what}", app.qualified_name()));
                self.last = what;
                self.unanswered = unanswered;
                Ok(None)
            }
        }
    }

    /// Time goes by: ends the wait when it is over, and says why nobody answers when that takes too long.
    async fn tick(&mut self) -> Result<(), CommandError> {
        self.progress.tick();
        if let Some(timeout) = self.timeout.filter(|timeout| self.started.elapsed() >= *timeout) {
            return Err(self.timed_out(timeout).await);
        }
        if self.suspicious && self.unanswered && self.started.elapsed() >= PATIENCE {
            self.suspicious = false;
            let why = silence::explain(self.client, View(self.asked)).await;
            let seconds = PATIENCE.as_secs();
            self.progress.say(|| talk::warning(&format!("nothing has moved for {seconds} s: {why}")));
        }
        Ok(())
    }

    async fn timed_out(&mut self, timeout: Duration) -> CommandError {
        self.progress.end();
        let mut error = unmet(format!("timed out after {timeout:?}: {}", self.last));
        // Who waits no longer than our patience is not to go without the reason.
        if self.suspicious && self.unanswered {
            error = error.hinted(silence::explain(self.client, View(self.asked)).await);
        }
        error.hinted(format!("see why: trueup app get {}", View(self.asked).qualified_name()))
    }

    /// The watch failed: it is tried again, unless nothing would come of that.
    fn unwatched(&mut self, error: ClusterError) -> Result<(), CommandError> {
        if let ClusterError::Forbidden { .. } | ClusterError::Unauthenticated = error {
            self.progress.end();
            let qualified = View(self.asked).qualified_name();
            // Nobody grants it by waiting, nor does a login become valid.
            return Err(access::explained("cannot watch the Application", error)
                .hinted(format!("what was asked for goes on; look at it: trueup app get {qualified}")));
        }
        self.progress.say(|| talk::warning(&format!("cannot watch the Application, trying again: {error}")));
        Ok(())
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
