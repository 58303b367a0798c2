//! Applications inside applications, and workflows.

use trueup_object::Node;

use crate::{Code, Health, text};

/// What the child says of itself. Upstream leaves this to a script that its documentation proposes.
pub(crate) fn application(object: &Node) -> Health {
    let code = object.str_at(&["status", "health", "status"]).map_or(Code::Progressing, Code::from_word);
    Health::new(code, text(object, &["status", "health", "message"]))
}

pub(crate) fn workflow(object: &Node) -> Health {
    let code = match text(object, &["status", "phase"]) {
        "" | "Pending" | "Running" => Code::Progressing,
        "Succeeded" => Code::Healthy,
        "Failed" | "Error" => Code::Degraded,
        _ => Code::Unknown,
    };
    Health::new(code, text(object, &["status", "message"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check;

    fn each(kind: &str, table: &[(&str, Code, &str)]) {
        for (body, code, message) in table {
            check(&[(&format!("{{apiVersion: argoproj.io/v1alpha1, kind: {kind}, {body}}}"), *code, *message)]);
        }
    }

    #[test]
    fn applications() {
        each(
            "Application",
            &[
                ("spec: {}", Code::Progressing, ""),
                ("status: {health: {}}", Code::Progressing, ""),
                ("status: {health: {status: Healthy}}", Code::Healthy, ""),
                ("status: {health: {status: Degraded, message: Caused by a}}", Code::Degraded, "Caused by a"),
                ("status: {health: {status: Missing}}", Code::Missing, ""),
                ("status: {health: {status: Strange}}", Code::Unknown, ""),
            ],
        );
    }

    #[test]
    fn workflows() {
        each(
            "Workflow",
            &[
                ("spec: {}", Code::Progressing, ""),
                ("status: {phase: Running, message: at it}", Code::Progressing, "at it"),
                ("status: {phase: Succeeded}", Code::Healthy, ""),
                ("status: {phase: Failed, message: child}", Code::Degraded, "child"),
                ("status: {phase: Error}", Code::Degraded, ""),
                ("status: {phase: Strange}", Code::Unknown, ""),
            ],
        );
    }
}
