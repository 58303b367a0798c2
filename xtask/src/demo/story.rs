//! The story: what happens, step by step, and what must come to hold at each.

use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use kube::core::ApiResource;
use serde_json::Value;

use super::application::short;
use super::examples::Examples;
use super::failure::Failure;
use super::failure::Unexpected;
use super::own_cluster::OwnCluster;
use super::stage::RESYNC;
use super::stage::Stage;
use super::wait::until;
use crate::terminal::Terminal;

/// Where the Deployment lies that is changed, in Git and by hand.
const DEPLOYMENT_FILE: &str = "environments/dev/storefront.yaml";
const DEPLOYMENT: &str = "storefront";
/// What somebody does by hand: the log level, for a moment only, of course.
const EDIT: &str = "s/value: info/value: trace/";
const LEVEL_IN_GIT: &str = "info";
/// The field manager of `kubectl edit`.
const CULPRIT: &str = "kubectl-edit";
/// The file that is removed, and what it holds.
const REMOVED_FILE: &str = "environments/dev/promotions.yaml";
const REMOVED: &str = "promotions";

/// The steps that have held so far.
pub(crate) struct Story {
    terminal: Terminal,
    steps: usize,
    took: Duration,
}

// === impl Story ===

impl Story {
    pub(crate) fn new(terminal: Terminal) -> Self {
        Self { terminal, steps: 0, took: Duration::ZERO }
    }

    /// One line about all steps.
    pub(crate) fn sum(&self) -> String {
        format!("Every step held: {} steps in {:.1} s.", self.steps, self.took.as_secs_f64())
    }

    /// Plays all of it, on a cluster of the user's or on a control plane of our own. The stage is put where the caller can
    /// look at it, and take it down, however this ends.
    pub(crate) async fn play(
        &mut self,
        trueup: PathBuf,
        keep: bool,
        own: Option<(OwnCluster, Examples)>,
        place: &mut Option<Stage>,
    ) -> Result<(), Failure> {
        self.terminal.title("The stage");
        let set = async {
            match own {
                Some((own, examples)) => Stage::set_on(own, examples).await,
                None => Stage::set(keep).await,
            }
        };
        let set = self.hold("control plane", "a control plane that answers", set).await?;
        self.terminal.detail(&format!("Kubernetes {}: {}", set.version(), set.nodes()));
        let stage = place.insert(set);
        self.set_up(stage, trueup).await?;
        self.first_sync(stage).await?;
        self.commit(stage).await?;
        self.change_by_hand(stage).await?;
        self.remove_a_file(stage).await
    }

    async fn set_up(&mut self, stage: &mut Stage, trueup: PathBuf) -> Result<(), Failure> {
        self.hold("CustomResourceDefinitions", "Application and AppProject served", stage.furnish()).await?;
        self.terminal.detail("kubectl apply --server-side --force-conflicts -f crds/");

        let commit = self.hold("repository", "the examples in Git", async { stage.commit_examples() }).await?;
        self.terminal.detail(&format!("{}, main at {}", stage.repository().url(), short(&commit)));

        self.hold("trueup controller", "/health/ready to answer 200", stage.start_controller(trueup)).await?;
        self.terminal.detail(&format!("it looks at Git every {} s here", RESYNC.as_secs()));
        Ok(())
    }

    async fn first_sync(&mut self, stage: &Stage) -> Result<(), Failure> {
        self.terminal.title("It comes up from Git");
        let apply = async { stage.kubectl(&["apply", "-f", "-"], &stage.applications_to_apply()).await };
        let said = self.hold("kubectl apply -f applications/", "the Applications created", apply).await?;
        let expected = said.lines().count();

        let settled = until(stage, self.terminal, async || {
            let applications = stage.applications().await?;
            if applications.len() != expected {
                return Err(Unexpected(format!("{} Applications", applications.len())));
            }
            applications.iter().try_for_each(|one| one.settled(None)).map_err(Unexpected)
        });
        self.hold("Synced and Healthy", "every Application Synced and Healthy", settled).await?;
        self.show_applications(stage).await
    }

