//! Which objects a partial sync takes, as `argocd app sync --resource` names them. Entry points: [`Pattern::parse`], and
//! [`chosen`], which turns patterns into the objects that the controller is told.

use trueup_api::SyncResource;

use crate::command_error::{CommandError, user_error};
use crate::commands::app::view::{self, View};
use crate::output::style::one_line;

/// Stands for any part of a word.
const ANY: char = '*';
/// How a pattern is written.
const FORM: &str =
    "write GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME, as apps:Deployment:web, or :Service:web for the core group";

/// `[!]GROUP:KIND:[NAMESPACE/]NAME`, with `*` anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Objects that match are left out.
    excludes: bool,
    /// Without a namespace of any.
    meant: SyncResource,
}

// === impl Pattern ===

impl Pattern {
    /// Reads one.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (excludes, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let parts: Vec<&str> = rest.split(':').collect();
        // Names of roles have colons in them.
        let [group, kind, name @ ..] = parts.as_slice() else { return Err(FORM.to_owned()) };
        let name = name.join(":");
        let (namespace, name) = name.split_once('/').unwrap_or(("", &name));
        if kind.is_empty() || name.is_empty() || name.contains('/') {
            return Err(FORM.to_owned());
        }
        let [group, kind, namespace, name] = [group, kind, namespace, name].map(str::to_owned);
        Ok(Self { excludes, meant: SyncResource { group, kind, name, namespace } })
    }

    /// Whether it names one object, and nothing has to be looked up.
    fn is_plain(&self) -> bool {
        let SyncResource { group, kind, name, namespace } = &self.meant;
        !self.excludes && ![group, kind, name, namespace].iter().any(|part| part.contains(ANY))
    }

    fn matches(&self, object: &SyncResource) -> bool {
        let SyncResource { group, kind, name, namespace } = &self.meant;
        like(group, &object.group)
            && like(kind, &object.kind)
            && like(name, &object.name)
            && (namespace.is_empty() || object.namespace.is_empty() || like(namespace, &object.namespace))
    }
}

/// The objects that these patterns mean: of those that the status lists, and of `more`, which nobody has listed yet. Empty only
/// without patterns: then a sync takes all.
pub(crate) fn chosen(
    app: View<'_>,
    patterns: &[Pattern],
    more: &[SyncResource],
) -> Result<Vec<SyncResource>, CommandError> {
    let mut chosen: Vec<SyncResource> =
        patterns.iter().filter(|pattern| pattern.is_plain()).map(|pattern| pattern.meant.clone()).collect();
    if chosen.len() == patterns.len() {
        return Ok(chosen);
    }
    let (excluding, including): (Vec<&Pattern>, Vec<&Pattern>) = patterns.iter().partition(|pattern| pattern.excludes);
    let any = |patterns: &[&Pattern], object: &SyncResource| patterns.iter().any(|pattern| pattern.matches(object));
    let listed = listed(app);
    for object in listed.iter().chain(more) {
        if !chosen.contains(object) && (including.is_empty() || any(&including, object)) {
            chosen.push(object.clone());
        }
    }
    chosen.retain(|object| !any(&excluding, object));
    if chosen.is_empty() {
        let name = app.qualified_name();
        return Err(user_error(format!("--resource leaves no object of {name} to sync"))
            .hinted(format!("see what there is: trueup app resources {name}")));
    }
    Ok(chosen)
}

/// The objects that the status lists. Hooks are none that could be chosen.
fn listed(app: View<'_>) -> Vec<SyncResource> {
    let resources = app.0.list_at(&["status", "resources"]).iter().filter(|resource| !view::is_hook(resource));
    let text = |resource: &trueup_object::Node, key: &str| resource.str_at(&[key]).unwrap_or_default().to_owned();
    let one = |resource| SyncResource {
        group: text(resource, "group"),
        kind: text(resource, "kind"),
        name: text(resource, "name"),
        namespace: text(resource, "namespace"),
    };
    resources.map(one).collect()
}

/// What the objects are called that are named without a `*` and that nobody has listed: a slip, or what Git has only just got.
pub(crate) fn unlisted(app: View<'_>, chosen: &[SyncResource]) -> Vec<String> {
    let listed = listed(app);
    let known = |wanted: &SyncResource| {
        let SyncResource { group, kind, name, namespace } = wanted;
        listed.iter().any(|object| {
            (&object.group, &object.kind, &object.name) == (group, kind, name)
                && (namespace.is_empty() || *namespace == object.namespace)
        })
    };
    let written = |wanted: &SyncResource| {
        let SyncResource { group, kind, name, namespace } = wanted;
        let namespace = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        one_line(&format!("{group}:{kind}:{namespace}{name}"))
    };
    chosen.iter().filter(|wanted| !known(wanted)).map(written).collect()
}

