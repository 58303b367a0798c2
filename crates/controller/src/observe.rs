//! One look at an application: what Git says, what the cluster has, and what is to be said of each object.
//!
//! Nothing is written here. A look that lacks something says what: an error of Git or of the specification blocks it, a kind
//! that has not been listed yet makes it wait. Entry point: [`observe`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{App, Application, Operation, Project, Revision, condition};
use trueup_cluster::Kind;
use trueup_object::{Gvk, ObjectKey};
use trueup_render::{Target, Targets, Tool};

use crate::attempt::{Attempt, under_way_at};
use crate::depends;
use crate::extras::{Extra, live};
use crate::judge::{Frame, Judged, Verdict, judge};
use crate::kinds::{LIST_PATIENCE, kinds_of, want, watches};
use crate::loading::{Loaded, SourceError};
use crate::memory::Memory;
use crate::namespace_metadata;
use crate::past::{place, read_base, sync_state};
use crate::permission::{forbidden, holds, permitted, stops};
use crate::source;
use crate::world::{LookedAt, Reached, World};

/// Between two looks at whether a kind has been listed, where an operation waits for it.
const LIST_PAUSE: Duration = Duration::from_millis(50);

/// What a look shows.
pub(crate) enum Sight {
    /// Everything that is needed.
    Ready(Box<View>),
    /// A kind has not been listed yet: its first listing wakes the application.
    Waiting(Option<Notice>),
    /// Nothing can be said of the objects.
    Blocked(Blocked),
}

/// Why nothing can be said of the objects.
pub(crate) struct Blocked {
    pub(crate) notice: Notice,
    /// Whether the specification itself is wrong: then nothing is known of the health either.
    pub(crate) invalid: bool,
    /// Why what somebody asks for cannot be had either, where that is another revision.
    pub(crate) operation: Option<String>,
}

/// A condition's type and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

/// Everything about an application at one moment.
pub(crate) struct View {
    pub(crate) spec: Arc<App>,
    pub(crate) project: Arc<Project>,
    /// What its sources are at.
    pub(crate) at: Revision,
    /// What rendered each of them; none where nothing is rendered.
    pub(crate) tools: Arc<[Option<Tool>]>,
    /// The revision that the look was for, as it is written.
    pub(crate) revision: Revision,
    /// It is another revision than the target revision: what is in line with it is not in line with what Git says.
    pub(crate) turned: bool,
    /// Why the target revision cannot be had: then the look was for the revision that somebody asks for.
    pub(crate) no_target: Option<Notice>,
    /// The tip of the target revision, if that is no reason to leave the commit of the sync that is under way: it says the
    /// same, or cannot be had.
    pub(crate) passed_over: Option<Revision>,
    pub(crate) targets: Arc<Targets>,
    /// Git says something else than at the last successful sync.
    pub(crate) pending: bool,
    pub(crate) never_synced: bool,
    /// One for each target, in their order.
    pub(crate) objects: Vec<Arc<Judged>>,
    /// What we answer for and Git no longer has.
    pub(crate) extras: Vec<Extra>,
    pub(crate) kinds: HashMap<Gvk, Result<Kind, Verdict>>,
    /// What stops every sync of this application; first what does so whatever its objects are.
    pub(crate) stops: Vec<String>,
    pub(crate) own_stops: usize,
    pub(crate) notices: Vec<Notice>,
    /// The destination namespace, if its labels and annotations are managed.
    pub(crate) namespace_managed: Option<ObjectKey>,
    /// What differs at them.
    pub(crate) namespace: Option<namespace_metadata::Difference>,
}

/// What Git says, and of which revision.
struct Said {
    loaded: Loaded,
    revision: Revision,
    no_target: Option<Notice>,
    looked: LookedAt,
}

