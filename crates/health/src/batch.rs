//! What runs to an end: Jobs and CronJobs.

use trueup_object::Node;

use crate::{Code, Health, text};

pub(crate) fn job(object: &Node) -> Health {
    let mut ended = None;
    // As upstream: Failed and Complete count by being there, whatever their status, and Failed beats all.
    for condition in object.list_at(&["status", "conditions"]) {
        let message = text(condition, &["message"]);
        let is_true = text(condition, &["status"]) == "True";
        match text(condition, &["type"]) {
            "Failed" => return Health::new(Code::Degraded, message),
            "Suspended" if is_true => ended = Some(Health::new(Code::Suspended, message)),
            "Complete" | "Suspended" if ended.as_ref().is_none_or(|health: &Health| health.code == Code::Healthy) => {
                ended = Some(Health::new(Code::Healthy, message));
            }
            _ => {}
        }
    }
    ended.unwrap_or_else(|| Health::new(Code::Progressing, ""))
}

pub(crate) fn cron_job(object: &Node) -> Health {
    if object.at(&["spec", "suspend"]).and_then(Node::as_bool) == Some(true) {
        return Health::new(Code::Healthy, "CronJob is Suspended");
    }
    let Some(status) = object.get("status").filter(|status| !status.is_null()) else {
        return Health::new(Code::Progressing, "Waiting for CronJob");
    };
    let Some(scheduled) = status.str_at(&["lastScheduleTime"]) else {
        return Health::new(Code::Healthy, "CronJob has not been scheduled yet");
    };
    let Some(succeeded) = status.str_at(&["lastSuccessfulTime"]) else {
        let message = "The CronJob never completed successfully. It may not be healthy";
        return Health::new(Code::Healthy, message);
    };
    if !status.list_at(&["active"]).is_empty() {
        let message = "The job is running. Its last execution may not have been successful";
        return Health::new(Code::Healthy, message);
    }
    // Both are times in UTC in one form, so their order is that of their text.
    if succeeded < scheduled {
        return Health::new(Code::Degraded, "CronJob has not completed its last execution successfully");
    }
    Health::new(Code::Healthy, "CronJob has completed its last execution successfully")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check;

    fn each(kind: &str, table: &[(&str, Code, &str)]) {
        for (body, code, message) in table {
            check(&[(&format!("{{apiVersion: batch/v1, kind: {kind}, {body}}}"), *code, *message)]);
        }
    }

    #[test]
    fn jobs() {
        each(
            "Job",
            &[
                ("status: {active: 1}", Code::Progressing, ""),
                ("spec: {}", Code::Progressing, ""),
                ("status: {conditions: [{type: Complete, status: 'True', message: done}]}", Code::Healthy, "done"),
                ("status: {conditions: [{type: FailureTarget}]}", Code::Progressing, ""),
                (
                    "status: {conditions: [{type: FailureTarget}, {type: Failed, status: 'True', message: backoff}]}",
                    Code::Degraded,
                    "backoff",
                ),
                (
                    "status: {conditions: [{type: Complete, status: 'True'}, {type: Failed, status: 'False', message: x}]}",
                    Code::Degraded,
                    "x",
                ),
                ("status: {conditions: [{type: Suspended, status: 'True', message: held}]}", Code::Suspended, "held"),
                (
                    "status: {conditions: [{type: Suspended, status: 'False', message: resumed}]}",
                    Code::Healthy,
                    "resumed",
                ),
            ],
        );
    }

    #[test]
    fn cron_jobs() {
        each(
            "CronJob",
            &[
                ("spec: {suspend: true}", Code::Healthy, "CronJob is Suspended"),
                ("spec: {suspend: false}", Code::Progressing, "Waiting for CronJob"),
                ("status: {}", Code::Healthy, "CronJob has not been scheduled yet"),
                (
                    "status: {lastScheduleTime: '2026-01-01T00:01:00Z'}",
                    Code::Healthy,
                    "The CronJob never completed successfully. It may not be healthy",
                ),
                (
                    "status: {lastScheduleTime: '2026-01-01T00:01:00Z', lastSuccessfulTime: '2026-01-01T00:00:05Z', active: [{name: a}]}",
                    Code::Healthy,
                    "The job is running. Its last execution may not have been successful",
                ),
                (
                    "status: {lastScheduleTime: '2026-01-01T00:01:00Z', lastSuccessfulTime: '2026-01-01T00:00:05Z'}",
                    Code::Degraded,
                    "CronJob has not completed its last execution successfully",
                ),
                (
                    "status: {lastScheduleTime: '2026-01-01T00:01:00Z', lastSuccessfulTime: '2026-01-01T00:01:05Z'}",
                    Code::Healthy,
                    "CronJob has completed its last execution successfully",
                ),
            ],
        );
    }
}
