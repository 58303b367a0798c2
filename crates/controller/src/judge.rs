//! One object of an application, judged: what Git says against what the cluster has.
//!
//! A judgement is remembered with what it was made from, so that a look at an application compares only the objects that
//! changed. Entry point: [`judge`].

use std::sync::Arc;

use trueup_api::{App, Hook, ObjectOptions, object_options};
use trueup_cluster::{Cluster, ClusterError, Kind, Live};
use trueup_diff::{Comparison, Former, Input, Note, Schema, compare, is_built_in};
use trueup_health::Health;
use trueup_object::{Digest, Gvk, Node, ObjectKey};
use trueup_render::Target;

use crate::children::{self, Child};
use crate::memory::Memory;
use crate::perform::{Manner, manner};
use crate::question::recall;
use crate::world::World;

/// An object of an application and what is to be said of it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) key: ObjectKey,
    pub(crate) gvk: Gvk,
    pub(crate) verdict: Verdict,
    pub(crate) health: Option<Health>,
    pub(crate) exists: bool,
    /// Git had it at the last successful sync: if it is missing, somebody took it away.
    pub(crate) was_synced: bool,
    pub(crate) options: ObjectOptions,
    /// What makes it a hook, if it is one: then it is made by a sync and not kept in line.
    pub(crate) hook: Option<Hook>,
    pub(crate) wave: i64,
    /// What else is worth saying: who shares a field, what the server would not answer.
    pub(crate) warnings: Vec<String>,
}

/// What is to be said of an object.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// As Git says.
    InLine,
    /// Somewhere else than Git says.
    Differs(Arc<Comparison>),
    /// Not there.
    Missing,
    /// Another application holds it.
    HeldBy(Arc<str>),
    /// The project does not permit it.
    Forbidden(String),
    /// The API server does not serve its kind.
    Unserved(String),
    /// Its kind cannot be listed, so nothing is known of it.
    Unreadable(String),
    /// Git asks not to sync it (`hook: Skip`).
    Skipped,
    /// It is a hook.
    Hook,
}

/// A judgement, and the digest of what it was made from.
pub(crate) struct Remembered {
    cause: Digest,
    judged: Arc<Judged>,
}

/// What is the same for all objects of an application in one look.
pub(crate) struct Frame<'a> {
    pub(crate) world: &'a World,
    pub(crate) name: &'a str,
    pub(crate) spec: &'a App,
    pub(crate) spec_digest: Digest,
    /// Names of further autoscalers, from the Application's annotation.
    pub(crate) scalers: Vec<String>,
    /// A further manager whose fields are taken over, from the Application's annotation.
    pub(crate) migration_manager: Option<String>,
    /// Git says something else than at the last successful sync.
    pub(crate) pending: bool,
    pub(crate) never_synced: bool,
    /// An operation is under way, which goes by how child Applications are.
    pub(crate) operates: bool,
    /// The cluster, as whoever writes the objects of the application.
    pub(crate) hands: Result<Cluster, ClusterError>,
}

// === impl Judged ===

impl Judged {
    /// What differs, if something does.
    pub(crate) fn comparison(&self) -> Option<&Comparison> {
        match &self.verdict {
            Verdict::Differs(comparison) => Some(comparison),
            _ => None,
        }
    }

    /// Whether it is as Git says, or is not asked to be.
    pub(crate) fn is_in_line(&self) -> bool {
        matches!(self.verdict, Verdict::InLine | Verdict::Skipped | Verdict::Hook)
    }

    /// Whether an apply would help.
    pub(crate) fn wants_apply(&self) -> bool {
        matches!(self.verdict, Verdict::Differs(_) | Verdict::Missing)
    }
}

// === impl Frame ===

