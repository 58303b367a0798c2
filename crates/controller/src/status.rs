//! What an Application's status says, made from what a look has shown.
//!
//! Pure: the old status and the facts give the new one. Invariant: nothing that did not change gets a new time, so an
//! unchanged application gives an equal status and costs no write. Entry points: [`seen`] and [`blocked`].

use std::collections::{BTreeMap, BTreeSet};

use trueup_api::{
    Application, ComparedTo, Condition, Drift, HealthCode, HealthStatus, OperationPhase, OperationState,
    ResourceStatus, RevisionHistory, Status, Summary, SyncCode, SyncStatus,
};
use trueup_health::Health;
use trueup_object::{Gvk, Node, ObjectKey};
use trueup_render::Tool;

use crate::extras::{Extra, Fate};
use crate::judge::{Judged, Verdict};
use crate::observe::{Blocked, Notice, View};

/// Conditions whose messages together are longer than this many bytes are cut: an Application must stay far below etcd's
/// limit of 1.5 MiB.
const CONDITIONS_BYTES_MAX: usize = 64 * 1024;

/// The status when nothing can be said of the objects: what was known of them stays, and is called unknown.
pub(crate) fn blocked(application: &Application, blocked: &Blocked, further: Option<Notice>, now: &str) -> Status {
    let old = &application.status;
    let mut status = old.clone();
    status.sync.status = SyncCode::Unknown;
    status.sync.compared_to = compared_to(application);
    if blocked.invalid || old.health.last_transition_time.is_none() {
        status.health = health_status(old, &Health { code: trueup_health::Code::Unknown, message: String::new() }, now);
    }
    let notices: Vec<Notice> = further.into_iter().chain([blocked.notice.clone()]).collect();
    status.conditions = conditions(old, &notices, now);
    status
}

/// The status when all objects have been judged.
pub(crate) fn seen(
    application: &Application,
    view: &View,
    drift: Drift,
    extra_notices: &[Notice],
    now: &str,
) -> Status {
    let old = &application.status;
    let mut status = old.clone();
    status.resources = resources(view);
    // Another revision says nothing about the target revision.
    let (revision, revisions) = match view.no_target {
        Some(_) => (old.sync.revision.clone(), old.sync.revisions.clone()),
        None => (view.at.single(), view.at.list()),
    };
    status.sync = SyncStatus { status: sync_code(view), compared_to: compared_to(application), revision, revisions };
    status.health = health_status(old, &health(view), now);
    let notices: Vec<Notice> = view.notices.iter().chain(extra_notices).cloned().collect();
    status.conditions = conditions(old, &notices, now);
    (status.source_type, status.source_types) = source_types(view);
    status.summary = summary(view);
    status.drift = Some(drift);
    status
}

/// What renders the source, or each of several sources.
fn source_types(view: &View) -> (String, Vec<String>) {
    let mut types = view.tools.iter().map(|tool| tool.unwrap_or(Tool::Directory).name().to_owned());
    if view.spec.several { (String::new(), types.collect()) } else { (types.next().unwrap_or_default(), Vec::new()) }
}

/// Sets the one condition of its type, and keeps the others.
pub(crate) fn set_condition(status: &mut Status, notice: &Notice, now: &str) {
    let same = |condition: &Condition| condition.kind == notice.kind && condition.message == notice.message;
    if status.conditions.iter().any(same) {
        return;
    }
    status.conditions.retain(|condition| condition.kind != notice.kind);
    status.conditions.push(Condition {
        kind: notice.kind.to_owned(),
        message: notice.message.clone(),
        last_transition_time: Some(now.to_owned()),
    });
    status.conditions.sort_by(|a, b| a.kind.cmp(&b.kind));
}

/// Writes an operation into a status, with its place in the history if it succeeded.
pub(crate) fn operated(status: &mut Status, state: OperationState, history: Option<RevisionHistory>, limit: usize) {
    status.operation_state = Some(state);
    if let Some(entry) = history {
        status.history.push(entry);
        let surplus = status.history.len().saturating_sub(limit);
        status.history.drain(..surplus);
    }
}

/// The sync status of the whole application.
pub(crate) fn sync_code(view: &View) -> SyncCode {
    let objects = view.objects.iter().filter_map(|judged| object_code(&judged.verdict));
    let extras = view.extras.iter().filter(|extra| !matches!(extra.fate, Fate::Ignored | Fate::Hook)).map(extra_code);
    let codes: Vec<SyncCode> = objects.chain(extras).collect();
    if codes.contains(&SyncCode::Unknown) || view.no_target.is_some() {
        SyncCode::Unknown
    } else if codes.contains(&SyncCode::OutOfSync)
        || !view.targets.invalid.is_empty()
        || view.turned
        || view.namespace.is_some()
    {
        SyncCode::OutOfSync
    } else {
        SyncCode::Synced
    }
}

