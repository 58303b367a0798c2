//! One Application, watched.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use trueup_bed::Deadline;
use trueup_bed::until;

use crate::Rest;
use crate::objects;

/// How long anything that a controller does may take: it is done in a second or two, but the machine may be busy with
/// other tests.
pub const SLOW: Duration = Duration::from_mins(1);

/// One Application, watched. Every wait ends with what it last saw.
#[derive(Clone)]
pub struct App {
    rest: Rest,
    path: String,
    /// Its name.
    pub name: String,
}

impl App {
    /// Watches an Application.
    pub fn new(rest: Rest, namespace: &str, name: &str) -> Self {
        let path = format!("{}/{name}", objects("applications", namespace));
        Self { rest, path, name: name.to_owned() }
    }

    /// The Application as it is now, which must be there.
    pub async fn get(&self) -> Value {
        self.rest.get(&self.path).await.unwrap_or_else(|| panic!("there is no Application {}", self.name))
    }

    /// The path of the Application.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What people look at first, for messages.
    pub async fn brief(&self) -> String {
        let Some(app) = self.rest.get(&self.path).await else { return format!("no Application {}", self.name) };
        brief(&app)
    }

    /// Waits until a condition holds of the Application, and answers it as it then is.
    pub async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        until(format!("{}: {what}", self.name), SLOW, async || {
            let app = self.get().await;
            if holds(&app) { Ok(app) } else { Err(brief(&app)) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until the Application is Synced at a commit, with nothing left to do.
    pub async fn synced(&self, commit: &str) -> Value {
        let what = format!("Synced at {commit}");
        self.until(&what, |app| is_synced(app, commit)).await
    }

    /// Waits until the Application is Synced at a commit, and Healthy.
    pub async fn healthy(&self, commit: &str) -> Value {
        let what = format!("Synced and Healthy at {commit}");
        self.until(&what, |app| is_synced(app, commit) && app["status"]["health"]["status"] == "Healthy").await
    }

    /// Waits until the Application has this sync status.
    pub async fn sync_status(&self, status: &str) -> Value {
        self.until(status, |app| app["status"]["sync"]["status"] == status).await
    }

    /// Waits for a condition whose message contains all of these words, and answers the Application.
    pub async fn condition(&self, kind: &str, words: &[&str]) -> Value {
        let what = format!("the condition {kind} with {words:?}");
        self.until(&what, |app| has_condition(app, kind, words)).await
    }

    /// Waits until no condition of this type is left.
    pub async fn without_condition(&self, kind: &str) -> Value {
        self.until(&format!("no condition {kind}"), |app| !has_condition(app, kind, &[])).await
    }

    /// Waits until the last operation has ended in this phase, and nothing is asked for any more.
    pub async fn operated(&self, phase: &str) -> Value {
        let what = format!("an operation that {phase}");
        self.until(&what, |app| {
            let state = &app["status"]["operationState"];
            state["phase"] == phase && !state["finishedAt"].is_null() && app["operation"].is_null()
        })
        .await
    }

    /// Asks the controller to look now, and waits until it has.
    pub async fn refresh(&self, kind: &str) -> Value {
        let patch = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": kind}}});
        self.rest.merge(&self.path, "somebody", &patch).await;
        self.until("the refresh to be consumed", |app| {
            app.pointer("/metadata/annotations/argocd.argoproj.io~1refresh").is_none()
        })
        .await
    }

    /// Changes the Application by a merge patch.
    pub async fn patch(&self, patch: &Value) -> Value {
        self.rest.merge(&self.path, "somebody", patch).await
    }

    /// Asks for a sync, as `kubectl patch` does.
    pub async fn ask(&self, sync: Value) -> Value {
        self.patch(&json!({"operation": {"sync": sync}})).await
    }

    /// Deletes the Application.
    pub async fn delete(&self) {
        self.rest.delete(&self.path).await;
    }

    /// Waits until the Application is no more.
    pub async fn gone(&self) {
        until(format!("the Application {} to go", self.name), Deadline::LONG, async || {
            match self.rest.get(&self.path).await {
                None => Ok(()),
                Some(app) => Err(format!("{}; finalizers {}", brief(&app), app["metadata"]["finalizers"])),
            }
        })
        .await
        .unwrap();
    }
}

/// Synced at a commit, with no operation running or asked for.
fn is_synced(app: &Value, commit: &str) -> bool {
    let status = &app["status"];
    status["sync"]["status"] == "Synced"
        && status["sync"]["revision"] == commit
        && status["operationState"]["phase"] != "Running"
        && app["operation"].is_null()
}

fn has_condition(app: &Value, kind: &str, words: &[&str]) -> bool {
    let conditions = app["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|condition| {
        let message = condition["message"].as_str().unwrap_or_default();
        condition["type"] == kind && words.iter().all(|word| message.contains(word))
    })
}

fn brief(app: &Value) -> String {
    let status = &app["status"];
    let state = &status["operationState"];
    let condition = |condition: &Value| format!("{}: {}", condition["type"], condition["message"]);
    let conditions: Vec<String> = status["conditions"].as_array().into_iter().flatten().map(condition).collect();
    format!(
        "sync {} at {}, health {}, drift {}, operation {} '{}', asked {}, conditions {conditions:?}",
        status["sync"]["status"],
        status["sync"]["revision"],
        status["health"]["status"],
        status["drift"]["count"],
        state["phase"],
        state["message"].as_str().unwrap_or_default(),
        app["operation"],
    )
}
