//! Applications inside applications: how one fares, and whether what its status says is about what it is now.
//!
//! Keeps nothing. Upstream leaves this to a script that passes on what the status says. But a status is written after the
//! specification that it is about: between the two it speaks of what was before, and whoever goes by it goes on too early.
//! Entry points: [`unsettled`] for an Application that was read, [`application`] for a live object.

use trueup_api::{Application, HealthCode, ResourceStatus, SyncCode};
use trueup_object::Node;

use crate::{Code, Health};

/// Why what an Application's status says is not what there will be, if so: it is about something else by now, or more is on
/// its way.
pub fn unsettled(application: &Application) -> Option<&'static str> {
    let status = &application.status;
    if status.health.last_transition_time.is_none() && status.health.status == HealthCode::Unknown {
        return Some("nobody has looked at it yet");
    }
    if is_about_another(application) {
        return Some("its status is about another source or destination than its specification");
    }
    if let Some(state) = status.operation_state.as_ref().filter(|state| !state.phase.completed()) {
        // A retry that waits is running, with an end.
        return Some(if state.finished_at.is_some() { "its sync waits for its next attempt" } else { "its sync runs" });
    }
    if application.operation.is_some() {
        return Some("a sync is asked for and has not begun");
    }
    is_to_sync(application).then_some("it is OutOfSync, and syncs by itself")
}

/// The health of an Application as a live object.
pub(crate) fn application(object: &Node) -> Health {
    match Application::read(&object.to_json()) {
        Ok(application) => match unsettled(&application) {
            Some(why) => Health::new(Code::Progressing, why),
            None => Health::new(code(application.status.health.status), application.status.health.message),
        },
        Err(error) => Health::new(Code::Unknown, error.to_string()),
    }
}

/// Whether the status was made from another source or destination. One that is not valid has none.
fn is_about_another(application: &Application) -> bool {
    let seen = &application.status.sync.compared_to;
    match &application.spec {
        Ok(spec) => {
            let wanted = &spec.compared_to;
            // What has neither is hydrated, and whoever does that says himself what it is compared with.
            let hydrated = wanted.source.is_none() && wanted.sources.is_empty();
            seen.destination != wanted.destination
                || (!hydrated && (&seen.source, &seen.sources) != (&wanted.source, &wanted.sources))
        }
        Err(_) => seen.source.is_some() || !seen.sources.is_empty(),
    }
}

/// Whether an automated sync is to come. Drift is none of that: what is only reported may stay for ever, and neither is what
/// waits to be pruned where automation does not prune.
fn is_to_sync(application: &Application) -> bool {
    let Some(automated) = application.spec.as_ref().ok().and_then(|spec| spec.automated) else { return false };
    let status = &application.status;
    if status.sync.status != SyncCode::OutOfSync {
        return false;
    }
    let comes = |resource: &&ResourceStatus| {
        resource.status == SyncCode::OutOfSync && (!resource.requires_pruning || automated.prune)
    };
    let drifted = status.drift.as_ref().map_or(0, |drift| usize::try_from(drift.count).unwrap_or(0));
    status.resources.is_empty() || status.resources.iter().filter(comes).count() > drifted
}

