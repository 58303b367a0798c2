//! The sync that was under way when its application was deleted: nobody goes on with it.
//!
//! Entry point: [`end`].

use std::sync::Arc;

use trueup_api::{Application, OperationPhase, OperationState, ResultCode};
use trueup_cluster::ClusterError;
use trueup_object::{Gvk, ObjectKey};
use trueup_plan::task::Task;

use super::rules::{Rules, rules};
use crate::attempt::{hooks_that_run, is_running_hook};
use crate::extras::is_ours;
use crate::memory::Memory;
use crate::world::World;
use crate::writer::{Update, write};
use crate::{clock, hooks};

/// What the operation's state says then.
const ENDED: &str = "Operation terminated: the application is being deleted";

/// Ends the sync that is under way or asked for, with the hooks of it that run. Answers the Application as it is then; nothing
/// if that could not be written down.
pub(super) async fn end(
    world: &Arc<World>,
    application: &Arc<Application>,
    memory: &mut Memory,
) -> Option<Arc<Application>> {
    let attempt = memory.attempt.take();
    let going = application.status.operation_state.as_ref().filter(|state| !state.phase.completed());
    if going.is_none() && application.operation.is_none() {
        return Some(Arc::clone(application));
    }
    let mut status = application.status.clone();
    if let Some(state) = going {
        let mut state = state.clone();
        // What it did may not have been written down yet.
        if let Some(attempt) = attempt.filter(|attempt| !attempt.tally.results.is_empty()) {
            state.sync_result.get_or_insert_default().resources = attempt.tally.results;
        }
        if let Ok(rules) = rules(world, application, "") {
            for Task { gvk, key, .. } in running(&state) {
                if let Err(error) = end_hook(world, application, &rules, &gvk, &key).await {
                    tracing::warn!(application = %application.meta.instance, hook = %key, %error, "a hook of the sync that the deletion ends cannot be deleted");
                }
            }
        }
        status.operation_state = Some(ended(state, &clock::now()));
    }
    let update = Update { status: Some(status), take_operation: true, ..Update::default() };
    match write(world, application, application, &update).await {
        Ok(now) => now,
        Err(error) => {
            if !world.is_told_for_all(&error) {
                tracing::warn!(application = %application.meta.instance, %error, "the end of the sync cannot be written down");
            }
            None
        }
    }
}

async fn end_hook(
    world: &World,
    application: &Application,
    rules: &Rules,
    gvk: &Gvk,
    key: &ObjectKey,
) -> Result<(), ClusterError> {
    // Without its kind it cannot be there.
    let Ok(kind) = world.cluster.kind(gvk).await else { return Ok(()) };
    // After a restart nobody has listed it yet.
    match world.cluster.fetch(&kind, key).await? {
        Some(found) if is_ours(world, &application.meta.instance, &found) => {
            hooks::delete(&rules.hands, &kind, key, &found).await
        }
        _ => Ok(()),
    }
}

/// The hooks that have begun and not ended.
fn running(state: &OperationState) -> Vec<Task> {
    state.sync_result.as_ref().map(|result| hooks_that_run(&result.resources)).unwrap_or_default()
}

/// The state as it ends.
fn ended(mut state: OperationState, now: &str) -> OperationState {
    state.phase = OperationPhase::Failed;
    ENDED.clone_into(&mut state.message);
    state.finished_at = Some(now.to_owned());
    for result in state.sync_result.iter_mut().flat_map(|result| &mut result.resources) {
        if is_running_hook(result) {
            result.hook_phase = Some(OperationPhase::Failed);
            result.status = Some(ResultCode::SyncFailed);
            ENDED.clone_into(&mut result.message);
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use trueup_api::{ResourceResult, SyncResult};

    use super::*;

    #[test]
    fn a_sync_ends_with_the_hooks_that_run_and_no_others() {
        let result = |name: &str, hook: &str, phase| ResourceResult {
            group: "batch".to_owned(),
            version: "v1".to_owned(),
            kind: "Job".to_owned(),
            name: name.to_owned(),
            hook_type: hook.to_owned(),
            hook_phase: Some(phase),
            ..ResourceResult::default()
        };
        let resources = vec![
            result("done", "PreSync", OperationPhase::Succeeded),
            result("hangs", "PreSync", OperationPhase::Running),
            result("plain", "", OperationPhase::Running),
        ];
        let sync_result = Some(SyncResult { resources, ..SyncResult::default() });
        let state = OperationState { phase: OperationPhase::Running, sync_result, ..OperationState::default() };
        let names: Vec<String> = running(&state).into_iter().map(|task| task.key.name.to_string()).collect();
        assert_eq!(names, ["hangs"]);
        let state = ended(state, "T");
        assert_eq!((state.phase, state.finished_at.as_deref()), (OperationPhase::Failed, Some("T")));
        assert!(running(&state).is_empty());
        let resources = state.sync_result.unwrap().resources;
        assert_eq!(resources[0].hook_phase, Some(OperationPhase::Succeeded));
        assert_eq!((resources[1].hook_phase, resources[1].message.as_str()), (Some(OperationPhase::Failed), ENDED));
    }
}