impl Frame<'_> {
    /// What a comparison needs, but for what is remembered and what does not count.
    pub(crate) fn input<'i>(&'i self, target: &'i Target, live: &'i Node, schema: &'i Schema) -> Input<'i> {
        let options = object_options(target.manifest.node()).within(&self.spec.options);
        Input {
            former: self.former(),
            built_in: is_built_in(&target.gvk.group),
            client_side: manner(&options, target) == Manner::ClientSide,
            ..Input::plain(target.manifest.node(), live, schema)
        }
    }

    /// Managers whose fields are taken over.
    pub(crate) fn former(&self) -> Former<'_> {
        let kubectl = self.spec.options.client_side_apply_migration;
        Former { named: self.migration_manager.as_deref(), kubectl }
    }
}

/// Judges one object. `live` is what the index has of it.
pub(crate) async fn judge(
    frame: &Frame<'_>,
    memory: &mut Memory,
    target: &Target,
    kind: &Result<Kind, Verdict>,
    live: Option<&Arc<Live>>,
) -> Arc<Judged> {
    let holder = live.and_then(|live| self::holder(frame.world, frame.name, &target.key, live));
    let holder = holder.and_then(|_| {
        // Asked again after the registration: the holder may have let go in between.
        frame.world.holders.wait_for(frame.name, &target.key);
        live.and_then(|live| self::holder(frame.world, frame.name, &target.key, live))
    });
    recall(frame.world, memory, target);
    let child = if frame.operates { Child::of(frame.world, &target.key) } else { None };
    let cause = cause(frame, memory, target, kind.is_ok(), live, holder.as_deref());
    let cause = match &child {
        Some(child) => Digest::of_parts([cause.to_string(), child.cause(frame.world)]),
        None => cause,
    };
    if let Some(remembered) = memory.judged.get(&target.key)
        && remembered.cause == cause
    {
        return Arc::clone(&remembered.judged);
    }
    frame.world.metrics.comparisons.inc();
    let judged = Arc::new(look(frame, memory, target, kind, live, holder, child.as_ref()).await);
    // What could not be known is looked at again next time.
    if matches!(judged.verdict, Verdict::Unserved(_) | Verdict::Unreadable(_) | Verdict::Forbidden(_)) {
        memory.judged.remove(&target.key);
    } else {
        memory.judged.insert(target.key.clone(), Remembered { cause, judged: Arc::clone(&judged) });
    }
    judged
}

async fn look(
    frame: &Frame<'_>,
    memory: &Memory,
    target: &Target,
    kind: &Result<Kind, Verdict>,
    live: Option<&Arc<Live>>,
    holder: Option<Arc<str>>,
    child: Option<&Child>,
) -> Judged {
    let options = object_options(target.manifest.node());
    let mut judged = Judged {
        key: target.key.clone(),
        gvk: target.gvk.clone(),
        verdict: Verdict::Missing,
        was_synced: memory.base_of(&target.key, &Node::Null).is_some_and(|node| *node != Node::Null),
        health: None,
        exists: live.is_some(),
        options,
        hook: trueup_api::hook(target.manifest.node()),
        wave: trueup_api::wave(target.manifest.node()),
        warnings: Vec::new(),
    };
    if judged.options.skip {
        judged.verdict = Verdict::Skipped;
        return judged;
    }
    match kind {
        Err(Verdict::Unserved(why)) => judged.verdict = Verdict::Unserved(why.clone()),
        Err(Verdict::Forbidden(why)) => judged.verdict = Verdict::Forbidden(why.clone()),
        Err(Verdict::Unreadable(why)) => judged.verdict = Verdict::Unreadable(why.clone()),
        Err(_) => {}
        Ok(_) if judged.hook.is_some() => {
            judged.verdict = Verdict::Hook;
            judged.health = live.and_then(|live| trueup_health::of(&live.node()));
        }
        Ok(_) => {
            let Some(live) = live else { return judged };
            let node = live.node();
            judged.health = health(frame, &target.key, child, &node);
            judged.verdict = if let Some(holder) = holder {
                Verdict::HeldBy(holder)
            } else {
                let comparison = contrast(frame, memory, target, &node).await;
                judged.warnings = comparison.notes.iter().filter_map(|note| said(&target.key, note)).collect();
                if comparison.in_line() { Verdict::InLine } else { Verdict::Differs(Arc::new(comparison)) }
            };
        }
    }
    judged
}

