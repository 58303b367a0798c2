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

/// As [`until_every`], at the pace that is right for almost everything.
pub async fn until<T, S: Debug>(
    what: impl Into<String>,
    deadline: Duration,
    look: impl AsyncFnMut() -> std::result::Result<T, S>,
) -> Result<T> {
    until_every(POLL, what, deadline, look).await
}

/// Waits until `look` answers `Ok(value)`, and looks so often. `Err(state)` says what is still missing: the last one is in the error.
pub async fn until_every<T, S: Debug>(
    pace: Duration,
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
            // A look that never waits is never timed out.
            Ok(Err(state)) if tokio::time::Instant::now() < end => last = format!("{state:?}"),
            Ok(Err(state)) => {
                let (seconds, last) = (begun.elapsed().as_secs_f64(), format!("{state:?}"));
                return Err(Error::Deadline { what: what.into(), seconds, last });
            }
            Err(_) => {
                let seconds = begun.elapsed().as_secs_f64();
                return Err(Error::Deadline { what: what.into(), seconds, last });
            }
        }
        tokio::time::sleep(pace).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_that_never_waits_comes_to_its_end_too() {
        let waited = until("what never comes", Duration::from_millis(1), async || Err::<(), _>("not there")).await;
        assert!(waited.unwrap_err().to_string().contains("not there"));
        let hung = until("an answer", Duration::from_millis(1), async || {
            std::future::pending::<()>().await;
            Ok::<_, ()>(())
        });
        assert!(hung.await.is_err());
    }
}
