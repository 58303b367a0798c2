//! Applying objects, within an operation or to heal them.
//!
//! Invariant: what the API server says of one object is that object's refusal; that nothing may be written now is nobody's, and
//! breaks everything off. Entry points: [`apply_all`] and [`apply_some`].

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use trueup_api::{Application, ResultCode};
use trueup_cluster::{Absent, ClusterError, Kind};
use trueup_object::{Gvk, Node, ObjectKey};
use trueup_plan::Step;

use crate::judge::{Frame, learn};
use crate::memory::Memory;
use crate::observe::View;
use crate::operation::{OBJECTS_AT_ONCE, Tally, is_to_come, named, result, steps, word};
use crate::perform::{self, Applied, Change, Order};
use crate::world::World;

/// How long a sync waits for a kind whose definition it has just applied.
const KIND_PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks for it.
const KIND_PAUSE: Duration = Duration::from_millis(50);

/// Applies these objects and nothing else, what others need first.
pub(crate) async fn apply_some(
    world: &World,
    application: &Application,
    view: &View,
    memory: &mut Memory,
    keys: &[ObjectKey],
) -> Tally {
    let mut tally = Tally::default();
    let options = &view.spec.options;
    if options.create_namespace
        && let Err(error) = create_namespace(world, &view.spec.destination.namespace).await
    {
        tally.note_failure(&error, |error| no_namespace(view, error));
        return tally;
    }
    for step in steps(view, |_| false, options, &HashSet::new()) {
        if let Step::Apply(step) = step {
            let due: Vec<ObjectKey> = step.into_iter().filter(|key| keys.contains(key)).collect();
            apply_all(world, application, view, memory, &due, options.validate, &mut tally).await;
        }
        if tally.barred {
            break;
        }
    }
    tally
}

/// Applies these objects, all at once.
pub(crate) async fn apply_all(
    world: &World,
    application: &Application,
    view: &View,
    memory: &mut Memory,
    keys: &[ObjectKey],
    validate: bool,
    tally: &mut Tally,
) {
    let frame = view.frame(world, application);
    let by_key: HashMap<&ObjectKey, usize> =
        view.targets.objects.iter().enumerate().map(|(at, target)| (&target.key, at)).collect();
    let mut applies = Vec::with_capacity(keys.len());
    for at in keys.iter().filter_map(|key| by_key.get(key).copied()) {
        let (frame, memory) = (&frame, &*memory);
        applies.push(async move { (at, apply_one(frame, view, memory, at, validate).await) });
    }
    let mut outcomes: Vec<(usize, Result<Applied, ClusterError>)> =
        stream::iter(applies).buffer_unordered(OBJECTS_AT_ONCE).collect().await;
    outcomes.sort_by_key(|(at, _)| *at);
    for (at, outcome) in outcomes {
        let target = &view.targets.objects[at];
        match outcome {
            Ok(Applied { change: Change::LeftTo(holder), .. }) => {
                let message = format!("{} is left to application '{holder}', which holds it", named(&target.key));
                tally.results.push(result(&target.key, &target.gvk, ResultCode::SyncFailed, message));
            }
            Ok(applied) => {
                learn(world, memory, target, &applied.live.node());
                if applied.change != Change::Unchanged {
                    tally.changed += 1;
                    tally.changed_keys.insert(target.key.clone());
                }
                if applied.warnings.is_empty() {
                    memory.warnings.remove(&target.key);
                } else {
                    memory.warnings.insert(target.key.clone(), (target.digest, applied.warnings.clone()));
                }
                tally.warnings.extend(applied.warnings);
                tally.results.push(result(
                    &target.key,
                    &target.gvk,
                    ResultCode::Synced,
                    format!("{} {}", named(&target.key), word(&applied.change)),
                ));
            }
            Err(error) => {
                let said = |error: &ClusterError| format!("{}: {}", named(&target.key), explained(&target.key, error));
                if let Some(message) = tally.note_failure(&error, said) {
                    tally.refused.insert(target.key.clone(), message.clone());
                    tally.results.push(result(&target.key, &target.gvk, ResultCode::SyncFailed, message));
                }
            }
        }
    }
}

async fn apply_one(
    frame: &Frame<'_>,
    view: &View,
    memory: &Memory,
    at: usize,
    validate: bool,
) -> Result<Applied, ClusterError> {
    let (target, judged) = (&view.targets.objects[at], &view.objects[at]);
    let fresh_kind = is_to_come(judged);
    let kind = match view.kinds.get(&target.gvk) {
        Some(Ok(kind)) => kind.clone(),
        _ => fresh(frame.world, &target.gvk).await?,
    };
    let nothing = Node::map();
    let scalers: Vec<&str> = frame.scalers.iter().map(String::as_str).collect();
    let order = Order {
        world: frame.world,
        name: frame.name,
        target,
        kind: &kind,
        base: memory.base_of(&target.key, &nothing),
        scalers: &scalers,
        migration_manager: frame.migration_manager.as_deref(),
        validate: judged.options.validate.unwrap_or(validate),
        removes: judged.comparison().is_some_and(|comparison| {
            comparison.differences.iter().any(|difference| difference.what == trueup_diff::What::Extra)
        }),
        fresh_kind,
    };
    perform::apply(&order).await
}

/// A kind that has just been defined.
async fn fresh(world: &World, gvk: &Gvk) -> Result<Kind, ClusterError> {
    let began = tokio::time::Instant::now();
    loop {
        match world.cluster.kind(gvk).await {
            Ok(kind) => return Ok(kind),
            Err(error) if began.elapsed() >= KIND_PATIENCE => {
                return Err(ClusterError::Unavailable { message: error.to_string() });
            }
            Err(_) => tokio::time::sleep(KIND_PAUSE).await,
        }
    }
}

/// Makes sure that a namespace is there.
pub(crate) async fn create_namespace(world: &World, namespace: &str) -> Result<(), ClusterError> {
    let gvk = Gvk::from_api_version("v1", "Namespace");
    let kind =
        world.cluster.kind(&gvk).await.map_err(|error| ClusterError::Unavailable { message: error.to_string() })?;
    let key = ObjectKey::new("", "Namespace", "", namespace);
    if namespace.is_empty() || world.cluster.live(&gvk, &key).is_some() || world.cluster.knows_foreign(&gvk, &key) {
        return Ok(());
    }
    let mut body = Node::map();
    body.set_at(&["apiVersion"], "v1".into());
    body.set_at(&["kind"], "Namespace".into());
    body.set_at(&["metadata", "name"], namespace.into());
    match world.cluster.create(&kind, &body).await {
        Ok(_) | Err(ClusterError::AlreadyExists) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A refusal with what can be done about it.
fn explained(key: &ObjectKey, error: &ClusterError) -> String {
    match error {
        ClusterError::NotFound(Absent::Namespace) => format!(
            "namespace '{}' does not exist: create it, add a Namespace manifest, or set the sync option CreateNamespace=true",
            key.namespace
        ),
        ClusterError::Refused { message, .. } if message.contains("field not declared in schema") => {
            format!("{error}; correct the name of the field, or set the sync option Validate=false to leave it out")
        }
        _ => error.to_string(),
    }
}

/// That a namespace cannot be made.
pub(crate) fn no_namespace(view: &View, error: &ClusterError) -> String {
    format!("namespace '{}' cannot be created: {error}", view.spec.destination.namespace)
}
