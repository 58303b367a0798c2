//! Waiting for a condition, with a deadline.

use std::fmt::Debug;
use std::time::Duration;
use std::time::Instant;

use crate::Error;
use crate::Result;

/// How often a condition is looked at: often enough that no test feels it, seldom enough to leave the machine alone.
const POLL: Duration = Duration::from_millis(50);

/// How long a wait may take.
pub struct Deadline;

impl Deadline {
    /// For what normally takes less than a second: the machine may be busy compiling.
    pub const SHORT: Duration = Duration::from_secs(20);
    /// For rollouts, restarts and other things of several steps.
    pub const LONG: Duration = Duration::from_secs(90);
}

/// Waits until `look` answers `Ok(value)`. `Err(state)` says what is still missing: the last one is in the error.
pub async fn until<T, S: Debug>(
    what: impl Into<String>,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> std::result::Result<T, S>,
) -> Result<T> {
    let begun = Instant::now();
    let end = tokio::time::Instant::from_std(begun + deadline);
    let mut last = String::from("nothing");
    loop {
        // A look that hangs must not outlast the deadline.
        match tokio::time::timeout_at(end, look()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(state)) => last = format!("{state:?}"),
            Err(_) => {
                let seconds = begun.elapsed().as_secs_f64();
                return Err(Error::Deadline { what: what.into(), seconds, last });
            }
        }
        tokio::time::sleep(POLL).await;
    }
}
