//! Writing an Application: its status, and taking out of its letter box what has been dealt with.
//!
//! Invariant: what somebody else wrote meanwhile is never overwritten. A refused patch is first read as "changed
//! meanwhile": the Application is read again and the patch made anew. Entry point: [`write`].

use std::sync::Arc;

use serde_json::{Map, Value, json};
use trueup_api::{Application, OperationPhase, Status, annotations};
use trueup_cluster::ClusterError;

use crate::patch::{escaped, status_operations, take, test};
use crate::world::World;

/// How often a patch is made anew.
const ROUNDS_MAX: u32 = 3;
/// Where an operation's state is told.
const STATE: &str = "operationState";

/// What is to be written.
#[derive(Default)]
pub(crate) struct Update {
    pub(crate) status: Option<Status>,
    /// The operation has ended: take it out of the letter box, if it is still the one that was done.
    pub(crate) take_operation: bool,
    /// The refresh has been done: take the annotation out, if it is still the one that was seen.
    pub(crate) take_refresh: bool,
    /// Finalizers that ask for what is to be done at the deletion.
    pub(crate) give_finalizers: Vec<String>,
    /// Finalizers that have done their work.
    pub(crate) take_finalizers: Vec<String>,
}

/// Writes an update. `seen` is the Application whose letter box was dealt with, `current` the one as it was after our last
/// write. Answers the Application as it is now, or nothing if it is no more.
pub(crate) async fn write(
    world: &World,
    seen: &Application,
    current: &Arc<Application>,
    update: &Update,
) -> Result<Option<Arc<Application>>, ClusterError> {
    let mut current = Arc::clone(current);
    let mut round = 1;
    loop {
        let operations = operations(seen, &current, update);
        if operations.is_empty() {
            return Ok(Some(current));
        }
        let (kind, meta) = (&world.application_kind, &current.meta);
        world.metrics.status_writes.inc();
        match world.cluster.patch_json(kind, &meta.namespace, &meta.name, &Value::Array(operations)).await {
            Ok(answer) => {
                let now = took(world, &answer, &current);
                if changed_meanwhile(&current, &now, update) {
                    // The event of that change is older than our own answer and says nothing new any more.
                    world.queue.wake(&now.meta.instance);
                }
                return Ok(Some(now));
            }
            Err(ClusterError::NotFound(_)) => return Ok(None),
            Err(ClusterError::Refused { code: 422, .. } | ClusterError::Conflict) if round < ROUNDS_MAX => round += 1,
            Err(error) => return Err(error),
        }
        let Some(now) = world.cluster.get_raw(kind, &meta.namespace, &meta.name).await? else { return Ok(None) };
        let now = took(world, &now, &current);
        if now.meta.uid != seen.meta.uid {
            return Ok(None);
        }
        current = now;
    }
}

/// Whether somebody else wrote between what we knew and our own write: what differs and was not ours to change.
fn changed_meanwhile(before: &Application, after: &Application, update: &Update) -> bool {
    let annotations = |application: &Application| {
        let mut annotations = application.meta.annotations.clone();
        if update.take_refresh {
            annotations.remove(annotations::REFRESH);
            annotations.remove(annotations::REFRESH_TIMESTAMP);
        }
        annotations
    };
    let operation = if update.take_operation { None } else { before.raw_operation.as_ref() };
    let finalizers = finalizers(before, update);
    before.spec_digest != after.spec_digest
        || annotations(before) != annotations(after)
        || before.meta.labels != after.meta.labels
        || after.raw_operation.as_ref() != operation
        || finalizers != after.meta.finalizers
        || before.meta.deletion_timestamp != after.meta.deletion_timestamp
        || (is_ending(after) && !is_ending(before))
}

/// Whether somebody wants the operation to end.
fn is_ending(application: &Application) -> bool {
    application.status.operation_state.as_ref().is_some_and(|state| state.phase == OperationPhase::Terminating)
}

/// Takes in what the API server answered.
fn took(world: &World, json: &[u8], otherwise: &Arc<Application>) -> Arc<Application> {
    match Application::read(json) {
        Ok(application) => world.applications.wrote(application.tracked_from(&world.namespace)),
        Err(error) => {
            tracing::warn!(application = %otherwise.meta.instance, %error, "the API server's answer cannot be read");
            Arc::clone(otherwise)
        }
    }
}