/// The sync status of one object; none for what is not to be synced.
fn object_code(verdict: &Verdict) -> Option<SyncCode> {
    match verdict {
        Verdict::InLine => Some(SyncCode::Synced),
        Verdict::Differs(_) | Verdict::Missing | Verdict::HeldBy(_) | Verdict::Unserved(_) => Some(SyncCode::OutOfSync),
        Verdict::Forbidden(_) | Verdict::Unreadable(_) => Some(SyncCode::Unknown),
        Verdict::Skipped | Verdict::Hook => None,
    }
}

fn resources(view: &View) -> Vec<ResourceStatus> {
    let objects = view.objects.iter().filter_map(|judged| object_status(judged));
    let extras = view.extras.iter().map(extra_status);
    let mut resources: Vec<ResourceStatus> = objects.chain(extras).collect();
    resources
        .sort_by(|a, b| (&a.group, &a.kind, &a.namespace, &a.name).cmp(&(&b.group, &b.kind, &b.namespace, &b.name)));
    resources
}

fn object_status(judged: &Judged) -> Option<ResourceStatus> {
    if judged.hook.is_some() {
        return hook_status(judged);
    }
    let mut status = named(&judged.key, &judged.gvk);
    status.status = object_code(&judged.verdict)?;
    status.sync_wave = judged.wave;
    status.health = match &judged.health {
        Some(health) => Some(plain_health(health)),
        None if !judged.exists && !matches!(judged.verdict, Verdict::Unreadable(_)) => {
            Some(HealthStatus { status: HealthCode::Missing, ..HealthStatus::default() })
        }
        None => None,
    };
    Some(status)
}

/// A hook, from before it is made until it is seen gone. There is nothing to be out of sync about.
fn hook_status(judged: &Judged) -> Option<ResourceStatus> {
    (!judged.key.name.is_empty()).then(|| ResourceStatus {
        status: SyncCode::Synced,
        hook: true,
        sync_wave: judged.wave,
        health: judged.health.as_ref().map(plain_health),
        ..named(&judged.key, &judged.gvk)
    })
}

/// The sync status of an object that Git no longer has; nothing is known of one that cannot be read.
fn extra_code(extra: &Extra) -> SyncCode {
    if extra.live.is_some() { SyncCode::OutOfSync } else { SyncCode::Unknown }
}

fn extra_status(extra: &Extra) -> ResourceStatus {
    let mut status = named(&extra.key, &extra.gvk);
    if extra.fate == Fate::Hook {
        let health = extra.health.as_ref().map(plain_health);
        return ResourceStatus { status: SyncCode::Synced, hook: true, health, ..status };
    }
    status.status = extra_code(extra);
    status.requires_pruning = extra.live.is_some() && extra.fate != Fate::Ignored;
    // The inventory is read from here: what was only found is not trusted for having been listed.
    status.requires_deletion_confirmation = !extra.proven || extra.fate == Fate::Confirm;
    status.health = extra.health.as_ref().map(plain_health);
    status
}