fn code(code: HealthCode) -> Code {
    match code {
        HealthCode::Healthy => Code::Healthy,
        HealthCode::Suspended => Code::Suspended,
        HealthCode::Progressing => Code::Progressing,
        HealthCode::Missing => Code::Missing,
        HealthCode::Degraded => Code::Degraded,
        HealthCode::Unknown => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check;

    const SPEC: &str =
        "spec: {project: default, source: {repoURL: x, path: p, targetRevision: v2}, destination: {name: c}}";
    const AUTOMATED: &str = "spec: {source: {repoURL: x, path: p, targetRevision: v2}, destination: {name: c}, syncPolicy: {automated: {}}}";
    const SEEN: &str = "{source: {repoURL: x, path: p, targetRevision: v2}, destination: {name: c}}";

    fn each(table: &[(String, Code, &str)]) {
        for (body, code, message) in table {
            let yaml =
                format!("{{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {{name: a}}, {body}}}");
            check(&[(&yaml, *code, *message)]);
        }
    }

    fn status(spec: &str, sync: &str, rest: &str) -> String {
        format!("{spec}, status: {{sync: {{status: {sync}, comparedTo: {SEEN}}}, health: {{status: Healthy}}, {rest}}}")
    }

    #[test]
    fn what_the_status_says_counts_if_it_is_about_this_specification() {
        let said = |health: &str| {
            format!("{SPEC}, status: {{sync: {{status: Synced, comparedTo: {SEEN}}}, health: {health}}}")
        };
        each(&[
            (said("{status: Healthy}"), Code::Healthy, ""),
            (said("{status: Suspended}"), Code::Suspended, ""),
            (said("{status: Progressing, message: Caused by b}"), Code::Progressing, "Caused by b"),
            (said("{status: Degraded, message: Caused by a}"), Code::Degraded, "Caused by a"),
            (said("{status: Missing, lastTransitionTime: '2026-11-24T10:00:00Z'}"), Code::Missing, ""),
            (said("{status: Unknown, lastTransitionTime: '2026-11-24T10:00:00Z'}"), Code::Unknown, ""),
        ]);
    }

    #[test]
    fn one_that_nobody_looked_at_is_on_its_way() {
        each(&[
            (SPEC.to_owned(), Code::Progressing, "nobody has looked at it yet"),
            (format!("{SPEC}, status: {{health: {{}}}}"), Code::Progressing, "nobody has looked at it yet"),
            (format!("{SPEC}, status: null"), Code::Progressing, "nobody has looked at it yet"),
        ]);
    }

    #[test]
    fn a_status_about_another_specification_does_not_count() {
        let about = "its status is about another source or destination than its specification";
        let seen = |compared: &str| {
            format!("{SPEC}, status: {{sync: {{status: Synced, comparedTo: {compared}}}, health: {{status: Healthy}}}}")
        };
        each(&[
            (
                seen("{source: {repoURL: x, path: p, targetRevision: v1}, destination: {name: c}}"),
                Code::Progressing,
                about,
            ),
            (
                seen("{source: {repoURL: x, path: p, targetRevision: v2}, destination: {name: d}}"),
                Code::Progressing,
                about,
            ),
            (
                seen("{source: {repoURL: x, path: q, targetRevision: v2}, destination: {name: c}}"),
                Code::Progressing,
                about,
            ),
            (seen("{destination: {name: c}}"), Code::Progressing, about),
            (seen("{sources: [{repoURL: x, path: p}], destination: {name: c}}"), Code::Progressing, about),
            // What counts as a difference between the two is not where a status comes from.
            (
                seen(
                    "{source: {repoURL: x, path: p, targetRevision: v2}, destination: {name: c}, ignoreDifferences: [{kind: X}]}",
                ),
                Code::Healthy,
                "",
            ),
            // Written otherwise, it is the same.
            (
                seen(
                    "{source: {repoURL: x, path: p, targetRevision: v2, chart: '', directory: null}, destination: {name: c, namespace: ''}}",
                ),
                Code::Healthy,
                "",
            ),
        ]);
        let invalid = |compared: &str| {
            format!(
                "spec: {{source: {{repoURL: x}}}}, status: {{sync: {{comparedTo: {compared}}}, health: {{status: Unknown, lastTransitionTime: t}}}}"
            )
        };
        each(&[
            (invalid("{destination: {}}"), Code::Unknown, ""),
            (invalid("{source: {repoURL: x, path: p}, destination: {name: c}}"), Code::Progressing, about),
        ]);
    }

    #[test]
    fn one_that_is_hydrated_is_compared_with_what_its_hydrator_says() {
        let spec = "spec: {sourceHydrator: {drySource: {repoURL: x}}, destination: {name: c}}";
        each(&[(status(spec, "Synced", "summary: {}"), Code::Healthy, "")]);
    }

    #[test]
    fn one_that_is_being_synced_is_on_its_way() {
        let state = |state: &str| {
            status(SPEC, "Synced", &format!("operationState: {{operation: {{}}, startedAt: t, {state}}}"))
        };
        each(&[
            (state("phase: Running"), Code::Progressing, "its sync runs"),
            (state("phase: Terminating"), Code::Progressing, "its sync runs"),
            (state("phase: Running, finishedAt: t"), Code::Progressing, "its sync waits for its next attempt"),
            (state("phase: Failed, finishedAt: t"), Code::Healthy, ""),
            (state("phase: Succeeded, finishedAt: t"), Code::Healthy, ""),
            (
                format!("operation: {{sync: {{}}}}, {}", status(SPEC, "Synced", "summary: {}")),
                Code::Progressing,
                "a sync is asked for and has not begun",
            ),
        ]);
    }

    #[test]
    fn one_that_syncs_by_itself_is_on_its_way_until_it_has() {
        let why = "it is OutOfSync, and syncs by itself";
        let resources = "resources: [{kind: A, status: OutOfSync}, {kind: B, status: Synced}]";
        let pruning = "resources: [{kind: A, status: OutOfSync, requiresPruning: true}]";
        let prunes = AUTOMATED.replace("automated: {}", "automated: {prune: true}");
        each(&[
            (status(AUTOMATED, "OutOfSync", "summary: {}"), Code::Progressing, why),
            (status(AUTOMATED, "OutOfSync", resources), Code::Progressing, why),
            (status(AUTOMATED, "OutOfSync", &format!("{resources}, drift: {{count: 0}}")), Code::Progressing, why),
            // What drifted was as Git says.
            (status(AUTOMATED, "OutOfSync", &format!("{resources}, drift: {{count: 1}}")), Code::Healthy, ""),
            (status(AUTOMATED, "OutOfSync", pruning), Code::Healthy, ""),
            (status(&prunes, "OutOfSync", pruning), Code::Progressing, why),
            (status(AUTOMATED, "Synced", resources), Code::Healthy, ""),
            (status(AUTOMATED, "Unknown", "summary: {}"), Code::Healthy, ""),
            // One that somebody has to sync may stay so for ever.
            (status(SPEC, "OutOfSync", resources), Code::Healthy, ""),
        ]);
    }
}
