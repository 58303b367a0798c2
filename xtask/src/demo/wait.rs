//! Waiting for what a step expects, with the state on the terminal meanwhile.

use std::time::Duration;
use std::time::Instant;

use super::PATIENCE;
use super::failure::Unexpected;
use super::stage::Stage;
use crate::terminal::Terminal;

/// Between two looks: seconds are told with one decimal.
const POLL: Duration = Duration::from_millis(50);

/// Looks until there is an answer. `Err` says what there is instead; it is an answer too once the controller has ended
/// or the patience is over.
pub(crate) async fn until<T>(
    stage: &Stage,
    terminal: Terminal,
    mut look: impl AsyncFnMut() -> Result<T, Unexpected>,
) -> Result<T, Unexpected> {
    let begun = Instant::now();
    loop {
        let seen = match tokio::time::timeout(PATIENCE, look()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(Unexpected(seen))) => seen,
            Err(_) => "no answer from the API server".to_owned(),
        };
        if let Some(end) = stage.controller_ended() {
            return Err(Unexpected(format!("{seen}; and the controller has ended ({end})")));
        }
        if begun.elapsed() > PATIENCE {
            return Err(Unexpected(seen));
        }
        terminal.waiting(&seen);
        tokio::time::sleep(POLL).await;
    }
}