/// Looks at an application. A refresh demands a listing of refs that is newer than `not_before`.
pub(crate) async fn observe(
    world: &World,
    application: &Application,
    memory: &mut Memory,
    not_before: Option<Instant>,
) -> Sight {
    let name = application.meta.instance.as_str();
    let spec = match &application.spec {
        Ok(spec) => Arc::new(spec.clone()),
        Err(errors) => return invalid(world, name, errors.to_string()),
    };
    let project = match permitted(world, &application.meta, &spec) {
        Ok(project) => project,
        Err(message) => return invalid(world, name, message),
    };
    let unsupported: Vec<String> = stops(world, &application.meta, &spec, &project);
    if spec.sources.is_empty() {
        // A source that we do not read yet: there is nothing to compare with.
        world.does_not_look(name);
        return Sight::Blocked(Blocked {
            notice: Notice { kind: condition::COMPARISON_ERROR, message: unsupported.join("; ") },
            invalid: false,
            operation: None,
        });
    }
    let mut loaded = source::at_target(world, &application.meta, &spec, not_before, memory).await;
    if loaded.is_err() && not_before.is_none() && !std::mem::replace(&mut memory.looked, true) {
        // A new application may ask for what was pushed a moment before it: the last listing is too old to say no.
        loaded = source::at_target(world, &application.meta, &spec, Some(Instant::now()), memory).await;
    }
    memory.looked = true;
    let reached = match &loaded {
        Ok(loaded) => Reached::Revision(loaded.at.clone()),
        Err((Some(at), _)) => Reached::Revision(at.clone()),
        Err((None, _)) => Reached::Failed,
    };
    let looked = LookedAt::of(&spec, reached);
    let target = spec.target();
    let said = match loaded {
        Ok(loaded) => Said { loaded, revision: target, no_target: None, looked },
        Err((_, error)) => {
            // What is not honoured may be the very cause.
            let message = unsupported.iter().cloned().chain([said(&error)]).collect::<Vec<_>>().join("; ");
            let notice = Notice { kind: condition::COMPARISON_ERROR, message };
            let blocked = |notice, operation| Sight::Blocked(Blocked { notice, invalid: false, operation });
            // What is under way stays with its revision.
            let asked = || application.operation.as_ref().and_then(asked_for);
            let revision = under_way_at(application, memory).or_else(asked).filter(|revision| *revision != target);
            let Some(revision) = revision else {
                world.looked_at(name, looked);
                return blocked(notice, None);
            };
            // Somebody goes back to what there was, as after a tag was deleted.
            match source::at_asked(world, &application.meta, &spec, &revision).await {
                Ok(loaded) => Said { loaded, revision, no_target: Some(notice), looked },
                Err(why) => {
                    world.looked_at(name, looked);
                    return blocked(notice, Some(why));
                }
            }
        }
    };
    look_at_cluster(world, application, spec, project, unsupported, said, memory).await
}

/// The revision that an operation names; none if it is for the target revision.
pub(crate) fn asked_for(operation: &Operation) -> Option<Revision> {
    operation.sync.as_ref().and_then(|sync| Revision::of(&sync.revision, &sync.revisions))
}

/// As upstream begins what it says of a source.
fn said(error: &SourceError) -> String {
    format!("Failed to load target state: {error}")
}

fn invalid(world: &World, name: &str, message: String) -> Sight {
    world.does_not_look(name);
    let notice = Notice { kind: condition::INVALID_SPEC_ERROR, message };
    Sight::Blocked(Blocked { notice, invalid: true, operation: None })
}