/// The patch that takes `current` to what is wanted. What was to be taken out is left if it is no longer what was `seen`.
fn operations(seen: &Application, current: &Application, update: &Update) -> Vec<Value> {
    let mut operations = match &update.status {
        Some(status) => {
            let (old, new) = (fields(&current.status), fields(&respectful(status, current)));
            let mut operations = status_operations(&old, &new, &current.meta.uid);
            let known = current.status.operation_state.as_ref().filter(|_| old.get(STATE) != new.get(STATE));
            if let Some(state) = known
                && !operations.is_empty()
            {
                // Somebody may wish it to end in this very moment.
                operations.insert(0, test("/status/operationState/phase", &json!(state.phase)));
            }
            operations
        }
        None => Vec::new(),
    };
    if update.take_operation
        && let (Some(done), Some(there)) = (&seen.raw_operation, &current.raw_operation)
        && done == there
    {
        operations.extend(take("/operation", &serde_json::to_value(there).unwrap_or_default()));
    }
    if update.take_refresh {
        for name in [annotations::REFRESH, annotations::REFRESH_TIMESTAMP] {
            let (before, now) = (seen.meta.annotations.get(name), current.meta.annotations.get(name));
            if let (Some(done), Some(there)) = (before, now)
                && done == there
            {
                operations.extend(take(&format!("/metadata/annotations/{}", escaped(name)), &json!(there)));
            }
        }
    }
    let finalizers = finalizers(current, update);
    if finalizers != current.meta.finalizers {
        let path = "/metadata/finalizers";
        if current.meta.finalizers.is_empty() {
            // There is no list to test: nobody may have begun one meanwhile.
            operations.push(test("/metadata/resourceVersion", &json!(current.meta.resource_version)));
            operations.push(json!({"op": "add", "path": path, "value": finalizers}));
        } else {
            operations.push(test(path, &json!(current.meta.finalizers)));
            operations.push(if finalizers.is_empty() {
                json!({"op": "remove", "path": path})
            } else {
                json!({"op": "replace", "path": path, "value": finalizers})
            });
        }
    }
    operations
}

/// The finalizers that an Application has after an update. One that is being deleted is given none: the API server would refuse.
fn finalizers(current: &Application, update: &Update) -> Vec<String> {
    let had = &current.meta.finalizers;
    let given = update.give_finalizers.iter().filter(|finalizer| !had.contains(finalizer));
    let given = given.filter(|_| current.meta.deletion_timestamp.is_none());
    had.iter().filter(|finalizer| !update.take_finalizers.contains(finalizer)).chain(given).cloned().collect()
}

/// The status with the wish that a running operation ends, if somebody has it by now.
fn respectful(status: &Status, current: &Application) -> Status {
    let mut status = status.clone();
    let wished =
        current.status.operation_state.as_ref().is_some_and(|state| state.phase == OperationPhase::Terminating);
    if let Some(state) = &mut status.operation_state
        && wished
        && state.phase == OperationPhase::Running
        && current.status.operation_state.as_ref().is_some_and(|old| old.started_at == state.started_at)
    {
        state.phase = OperationPhase::Terminating;
    }
    status
}

/// A status as its first level of fields; none where nothing has been written yet.
fn fields(status: &Status) -> Map<String, Value> {
    if *status == Status::default() {
        return Map::new();
    }
    match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(finalizers: &[&str], rest: &str) -> Application {
        let finalizers = json!(finalizers);
        let json = format!(
            r#"{{"metadata": {{"name": "a", "uid": "u", "resourceVersion": "7", "finalizers": {finalizers}{rest}}}}}"#
        );
        Application::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn finalizers_are_given_and_taken_and_others_stay() {
        let update = |given: &[&str], taken: &[&str]| Update {
            give_finalizers: given.iter().map(|it| (*it).to_owned()).collect(),
            take_finalizers: taken.iter().map(|it| (*it).to_owned()).collect(),
            ..Update::default()
        };
        let path = "/metadata/finalizers";
        for (had, given, taken, expected) in [
            (&["x"][..], &[][..], &["y"][..], vec![]),
            (&["x", "y"], &["x"], &[], vec![]),
            (
                &["x"],
                &["y"],
                &[],
                vec![test(path, &json!(["x"])), json!({"op": "replace", "path": path, "value": ["x", "y"]})],
            ),
            (
                &["x"],
                &["y"],
                &["x"],
                vec![test(path, &json!(["x"])), json!({"op": "replace", "path": path, "value": ["y"]})],
            ),
            (&["x"], &[], &["x"], vec![test(path, &json!(["x"])), json!({"op": "remove", "path": path})]),
            (
                &[],
                &["y"],
                &[],
                vec![
                    test("/metadata/resourceVersion", &json!("7")),
                    json!({"op": "add", "path": path, "value": ["y"]}),
                ],
            ),
        ] {
            let there = with(had, "");
            assert_eq!(operations(&there, &there, &update(given, taken)), expected, "{had:?} {given:?} {taken:?}");
        }
        let going = with(&["x"], r#", "deletionTimestamp": "2026-11-24T10:00:00Z""#);
        assert!(operations(&going, &going, &update(&["y"], &[])).is_empty(), "the API server would refuse it");
        let (before, after) = (with(&["x"], ""), with(&["x", "y"], ""));
        assert!(!changed_meanwhile(&before, &after, &update(&["y"], &[])));
        assert!(changed_meanwhile(&before, &after, &update(&[], &[])));
    }
}
