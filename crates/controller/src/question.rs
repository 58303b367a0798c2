//! What the API server makes of a manifest: asked by a dry run where a comparison is in doubt, and learnt from every answer.
//!
//! Kept in the [`Memory`] of the application: what was learnt, and what was asked when. Invariant: the same doubt of the same
//! object is asked about once in a while. Entry points: [`confirm`], and [`learn`] for the answer of an apply.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::Effective;
use trueup_cluster::{Apply, ClusterError, Kind, Live};
use trueup_diff::{Comparison, Projection, Schema, is_built_in, without_directives};
use trueup_object::{Digest, Node};
use trueup_render::Target;

use crate::judge::{Frame, Judged};
use crate::memory::Memory;
use crate::perform::{Manner, UNKNOWN_PATCH, manner};
use crate::recreate;
use crate::world::World;

/// The server is asked about the same difference of the same object at most once in this time.
const ASK_PAUSE: Duration = Duration::from_mins(1);

/// Asks the server about a doubtful difference, at most once a minute each. Answers what it would not say.
pub(crate) async fn confirm(
    frame: &Frame<'_>,
    memory: &mut Memory,
    target: &Target,
    kind: &Kind,
    judged: &Judged,
) -> Option<String> {
    let comparison = judged.comparison().filter(|comparison| comparison.doubtful())?;
    let leaves = leaves(comparison);
    if let Some((at, of, said)) = memory.asked.get(&target.key)
        && *of == leaves
        && at.elapsed() < ASK_PAUSE
    {
        return said.clone();
    }
    // Nobody may write it, which is told, so nobody may ask either.
    let hands = frame.hands.as_ref().ok()?;
    frame.world.metrics.dry_runs.inc();
    let live = frame.world.cluster.live(&target.gvk, &target.key);
    let mut body = to_send(frame, target, live.as_deref());
    let effective = judged.options.within(&frame.spec.options);
    if manner(&effective, target) == Manner::ClientSide && is_built_in(&target.gvk.group) {
        body = without_directives(&body);
    }
    let how = Apply { dry_run: true, resource_version: None, validate: effective.validate };
    let said = match hands.apply(kind, &body, how).await {
        Ok(answer) => {
            learn(frame.world, memory, target, &answer.node());
            None
        }
        // It is gone meanwhile, or the server knows no server-side apply: it cannot be asked.
        Err(ClusterError::NotFound { .. } | ClusterError::Refused { code: UNKNOWN_PATCH, .. }) => None,
        // A sync may make it anew: then there is nothing to say.
        Err(error) => foretold(frame, target, &effective, live.as_deref(), &error).map(|error| {
            // Asked again in a while: nothing else tells when it can answer.
            frame.world.queue.wake_at(frame.name, Instant::now() + ASK_PAUSE);
            format!("{}: the API server would not say what it makes of it: {error}", target.key)
        }),
    };
    memory.asked.insert(target.key.clone(), (Instant::now(), leaves, said.clone()));
    said
}

/// What a sync will say where a dry run was refused; nothing if it will make the object anew.
pub(crate) fn foretold(
    frame: &Frame<'_>,
    target: &Target,
    options: &Effective,
    live: Option<&Live>,
    error: &ClusterError,
) -> Option<ClusterError> {
    let Some(live) = live.map(Live::node) else { return Some(error.clone()) };
    recreate::foretold(target, options, &frame.input(target, &live, &Schema::unknown()), error.clone())
}

/// Keeps what the server makes of a manifest, as its answer to an apply shows.
pub(crate) fn learn(world: &World, memory: &mut Memory, target: &Target, answer: &Node) {
    // The answer's own managedFields tell the kinds of its lists.
    let projection = Projection::from_answer(target.manifest.node(), answer, &Schema::unknown());
    // Its address is part of what a judgement was made from: it must not be another one's before that is made.
    let _kept = memory.projections.remove(&target.key);
    if projection.is_empty() {
        world.projections.forget(&target.digest);
        return;
    }
    // A definition may change while we are away; the server's own kinds change with its version, which the cache knows.
    if is_built_in(&target.gvk.group) {
        world.projections.save(&target.digest, &projection);
    }
    let kind_changes = world.kind_changes(&target.gvk);
    memory.projections.insert(target.key.clone(), (target.digest, kind_changes, Arc::new(projection)));
}

/// Takes up what was learnt before a restart, and drops what was learnt of another state of the kind.
pub(crate) fn recall(world: &World, memory: &mut Memory, target: &Target) {
    let kind_changes = world.kind_changes(&target.gvk);
    let known = memory.projections.get(&target.key);
    if known.is_some_and(|(of, at, _)| *of == target.digest && *at == kind_changes) {
        return;
    }
    let _kept = memory.projections.remove(&target.key);
    if let Some(projection) = world.projections.load(&target.digest) {
        memory.projections.insert(target.key.clone(), (target.digest, kind_changes, Arc::new(projection)));
    }
}

/// What is sent for an object: without the replicas that an autoscaler owns.
pub(crate) fn to_send(frame: &Frame<'_>, target: &Target, live: Option<&Live>) -> Node {
    let live = live.map(Live::node);
    let scalers: Vec<&str> = frame.scalers.iter().map(String::as_str).collect();
    trueup_diff::to_send(target.manifest.node(), live.as_ref(), &scalers)
}

/// The leaves that differ, as a digest.
fn leaves(comparison: &Comparison) -> Digest {
    Digest::of_parts(comparison.differences.iter().map(|difference| difference.path.to_string()))
}