async fn look_at_cluster(
    world: &World,
    application: &Application,
    spec: Arc<App>,
    project: Arc<Project>,
    stops: Vec<String>,
    said: Said,
    memory: &mut Memory,
) -> Sight {
    let name = application.meta.instance.as_str();
    let Said { loaded, revision, no_target, looked } = said;
    let tip = match &looked.at {
        Reached::Revision(at) => Some(at.clone()),
        Reached::Nothing | Reached::Failed => None,
    };
    let kinds = kinds_of(world, loaded.rendered.manifests.iter().map(trueup_object::Manifest::gvk).collect()).await;
    let targets = place(&world.cluster.installation(), name, &spec, &loaded, &kinds, memory);
    let held = targets.objects.iter().filter(|target| holds(&project, &spec, &kinds, target));
    let held = held.map(|target| target.key.clone());
    let waking = match &no_target {
        None => world.holders.hold(name, held),
        // What the target revision has is not known to be any less.
        Some(_) => world.holders.hold_besides(name, held),
    };
    for waiting in waking {
        world.queue.wake(&waiting);
    }
    world.looked_at(name, looked);
    read_base(world, application, &spec, &kinds, &targets, memory).await;
    memory.swept.extend(world.sweep.take(name));
    memory.add_found(memory.swept.clone());
    let mut further: BTreeSet<Gvk> = memory.inventory.values().cloned().collect();
    // Hooks that run are seen to their end, whatever the specification says by now.
    further.extend(memory.attempt.iter().flat_map(Attempt::hooks_that_run).map(|hook| hook.gvk));
    if spec.options.create_namespace {
        // So that it is known whether the namespace is there.
        further.insert(Gvk::from_api_version("v1", "Namespace"));
    }
    let mut kinds = kinds;
    kinds.extend(kinds_of(world, further).await);
    world.note_kinds(name, kinds.keys());
    let namespace_managed = namespace_metadata::managed(&spec, application, memory);
    want(world, name, &targets, namespace_managed.clone(), memory);
    if let Some(waiting) = watches(world, &mut kinds, memory) {
        return waiting;
    }
    let (pending, never_synced) = sync_state(application, &targets);
    let mut view = View {
        passed_over: tip.filter(|_| no_target.is_some()),
        spec,
        project,
        at: loaded.at,
        tools: loaded.tools,
        revision,
        turned: no_target.is_some(),
        no_target,
        targets,
        pending,
        never_synced,
        objects: Vec::new(),
        extras: Vec::new(),
        kinds,
        own_stops: stops.len(),
        stops,
        notices: Vec::new(),
        namespace_managed,
        namespace: None,
    };
    view.judge_objects(world, application, memory).await;
    view.find_extras(world, name, memory);
    // From here on the status lists them.
    memory.swept.clear();
    view.note(world, name, memory);
    Sight::Ready(Box::new(view))
}

// === impl View ===

