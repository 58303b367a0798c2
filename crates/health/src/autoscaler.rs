//! Horizontal autoscalers.

use trueup_object::Node;

use crate::{Code, Health, annotation, text};

/// Where version 1 keeps the conditions, as JSON.
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

pub(crate) fn version_1(object: &Node) -> Health {
    match annotation(object, CONDITIONS).map(|json| Node::from_json(json.as_bytes())) {
        None => judge(&[]),
        Some(Ok(conditions)) => judge(conditions.as_list().unwrap_or_default()),
        Some(Err(error)) => {
            Health::new(Code::Unknown, format!("the conditions in annotation {CONDITIONS} cannot be read: {error}"))
        }
    }
}

pub(crate) fn version_2(object: &Node) -> Health {
    judge(object.list_at(&["status", "conditions"]))
}

/// A condition that tells of a failure decides, then one that tells of success.
fn judge(conditions: &[Node]) -> Health {
    let first = |tells: fn(&Node) -> bool| conditions.iter().find(|condition| tells(condition));
    let (code, told) = match (first(is_degraded), first(is_healthy)) {
        (Some(condition), _) => (Code::Degraded, condition),
        (None, Some(condition)) => (Code::Healthy, condition),
        (None, None) => return Health::new(Code::Progressing, "Waiting to Autoscale"),
    };
    Health::new(code, text(told, &["message"]))
}

fn is_degraded(condition: &Node) -> bool {
    matches!(
        (text(condition, &["type"]), text(condition, &["reason"])),
        ("AbleToScale", "FailedGetScale" | "FailedUpdateScale")
            | (
                "ScalingActive",
                "FailedGetResourceMetric"
                    | "FailedGetObjectMetric"
                    | "FailedGetPodsMetric"
                    | "FailedGetExternalMetric"
                    | "FailedComputeMetricsReplicas"
                    | "InvalidSelector",
            )
    )
}

fn is_healthy(condition: &Node) -> bool {
    matches!(text(condition, &["type"]), "AbleToScale" | "ScalingLimited") && text(condition, &["status"]) == "True"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check;

    #[test]
    fn autoscalers() {
        let table = [
            ("[]", Code::Progressing, "Waiting to Autoscale"),
            ("[{type: AbleToScale, status: 'True', message: ready}]", Code::Healthy, "ready"),
            ("[{type: AbleToScale, status: 'False', reason: FailedGetScale, message: gone}]", Code::Degraded, "gone"),
            ("[{type: AbleToScale, status: 'False', reason: Other}]", Code::Progressing, "Waiting to Autoscale"),
            (
                "[{type: AbleToScale, status: 'True'}, {type: ScalingActive, status: 'False', reason: FailedGetExternalMetric, message: no metric}]",
                Code::Degraded,
                "no metric",
            ),
            (
                "[{type: ScalingActive, status: 'True', message: x}, {type: ScalingLimited, status: 'True', message: too few}]",
                Code::Healthy,
                "too few",
            ),
        ];
        for (conditions, code, message) in table {
            let yaml = format!(
                "{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, status: {{conditions: {conditions}}}}}"
            );
            check(&[(&yaml, code, message)]);
        }
    }

    #[test]
    fn version_1_tells_in_an_annotation() {
        let with = |json: &str| {
            format!(
                "{{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {{annotations: {{autoscaling.alpha.kubernetes.io/conditions: '{json}'}}}}}}"
            )
        };
        check(&[
            ("{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler}", Code::Progressing, "Waiting to Autoscale"),
            (&with("[]"), Code::Progressing, "Waiting to Autoscale"),
            (
                &with(r#"[{"type":"ScalingActive","status":"False","reason":"InvalidSelector","message":"bad"}]"#),
                Code::Degraded,
                "bad",
            ),
            (
                &with("{"),
                Code::Unknown,
                "the conditions in annotation autoscaling.alpha.kubernetes.io/conditions cannot be read: not valid JSON",
            ),
        ]);
    }
}