fn named(key: &ObjectKey, gvk: &Gvk) -> ResourceStatus {
    ResourceStatus {
        group: key.group.to_string(),
        version: gvk.version.to_string(),
        kind: key.kind.to_string(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        ..ResourceStatus::default()
    }
}

/// The health of the whole application.
pub(crate) fn health(view: &View) -> Health {
    let objects = view.objects.iter().filter(|judged| !judged.options.skip && judged.hook.is_none()).map(|judged| {
        // An object whose health is not asked for still counts as there or missing.
        let health = judged.health.as_ref().filter(|_| !judged.options.ignore_healthcheck);
        (&judged.key, health, !judged.exists && !matches!(judged.verdict, Verdict::Unreadable(_)))
    });
    let extras = view
        .extras
        .iter()
        .filter(|extra| extra.live.is_some() && extra.fate != Fate::Hook)
        .map(|extra| (&extra.key, extra.health.as_ref(), false));
    trueup_health::aggregate(objects.chain(extras))
}

fn plain_health(health: &Health) -> HealthStatus {
    HealthStatus { status: code(health.code), message: health.message.clone(), ..HealthStatus::default() }
}

fn health_status(old: &Status, health: &Health, now: &str) -> HealthStatus {
    let mut status = plain_health(health);
    let kept = old.health.last_transition_time.clone().filter(|_| old.health.status == status.status);
    status.last_transition_time = Some(kept.unwrap_or_else(|| now.to_owned()));
    status
}

fn code(code: trueup_health::Code) -> HealthCode {
    match code {
        trueup_health::Code::Healthy => HealthCode::Healthy,
        trueup_health::Code::Suspended => HealthCode::Suspended,
        trueup_health::Code::Progressing => HealthCode::Progressing,
        trueup_health::Code::Missing => HealthCode::Missing,
        trueup_health::Code::Degraded => HealthCode::Degraded,
        trueup_health::Code::Unknown => HealthCode::Unknown,
    }
}

/// Conditions sorted by type; what was said before keeps its time.
fn conditions(old: &Status, notices: &[Notice], now: &str) -> Vec<Condition> {
    let mut bytes = 0;
    let mut conditions = Vec::new();
    // What is cut are warnings, not the error that explains them.
    let sorted: BTreeSet<(bool, &str, &str)> =
        notices.iter().map(|notice| (!notice.kind.ends_with("Error"), notice.kind, notice.message.as_str())).collect();
    for (_, kind, message) in sorted {
        bytes += message.len();
        if bytes > CONDITIONS_BYTES_MAX {
            break;
        }
        let known = old.conditions.iter().find(|condition| condition.kind == kind && condition.message == message);
        let since =
            known.and_then(|condition| condition.last_transition_time.clone()).unwrap_or_else(|| now.to_owned());
        conditions.push(Condition {
            kind: kind.to_owned(),
            message: message.to_owned(),
            last_transition_time: Some(since),
        });
    }
    conditions.sort_by(|a, b| (&a.kind, &a.message).cmp(&(&b.kind, &b.message)));
    conditions
}

fn summary(view: &View) -> Summary {
    let mut images = BTreeSet::new();
    for target in &view.targets.objects {
        collect_images(target.manifest.node(), &mut images);
    }
    let is_app_of_apps =
        view.targets.objects.iter().any(|target| target.key.group == "argoproj.io" && target.key.kind == "Application");
    Summary { images: images.into_iter().collect(), is_app_of_apps, ..Summary::default() }
}

/// The images of the containers in a pod or pod template, wherever it stands.
fn collect_images(node: &Node, images: &mut BTreeSet<String>) {
    let spec = match node.str_at(&["kind"]).unwrap_or_default() {
        "Pod" => node.at(&["spec"]),
        "CronJob" => node.at(&["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => node.at(&["spec", "template", "spec"]),
    };
    let Some(spec) = spec else { return };
    for list in ["initContainers", "containers"] {
        images.extend(
            spec.list_at(&[list]).iter().filter_map(|container| container.str_at(&["image"])).map(str::to_owned),
        );
    }
}

/// Whether two statuses differ in more than what nobody waits for: the revision of an application that a commit left
/// alone, and details of single objects.
pub(crate) fn matters(old: &Status, new: &Status) -> bool {
    let codes = |status: &Status| (status.sync.status, status.sync.compared_to.clone(), status.health.status);
    // What was pruned and has gone since is a detail: the prune itself has been told.
    let shown = |status: &Status, other: &Status| -> BTreeMap<ObjectKey, (SyncCode, bool)> {
        let gone = |resource: &&ResourceStatus| {
            !resource.requires_pruning || other.resources.iter().any(|other| other.key() == resource.key())
        };
        status
            .resources
            .iter()
            .filter(gone)
            .map(|resource| (resource.key(), (resource.status, resource.requires_pruning)))
            .collect()
    };
    codes(old) != codes(new)
        || progress_aside(old) != progress_aside(new)
        || old.history != new.history
        || old.conditions != new.conditions
        || old.source_type != new.source_type
        || old.source_types != new.source_types
        || drift_matters(old.drift.as_ref(), new.drift.as_ref())
        || shown(old, new) != shown(new, new)
}

/// An operation without what it does just now.
fn progress_aside(status: &Status) -> Option<OperationState> {
    let mut state = status.operation_state.clone()?;
    if state.phase == OperationPhase::Running && state.finished_at.is_none() {
        state.message.clear();
        state.sync_result = None;
    }
    Some(state)
}

/// Whether two statuses differ in nothing but the revision.
pub(crate) fn is_only_revision(old: &Status, new: &Status) -> bool {
    let mut same = new.clone();
    same.sync.revision.clone_from(&old.sync.revision);
    same.sync.revisions.clone_from(&old.sync.revisions);
    same == *old
}

/// Repeats of a known drift are told in bulk; a new or an ended one at once.
fn drift_matters(old: Option<&Drift>, new: Option<&Drift>) -> bool {
    let gist = |drift: Option<&Drift>| {
        drift.map(|drift| {
            let events: Vec<_> = drift
                .events
                .iter()
                .map(|event| {
                    (
                        event.kind.clone(),
                        event.namespace.clone(),
                        event.name.clone(),
                        event.manager.clone(),
                        event.outcome.clone(),
                    )
                })
                .collect();
            (drift.count, drift.baseline.clone(), events)
        })
    };
    gist(old) != gist(new)
}

/// What is compared: the application's source and destination, as it names them.
fn compared_to(application: &Application) -> ComparedTo {
    application.spec.as_ref().map(|spec| spec.compared_to.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: &'static str, message: &str) -> Notice {
        Notice { kind, message: message.to_owned() }
    }

    #[test]
    fn a_condition_that_stays_keeps_its_time_and_one_that_ended_goes() {
        let mut old = Status::default();
        old.conditions = conditions(&old, &[notice("SyncError", "a"), notice("ComparisonWarning", "b")], "10:00");
        assert_eq!(old.conditions[0].kind, "ComparisonWarning");
        let new = conditions(&old, &[notice("SyncError", "a"), notice("SyncError", "c")], "11:00");
        let told: Vec<_> = new.iter().map(|c| (c.message.as_str(), c.last_transition_time.as_deref())).collect();
        assert_eq!(told, [("a", Some("10:00")), ("c", Some("11:00"))]);
    }

    #[test]
    fn conditions_are_cut_before_they_fill_the_application() {
        let long = "x".repeat(CONDITIONS_BYTES_MAX - 1);
        let notices = [notice("A", &long), notice("B", "second"), notice("C", "third")];
        assert_eq!(conditions(&Status::default(), &notices, "now").len(), 1);
        let notices = [notice("AWarning", &long), notice("SyncError", "why")];
        let kept = conditions(&Status::default(), &notices, "now");
        assert_eq!(kept.iter().map(|condition| condition.kind.as_str()).collect::<Vec<_>>(), ["SyncError"]);
    }

    #[test]
    fn a_health_that_stays_keeps_its_time() {
        let health = |code| Health { code, message: String::new() };
        let mut old = Status::default();
        old.health = health_status(&old, &health(trueup_health::Code::Progressing), "10:00");
        let same = health_status(&old, &health(trueup_health::Code::Progressing), "11:00");
        let other = health_status(&old, &health(trueup_health::Code::Healthy), "11:00");
        assert_eq!(same.last_transition_time.as_deref(), Some("10:00"));
        assert_eq!(other.last_transition_time.as_deref(), Some("11:00"));
    }

    #[test]
    fn the_history_keeps_the_newest() {
        let mut status = Status::default();
        for id in 0..4 {
            let entry = RevisionHistory { id, ..RevisionHistory::default() };
            operated(&mut status, OperationState::default(), Some(entry), 2);
        }
        assert_eq!(status.history.iter().map(|entry| entry.id).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_revision_alone_and_a_pruned_object_that_has_gone_can_wait() {
        let resource = |name: &str, requires_pruning| ResourceStatus {
            kind: "ConfigMap".into(),
            name: name.into(),
            requires_pruning,
            status: if requires_pruning { SyncCode::OutOfSync } else { SyncCode::Synced },
            ..ResourceStatus::default()
        };
        let mut old = Status { resources: vec![resource("a", false), resource("b", true)], ..Status::default() };
        old.sync.revision = "1".into();
        let mut new = old.clone();
        new.sync.revision = "2".into();
        assert!(!matters(&old, &new) && is_only_revision(&old, &new));
        new.resources.pop();
        assert!(!is_only_revision(&old, &new));
        assert!(!matters(&old, &new));
        new.resources[0].status = SyncCode::OutOfSync;
        assert!(matters(&old, &new));
        assert!(matters(&Status::default(), &old));
    }

    #[test]
    fn images_of_every_container_are_told() {
        let json = r#"{"kind":"CronJob","spec":{"jobTemplate":{"spec":{"template":{"spec":
            {"initContainers":[{"image":"i:1"}],"containers":[{"image":"c:2"},{"name":"x"}]}}}}}}"#;
        let mut images = BTreeSet::new();
        collect_images(&Node::from_json(json.as_bytes()).unwrap(), &mut images);
        assert_eq!(images.into_iter().collect::<Vec<_>>(), ["c:2", "i:1"]);
    }
}