impl View {
    /// Each target with its judgement.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Target, &Arc<Judged>)> {
        self.targets.objects.iter().zip(&self.objects)
    }

    /// Whether something of this application could not be read.
    pub(crate) fn has_unreadable(&self) -> bool {
        self.extras.iter().any(|extra| extra.live.is_none())
            || self.objects.iter().any(|judged| matches!(judged.verdict, Verdict::Unreadable(_)))
    }

    /// The frame in which this application's objects are judged.
    pub(crate) fn frame<'a>(&'a self, world: &'a World, application: &'a Application) -> Frame<'a> {
        Frame {
            world,
            name: &application.meta.instance,
            spec: &self.spec,
            spec_digest: application.spec_digest,
            scalers: application.meta.scalers().map(str::to_owned).collect(),
            migration_manager: application.meta.migration_manager().map(str::to_owned),
            pending: self.pending,
            never_synced: self.never_synced,
            operates: depends::operates(application),
            hands: self.hands(world, application),
        }
    }

    /// Turns to another revision of the source, which somebody asked for.
    pub(crate) async fn turn_to(
        &mut self,
        world: &World,
        application: &Application,
        memory: &mut Memory,
        loaded: &Loaded,
    ) -> Result<(), String> {
        let name = application.meta.instance.as_str();
        let kinds = kinds_of(world, loaded.rendered.manifests.iter().map(trueup_object::Manifest::gvk).collect()).await;
        self.targets = place(&world.cluster.installation(), name, &self.spec, loaded, &kinds, memory);
        self.turned = self.turned || self.at != loaded.at;
        self.at.clone_from(&loaded.at);
        self.tools = Arc::clone(&loaded.tools);
        self.kinds.extend(kinds);
        world.note_kinds(name, self.kinds.keys());
        want(world, name, &self.targets, self.namespace_managed.clone(), memory);
        let began = Instant::now();
        while let Some(Sight::Waiting(_)) = watches(world, &mut self.kinds, memory) {
            if began.elapsed() >= LIST_PATIENCE {
                return Err("a kind of that revision has not been listed yet: ask again".to_owned());
            }
            tokio::time::sleep(LIST_PAUSE).await;
        }
        (self.pending, self.never_synced) = sync_state(application, &self.targets);
        self.stops = stops(world, &application.meta, &self.spec, &self.project);
        self.own_stops = self.stops.len();
        self.judge_objects(world, application, memory).await;
        self.find_extras(world, name, memory);
        self.note(world, name, memory);
        Ok(())
    }

    /// Judges every target; those that are judged already and have not changed cost nothing.
    pub(crate) async fn judge_objects(&mut self, world: &World, application: &Application, memory: &mut Memory) {
        let mut objects = Vec::with_capacity(self.targets.objects.len());
        {
            let frame = self.frame(world, application);
            for target in &self.targets.objects {
                objects.push(self.judge_one(&frame, memory, target).await);
            }
        }
        memory.forget_all_but(&self.targets);
        self.objects = objects;
        self.namespace = match self.kinds.get(&namespace_metadata::gvk()) {
            Some(Ok(kind)) => namespace_metadata::difference(world, kind, self, application).await,
            _ => None,
        };
    }

    /// Judges these targets again, after something was done about them. A kind may have come into being by that.
    pub(crate) async fn judge_again(
        &mut self,
        world: &World,
        application: &Application,
        memory: &mut Memory,
        keys: &HashSet<ObjectKey>,
    ) {
        let targets = Arc::clone(&self.targets);
        let changed = || targets.objects.iter().enumerate().filter(|(_, target)| keys.contains(&target.key));
        for (_, target) in changed() {
            if matches!(self.kinds.get(&target.gvk), Some(Err(Verdict::Unserved(_))))
                && let Ok(kind) = world.cluster.kind(&target.gvk).await
            {
                world.cluster.watch(&kind);
                self.kinds.insert(target.gvk.clone(), Ok(kind));
            }
        }
        world.note_kinds(&application.meta.instance, self.kinds.keys());
        let mut judged = Vec::with_capacity(keys.len());
        {
            let frame = self.frame(world, application);
            for (at, target) in changed() {
                judged.push((at, self.judge_one(&frame, memory, target).await));
            }
        }
        for (at, judged) in judged {
            self.objects[at] = judged;
        }
    }

    async fn judge_one(&self, frame: &Frame<'_>, memory: &mut Memory, target: &Target) -> Arc<Judged> {
        let unknown = Err(Verdict::Unreadable(format!("{} was not looked up", target.gvk)));
        let kind = self.kinds.get(&target.gvk).unwrap_or(&unknown);
        let forbidden = forbidden(&self.project, &self.spec, target, kind.as_ref().ok());
        let forbidden = forbidden.map(|why| Err(Verdict::Forbidden(why)));
        let kind = forbidden.as_ref().unwrap_or(kind);
        let live = match kind {
            // A hook without a name is another object each time.
            Ok(kind) if !target.key.name.is_empty() => live(frame.world, kind, &target.key).await,
            _ => Ok(None),
        };
        // An object that cannot be read is not one that is missing.
        let unread = live.as_ref().err();
        let unread = unread.map(|error| Err(Verdict::Unreadable(format!("{} cannot be read: {error}", target.key))));
        let kind = unread.as_ref().unwrap_or(kind);
        judge(frame, memory, target, kind, live.ok().flatten().as_ref()).await
    }
}
