//! One look at an application: what Git says, what the cluster has, and what is to be said of each object.
//!
//! Nothing is written here. A look that lacks something says what: an error of Git or of the specification blocks it, a kind
//! that has not been listed yet makes it wait. Entry point: [`observe`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trueup_api::{App, Application, Destination, Project, condition, object_options, object_unsupported};
use trueup_cluster::{ClusterError, Kind, KindError, Live, WatchState};
use trueup_git::CommitId;
use trueup_health::Health;
use trueup_object::{Digest, GroupKind, Gvk, Node, ObjectKey};
use trueup_render::{Placement, Target, Targets, targets};

use crate::judge::{Frame, Judged, Verdict, judge};
use crate::memory::{Base, Memory};
use crate::perform::applied_by_us;
use crate::source::{self, Loaded, SourceError};
use crate::world::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER, LookedAt, Reached, World};

/// A kind that has not been listed after this time is reported; it goes on being waited for.
const LIST_PATIENCE: Duration = Duration::from_secs(10);

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
    pub(crate) commit: CommitId,
    pub(crate) targets: Arc<Targets>,
    /// Git says something else than at the last successful sync.
    pub(crate) pending: bool,
    pub(crate) never_synced: bool,
    /// One for each target, in their order.
    pub(crate) objects: Vec<Arc<Judged>>,
    /// What we answer for and Git no longer has.
    pub(crate) extras: Vec<Extra>,
    pub(crate) kinds: HashMap<Gvk, Result<Kind, Verdict>>,
    /// What stops every sync of this application.
    pub(crate) stops: Vec<String>,
    pub(crate) notices: Vec<Notice>,
}

/// An object that we answer for and Git no longer has.
#[derive(Debug)]
pub(crate) struct Extra {
    pub(crate) key: ObjectKey,
    pub(crate) gvk: Gvk,
    pub(crate) live: Option<Arc<Live>>,
    pub(crate) health: Option<Health>,
    pub(crate) fate: Fate,
}

/// What is to become of an object that Git no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is deleted by a sync that prunes.
    Prune,
    /// It stays, and why.
    Keep(String),
    /// It is being deleted already.
    Going,
    /// It is no difference at all (`IgnoreExtraneous`).
    Ignored,
}

/// Looks at an application. A refresh demands a listing of refs that is newer than `not_before`.
pub(crate) async fn observe(
    world: &World,
    application: &Application,
    memory: &mut Memory,
    not_before: Option<Instant>,
) -> Sight {
    let name = application.meta.name.as_str();
    let spec = match &application.spec {
        Ok(spec) => Arc::new(spec.clone()),
        Err(errors) => return invalid(world, name, errors.to_string()),
    };
    let project = match permitted(world, &spec) {
        Ok(project) => project,
        Err(message) => return invalid(world, name, message),
    };
    let unsupported: Vec<String> = stops(&spec, &project);
    if spec.source.path.is_empty() && !unsupported.is_empty() {
        // A source that we do not read yet: there is nothing to compare with.
        world.does_not_look(name);
        return Sight::Blocked(Blocked {
            notice: Notice { kind: condition::COMPARISON_ERROR, message: unsupported.join("; ") },
            invalid: false,
        });
    }
    let mut loaded = source::at_target(world, name, &spec, not_before, memory).await;
    if loaded.is_err() && not_before.is_none() && !std::mem::replace(&mut memory.looked, true) {
        // A new application may ask for what was pushed a moment before it: the last listing is too old to say no.
        loaded = source::at_target(world, name, &spec, Some(Instant::now()), memory).await;
    }
    memory.looked = true;
    let looked = LookedAt {
        repo_url: spec.source.repo_url.clone(),
        revision: spec.source.target_revision.clone(),
        at: match &loaded {
            Ok(loaded) => Reached::Commit(loaded.commit),
            Err((Some(commit), _)) => Reached::Commit(*commit),
            Err((None, _)) => Reached::Failed,
        },
    };
    match loaded {
        Ok(loaded) => look_at_cluster(world, application, spec, project, unsupported, loaded, memory, looked).await,
        Err((_, error)) => {
            world.looked_at(name, looked);
            // What is not honoured may be the very cause.
            let message = unsupported.into_iter().chain([said(&error)]).collect::<Vec<_>>().join("; ");
            Sight::Blocked(Blocked { notice: Notice { kind: condition::COMPARISON_ERROR, message }, invalid: false })
        }
    }
}

