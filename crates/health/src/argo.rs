//! The workflows of Argo.

use trueup_object::Node;

use crate::{Code, Health, text};

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
