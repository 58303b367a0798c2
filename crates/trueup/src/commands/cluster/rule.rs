//! The rules that are asked about: the controller's table, made concrete for one installation.
//!
//! Rules for the kinds of Git are as wide as all kinds. Where that is not granted, what the Applications have brought so far
//! decides, kind by kind. A controller that looks after one namespace only asks for nothing of the cluster, and for the kinds of
//! Git in that namespace. Entry point: [`rules`].

use std::collections::{BTreeMap, BTreeSet};

use trueup_api::NamespacePatterns;
use trueup_cluster::Action;
use trueup_controller::grants::{ANY, Grant, Place};

use crate::commands::cluster::inventory::{Brought, Inventory};

/// Verbs on resources of one group, in one namespace or in the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// Empty: the whole cluster.
    pub(super) namespace: String,
    pub(super) group: String,
    pub(super) resources: Vec<String>,
    pub(super) verbs: Vec<String>,
    pub(super) why: &'static str,
    /// What cannot be done without it, if that is not everything.
    pub(super) only_for: Option<&'static str>,
}

/// A part of a rule, and whether it is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) rule: Rule,
    pub(super) granted: bool,
}

/// Where the controller would run, and what it would take.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) namespace: &'a str,
    /// The patterns of further namespaces of Applications.
    pub(super) application_namespaces: &'a NamespacePatterns,
    /// The one namespace whose objects it would look after; empty: those of the whole cluster.
    pub(super) destination_namespace: &'a str,
    /// Its settings switch impersonation on.
    pub(super) impersonates: bool,
}

/// The one resource of the table, besides kinds of Git, that no namespace has.
const NOT_IN_NAMESPACES: &str = "clusterroles";

// === impl Rule ===

impl Rule {
    fn new(grant: &Grant, namespace: &str, group: &str, resources: Vec<String>) -> Self {
        Self {
            namespace: namespace.to_owned(),
            group: group.to_owned(),
            resources,
            verbs: grant.verbs.iter().map(|&verb| verb.to_owned()).collect(),
            why: grant.why,
            only_for: grant.only_for,
        }
    }

    fn as_it_stands(grant: &Grant, namespace: &str) -> Self {
        Self::new(grant, namespace, grant.group, grant.resources.iter().map(|&resource| resource.to_owned()).collect())
    }

    /// What is to be asked: each verb on each resource.
    pub(super) fn actions(&self) -> impl Iterator<Item = Action> {
        self.resources.iter().flat_map(|resource| self.verbs.iter().map(|verb| self.action(resource, verb)))
    }

    fn action(&self, resource: &str, verb: &str) -> Action {
        Action {
            namespace: self.namespace.clone(),
            group: self.group.clone(),
            resource: resource.to_owned(),
            verb: verb.to_owned(),
        }
    }

    /// Takes the rule apart into what is granted and what is not: resources that stand alike stay together.
    pub(super) fn judge(&self, granted: impl Fn(&Action) -> bool) -> Vec<Judged> {
        let mut alike: BTreeMap<(bool, Vec<String>), Vec<String>> = BTreeMap::new();
        for resource in &self.resources {
            let (yes, no): (Vec<String>, Vec<String>) =
                self.verbs.iter().cloned().partition(|verb| granted(&self.action(resource, verb)));
            for (granted, verbs) in [(true, yes), (false, no)] {
                if !verbs.is_empty() {
                    alike.entry((granted, verbs)).or_default().push(resource.clone());
                }
            }
        }
        alike
            .into_iter()
            .rev()
            .map(|((granted, verbs), resources)| Judged { rule: Self { resources, verbs, ..self.clone() }, granted })
            .collect()
    }
}

/// Makes the table concrete. `granted` tells what is known to be granted: it decides whether a rule for all kinds can stay
/// as wide as it is.
pub(super) fn rules(
    grants: &[Grant],
    setting: &Setting<'_>,
    inventory: &Inventory,
    granted: impl Fn(&Action) -> bool,
) -> Vec<Rule> {
    grants.iter().flat_map(|grant| concrete(grant, setting, inventory, &granted)).collect()
}

/// What must be known before [`rules`]: whether all kinds are granted.
pub(super) fn wide(grants: &[Grant], setting: &Setting<'_>) -> BTreeSet<Action> {
    let wide = grants.iter().filter(|grant| grant.is_for_any_kind());
    let actions = |grant| Rule::as_it_stands(grant, setting.destination_namespace).actions().collect::<Vec<_>>();
    wide.flat_map(actions).collect()
}