/// As upstream begins what it says of a source.
fn said(error: &SourceError) -> String {
    format!("Failed to load target state: {error}")
}

fn invalid(world: &World, name: &str, message: String) -> Sight {
    world.does_not_look(name);
    Sight::Blocked(Blocked { notice: Notice { kind: condition::INVALID_SPEC_ERROR, message }, invalid: true })
}

fn permitted(world: &World, spec: &App) -> Result<Arc<Project>, String> {
    let project = world.projects.get(&spec.project)?;
    let destination = &spec.destination;
    if !is_our_cluster(destination) {
        let which = if destination.name.is_empty() { &destination.server } else { &destination.name };
        return Err(format!(
            "there is no cluster '{which}': only the cluster of the controller is managed ({IN_CLUSTER_SERVER}, or by name {IN_CLUSTER_NAME})"
        ));
    }
    if !project.permits_source(&spec.source.repo_url) {
        return Err(format!(
            "application repo {} is not permitted in project '{}'",
            shown(&spec.source.repo_url),
            spec.project
        ));
    }
    if !project.permits_destination(IN_CLUSTER_SERVER, IN_CLUSTER_NAME, &destination.namespace) {
        return Err(format!(
            "application destination server '{IN_CLUSTER_SERVER}' and namespace '{}' do not match any of the allowed destinations in project '{}'",
            destination.namespace, spec.project
        ));
    }
    Ok(project)
}

/// Whether a destination is the cluster that we run in.
pub(crate) fn is_our_cluster(destination: &Destination) -> bool {
    destination.server == IN_CLUSTER_SERVER || destination.name == IN_CLUSTER_NAME
}

/// A URL without its credentials.
pub(crate) fn shown(url: &str) -> String {
    trueup_git::RepoUrl::parse(url).map_or_else(|_| "(not a valid URL)".to_owned(), |url| url.to_string())
}

/// Why no sync of this application may happen: what it asks for and we do not honour. What one operation asks for beyond that
/// is that operation's failure, not the application's.
fn stops(spec: &App, project: &Project) -> Vec<String> {
    let all = spec.unsupported.iter().chain(project.unsupported());
    all.filter(|unsupported| unsupported.stops)
        .map(|unsupported| format!("{}: {}", unsupported.field, unsupported.message))
        .collect()
}

#[expect(clippy::too_many_arguments, reason = "the steps of one look, cut in two")]
async fn look_at_cluster(
    world: &World,
    application: &Application,
    spec: Arc<App>,
    project: Arc<Project>,
    stops: Vec<String>,
    loaded: Loaded,
    memory: &mut Memory,
    looked: LookedAt,
) -> Sight {
    let name = application.meta.name.as_str();
    let kinds = kinds_of(world, loaded.rendered.manifests.iter().map(trueup_object::Manifest::gvk).collect()).await;
    let mut stops = stops;
    if loaded.rendered.overridden.iter().any(|overridden| overridden == name) {
        stops.push(format!(
            ".argocd-source-{name}.yaml overrides the source, which is not honoured yet: write it into the Application"
        ));
    }
    let targets = place(name, &spec, &loaded, &kinds, memory);
    let held = targets.objects.iter().filter(|target| holds(&project, &spec, &kinds, target));
    for waiting in world.holders.hold(name, held.map(|target| target.key.clone())) {
        world.queue.wake(&waiting);
    }
    world.looked_at(name, looked);
    read_base(world, application, &spec, &kinds, &targets, memory).await;
    let mut further: BTreeSet<Gvk> = memory.inventory.values().cloned().collect();
    if spec.options.create_namespace {
        // So that it is known whether the namespace is there.
        further.insert(Gvk::from_api_version("v1", "Namespace"));
    }
    let mut kinds = kinds;
    kinds.extend(kinds_of(world, further).await);
    world.note_kinds(name, kinds.keys());
    want(world, name, &targets, memory);
    if let Some(waiting) = watches(world, &mut kinds, memory) {
        return waiting;
    }
    let (pending, never_synced) = sync_state(application, &targets);
    let mut view = View {
        spec,
        project,
        commit: loaded.commit,
        targets,
        pending,
        never_synced,
        objects: Vec::new(),
        extras: Vec::new(),
        kinds,
        stops,
        notices: Vec::new(),
    };
    view.judge_objects(world, application, memory).await;
    view.find_extras(world, name, memory);
    view.note(world, name, memory);
    Sight::Ready(Box::new(view))
}