/// Whether a text is like a pattern, in which `*` stands for any part.
fn like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once(ANY) else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once(ANY).unwrap_or(("", rest));
    for part in middle.split(ANY).filter(|part| !part.is_empty()) {
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use trueup_object::Node;

    use super::*;

    const APP: &str = r#"{"metadata":{"name":"shop","namespace":"argocd"},"status":{"resources":[
        {"group":"apps","kind":"Deployment","namespace":"shop","name":"web"},
        {"kind":"Service","namespace":"shop","name":"web"},
        {"kind":"Service","namespace":"other","name":"web"},
        {"kind":"Namespace","name":"shop"},
        {"group":"batch","kind":"Job","namespace":"shop","name":"migrate","hook":true}]}}"#;

    fn written(resources: &[SyncResource]) -> Vec<String> {
        let one = |it: &SyncResource| format!("{}:{}:{}/{}", it.group, it.kind, it.namespace, it.name);
        resources.iter().map(one).collect()
    }

    fn asked(patterns: &[&str]) -> Result<Vec<String>, String> {
        let patterns: Vec<Pattern> = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let app = Node::from_json(APP.as_bytes()).unwrap();
        let more = [SyncResource { kind: "Secret".to_owned(), name: "new".to_owned(), ..SyncResource::default() }];
        chosen(View(&app), &patterns, &more).map(|it| written(&it)).map_err(|error| error.error.to_string())
    }

    #[test]
    fn an_object_is_named_as_argocd_names_it() {
        let read = |text: &str| Pattern::parse(text).map(|pattern| (pattern.excludes, written(&[pattern.meant])));
        assert_eq!(read("apps:Deployment:web"), Ok((false, vec!["apps:Deployment:/web".to_owned()])));
        assert_eq!(read("!:Service:shop/web"), Ok((true, vec![":Service:shop/web".to_owned()])));
        let role = "rbac.authorization.k8s.io:ClusterRole:system:web";
        assert_eq!(read(role), Ok((false, vec!["rbac.authorization.k8s.io:ClusterRole:/system:web".to_owned()])));
        for wrong in ["", "web", "Deployment:web", "apps::web", ":Service:", ":Service:a/", ":Service:a/b/c", "!"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_named_plainly_is_asked_for_whether_it_is_known_or_not() {
        assert_eq!(asked(&[]), Ok(Vec::new()));
        let both = asked(&["apps:Deployment:web", ":Service:nosuch"]).unwrap();
        assert_eq!(both, ["apps:Deployment:/web", ":Service:/nosuch"]);
        let app = Node::from_json(APP.as_bytes()).unwrap();
        let wanted = ["apps:Deployment:web", ":Service:shop/nosuch"].map(|text| Pattern::parse(text).unwrap().meant);
        assert_eq!(unlisted(View(&app), &wanted), [":Service:shop/nosuch"]);
    }

    #[test]
    fn exceptions_and_stars_are_looked_up() {
        let services = asked(&[":Service:*"]).unwrap();
        assert_eq!(services, [":Service:shop/web", ":Service:other/web"]);
        // No hook, and what nobody has listed yet.
        let rest = asked(&["!*:Service:*"]).unwrap();
        assert_eq!(rest, ["apps:Deployment:shop/web", ":Namespace:/shop", ":Secret:/new"]);
        let one = asked(&["*:*:shop/w*b", "!apps:Deployment:web"]).unwrap();
        assert_eq!(one, [":Service:shop/web"]);
        let none = asked(&["!*:*:*"]).unwrap_err();
        assert_eq!(none, "--resource leaves no object of argocd/shop to sync");
    }

    #[test]
    fn a_star_is_any_part() {
        for (pattern, text, like) in [
            ("*", "", true),
            ("web", "web", true),
            ("web", "webs", false),
            ("w*b", "wb", true),
            ("w*b", "w", false),
            ("ab*ba", "aba", false),
            ("*a*b*", "xxaxbx", true),
            ("*a*b*", "xbxa", false),
            ("a*b*c", "abxbc", true),
        ] {
            assert_eq!(super::like(pattern, text), like, "{pattern} {text}");
        }
    }
}