/// How an object fares, if that can be said of its kind; nothing of the application itself, whose health is that of the others.
fn health(frame: &Frame<'_>, key: &ObjectKey, child: Option<&Child>, live: &Node) -> Option<Health> {
    let said = trueup_health::of(live).filter(|_| !children::is_itself(frame.world, frame.name, key))?;
    Some(match child {
        Some(child) => child.health(frame.world, live, said),
        None => said,
    })
}

/// Compares one object, with the kind's schema if it is needed.
async fn contrast(frame: &Frame<'_>, memory: &Memory, target: &Target, live: &Node) -> Comparison {
    let empty = Node::map();
    let base = memory.base_of(&target.key, &empty);
    let projection =
        memory.projections.get(&target.key).filter(|(of, ..)| *of == target.digest).map(|(.., projection)| projection);
    let ignored = frame.spec.ignored(&target.key);
    let scalers: Vec<&str> = frame.scalers.iter().map(String::as_str).collect();
    let unknown = Schema::unknown();
    let input = Input {
        base,
        projection: projection.map(AsRef::as_ref),
        ignore: &ignored.pointers,
        ignore_managers: &ignored.managers,
        scalers: &scalers,
        pending: frame.pending,
        never_synced: frame.never_synced,
        ..frame.input(target, live, &unknown)
    };
    let first = compare(&input);
    if !first.needs_schema {
        return first;
    }
    match frame.world.cluster.openapi(&target.gvk).await {
        Ok(schema) => compare(&Input { schema: &schema, ..input }),
        Err(error) => {
            tracing::warn!(kind = %target.gvk, %error, "the schema of a kind cannot be read: its lists are compared as a whole");
            first
        }
    }
}

/// What a note is worth a condition for; what was given up or is never compared needs nobody's attention.
fn said(key: &ObjectKey, note: &Note) -> Option<String> {
    match note {
        Note::Shared { path, manager } => {
            Some(format!("{key}: {path} was removed from Git and stays, because '{manager}' holds it too"))
        }
        Note::Scaled { manager } => Some(format!(
            "{key}: .spec.replicas belongs to the autoscaler '{manager}' and is left to it: remove it from Git"
        )),
        Note::Duplicate { path } => Some(format!("{key}: {path} occurs more than once: the last one counts")),
        Note::GivenUp { .. } | Note::Aggregated => None,
    }
}

/// The other application that an object belongs to, if it still does.
pub(crate) fn holder(world: &World, name: &str, key: &ObjectKey, live: &Live) -> Option<Arc<str>> {
    let installation = world.cluster.installation();
    let holder = live.claimed_by(&installation)?;
    let holds = || world.applications.get(holder).is_some() && world.holders.holds(holder, key);
    (holder != name && (holds() || world.may_be_there(holder))).then(|| Arc::from(holder))
}

fn cause(
    frame: &Frame<'_>,
    memory: &Memory,
    target: &Target,
    served: bool,
    live: Option<&Arc<Live>>,
    holder: Option<&str>,
) -> Digest {
    let (uid, version) = live.map_or(("", ""), |live| (live.uid.as_str(), live.resource_version.as_str()));
    let projection = memory.projections.get(&target.key).map_or(0, |(.., projection)| Arc::as_ptr(projection) as usize);
    let flags = [u8::from(frame.pending), u8::from(frame.never_synced), u8::from(served), memory.base.rank()];
    Digest::of_parts([
        uid.as_bytes(),
        version.as_bytes(),
        target.digest.to_string().as_bytes(),
        frame.spec_digest.to_string().as_bytes(),
        memory.base.digest().map(|digest| digest.to_string()).unwrap_or_default().as_bytes(),
        holder.unwrap_or_default().as_bytes(),
        &projection.to_le_bytes(),
        &flags,
        frame.scalers.join(",").as_bytes(),
        frame.migration_manager.as_deref().unwrap_or_default().as_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_manager_that_no_rule_may_name_is_ours() {
        assert_eq!(trueup_api::FIELD_MANAGER, trueup_diff::MANAGER);
    }
}
