//! A Job that ends when a test says so, and how: the cluster's own controller leaves alone what somebody else manages.

use serde_json::Value;
use serde_json::json;
use trueup_bed::until;
use trueup_e2e::App;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;

/// A Job with annotations, each as a line of YAML.
pub(crate) fn job(name: &str, annotations: &[&str]) -> String {
    let annotations = annotations.join("\n    ");
    format!(
        r"apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
  annotations:
    {annotations}
spec:
  managedBy: e2e.dev/test
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: work, image: registry.example/work:1}}]
"
    )
}

/// A Job that is a hook of a phase.
pub(crate) fn hook(name: &str, phase: &str) -> String {
    job(name, &[&format!("argocd.argoproj.io/hook: {phase}")])
}

/// The same, which the cluster deletes as soon as it has ended.
pub(crate) fn vanishing_hook(name: &str, phase: &str) -> String {
    hook(name, phase).replace("spec:\n  managedBy", "spec:\n  ttlSecondsAfterFinished: 0\n  managedBy")
}

/// The same, with a policy of when it is deleted.
pub(crate) fn deleted_hook(name: &str, phase: &str, policy: &str) -> String {
    job(
        name,
        &[&format!("argocd.argoproj.io/hook: {phase}"), &format!("argocd.argoproj.io/hook-delete-policy: {policy}")],
    )
}

/// The Jobs in a scene's namespace.
pub(crate) struct Jobs<'a>(pub(crate) &'a Scene<'a>);

impl Jobs<'_> {
    /// Waits until a Job is there, and answers its uid.
    pub(crate) async fn begun(&self, name: &str) -> String {
        self.begun_anew(name, "").await
    }

    /// Waits until a Job is there that is another one than this, and answers its uid.
    pub(crate) async fn begun_anew(&self, name: &str, before: &str) -> String {
        until(format!("the Job {name} to begin"), SLOW, async || match self.0.object("jobs", name).await {
            Some(job) if job["metadata"]["uid"] != before => {
                Ok(job["metadata"]["uid"].as_str().unwrap_or_default().to_owned())
            }
            Some(_) => Err("still the one of before".to_owned()),
            None => Err(self.0.app(&self.0.name).brief().await),
        })
        .await
        .unwrap()
    }

    /// Ends a Job that is there, well or not.
    pub(crate) async fn end(&self, name: &str, well: bool) {
        let now = k8s_openapi::jiff::Timestamp::now().to_string();
        let condition = |kind: &str| {
            json!({
                "type": kind, "status": "True", "lastTransitionTime": now, "lastProbeTime": now,
                "reason": "Test", "message": format!("the test says {kind}"),
            })
        };
        let status = if well {
            json!({
                "startTime": now, "completionTime": now, "succeeded": 1,
                "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
            })
        } else {
            json!({"startTime": now, "failed": 1, "conditions": [condition("FailureTarget"), condition("Failed")]})
        };
        let path = format!("{}/status", self.0.path("jobs", name));
        self.0.admin.merge(&path, "worker", &json!({"status": status})).await;
    }

    /// Waits until a Job is there, and ends it well.
    pub(crate) async fn succeed(&self, name: &str) -> String {
        let uid = self.begun(name).await;
        self.end(name, true).await;
        uid
    }

    /// Waits until a Job is there, and lets it fail.
    pub(crate) async fn fail(&self, name: &str) -> String {
        let uid = self.begun(name).await;
        self.end(name, false).await;
        uid
    }
}

/// What the last operation says about an object.
pub(crate) fn result<'a>(app: &'a Value, name: &str) -> &'a Value {
    let results = app["status"]["operationState"]["syncResult"]["resources"].as_array();
    results.into_iter().flatten().find(|result| result["name"] == name).unwrap_or(&Value::Null)
}

/// The message of the last operation.
pub(crate) fn message(app: &Value) -> &str {
    app["status"]["operationState"]["message"].as_str().unwrap_or_default()
}

/// Waits until an operation runs that says this.
pub(crate) async fn waits(app: &App, words: &str) -> Value {
    app.until(&format!("an operation that says '{words}'"), |app| {
        app["status"]["operationState"]["phase"] == "Running" && message(app).contains(words)
    })
    .await
}