fn concrete(
    grant: &Grant,
    setting: &Setting<'_>,
    inventory: &Inventory,
    granted: &impl Fn(&Action) -> bool,
) -> Vec<Rule> {
    match grant.place {
        Place::Namespace => vec![Rule::as_it_stands(grant, setting.namespace)],
        Place::ApplicationNamespaces => {
            // Namespaces that only a pattern tells are watched together.
            let Some(places) = setting.application_namespaces.names() else {
                return vec![Rule::as_it_stands(grant, "")];
            };
            let others: BTreeSet<&str> = places.into_iter().filter(|place| *place != setting.namespace).collect();
            others.into_iter().map(|namespace| Rule::as_it_stands(grant, namespace)).collect()
        }
        Place::ServiceAccounts if !setting.impersonates => Vec::new(),
        Place::ServiceAccounts => vec![Rule::as_it_stands(grant, setting.destination_namespace)],
        // What only a cluster has is not asked for.
        Place::Cluster if !setting.destination_namespace.is_empty() && !grant.is_for_any_kind() => Vec::new(),
        Place::Cluster if !grant.is_for_any_kind() => vec![Rule::as_it_stands(grant, "")],
        Place::Cluster | Place::Destinations => {
            let one_namespace = setting.destination_namespace;
            let mut whole = Rule::as_it_stands(grant, one_namespace);
            if !one_namespace.is_empty() {
                whole.resources.retain(|resource| resource != NOT_IN_NAMESPACES);
            }
            let in_reach = |kind: &&Brought| one_namespace.is_empty() || kind.namespace == one_namespace;
            let kinds: Vec<&Brought> = inventory.kinds().filter(in_reach).collect();
            if kinds.is_empty() || (grant.is_for_any_kind() && whole.actions().all(|it| granted(&it))) {
                return vec![whole];
            }
            let mut places: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
            for kind in kinds {
                let named = grant.group == kind.group && grant.resources.contains(&&*kind.resource);
                if !named && grant.group != ANY {
                    continue;
                }
                // Kinds are watched over the whole cluster, or the one namespace.
                let namespace = if grant.place == Place::Cluster { one_namespace } else { &kind.namespace };
                places.entry((namespace.to_owned(), kind.group.clone())).or_default().insert(kind.resource.clone());
            }
            let one = |((namespace, group), resources): ((String, String), BTreeSet<String>)| {
                Rule::new(grant, &namespace, &group, resources.into_iter().collect())
            };
            places.into_iter().map(one).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use trueup_controller::grants::GRANTS;

    use super::*;

    fn setting(application_namespaces: &NamespacePatterns) -> Setting<'_> {
        Setting { namespace: "argocd", application_namespaces, destination_namespace: "", impersonates: false }
    }

    fn brought(namespace: &str, group: &str, resource: &str) -> Brought {
        Brought { namespace: namespace.to_owned(), group: group.to_owned(), resource: resource.to_owned() }
    }

    fn lines(rules: &[Rule]) -> Vec<String> {
        let line = |rule: &Rule| {
            let place = if rule.namespace.is_empty() { "cluster" } else { &rule.namespace };
            format!("{place} {} {}: {}", rule.group, rule.resources.join(","), rule.verbs.join(","))
        };
        rules.iter().map(line).collect()
    }

    #[test]
    fn all_kinds_stay_one_rule_where_they_are_granted_or_nothing_is_known() {
        let known = Inventory::of([brought("shop", "apps", "deployments")]);
        for (inventory, granted) in [(&known, true), (&Inventory::default(), false)] {
            let lines = lines(&rules(GRANTS, &setting(&NamespacePatterns::default()), inventory, |_| granted));
            assert!(lines.contains(&"cluster * *: list,watch".to_owned()), "{lines:#?}");
            assert!(lines.contains(&"cluster * *: get,create,patch,delete".to_owned()), "{lines:#?}");
        }
    }

    #[test]
    fn else_the_kinds_are_asked_for_where_they_are() {
        let known = Inventory::of([
            brought("shop", "apps", "deployments"),
            brought("shop", "apps", "statefulsets"),
            brought("", "rbac.authorization.k8s.io", "clusterroles"),
        ]);
        let lines = lines(&rules(GRANTS, &setting(&NamespacePatterns::default()), &known, |_| false));
        for expected in [
            "cluster apps deployments,statefulsets: list,watch",
            "shop apps deployments,statefulsets: get,create,patch,delete",
            "cluster rbac.authorization.k8s.io clusterroles: get,create,patch,delete",
            "cluster rbac.authorization.k8s.io clusterroles: bind,escalate",
        ] {
            assert!(lines.contains(&expected.to_owned()), "{expected} is not in {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.contains('*')), "{lines:#?}");
    }

    #[test]
    fn for_one_namespace_nothing_of_the_cluster_is_asked_for() {
        let none = NamespacePatterns::default();
        let setting = Setting { destination_namespace: "shop", ..setting(&none) };
        let known = Inventory::of([
            brought("shop", "apps", "deployments"),
            brought("elsewhere", "apps", "statefulsets"),
            brought("", "rbac.authorization.k8s.io", "clusterroles"),
        ]);
        let whole = lines(&rules(GRANTS, &setting, &known, |_| true));
        let one_by_one = lines(&rules(GRANTS, &setting, &known, |_| false));
        for lines in [&whole, &one_by_one] {
            assert!(lines.iter().all(|line| line.starts_with("argocd ") || line.starts_with("shop ")), "{lines:#?}");
        }
        for (expected, lines) in [
            ("shop * *: list,watch", &whole),
            ("shop * *: get,create,patch,delete", &whole),
            ("shop apps deployments: list,watch", &one_by_one),
            ("shop apps deployments: get,create,patch,delete", &one_by_one),
        ] {
            assert!(lines.contains(&expected.to_owned()), "{expected} is not in {lines:#?}");
        }
        assert!(!one_by_one.iter().any(|line| line.contains("clusterroles")), "{one_by_one:#?}");
        let asked = wide(GRANTS, &setting);
        assert!(asked.iter().all(|action| action.namespace == "shop") && !asked.is_empty(), "{asked:#?}");
        let first = lines(&rules(GRANTS, &setting, &Inventory::default(), |_| false));
        assert!(first.contains(&"shop rbac.authorization.k8s.io roles: bind,escalate".to_owned()), "{first:#?}");
    }

    #[test]
    fn impersonation_is_asked_for_where_it_is_on() {
        let none = NamespacePatterns::default();
        let asked = |impersonates, destination_namespace| {
            let setting = Setting { destination_namespace, impersonates, ..setting(&none) };
            let lines = lines(&rules(GRANTS, &setting, &Inventory::default(), |_| true));
            lines.into_iter().filter(|line| line.contains("impersonate")).collect::<Vec<_>>()
        };
        assert!(asked(false, "").is_empty());
        assert_eq!(asked(true, ""), ["cluster  serviceaccounts: impersonate"]);
        assert_eq!(asked(true, "shop"), ["shop  serviceaccounts: impersonate"]);
    }

    #[test]
    fn namespaces_of_applications_are_asked_for_by_name_or_all_at_once() {
        let of = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
            let patterns = NamespacePatterns::read(&patterns);
            let rules = rules(GRANTS, &setting(&patterns), &Inventory::default(), |_| true);
            let ours = rules.into_iter().filter(|rule| rule.only_for == Some("--application-namespaces"));
            lines(&ours.collect::<Vec<_>>())
        };
        assert!(of(&["argocd"]).is_empty());
        assert_eq!(
            of(&["team-a"]),
            ["team-a argoproj.io applications: get,list,watch,patch", "team-a  events: create"]
        );
        assert_eq!(of(&["team-a", "x-*"])[0], "cluster argoproj.io applications: get,list,watch,patch");
    }

    #[test]
    fn a_rule_is_taken_apart_into_what_is_granted_and_what_is_not() {
        let grant = GRANTS.iter().find(|grant| grant.resources.len() == 2 && grant.group == "apps").unwrap();
        let rule = Rule::as_it_stands(grant, "argocd");
        let judged = rule.judge(|action| action.resource == "deployments" || action.verb == "list");
        let told: Vec<(bool, Vec<String>)> =
            judged.iter().map(|judged| (judged.granted, lines(std::slice::from_ref(&judged.rule)))).collect();
        assert_eq!(
            told,
            [
                (true, vec!["argocd apps deployments: list,watch".to_owned()]),
                (true, vec!["argocd apps statefulsets: list".to_owned()]),
                (false, vec!["argocd apps statefulsets: watch".to_owned()]),
            ]
        );
    }
}
