//! What an Application says of itself: its status, read as leniently as a person would.

use serde_json::Value;

/// An Application as the API server has it.
#[derive(Debug, Clone)]
pub(crate) struct Application(pub(crate) Value);

// === impl Application ===

impl Application {
    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Synced, healthy, and at this commit if one is named; else what it is instead.
    pub(crate) fn settled(&self, commit: Option<&str>) -> Result<(), String> {
        let (sync, health) = (self.text("/status/sync/status"), self.text("/status/health/status"));
        let at = commit.is_none_or(|commit| self.text("/status/sync/revision") == commit);
        if sync == "Synced" && health == "Healthy" && at {
            return Ok(());
        }
        let known = |word: &str| if word.is_empty() { "nothing yet".to_owned() } else { word.to_owned() };
        let mut seen = format!("{}: {}, {}", self.name(), known(sync), known(health));
        if !at {
            seen = format!("{seen}, at {}", short(self.text("/status/sync/revision")));
        }
        let message = self.text("/status/operationState/message");
        if !message.is_empty() {
            seen = format!("{seen}; {message}");
        }
        Err(seen)
    }

    /// The newest drift of one object that this manager caused.
    pub(crate) fn drift_by(&self, manager: &str, kind: &str, name: &str) -> Option<&Value> {
        let events = self.0.pointer("/status/drift/events")?.as_array()?;
        events.iter().rev().find(|event| event["manager"] == manager && event["kind"] == kind && event["name"] == name)
    }

    /// How many objects are not as at the last sync.
    pub(crate) fn drifted(&self) -> i64 {
        self.0.pointer("/status/drift/count").and_then(Value::as_i64).unwrap_or(0)
    }

    /// Tells whether the inventory lists an object.
    pub(crate) fn lists(&self, kind: &str, name: &str) -> bool {
        let resources = self.0.pointer("/status/resources").and_then(Value::as_array);
        resources.is_some_and(|all| all.iter().any(|one| one["kind"] == kind && one["name"] == name))
    }

    /// Its objects that are not Healthy or not Synced, a line each.
    pub(crate) fn objects_in_trouble(&self) -> Vec<String> {
        let resources = self.0.pointer("/status/resources").and_then(Value::as_array);
        let text = |one: &Value, pointer: &str| one.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
        let in_trouble =
            |one: &&Value| !matches!(&*text(one, "/health/status"), "" | "Healthy") || text(one, "/status") != "Synced";
        let tell = |one: &Value| {
            let words = ["/kind", "/name", "/status", "/health/status", "/health/message"];
            words.map(|pointer| text(one, pointer)).join(" ").trim_end().to_owned()
        };
        resources.map(|all| all.iter().filter(in_trouble).map(tell).collect()).unwrap_or_default()
    }

    /// Its conditions, a line each.
    pub(crate) fn conditions(&self) -> Vec<String> {
        let conditions = self.0.pointer("/status/conditions").and_then(Value::as_array);
        let text = |one: &Value| {
            format!("{}: {}", one["type"].as_str().unwrap_or("?"), one["message"].as_str().unwrap_or("?"))
        };
        conditions.map(|all| all.iter().map(text).collect()).unwrap_or_default()
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A commit's id as people write it.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(if commit.is_empty() { "no commit" } else { commit })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Application;

    #[test]
    fn is_settled_at_the_right_commit_only() {
        let application = Application(json!({
            "metadata": {"name": "shop"},
            "status": {"sync": {"status": "Synced", "revision": "abcdefghij"}, "health": {"status": "Healthy"}},
        }));
        assert_eq!(application.settled(None), Ok(()));
        assert_eq!(application.settled(Some("abcdefghij")), Ok(()));
        assert_eq!(application.settled(Some("other")), Err("shop: Synced, Healthy, at abcdefg".to_owned()));
        let new = Application(json!({"metadata": {"name": "shop"}}));
        assert_eq!(new.settled(None), Err("shop: nothing yet, nothing yet".to_owned()));
    }

    #[test]
    fn tells_objects_in_trouble_only() {
        let application = Application(json!({"status": {"resources": [
            {"kind": "ConfigMap", "name": "fine", "status": "Synced"},
            {"kind": "Service", "name": "fine", "status": "Synced", "health": {"status": "Healthy"}},
            {"kind": "ConfigMap", "name": "late", "status": "OutOfSync"},
            {"kind": "Deployment", "name": "web", "status": "Synced", "health": {"status": "Degraded", "message": "no"}},
        ]}}));
        assert_eq!(application.objects_in_trouble(), ["ConfigMap late OutOfSync", "Deployment web Synced Degraded no"]);
    }

    #[test]
    fn finds_the_newest_drift_of_a_manager() {
        let event =
            |manager: &str, n: i64| json!({"manager": manager, "kind": "Deployment", "name": "web", "count": n});
        let application = Application(json!({
            "status": {"drift": {"count": 1, "events": [event("a", 1), event("a", 2), event("b", 3)]}},
        }));
        assert_eq!(application.drift_by("a", "Deployment", "web").unwrap()["count"], 2);
        assert!(application.drift_by("a", "Service", "web").is_none());
        assert_eq!(application.drifted(), 1);
    }
}
