//! Applying objects, within an operation or to heal them.
//!
//! Invariant: what the API server says of one object is that object's refusal; that nothing may be written now is nobody's, and
//! breaks everything off. Entry points: [`apply_all`] and [`apply_some`].

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use trueup_api::{Application, HookPhase, Ignored, ResultCode, SyncOptions, object_options};
use trueup_cluster::{Absent, Apply, ClusterError, Kind};
use trueup_object::{Gvk, Node, ObjectKey};
use trueup_plan::schedule::schedule;
use trueup_plan::task::{Act, Task};
use trueup_render::defines;

use crate::judge::Frame;
use crate::memory::Memory;
use crate::namespace_metadata;
use crate::observe::View;
use crate::operation::{OBJECTS_AT_ONCE, Tally, named, result, word};
use crate::perform::{self, Applied, Change, Manner, Order};
use crate::question::{foretold, learn, to_send};
use crate::tasks::{defined, is_to_come};
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
        && let Err(error) = create_namespace(world, application, view).await
    {
        tally.note_failure(&error, |error| no_namespace(view, error));
        return tally;
    }
    let wanted: HashSet<&ObjectKey> = keys.iter().collect();
    let due = view.pairs().filter(|(target, judged)| wanted.contains(&target.key) && judged.wants_apply());
    let tasks = due.map(|(target, judged)| Task {
        key: target.key.clone(),
        gvk: target.gvk.clone(),
        phase: HookPhase::Sync,
        wave: judged.wave,
        act: Act::Apply,
        defines: defines(target.manifest.node()).map(|(kind, _)| kind),
    });
    for step in schedule(tasks.collect()) {
        let due: Vec<ObjectKey> = step.tasks.into_iter().map(|task| task.key).collect();
        apply_all(world, application, view, memory, &due, options, &mut tally).await;
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
    options: &SyncOptions,
    tally: &mut Tally,
) {
    let frame = view.frame(world, application);
    let by_key: HashMap<&ObjectKey, usize> =
        view.targets.objects.iter().enumerate().map(|(at, target)| (&target.key, at)).collect();
    let mut applies = Vec::with_capacity(keys.len());
    for at in keys.iter().filter_map(|key| by_key.get(key).copied()) {
        let (frame, memory) = (&frame, &*memory);
        applies.push(async move { (at, apply_one(frame, view, memory, at, options).await) });
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
                tally.note_refusal(&target.key, &target.gvk, &error, said);
            }
        }
    }
}

async fn apply_one(
    frame: &Frame<'_>,
    view: &View,
    memory: &Memory,
    at: usize,
    options: &SyncOptions,
) -> Result<Applied, ClusterError> {
    let (target, judged) = (&view.targets.objects[at], &view.objects[at]);
    let hands = frame.hands.as_ref().map_err(Clone::clone)?;
    let fresh_kind = is_to_come(judged);
    let kind = kind_by_now(frame.world, view, &target.gvk).await?;
    let nothing = Node::map();
    let scalers: Vec<&str> = frame.scalers.iter().map(String::as_str).collect();
    let ignored = frame.spec.ignored(&target.key);
    let respects = options.respect_ignore_differences && ignored != Ignored::default();
    let order = Order {
        world: frame.world,
        hands,
        name: frame.name,
        target,
        kind: &kind,
        base: memory.base_of(&target.key, &nothing),
        scalers: &scalers,
        former: frame.former(),
        options: judged.options.within(options),
        respected: respects.then_some(&ignored),
        removes: judged.comparison().is_some_and(|comparison| {
            comparison.differences.iter().any(|difference| difference.what == trueup_diff::What::Extra)
        }),
        fresh_kind,
    };
    perform::apply(&order).await
}