/// Whether an application holds an object that its render has: not what it may not or does not want to sync.
fn holds(project: &Project, spec: &App, kinds: &HashMap<Gvk, Result<Kind, Verdict>>, target: &Target) -> bool {
    let kind = kinds.get(&target.gvk).and_then(|kind| kind.as_ref().ok());
    forbidden(project, spec, target, kind).is_none() && !object_options(target.manifest.node()).skip
}

/// Why the project does not permit an object, if so.
fn forbidden(project: &Project, spec: &App, target: &Target, kind: Option<&Kind>) -> Option<String> {
    let key = &target.key;
    let namespaced = kind.map_or(!key.namespace.is_empty(), |kind| kind.namespaced);
    not_permitted(project, &spec.project, key, namespaced)
}

/// Why a project permits nothing to be done to an object, if so.
pub(crate) fn not_permitted(project: &Project, name: &str, key: &ObjectKey, namespaced: bool) -> Option<String> {
    if !project.permits_kind(&key.group, &key.kind, &key.name, namespaced) {
        return Some(format!("resource {}:{} is not permitted in project {name}", key.group, key.kind));
    }
    let placed = !namespaced || project.permits_destination(IN_CLUSTER_SERVER, IN_CLUSTER_NAME, &key.namespace);
    (!placed).then(|| format!("namespace {} is not permitted in project '{name}'", key.namespace))
}

/// Whether Git says something else than at the last successful sync, and whether there never was one.
pub(crate) fn sync_state(application: &Application, targets: &Targets) -> (bool, bool) {
    let baseline = application.status.drift.as_ref().map(|drift| drift.baseline.as_str()).unwrap_or_default();
    (baseline != targets.digest.to_string(), baseline.is_empty() && application.status.history.is_empty())
}

/// The final manifests; the same value as long as nothing that they are made from changes.
pub(crate) fn place(
    name: &str,
    spec: &App,
    loaded: &Loaded,
    kinds: &HashMap<Gvk, Result<Kind, Verdict>>,
    memory: &mut Memory,
) -> Arc<Targets> {
    let scopes = scopes(loaded, kinds);
    let mut scoped: Vec<String> = scopes.iter().map(|(gvk, namespaced)| format!("{gvk}={namespaced}")).collect();
    scoped.sort_unstable();
    let cause =
        Digest::of_parts([loaded.rendered.digest.to_string(), spec.destination.namespace.clone(), scoped.join(",")]);
    if let Some((of, targets)) = &memory.targets
        && *of == cause
    {
        return Arc::clone(targets);
    }
    let namespaced = |gvk: &Gvk| scopes.get(gvk).copied();
    let placement = Placement { app: name, namespace: &spec.destination.namespace, namespaced: &namespaced };
    let made = Arc::new(targets(&loaded.rendered, &placement));
    memory.targets = Some((cause, Arc::clone(&made)));
    made
}

/// Which kinds are namespaced, by the API server or by a definition in the same render.
fn scopes(loaded: &Loaded, kinds: &HashMap<Gvk, Result<Kind, Verdict>>) -> BTreeMap<Gvk, bool> {
    let defined: HashMap<GroupKind, bool> =
        loaded.rendered.manifests.iter().filter_map(|manifest| defines(manifest.node())).collect();
    let scope = |(gvk, kind): (&Gvk, &Result<Kind, Verdict>)| {
        let namespaced = match kind {
            Ok(kind) => kind.namespaced,
            Err(_) => *defined.get(&gvk.group_kind())?,
        };
        Some((gvk.clone(), namespaced))
    };
    kinds.iter().filter_map(scope).collect()
}

