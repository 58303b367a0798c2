//! The health of an application: that of its worst object.
//!
//! Keeps nothing. Hooks are the caller's to leave out; for objects that `ignore-healthcheck` names, and for the application
//! itself, the caller gives no health. Entry point: [`aggregate`].

use trueup_object::ObjectKey;

use crate::{Code, Health};

/// How many objects the message names, as upstream.
const NAMED_MAX: usize = 3;

/// The health of an application from its objects: key, health if the kind has one, whether the object is missing.
///
/// Missing objects do not count (the sync status tells of them), unless all are missing. Of child Applications, neither do
/// those that are Missing or Unknown.
pub fn aggregate<'a>(objects: impl Iterator<Item = (&'a ObjectKey, Option<&'a Health>, bool)>) -> Health {
    let mut worst = Code::Healthy;
    let mut culprits: Vec<&ObjectKey> = Vec::new();
    let (mut any_live, mut any_missing) = (false, false);
    for (key, health, is_missing) in objects {
        if is_missing {
            any_missing = true;
            continue;
        }
        any_live = true;
        let Some(code) = health.map(|health| health.code).filter(|code| counts(key, *code)) else { continue };
        if code > worst {
            worst = code;
            culprits.clear();
        }
        if code == worst && code != Code::Healthy {
            culprits.push(key);
        }
    }
    if any_missing && !any_live {
        // As upstream, without naming them: they are all.
        return Health::new(Code::Missing, "");
    }
    Health::new(worst, message(culprits))
}

fn counts(key: &ObjectKey, code: Code) -> bool {
    let is_application = key.group == "argoproj.io" && key.kind == "Application";
    !(is_application && matches!(code, Code::Missing | Code::Unknown))
}

fn message(mut culprits: Vec<&ObjectKey>) -> String {
    culprits.sort();
    culprits.dedup();
    if culprits.is_empty() {
        return String::new();
    }
    let named: Vec<String> = culprits.iter().take(NAMED_MAX).map(|key| name(key)).collect();
    let more = match culprits.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("Caused by {}{more}", named.join(", "))
}

/// `apps/Deployment:shop/web`.
fn name(key: &ObjectKey) -> String {
    let namespace = if key.namespace.is_empty() { String::new() } else { format!("{}/", key.namespace) };
    format!("{}:{namespace}{}", key.group_kind(), key.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, name: &str) -> ObjectKey {
        let group = if kind == "Application" { "argoproj.io" } else { "apps" };
        ObjectKey::new(group, kind, "shop", name)
    }

    /// `None` is an object without health; Missing is an object that is not there.
    fn check(objects: &[(&str, &str, Option<Code>)], code: Code, message: &str) {
        let objects: Vec<_> = objects
            .iter()
            .map(|(kind, name, code)| {
                let missing = *code == Some(Code::Missing) && *kind != "Application";
                (key(kind, name), code.filter(|_| !missing).map(|code| Health::new(code, "")), missing)
            })
            .collect();
        let forwards = aggregate(objects.iter().map(|(key, health, missing)| (key, health.as_ref(), *missing)));
        let backwards = aggregate(objects.iter().rev().map(|(key, health, missing)| (key, health.as_ref(), *missing)));
        assert_eq!(forwards, Health::new(code, message));
        assert_eq!(backwards, forwards, "the order of objects does not matter");
    }

    #[test]
    fn nothing_is_healthy() {
        check(&[], Code::Healthy, "");
        check(&[("ConfigMap", "a", None)], Code::Healthy, "");
    }

    #[test]
    fn the_worst_decides() {
        check(&[("Deployment", "a", Some(Code::Healthy)), ("Deployment", "b", Some(Code::Healthy))], Code::Healthy, "");
        check(
            &[
                ("Deployment", "a", Some(Code::Progressing)),
                ("Deployment", "b", Some(Code::Degraded)),
                ("Deployment", "c", Some(Code::Healthy)),
            ],
            Code::Degraded,
            "Caused by apps/Deployment:shop/b",
        );
        check(
            &[("Job", "a", Some(Code::Suspended)), ("Deployment", "b", Some(Code::Unknown))],
            Code::Unknown,
            "Caused by apps/Deployment:shop/b",
        );
    }

    #[test]
    fn three_are_named() {
        let five: Vec<_> = ["e", "d", "c", "b", "a"].map(|name| ("Deployment", name, Some(Code::Progressing))).to_vec();
        check(
            &five,
            Code::Progressing,
            "Caused by apps/Deployment:shop/a, apps/Deployment:shop/b, apps/Deployment:shop/c and 2 more",
        );
    }

    #[test]
    fn missing_counts_only_if_all_are() {
        check(&[("Deployment", "a", Some(Code::Missing)), ("ConfigMap", "b", None)], Code::Healthy, "");
        check(
            &[("Deployment", "a", Some(Code::Missing)), ("Deployment", "b", Some(Code::Progressing))],
            Code::Progressing,
            "Caused by apps/Deployment:shop/b",
        );
        check(&[("Deployment", "a", Some(Code::Missing))], Code::Missing, "");
    }

    #[test]
    fn children_that_are_missing_or_unknown_do_not_count() {
        check(
            &[("Application", "a", Some(Code::Unknown)), ("Application", "b", Some(Code::Missing))],
            Code::Healthy,
            "",
        );
        check(
            &[("Application", "a", Some(Code::Degraded))],
            Code::Degraded,
            "Caused by argoproj.io/Application:shop/a",
        );
    }

    #[test]
    fn cluster_scoped_and_core_objects_are_named_shortly() {
        assert_eq!(name(&ObjectKey::new("", "Namespace", "", "shop")), "Namespace:shop");
        assert_eq!(name(&ObjectKey::new("", "Pod", "shop", "a")), "Pod:shop/a");
    }
}