/// Asks the server what it would make of these objects. Answers those that it refuses, and why: what cannot be asked is no
/// refusal, nor what an option deletes and makes anew.
pub(crate) async fn rehearse(
    world: &World,
    application: &Application,
    view: &View,
    keys: &[ObjectKey],
    options: &SyncOptions,
) -> HashMap<ObjectKey, String> {
    let frame = view.frame(world, application);
    let wanted: HashSet<&ObjectKey> = keys.iter().collect();
    let mut asking = Vec::with_capacity(keys.len());
    for (target, judged) in view.pairs().filter(|(target, _)| wanted.contains(&target.key)) {
        let effective = judged.options.within(options);
        let anew = effective.force || effective.recreate || perform::manner(&effective, target) != Manner::Apply;
        if let (Some(Ok(kind)), false) = (view.kinds.get(&target.gvk), anew) {
            let frame = &frame;
            asking.push(async move {
                let live = frame.world.cluster.live(&target.gvk, &target.key);
                let body = to_send(frame, target, live.as_deref());
                let how = Apply { dry_run: true, resource_version: None, validate: effective.validate };
                let asked = match &frame.hands {
                    Ok(hands) => hands.apply(kind, &body, how).await,
                    Err(error) => Err(error.clone()),
                };
                (target, asked)
            });
        }
    }
    let answers: Vec<_> = stream::iter(asking).buffer_unordered(OBJECTS_AT_ONCE).collect().await;
    let refusals = answers.into_iter().filter_map(|(target, answer)| {
        let error = answer.err().filter(is_refusal)?;
        let live = world.cluster.live(&target.gvk, &target.key);
        let effective = object_options(target.manifest.node()).within(options);
        let error = foretold(&frame, target, &effective, live.as_deref(), &error)?;
        Some((target.key.clone(), format!("{}: {}", named(&target.key), explained(&target.key, &error))))
    });
    refusals.collect()
}

/// Whether the server would refuse the object itself, and would not merely not be asked.
fn is_refusal(error: &ClusterError) -> bool {
    // What a real apply mends by itself is not refused by it either.
    const MENDED: [&str; 2] = ["cannot change roleRef", "duplicate entries for key"];
    const NOT_ASKED: [&str; 3] = ["does not support dry run", "failed calling webhook", "failed to call webhook"];
    match error {
        ClusterError::Refused { message, .. } => !MENDED.iter().chain(&NOT_ASKED).any(|words| message.contains(words)),
        _ => false,
    }
}

/// A kind, which may have been defined a moment ago.
pub(crate) async fn kind_by_now(world: &World, view: &View, gvk: &Gvk) -> Result<Kind, ClusterError> {
    if let Some(Ok(kind)) = view.kinds.get(gvk) {
        return Ok(kind.clone());
    }
    // What this sync does not define comes from elsewhere, and may take any time.
    let patience = if defined(view).contains(&gvk.group_kind()) { KIND_PATIENCE } else { Duration::ZERO };
    fresh(world, gvk, patience).await
}

/// A kind that has just been defined, or may be soon.
async fn fresh(world: &World, gvk: &Gvk, patience: Duration) -> Result<Kind, ClusterError> {
    let began = tokio::time::Instant::now();
    loop {
        match world.cluster.kind(gvk).await {
            Ok(kind) => return Ok(kind),
            Err(error) if began.elapsed() >= patience => {
                return Err(ClusterError::Unavailable { message: error.to_string() });
            }
            Err(_) => tokio::time::sleep(KIND_PAUSE).await,
        }
    }
}

/// Makes sure that the namespace of the destination is there, with the metadata that it is to have.
pub(crate) async fn create_namespace(
    world: &World,
    application: &Application,
    view: &View,
) -> Result<(), ClusterError> {
    let namespace = view.spec.destination.namespace.as_str();
    let gvk = Gvk::from_api_version("v1", "Namespace");
    let kind =
        world.cluster.kind(&gvk).await.map_err(|error| ClusterError::Unavailable { message: error.to_string() })?;
    let key = ObjectKey::new("", "Namespace", "", namespace);
    if namespace.is_empty() {
        return Ok(());
    }
    if world.cluster.live(&gvk, &key).is_some() || world.cluster.knows_foreign(&gvk, &key) {
        return namespace_metadata::apply(world, &kind, application, view).await;
    }
    namespace_metadata::permitted(view)?;
    let mut body = Node::map();
    body.set_at(&["apiVersion"], "v1".into());
    body.set_at(&["kind"], "Namespace".into());
    body.set_at(&["metadata", "name"], namespace.into());
    match view.hands(world, application)?.create(&kind, &body).await {
        Ok(_) | Err(ClusterError::AlreadyExists) => namespace_metadata::apply(world, &kind, application, view).await,
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

/// That a namespace cannot be made, or cannot be given its labels and annotations.
pub(crate) fn no_namespace(view: &View, error: &ClusterError) -> String {
    format!("namespace '{}' cannot be made as it is to be: {error}", view.spec.destination.namespace)
}
