//! What happens while a sync is followed, each thing once: hooks, waves, and what somebody has to approve. Entry point:
//! [`Story::news`].

use std::collections::{BTreeMap, HashMap};

use trueup_object::{Node, ObjectKey};

use crate::commands::app::view::{self, View};
use crate::output::style::one_line;

/// What has been told already.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// Which attempt it is of.
    attempt: i64,
    /// How far each hook was.
    hooks: HashMap<(ObjectKey, String), String>,
    /// The last wave of which something was written.
    wave: Option<i64>,
    /// What waits for approval.
    approval: bool,
}

// === impl Story ===

impl Story {
    /// What has come since the last call. `app` is in the operation that is followed.
    pub(crate) fn news(&mut self, app: View<'_>) -> Vec<String> {
        let Some(state) = app.operation_state() else { return Vec::new() };
        let attempt = state.i64_at(&["retryCount"]).unwrap_or_default();
        if attempt != self.attempt {
            *self = Self { attempt, ..Self::default() };
        }
        let results = state.list_at(&["syncResult", "resources"]);
        let mut news = self.hooks(results);
        news.extend(self.waves(app, results));
        let approval = app.awaits_approval().is_some();
        if approval && !self.approval {
            news.push(format!("to approve of that: trueup app confirm-deletion {}", app.qualified_name()));
        }
        self.approval = approval;
        news
    }

    fn hooks(&mut self, results: &[Node]) -> Vec<String> {
        let mut news = Vec::new();
        for result in results {
            let text = |key: &str| result.str_at(&[key]).unwrap_or_default();
            let hook = text("hookType");
            if hook.is_empty() {
                continue;
            }
            let key = view::key(result);
            let message = if text("message").is_empty() { String::new() } else { format!(": {}", text("message")) };
            let line = one_line(&format!("{hook} hook {key} {}{message}", view::or(text("hookPhase"), "begins")));
            let told = self.hooks.insert((key, hook.to_owned()), line.clone());
            if told.as_ref() != Some(&line) {
                news.push(line);
            }
        }
        news
    }

    /// Waves of which something was written. Where all is of one there is nothing to tell.
    fn waves(&mut self, app: View<'_>, results: &[Node]) -> Vec<String> {
        let waves: HashMap<ObjectKey, i64> = app
            .0
            .list_at(&["status", "resources"])
            .iter()
            .filter(|resource| !view::is_hook(resource))
            .map(|resource| (view::key(resource), view::wave(resource)))
            .collect();
        if waves.values().all(|wave| *wave == 0) {
            return Vec::new();
        }
        let mut written: BTreeMap<i64, usize> = BTreeMap::new();
        for result in results.iter().filter(|result| result.str_at(&["status"]) == Some("Synced")) {
            let is_hook = result.str_at(&["hookType"]).is_some_and(|hook| !hook.is_empty());
            if let (false, Some(wave)) = (is_hook, waves.get(&view::key(result))) {
                *written.entry(*wave).or_default() += 1;
            }
        }
        let new = |wave: &i64| self.wave.is_none_or(|last| *wave > last);
        let news = written.iter().filter(|(wave, _)| new(wave));
        let news = news.map(|(wave, count)| match count {
            1 => format!("wave {wave}: 1 object"),
            count => format!("wave {wave}: {count} objects"),
        });
        let news: Vec<String> = news.collect();
        self.wave = written.keys().next_back().copied().max(self.wave);
        news
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn app(results: &Value) -> Value {
        json!({
            "metadata": {"name": "shop", "namespace": "argocd"},
            "status": {
                "resources": [{"kind": "ConfigMap", "name": "a", "namespace": "n", "syncWave": -1}, {"kind": "ConfigMap", "name": "b", "namespace": "n"},
                    {"group": "batch", "kind": "Job", "name": "j", "namespace": "n", "hook": true, "syncWave": 5}],
                "operationState": {"phase": "Running", "syncResult": {"resources": results}},
            },
        })
    }

    fn news(story: &mut Story, app: &Value) -> Vec<String> {
        story.news(View(&Node::from_json(app.to_string().as_bytes()).unwrap()))
    }

    fn hook(phase: &str, message: &str) -> Value {
        json!({"group": "batch", "kind": "Job", "namespace": "n", "name": "j", "hookType": "PreSync", "hookPhase": phase, "message": message})
    }

    fn object(name: &str) -> Value {
        json!({"kind": "ConfigMap", "namespace": "n", "name": name, "status": "Synced"})
    }

    #[test]
    fn each_thing_is_told_once() {
        let mut story = Story::default();
        assert_eq!(news(&mut story, &app(&json!([]))), [""; 0]);
        let runs = app(&json!([hook("Running", "")]));
        assert_eq!(news(&mut story, &runs), ["PreSync hook batch/Job n/j Running"]);
        assert_eq!(news(&mut story, &runs), [""; 0]);
        let ended = json!([hook("Succeeded", "well\ndone"), object("a")]);
        assert_eq!(
            news(&mut story, &app(&ended)),
            ["PreSync hook batch/Job n/j Succeeded: well done", "wave -1: 1 object"]
        );
        let next = json!([hook("Succeeded", "well\ndone"), object("a"), object("b")]);
        assert_eq!(news(&mut story, &app(&next)), ["wave 0: 1 object"]);
        // Another attempt is another story.
        let mut again = app(&next);
        again["status"]["operationState"]["retryCount"] = json!(1);
        assert_eq!(news(&mut story, &again).len(), 3);
    }

    #[test]
    fn one_wave_is_nothing_to_tell() {
        let mut app = app(&json!([object("b")]));
        app["status"]["resources"][0]["syncWave"] = json!(0);
        assert_eq!(news(&mut Story::default(), &app), [""; 0]);
    }

    #[test]
    fn how_to_approve_is_told() {
        let mut app = app(&json!([]));
        app["status"]["operationState"]["message"] = json!("waiting for pruning confirmation of ConfigMap n/c since x");
        let mut story = Story::default();
        assert_eq!(news(&mut story, &app), ["to approve of that: trueup app confirm-deletion argocd/shop"]);
        assert_eq!(news(&mut story, &app), [""; 0]);
    }
}