    async fn commit(&mut self, stage: &Stage) -> Result<(), Failure> {
        let name = stage.application_name();
        let [before, after] = stage.images();
        self.terminal.title("A commit arrives");
        let commit = async { replace_in_git(stage, DEPLOYMENT_FILE, before, after) };
        let commit = self.hold("git commit", "a commit that changes an image", commit).await?;
        self.terminal.detail(&format!("{} {DEPLOYMENT_FILE}: {} → {}", short(&commit), tag(before), tag(after)));

        let arrived = until(stage, self.terminal, async || {
            let image = live(stage, "/spec/template/spec/containers/0/image").await?;
            if image != after {
                return Err(Unexpected(format!("the cluster still has {image}")));
            }
            stage.application(name).await?.settled(Some(&commit)).map_err(Unexpected)
        });
        let expected = format!("Deployment {DEPLOYMENT} with {after}, {name} Synced and Healthy at it");
        self.hold("rolled out, Synced and Healthy", &expected, arrived).await
    }

    async fn change_by_hand(&mut self, stage: &Stage) -> Result<(), Failure> {
        let name = stage.application_name();
        self.terminal.title("Somebody changes something by hand");
        let args = ["deployment", DEPLOYMENT, "-n", name];
        let edit = stage.edit(&args, EDIT);
        self.hold(&format!("kubectl edit deployment {DEPLOYMENT} -n {name}"), "the edit accepted", edit).await?;
        self.terminal.detail("LOG_LEVEL: info → trace");

        let noticed = until(stage, self.terminal, async || {
            let application = stage.application(name).await?;
            let drift = application.drift_by(CULPRIT, "Deployment", DEPLOYMENT).cloned();
            let drift = drift
                .ok_or_else(|| Unexpected(format!("no drift of Deployment {DEPLOYMENT} by {CULPRIT} in the status")))?;
            let events = stage.events(name, Some("DriftDetected")).await?;
            let event = events.into_iter().find(|event| event.contains(CULPRIT));
            let event = event.ok_or_else(|| Unexpected("no Event DriftDetected that names the culprit".to_owned()))?;
            Ok((drift, event))
        });
        let expected = format!("status.drift and an Event DriftDetected on {name} that name {CULPRIT}");
        let (drift, event) = self.hold(&format!("noticed: it was {CULPRIT}"), &expected, noticed).await?;
        for field in drift["fields"].as_array().into_iter().flatten() {
            let text = |name: &str| field[name].as_str().unwrap_or("nothing").to_owned();
            self.terminal.detail(&text("path"));
            self.terminal.detail(&format!("Git says {}, the cluster had {}", text("git"), text("live")));
        }
        self.terminal.detail(&format!("Event {event}"));

        let healed = until(stage, self.terminal, async || {
            let level = live(stage, "/spec/template/spec/containers/0/env/0/value").await?;
            if level != LEVEL_IN_GIT {
                return Err(Unexpected(format!("LOG_LEVEL is still {level}")));
            }
            let application = stage.application(name).await?;
            application.settled(None).map_err(Unexpected)?;
            if application.drifted() != 0 {
                return Err(Unexpected(format!("status.drift.count is {}", application.drifted())));
            }
            let event = stage.events(name, Some("DriftHealed")).await?.pop();
            event.ok_or_else(|| Unexpected("no Event DriftHealed".to_owned()))
        });
        let expected = format!("LOG_LEVEL {LEVEL_IN_GIT} again, an Event DriftHealed, {name} Synced and Healthy");
        let event = self.hold("healed", &expected, healed).await?;
        self.terminal.detail(&format!("Event {event}"));
        Ok(())
    }

