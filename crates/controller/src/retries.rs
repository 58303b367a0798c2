//! How an operation that failed is repeated, and when.
//!
//! Keeps nothing. Entry point: [`promise_retry`].

use std::time::Duration;

use trueup_api::{App, Operation, OperationPhase, OperationState, Retry, RetryStrategy, condition};

use crate::clock;

/// Promises the next attempt in the state of a failed operation, if there is to be one, and answers how far it is away.
pub(crate) fn promise_retry(state: &mut OperationState, spec: &App) -> Option<Duration> {
    let wait = trueup_plan::retry_wait(&policy(&state.operation, spec), retries(state));
    if let Some(wait) = wait {
        // As upstream: running, with an end, is an attempt that is to be repeated.
        state.phase = OperationPhase::Running;
        state.retry_count = state.retry_count.saturating_add(1);
        state.message = condition::retrying(&state.message, state.retry_count, &clock::after(wait));
    } else if state.retry_count > 0 {
        state.message = condition::retried(&state.message, state.retry_count);
    }
    wait
}

/// How an operation is repeated: as it says, else as the application says. Where nothing is said, as upstream: automation tries
/// again, people do not.
pub(crate) fn policy(operation: &Operation, spec: &App) -> Retry {
    let own = (!operation.retry.is_empty()).then(|| operation.retry.read());
    own.or(spec.retry).unwrap_or_else(|| {
        if operation.initiated_by.automated { Retry::default() } else { RetryStrategy::default().read() }
    })
}

/// How many of its retries have begun or are promised.
pub(crate) fn retries(state: &OperationState) -> u32 {
    u32::try_from(state.retry_count.max(0)).unwrap_or(u32::MAX)
}
