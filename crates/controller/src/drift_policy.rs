//! What is done about drift: healed where self-heal is on, or only reported.
//!
//! One annotation says it, on the Application for all of its objects, and in the manifest of an object for that one, which
//! counts more. Invariant: what it says and we do not understand is never healed. Entry points: [`Policy::of`],
//! [`left_alone`], [`notices`].

use std::collections::{BTreeMap, HashSet};

use trueup_api::{Application, annotations, condition};
use trueup_object::{Node, ObjectKey};
use trueup_render::Target;

use crate::judge::Verdict;
use crate::memory::{Base, Memory};
use crate::observe::{Notice, View};

/// What is done about drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// As the sync policy says.
    Heal,
    /// It is told and left, until somebody asks for a sync.
    Report,
}

/// Words that are cut from a value that is not understood, in characters: it may be a whole file.
const SHOWN_MAX: usize = 40;

/// The most objects that a warning names: a label that hundreds inherit is one mistake.
const NAMED_MAX: usize = 3;

// === impl Policy ===

impl Policy {
    /// For one object of an application.
    pub(crate) fn of(application: &Application, target: &Target) -> Self {
        let own = on_object(target).or_else(|| on_application(application));
        own.map_or(Self::Heal, |word| Self::read(word).unwrap_or(Self::Report))
    }

    fn read(word: &str) -> Option<Self> {
        match word {
            "heal" => Some(Self::Heal),
            "report" => Some(Self::Report),
            _ => None,
        }
    }
}

fn on_application(application: &Application) -> Option<&str> {
    of(&application.meta.annotations)
}

fn of(annotations: &BTreeMap<String, String>) -> Option<&str> {
    annotations.get(annotations::DRIFT_POLICY).map(String::as_str)
}

fn on_object(target: &Target) -> Option<&str> {
    let annotation = target.manifest.node().at(&["metadata", "annotations"])?.get(annotations::DRIFT_POLICY)?;
    // What is no text is nothing that we understand.
    Some(annotation.as_str().unwrap_or_default())
}

/// The objects that an automated sync leaves as they are: they drifted, that is only reported, Git has not touched them
/// since the last sync, and neither has a sync that did not succeed.
pub(crate) fn left_alone(application: &Application, view: &View, memory: &Memory) -> HashSet<ObjectKey> {
    let reported = view.pairs().filter(|(target, judged)| {
        judged.wants_apply()
            && Policy::of(application, target) == Policy::Report
            && judged.comparison().is_none_or(|comparison| comparison.differences.iter().all(|it| it.drift))
            && match (&memory.base, &judged.verdict) {
                (Base::Known(_), _) => memory.base_of(&target.key, &Node::Null) == Some(target.manifest.node()),
                // What Git said before is not known: who owns the fields tells.
                (Base::Lost(_), Verdict::Differs(_)) => true,
                _ => false,
            }
    });
    reported.map(|(target, _)| target.key.clone()).collect()
}

/// What is not understood: once for the Application, and once for all of its objects.
pub(crate) fn notices(application: &Application, view: &View) -> Vec<Notice> {
    let own = on_application(application).filter(|word| Policy::read(word).is_none()).map(|word| unknown("", word));
    own.into_iter().chain(unknown_on_objects(&view.targets.objects)).collect()
}

fn unknown_on_objects(targets: &[Target]) -> Option<Notice> {
    let of = |target| on_object(target).filter(|word| Policy::read(word).is_none());
    let found: Vec<(&Target, &str)> = targets.iter().filter_map(|target| Some((target, of(target)?))).collect();
    let (_, word) = found.first()?;
    let named: Vec<String> = found.iter().take(NAMED_MAX).map(|(target, _)| target.key.to_string()).collect();
    let more = match found.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(unknown(&format!("{}{more}: ", named.join(", ")), word))
}

fn unknown(whose: &str, word: &str) -> Notice {
    let shown: String = word.chars().take(SHOWN_MAX).collect();
    let message = format!(
        "{whose}{}: '{shown}' is not known, so drift is reported and not healed: write 'report' or 'heal', or remove it",
        annotations::DRIFT_POLICY
    );
    Notice { kind: condition::COMPARISON_WARNING, message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trueup_object::{Digest, Gvk, Manifest};

    use super::*;

    fn application(policy: Option<&str>) -> Application {
        let annotations = policy.map(|policy| json!({annotations::DRIFT_POLICY: policy})).unwrap_or_default();
        let json = json!({"metadata": {"name": "a", "namespace": "argocd", "annotations": annotations},
            "spec": {"destination": {"name": "in-cluster"}, "source": {"repoURL": "http://git/x", "path": "p"}}});
        Application::read(json.to_string().as_bytes()).unwrap()
    }

    fn target(policy: Option<&str>) -> Target {
        let annotations = policy.map(|policy| json!({annotations::DRIFT_POLICY: policy})).unwrap_or_default();
        let json =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "annotations": annotations}});
        let manifest = Manifest::try_from(Node::from_json(json.to_string().as_bytes()).unwrap()).unwrap();
        Target {
            key: ObjectKey::new("", "ConfigMap", "ns", "c"),
            gvk: Gvk::from_api_version("v1", "ConfigMap"),
            digest: Digest::of(b""),
            manifest,
        }
    }

    #[test]
    fn the_nearer_word_counts_and_an_unknown_one_never_heals() {
        use Policy::{Heal, Report};
        for (of_application, of_object, policy) in [
            (None, None, Heal),
            (Some("heal"), None, Heal),
            (Some("report"), None, Report),
            (Some("report"), Some("heal"), Heal),
            (Some("heal"), Some("report"), Report),
            (None, Some("report"), Report),
            (Some("Report"), None, Report),
            (Some("off"), None, Report),
            (Some(""), None, Report),
            (Some("heal"), Some("hela"), Report),
        ] {
            assert_eq!(
                Policy::of(&application(of_application), &target(of_object)),
                policy,
                "{of_application:?} {of_object:?}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_said_and_cut() {
        let said = |policies: &[&str]| {
            let targets: Vec<Target> = policies.iter().map(|policy| target(Some(policy))).collect();
            unknown_on_objects(&targets).map(|notice| notice.message)
        };
        assert_eq!(said(&["report", "heal"]), None);
        let one = said(&["report", &"x".repeat(500)]).unwrap();
        assert!(one.starts_with("ConfigMap ns/c: trueup.dev/drift-policy: 'xxx"), "{one}");
        assert!(one.len() < 250, "{one}");
        let many = said(&["of"; 800]).unwrap();
        assert!(many.starts_with("ConfigMap ns/c, ConfigMap ns/c, ConfigMap ns/c and 797 more: "), "{many}");
    }
}