    async fn remove_a_file(&mut self, stage: &Stage) -> Result<(), Failure> {
        let name = stage.application_name();
        self.terminal.title("A file leaves Git");
        let remove = async { Ok(stage.repository().commit(&[(REMOVED_FILE, None)], "The sale is over")?) };
        let commit = self.hold("git rm", "a commit without the file", remove).await?;
        self.terminal.detail(&format!("{} {REMOVED_FILE}", short(&commit)));

        let pruned = until(stage, self.terminal, async || {
            let there = stage.object(&resource("", "ConfigMap", "configmaps"), name, REMOVED).await?;
            if there.is_some() {
                return Err(Unexpected(format!("ConfigMap {REMOVED} is still there")));
            }
            let application = stage.application(name).await?;
            if application.lists("ConfigMap", REMOVED) {
                return Err(Unexpected(format!("status.resources still lists ConfigMap {REMOVED}")));
            }
            application.settled(Some(&commit)).map_err(Unexpected)
        });
        let expected = format!("ConfigMap {REMOVED} gone, {name} Synced and Healthy without it");
        self.hold(&format!("pruned: ConfigMap {REMOVED}"), &expected, pruned).await?;
        self.show_applications(stage).await
    }

    async fn show_applications(&mut self, stage: &Stage) -> Result<(), Failure> {
        let args = ["get", "applications", "-n", stage.namespace()];
        let get = stage.kubectl(&args, "");
        let table = self.hold("kubectl get applications", "a table", get).await?;
        table.lines().for_each(|line| self.terminal.line(&format!("    {line}")));
        Ok(())
    }

    /// Does a step, and tells that it held and how long it took.
    async fn hold<T>(
        &mut self,
        step: &str,
        expected: &str,
        does: impl Future<Output = Result<T, Unexpected>>,
    ) -> Result<T, Failure> {
        self.terminal.waiting(step);
        let begun = Instant::now();
        let outcome = does.await;
        let took = begun.elapsed();
        match outcome {
            Ok(value) => {
                self.terminal.held(step, took);
                self.steps += 1;
                self.took += took;
                Ok(value)
            }
            Err(Unexpected(seen)) => Err(Failure { step: step.to_owned(), expected: expected.to_owned(), seen, took }),
        }
    }
}

/// Replaces a text in a file at the head of `main`, as a commit, and answers that commit.
fn replace_in_git(stage: &Stage, path: &str, from: &str, to: &str) -> Result<String, Unexpected> {
    let before = stage.repository().read("main", path)?;
    if !before.contains(from) {
        return Err(Unexpected(format!("'{path}' does not contain '{from}'")));
    }
    let after = before.replace(from, to);
    Ok(stage.repository().commit(&[(path, Some(&after))], &format!("Update to {}", tag(to)))?)
}

/// A text in the live Deployment.
async fn live(stage: &Stage, pointer: &str) -> Result<String, Unexpected> {
    let deployment =
        stage.object(&resource("apps", "Deployment", "deployments"), stage.application_name(), DEPLOYMENT).await?;
    let text = deployment.as_ref().and_then(|object| object.pointer(pointer)).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| Unexpected(format!("Deployment {DEPLOYMENT} has no {pointer}")))
}

fn resource(group: &str, kind: &str, plural: &str) -> ApiResource {
    let gvk = kube::core::GroupVersionKind::gvk(group, "v1", kind);
    ApiResource::from_gvk_with_plural(&gvk, plural)
}

/// What stands behind the colon of an image.
fn tag(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

#[cfg(test)]
mod tests {
    use trueup_bed::workspace;

    use super::*;

    #[test]
    fn the_examples_are_as_the_story_needs_them() {
        let read = |path: &str| std::fs::read_to_string(workspace().join("examples").join(path)).unwrap();
        let deployment = read(DEPLOYMENT_FILE);
        assert_eq!(deployment.matches("registry.example.com/shop/storefront:2.14.0").count(), 1);
        assert_eq!(deployment.matches(&format!("value: {LEVEL_IN_GIT}\n")).count(), 1);
        assert!(read(REMOVED_FILE).contains(&format!("name: {REMOVED}\n")));
    }
}