/// The kind that a CustomResourceDefinition defines, and whether it is namespaced.
pub(crate) fn defines(node: &Node) -> Option<(GroupKind, bool)> {
    if node.str_at(&["kind"])? != "CustomResourceDefinition" {
        return None;
    }
    let (group, kind) = (node.str_at(&["spec", "group"])?, node.str_at(&["spec", "names", "kind"])?);
    Some((GroupKind::new(group, kind), node.str_at(&["spec", "scope"]) != Some("Cluster")))
}

/// Each kind as the API server serves it, or what is to be said of its objects.
pub(crate) async fn kinds_of(world: &World, gvks: BTreeSet<Gvk>) -> HashMap<Gvk, Result<Kind, Verdict>> {
    let mut kinds = HashMap::new();
    for gvk in gvks {
        let kind = world.cluster.kind(&gvk).await.map_err(|error| match error {
            KindError::NotServed { .. } => Verdict::Unserved(format!("the API server does not serve the kind {gvk}: install its CustomResourceDefinition, or add it to the application")),
            error @ KindError::Failed { .. } => Verdict::Unreadable(format!("{gvk}: {error}")),
        });
        kinds.insert(gvk, kind);
    }
    kinds
}

/// Finds what Git said at the last successful sync, once.
async fn read_base(
    world: &World,
    application: &Application,
    spec: &App,
    kinds: &HashMap<Gvk, Result<Kind, Verdict>>,
    targets: &Arc<Targets>,
    memory: &mut Memory,
) {
    if memory.inventory.is_empty() && matches!(memory.base, Base::Unread) {
        memory.inventory = inventory(application);
    }
    if !matches!(memory.base, Base::Unread) {
        return;
    }
    let (pending, never_synced) = sync_state(application, targets);
    memory.base = if never_synced {
        Base::Never
    } else if !pending {
        Base::Known(Arc::clone(targets))
    } else {
        match synced_before(world, application, spec, kinds).await {
            Ok(targets) => Base::Known(Arc::new(targets)),
            Err(why) => Base::Lost(why),
        }
    };
}

/// Renders again what was synced last.
async fn synced_before(
    world: &World,
    application: &Application,
    spec: &App,
    kinds: &HashMap<Gvk, Result<Kind, Verdict>>,
) -> Result<Targets, String> {
    let last = application.status.history.last().ok_or("the history of syncs is empty")?;
    let commit: CommitId = last.revision.parse().map_err(|_| "the synced revision is not a commit".to_owned())?;
    // A source that has moved since is not the one that was synced.
    let loaded = source::at_commit(world, &spec.source, commit).await.map_err(|error| error.to_string())?;
    let scopes = scopes(&loaded, kinds);
    let namespaced = |gvk: &Gvk| scopes.get(gvk).copied();
    let placement =
        Placement { app: &application.meta.name, namespace: &spec.destination.namespace, namespaced: &namespaced };
    Ok(targets(&loaded.rendered, &placement))
}

/// The objects that the status lists: those that we answer for.
pub(crate) fn inventory(application: &Application) -> BTreeMap<ObjectKey, Gvk> {
    let listed = application.status.resources.iter();
    listed
        .map(|resource| {
            let key = ObjectKey::new(&resource.group, &resource.kind, &resource.namespace, &resource.name);
            (
                key,
                Gvk {
                    group: resource.group.as_str().into(),
                    version: resource.version.as_str().into(),
                    kind: resource.kind.as_str().into(),
                },
            )
        })
        .collect()
}

