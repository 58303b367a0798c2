//! Pods.

use trueup_object::Node;

use crate::{Code, Health, annotation, condition, count, text};

/// Set to `true`, a Pod that ends by itself is judged as one that is restarted for ever.
const IGNORE_RESTART_POLICY: &str = "argocd.argoproj.io/ignore-restart-policy";
/// What makes an object a hook.
const HOOKS: [&str; 2] = ["argocd.argoproj.io/hook", "helm.sh/hook"];

pub(crate) fn pod(object: &Node) -> Health {
    let message = text(object, &["status", "message"]);
    let containers = object.list_at(&["status", "containerStatuses"]);
    // A hook's Pod may still recover, and an operation must not end while its hook can still run.
    let is_hook = HOOKS.iter().find_map(|hook| annotation(object, hook)).is_some_and(|hook| hook != "Skip");
    let policy = match annotation(object, IGNORE_RESTART_POLICY) {
        Some("true") if !is_hook => "Always",
        _ => text(object, &["spec", "restartPolicy"]),
    };
    if policy == "Always" {
        let stuck: Vec<&str> =
            containers.iter().filter_map(|container| container.at(&["state", "waiting"])).filter_map(stuck).collect();
        if !stuck.is_empty() {
            return Health::new(Code::Degraded, stuck.join(", "));
        }
    }
    match (text(object, &["status", "phase"]), policy) {
        ("Succeeded", _) => Health::new(Code::Healthy, message),
        ("Failed", _) if !message.is_empty() => Health::new(Code::Degraded, message),
        ("Failed", _) => {
            let first = object.list_at(&["status", "initContainerStatuses"]).iter().chain(containers).find_map(failure);
            Health::new(Code::Degraded, first.unwrap_or_default())
        }
        ("Running", "Always") if is_ready(object) => Health::new(Code::Healthy, message),
        ("Running", "Always") if containers.iter().any(was_terminated) => Health::new(Code::Degraded, message),
        ("Pending", _) | ("Running", "Always" | "OnFailure" | "Never") => Health::new(Code::Progressing, message),
        _ => Health::new(Code::Unknown, message),
    }
}

/// What a container says that waits because of an error.
fn stuck(waiting: &Node) -> Option<&str> {
    let reason = text(waiting, &["reason"]);
    let error = reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff");
    error.then(|| text(waiting, &["message"]))
}

/// Why a container ended, if it failed.
fn failure(container: &Node) -> Option<String> {
    let ended = container.at(&["state", "terminated"])?;
    let code = count(ended, &["exitCode"]);
    match (text(ended, &["message"]), text(ended, &["reason"])) {
        ("", "OOMKilled") => Some("OOMKilled".to_owned()),
        ("", _) if code != 0 => {
            Some(format!("container {:?} failed with exit code {code}", text(container, &["name"])))
        }
        ("", _) => None,
        (message, _) => Some(message.to_owned()),
    }
}

fn is_ready(object: &Node) -> bool {
    condition(object, "Ready").is_some_and(|ready| text(ready, &["status"]) == "True")
}

fn was_terminated(container: &Node) -> bool {
    container.at(&["lastState", "terminated"]).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check;

    fn each(table: &[(&str, Code, &str)]) {
        for (body, code, message) in table {
            check(&[(&format!("{{apiVersion: v1, kind: Pod, {body}}}"), *code, *message)]);
        }
    }

    #[test]
    fn pods_that_run_for_ever() {
        each(&[
            (
                "spec: {restartPolicy: Always}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}",
                Code::Healthy,
                "",
            ),
            (
                "spec: {restartPolicy: Always}, status: {phase: Running, conditions: [{type: Ready, status: 'False'}]}",
                Code::Progressing,
                "",
            ),
            (
                "spec: {restartPolicy: Always}, status: {phase: Running, containerStatuses: [{lastState: {terminated: {exitCode: 1}}}]}",
                Code::Degraded,
                "",
            ),
            ("spec: {restartPolicy: Always}, status: {phase: Pending, message: no node}", Code::Progressing, "no node"),
            (
                "spec: {restartPolicy: Always}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ContainerCreating, message: soon}}}]}",
                Code::Progressing,
                "",
            ),
            (
                "spec: {restartPolicy: Always}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ImagePullBackOff, message: no image}}}, {state: {waiting: {reason: ErrImagePull, message: none}}}]}",
                Code::Degraded,
                "no image, none",
            ),
            (
                "spec: {restartPolicy: Always}, status: {phase: Running, containerStatuses: [{state: {waiting: {reason: CrashLoopBackOff, message: back-off}}}]}",
                Code::Degraded,
                "back-off",
            ),
            (
                "spec: {restartPolicy: Always}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: CreateContainerConfigError, message: no secret}}}]}",
                Code::Degraded,
                "no secret",
            ),
        ]);
    }

    #[test]
    fn pods_that_end() {
        let stuck = "status: {phase: Running, containerStatuses: [{state: {waiting: {reason: ImagePullBackOff, message: no image}}}]}";
        each(&[
            ("spec: {restartPolicy: Never}, status: {phase: Running}", Code::Progressing, ""),
            ("spec: {restartPolicy: OnFailure}, status: {phase: Running}", Code::Progressing, ""),
            ("spec: {restartPolicy: Never}, status: {phase: Succeeded}", Code::Healthy, ""),
            (&format!("spec: {{restartPolicy: Never}}, {stuck}"), Code::Progressing, ""),
            (
                &format!(
                    "metadata: {{annotations: {{argocd.argoproj.io/ignore-restart-policy: 'true'}}}}, spec: {{restartPolicy: Never}}, {stuck}"
                ),
                Code::Degraded,
                "no image",
            ),
            (
                &format!(
                    "metadata: {{annotations: {{argocd.argoproj.io/ignore-restart-policy: 'true', argocd.argoproj.io/hook: PreSync}}}}, spec: {{restartPolicy: Never}}, {stuck}"
                ),
                Code::Progressing,
                "",
            ),
            (
                "metadata: {annotations: {argocd.argoproj.io/ignore-restart-policy: 'true'}}, spec: {restartPolicy: Never}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}",
                Code::Healthy,
                "",
            ),
            ("spec: {restartPolicy: Never}, status: {phase: Failed, message: evicted}", Code::Degraded, "evicted"),
            ("spec: {restartPolicy: Never}, status: {phase: Failed}", Code::Degraded, ""),
            (
                "status: {phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 0}}}, {name: b, state: {terminated: {exitCode: 3}}}]}",
                Code::Degraded,
                "container \"b\" failed with exit code 3",
            ),
            (
                "status: {phase: Failed, initContainerStatuses: [{state: {terminated: {reason: OOMKilled, exitCode: 137}}}], containerStatuses: [{state: {terminated: {message: later}}}]}",
                Code::Degraded,
                "OOMKilled",
            ),
            (
                "status: {phase: Failed, containerStatuses: [{state: {terminated: {message: because, reason: OOMKilled}}}]}",
                Code::Degraded,
                "because",
            ),
            ("spec: {restartPolicy: Always}, status: {phase: Unknown, message: lost}", Code::Unknown, "lost"),
            ("spec: {}", Code::Unknown, ""),
        ]);
    }
}
