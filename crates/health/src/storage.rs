//! Claims on volumes.

use trueup_object::Node;

use crate::{Code, Health, text};

pub(crate) fn claim(object: &Node) -> Health {
    let code = match text(object, &["status", "phase"]) {
        "Bound" => Code::Healthy,
        "Pending" => Code::Progressing,
        "Lost" => Code::Degraded,
        _ => Code::Unknown,
    };
    Health::new(code, "")
}

#[cfg(test)]
mod tests {
    use crate::Code;
    use crate::tests::check;

    #[test]
    fn claims() {
        let phases = [
            ("status: {phase: Bound}", Code::Healthy),
            ("status: {phase: Pending}", Code::Progressing),
            ("status: {phase: Lost}", Code::Degraded),
            ("spec: {}", Code::Unknown),
        ];
        for (body, code) in phases {
            check(&[(&format!("{{apiVersion: v1, kind: PersistentVolumeClaim, {body}}}"), code, "")]);
        }
    }
}