/// Has the index keep the bodies of our objects.
fn want(world: &World, name: &str, targets: &Targets, memory: &mut Memory) {
    let inventory = Digest::of_parts(memory.inventory.keys().map(ToString::to_string));
    let wanted = Digest::of_parts([targets.digest.to_string(), inventory.to_string()]);
    if memory.wanted == Some(wanted) {
        return;
    }
    let mut keys: BTreeMap<ObjectKey, Gvk> = memory.inventory.clone();
    keys.extend(targets.objects.iter().map(|target| (target.key.clone(), target.gvk.clone())));
    world.cluster.want(name, keys.into_iter().map(|(key, gvk)| (gvk, key)));
    memory.wanted = Some(wanted);
}

/// Has every kind watched. Answers that the application must wait if one of them has not been listed yet.
fn watches(world: &World, kinds: &mut HashMap<Gvk, Result<Kind, Verdict>>, memory: &mut Memory) -> Option<Sight> {
    let mut pending = Vec::new();
    for (gvk, kind) in kinds.iter_mut() {
        let Ok(served) = kind else { continue };
        world.cluster.watch(served);
        match world.cluster.watch_state(gvk) {
            WatchState::Ready => {}
            WatchState::Pending { .. } => pending.push(gvk.to_string()),
            WatchState::Failed { message, .. } => {
                *kind = Err(Verdict::Unreadable(format!("{gvk} cannot be listed: {message}")));
            }
        }
    }
    if pending.is_empty() {
        memory.kinds_wait = None;
        return None;
    }
    let since = *memory.kinds_wait.get_or_insert_with(Instant::now);
    pending.sort_unstable();
    let message = format!("waiting for the first listing of {}", pending.join(", "));
    Some(Sight::Waiting(
        (since.elapsed() >= LIST_PATIENCE).then_some(Notice { kind: condition::COMPARISON_ERROR, message }),
    ))
}

/// When an application that waits for a listing is to say so.
pub(crate) fn patience_ends(memory: &Memory) -> Option<Instant> {
    memory.kinds_wait.map(|since| since + LIST_PATIENCE)
}

// === impl Extra ===

impl Extra {
    /// Whether the object itself asks to be pruned, whatever the application says.
    pub(crate) fn prunes_explicitly(&self) -> bool {
        self.live.as_ref().is_some_and(|live| trueup_api::prunes_explicitly(&live.node()))
    }
}

// === impl View ===

impl View {
    /// The frame in which this application's objects are judged.
    pub(crate) fn frame<'a>(&'a self, world: &'a World, application: &'a Application) -> Frame<'a> {
        let scalers =
            application.meta.annotations.get(trueup_api::annotations::SCALERS).map(String::as_str).unwrap_or_default();
        Frame {
            world,
            name: &application.meta.name,
            spec: &self.spec,
            spec_digest: application.spec_digest,
            scalers: scalers.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            migration_manager: application.meta.annotations.get(trueup_api::annotations::MIGRATION_MANAGER).cloned(),
            pending: self.pending,
            never_synced: self.never_synced,
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
        let name = application.meta.name.as_str();
        let kinds = kinds_of(world, loaded.rendered.manifests.iter().map(trueup_object::Manifest::gvk).collect()).await;
        self.targets = place(name, &self.spec, loaded, &kinds, memory);
        self.commit = loaded.commit;
        self.kinds.extend(kinds);
        world.note_kinds(name, self.kinds.keys());
        want(world, name, &self.targets, memory);
        let began = Instant::now();
        while let Some(Sight::Waiting(_)) = watches(world, &mut self.kinds, memory) {
            if began.elapsed() >= LIST_PATIENCE {
                return Err("a kind of that revision has not been listed yet: ask again".to_owned());
            }
            tokio::time::sleep(LIST_PAUSE).await;
        }
        (self.pending, self.never_synced) = sync_state(application, &self.targets);
        self.stops = stops(&self.spec, &self.project);
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
                let unknown = Err(Verdict::Unreadable(format!("{} was not looked up", target.gvk)));
                let kind = self.kinds.get(&target.gvk).unwrap_or(&unknown);
                let forbidden = forbidden(&self.project, &self.spec, target, kind.as_ref().ok())
                    .map(|why| Err(Verdict::Forbidden(why)));
                let kind = forbidden.as_ref().unwrap_or(kind);
                let live = match kind {
                    Ok(kind) => live(world, kind, &target.key).await,
                    Err(_) => Ok(None),
                };
                // An object that cannot be read is not one that is missing.
                let unread = live
                    .as_ref()
                    .err()
                    .map(|error| Err(Verdict::Unreadable(format!("{} cannot be read: {error}", target.key))));
                let kind = unread.as_ref().unwrap_or(kind);
                objects.push(judge(&frame, memory, target, kind, live.ok().flatten().as_ref()).await);
            }
        }
        memory.forget_all_but(&self.targets);
        self.objects = objects;
    }

    /// Finds what we answer for and Git no longer has.
    pub(crate) fn find_extras(&mut self, world: &World, name: &str, memory: &Memory) {
        let desired: HashSet<&ObjectKey> = self.targets.objects.iter().map(|target| &target.key).collect();
        let mut candidates: BTreeMap<ObjectKey, Gvk> = memory
            .inventory
            .iter()
            .filter(|(key, _)| !desired.contains(key))
            .map(|(key, gvk)| (key.clone(), gvk.clone()))
            .collect();
        for (gvk, key) in world.cluster.tracked(name) {
            if !desired.contains(&key) {
                candidates.insert(key, gvk);
            }
        }
        self.extras = candidates.into_iter().filter_map(|(key, gvk)| self.extra(world, name, key, gvk)).collect();
    }

    /// What is to become of an object that Git no longer has, as things are now; nothing if it is not there.
    pub(crate) fn extra(&self, world: &World, name: &str, key: ObjectKey, gvk: Gvk) -> Option<Extra> {
        // As upstream, which gives them no tracking id: they are let go, never deleted, since every object of theirs would go too.
        if key.kind == "CustomResourceDefinition" {
            return None;
        }
        if let Some(Err(verdict)) = self.kinds.get(&gvk) {
            let why = match verdict {
                // Without its kind an object cannot be there.
                Verdict::Unserved(_) => return None,
                Verdict::Unreadable(why) => why.clone(),
                _ => String::new(),
            };
            return Some(Extra { key, gvk, live: None, health: None, fate: Fate::Keep(why) });
        }
        let live = world.cluster.live(&gvk, &key)?;
        if live.owned || !is_ours(name, &live) {
            return None;
        }
        let node = live.node();
        let fate = self.fate(world, name, &key, &live, &node);
        Some(Extra { health: trueup_health::of(&node), key, gvk, live: Some(live), fate })
    }

    fn fate(&self, world: &World, name: &str, key: &ObjectKey, live: &Live, node: &Node) -> Fate {
        if let Some(holder) = world.holders.other(name, key) {
            return Fate::Keep(format!("application '{holder}' holds it"));
        }
        if live.deleting {
            return Fate::Going;
        }
        if !self.targets.invalid.is_empty() {
            return Fate::Keep("not judged: the render is not complete".to_owned());
        }
        let options = trueup_api::object_options(node);
        if options.ignore_extraneous {
            return Fate::Ignored;
        }
        if !options.prune || (!self.spec.options.prune && !trueup_api::prunes_explicitly(node)) {
            return Fate::Keep("ignored (no prune)".to_owned());
        }
        if options.keep {
            return Fate::Keep("ignored (helm.sh/resource-policy: keep)".to_owned());
        }
        if let Some(why) = not_permitted(&self.project, &self.spec.project, key, !key.namespace.is_empty()) {
            return Fate::Keep(why);
        }
        if key.kind == "Namespace"
            && let Some(why) = self.lived_in(world, name, &key.name)
        {
            return Fate::Keep(why);
        }
        Fate::Prune
    }

    /// Why a namespace stays: everything in it would go too.
    fn lived_in(&self, world: &World, name: &str, namespace: &str) -> Option<String> {
        let destination = &self.spec.destination.namespace;
        if self.spec.options.create_namespace && destination == namespace {
            return Some("it is the destination of this application (CreateNamespace=true)".to_owned());
        }
        if let Some(target) = self.targets.objects.iter().find(|target| target.key.namespace == namespace) {
            return Some(format!("{} lives in it", target.key));
        }
        let holder = world.holders.other_in(name, namespace)?;
        Some(format!("objects of application '{holder}' live in it"))
    }

    /// What is worth a condition.
    fn note(&mut self, world: &World, name: &str, memory: &Memory) {
        let mut notices = Vec::new();
        let mut warn = |kind: &'static str, message: String| notices.push(Notice { kind, message });
        let written = self.spec.unsupported.iter().chain(self.project.unsupported());
        for unsupported in written.filter(|unsupported| !unsupported.stops) {
            warn(condition::COMPARISON_WARNING, format!("{}: {}", unsupported.field, unsupported.message));
        }
        for target in &self.targets.objects {
            for unsupported in object_unsupported(&target.manifest) {
                if unsupported.stops {
                    self.stops.push(format!("{}: {}: {}", target.key, unsupported.field, unsupported.message));
                } else {
                    warn(
                        condition::COMPARISON_WARNING,
                        format!("{}: {}: {}", target.key, unsupported.field, unsupported.message),
                    );
                }
            }
        }
        for target in &self.targets.objects {
            let applied = memory.warnings.get(&target.key).filter(|(of, _)| *of == target.digest);
            for warning in applied.into_iter().flat_map(|(_, warnings)| warnings) {
                warn(condition::COMPARISON_WARNING, warning.clone());
            }
        }
        for warning in &self.targets.warnings {
            warn(condition::COMPARISON_WARNING, warning.clone());
        }
        for key in &self.targets.duplicates {
            warn(
                condition::REPEATED_RESOURCE_WARNING,
                format!(
                    "Resource {}/{}/{}/{} appeared more than once among application resources.",
                    key.group, key.kind, key.namespace, key.name
                ),
            );
        }
        for judged in &self.objects {
            let other = match &judged.verdict {
                Verdict::HeldBy(holder) => Some(Arc::clone(holder)),
                _ => world.holders.other(name, &judged.key),
            };
            if let Some(other) = other {
                // The same words on both sides.
                let (first, second) = if *other < *name { (&*other, name) } else { (name, &*other) };
                let message = format!("{} is part of applications {first} and {second}", judged.key);
                warn(condition::SHARED_RESOURCE_WARNING, message);
            }
            if let Verdict::Unreadable(why) = &judged.verdict {
                warn(condition::COMPARISON_ERROR, why.clone());
            }
            for warning in &judged.warnings {
                warn(condition::COMPARISON_WARNING, warning.clone());
            }
        }
        for invalid in &self.targets.invalid {
            self.stops.push(invalid.clone());
        }
        if let Base::Lost(why) = &memory.base {
            warn(
                condition::COMPARISON_WARNING,
                format!(
                    "what Git said at the last sync cannot be had any more ({why}): fields that were removed from Git since may stay until the next successful sync"
                ),
            );
        }
        if !self.stops.is_empty() {
            warn(condition::SYNC_ERROR, format!("nothing is synced: {}", self.stops.join("; ")));
        }
        notices.sort_by(|a, b| (a.kind, &a.message).cmp(&(b.kind, &b.message)));
        notices.dedup();
        self.notices = notices;
    }
}

/// The body of an object, fetched if the index knows it only by name; none if it is not there.
pub(crate) async fn live(world: &World, kind: &Kind, key: &ObjectKey) -> Result<Option<Arc<Live>>, ClusterError> {
    if let Some(live) = world.cluster.live(&kind.gvk, key) {
        return Ok(Some(live));
    }
    if !world.cluster.knows_foreign(&kind.gvk, key) {
        return Ok(None);
    }
    world.cluster.fetch(kind, key).await
}

/// Whether an object is this application's by its tracking id; without one, by our own entry in its managedFields.
pub(crate) fn is_ours(name: &str, live: &Live) -> bool {
    match (live.claimed_by(), &live.app) {
        (Some(app), _) => app == name,
        (None, None) => applied_by_us(&live.node()),
        // Copied from another object, or garbage: nobody knows whose it is.
        (None, Some(_)) => false,
    }
}
