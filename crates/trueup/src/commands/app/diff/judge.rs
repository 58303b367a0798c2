//! One object: what a sync would change of it, and who changed what it is now. Entry points: [`Frame::judge`] for what Git has,
//! [`Frame::judge_leaving`] for what it no longer has.

use std::collections::{HashMap, HashSet};

use trueup_api::{App, Application, Consent, object_options};
use trueup_cluster::{Apply, Kind, Live};
use trueup_diff::{
    Comparison, Difference, Former, Input, Note, Projection, Schema, What, compare, is_built_in, is_client_side,
    masked, masked_pair, to_send, without_directives, without_duplicates,
};
use trueup_object::{Gvk, Node, ObjectKey, yaml};
use trueup_render::{Target, Targets};

use crate::access;
use crate::command_error::CommandError;
use crate::commands::app::client::Client;
use crate::commands::app::diff::base::{Base, Synced};
use crate::commands::app::diff::corrected::corrected;
use crate::commands::app::view;
use crate::output::style::one_line;
use crate::output::talk;

/// What only the server writes and nobody wants to read in a diff.
const SERVER_FIELDS: [&[&str]; 8] = [
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
    &["metadata", "uid"],
    &["metadata", "creationTimestamp"],
    &["metadata", "generation"],
    &["metadata", "selfLink"],
    &["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"],
    &["status"],
];

/// What a sync would do to one object.
pub(super) struct Change {
    pub(super) object: ObjectKey,
    /// Who did it, and what else is worth saying.
    pub(super) remarks: Vec<String>,
    /// As it is, in YAML; empty if it is not there.
    pub(super) live: String,
    /// As it would be; empty if it would be deleted.
    pub(super) wanted: String,
}

/// An object of the inventory that Git no longer has.
pub(super) struct Leaving {
    gvk: Gvk,
    key: ObjectKey,
    /// Only its annotation says that it belongs to the Application.
    unproven: bool,
}

/// What is the same for all objects.
pub(super) struct Frame<'a> {
    client: &'a Client,
    application: &'a Application,
    app: &'a App,
    targets: &'a Targets,
    tracking_name: &'a str,
    kinds: &'a HashMap<Gvk, Kind>,
    scalers: Vec<&'a str>,
    former: Former<'a>,
    synced: &'a Synced,
    base: &'a Base,
}

// === impl Frame ===

impl<'a> Frame<'a> {
    pub(super) fn new(
        client: &'a Client,
        application: &'a Application,
        app: &'a App,
        targets: &'a Targets,
        tracking_name: &'a str,
        kinds: &'a HashMap<Gvk, Kind>,
        (synced, base): (&'a Synced, &'a Base),
    ) -> Self {
        Self {
            client,
            application,
            app,
            targets,
            tracking_name,
            kinds,
            scalers: application.meta.scalers().collect(),
            former: Former {
                named: application.meta.migration_manager(),
                kubectl: app.options.client_side_apply_migration,
            },
            synced,
            base,
        }
    }

    /// Compares one object with the cluster; nothing if it is in line.
    pub(super) async fn judge(&self, target: &Target) -> Result<Option<Change>, CommandError> {
        if object_options(target.manifest.node()).skip {
            return Ok(None);
        }
        let Some(kind) = self.kinds.get(&target.gvk) else { return Ok(Some(added(target))) };
        let Some(live) = self.fetch(kind, &target.key).await? else { return Ok(Some(added(target))) };
        let node = live.node();
        let comparison = self.compare(kind, target, &node).await;
        if comparison.in_line() {
            return Ok(None);
        }
        let mut remarks: Vec<String> = comparison.differences.iter().map(remark).collect();
        remarks.extend(comparison.notes.iter().map(|note| one_line(&said(note))));
        let installation = self.client.cluster().installation();
        if let Some(other) = live.claimed_by(&installation).filter(|app| *app != self.tracking_name) {
            remarks.insert(
                0,
                format!("it belongs to application {other}: a sync leaves it alone while that one holds it"),
            );
        }
        let wanted = corrected(&node, target.manifest.node(), &comparison.differences);
        let (wanted, live) = masked_pair(kind_of(&target.gvk), &wanted, &node);
        Ok(Some(Change { object: target.key.clone(), remarks, live: text(live), wanted: text(wanted) }))
    }

    /// Objects of the inventory that Git no longer has.
    pub(super) fn leaving(&self) -> Vec<Leaving> {
        let wanted: HashSet<&ObjectKey> = self.targets.objects.iter().map(|target| &target.key).collect();
        let inventory = self.application.status.resources.iter().map(|resource| Leaving {
            gvk: Gvk {
                group: resource.group.as_str().into(),
                version: resource.version.as_str().into(),
                kind: resource.kind.as_str().into(),
            },
            key: ObjectKey::new(&resource.group, &resource.kind, &resource.namespace, &resource.name),
            unproven: resource.requires_deletion_confirmation,
        });
        // Definitions are let go, never deleted: all objects of their kind would go with them.
        inventory
            .filter(|leaving| leaving.key.kind != "CustomResourceDefinition" && !wanted.contains(&leaving.key))
            .collect()
    }

    /// Shows an object that Git no longer has as going, if it is there, is ours and may be deleted.
    pub(super) async fn judge_leaving(&self, leaving: Leaving) -> Result<Option<Change>, CommandError> {
        let Leaving { gvk, key, unproven } = leaving;
        // A kind that is not served any more has no objects.
        let Ok(kind) = self.client.cluster().kind(&gvk).await else { return Ok(None) };
        let Some(live) = self.fetch(&kind, &key).await? else { return Ok(None) };
        let installation = self.client.cluster().installation();
        if live.owned || live.deleting || live.claimed_by(&installation) != Some(self.tracking_name) {
            return Ok(None);
        }
        let node = live.node();
        let options = object_options(&node);
        if options.ignore_extraneous {
            return Ok(None);
        }
        if options.keep || options.within(&self.app.options).prune != Consent::Yes {
            talk::note(&format!("{key} is no longer in Git, and kept: its options forbid to prune it"));
            return Ok(None);
        }
        let which = if unproven { "a sync with prune that somebody asks for" } else { "a sync that prunes" };
        let remarks = vec![format!("no longer in Git: {which} deletes it")];
        let live = text(masked(kind_of(&gvk), &node));
        Ok(Some(Change { object: key, remarks, live, wanted: String::new() }))
    }

    async fn fetch(&self, kind: &Kind, key: &ObjectKey) -> Result<Option<std::sync::Arc<Live>>, CommandError> {
        let found = self.client.cluster().fetch(kind, key).await;
        found.map_err(|error| access::explained(&format!("cannot read {key}"), error))
    }

    /// The controller's comparison: with the kind's schema where lists want it, with the server's word where there is doubt.
    async fn compare(&self, kind: &Kind, target: &Target, live: &Node) -> Comparison {
        let ignored = self.app.ignored(&target.key);
        let unknown = Schema::unknown();
        let mut known = None;
        let (desired, nothing) = (target.manifest.node(), Node::map());
        let effective = object_options(desired).within(&self.app.options);
        let client_side = is_client_side(effective.server_side_apply, &target.gvk.group, desired);
        let input = Input {
            desired,
            live,
            base: self.base.of(&target.key, desired, &nothing),
            schema: &unknown,
            projection: None,
            ignore: &ignored.pointers,
            ignore_managers: &ignored.managers,
            scalers: &self.scalers,
            former: self.former,
            built_in: is_built_in(&target.gvk.group),
            client_side,
            pending: self.synced.pending,
            never_synced: self.synced.never,
        };
        let mut comparison = compare(&input);
        if comparison.needs_schema {
            match self.client.cluster().openapi(&target.gvk).await {
                Ok(schema) => comparison = compare(&Input { schema: known.insert(schema), ..input }),
                Err(error) => talk::warning(&format!(
                    "the schema of {} cannot be read, its lists are compared as a whole: {error}",
                    target.gvk
                )),
            }
        }
        if !comparison.doubtful() {
            return comparison;
        }
        let schema = known.as_deref().unwrap_or(&unknown);
        let plain = if client_side { &without_directives(desired) } else { desired };
        let sent = to_send(plain, Some(live), &self.scalers);
        let (body, _) = without_duplicates(&sent, Some(live), schema);
        let validate = effective.validate;
        match self.client.cluster().apply(kind, &body, Apply { dry_run: true, resource_version: None, validate }).await
        {
            Ok(answer) => {
                let projection = Projection::from_answer(target.manifest.node(), &answer.node(), schema);
                compare(&Input { schema, projection: Some(&projection), ..input })
            }
            Err(error) => {
                talk::warning(&format!("{}: the API server would not say what it makes of it: {error}", target.key));
                comparison
            }
        }
    }
}

/// An object that is not there yet.
fn added(target: &Target) -> Change {
    let node = masked(kind_of(&target.gvk), target.manifest.node());
    Change { object: target.key.clone(), remarks: Vec::new(), live: String::new(), wanted: text(node) }
}

/// The kind as the masks want it: another group's Secret is no Secret.
fn kind_of(gvk: &Gvk) -> &str {
    if gvk.group.is_empty() { &gvk.kind } else { "" }
}

/// What became of a leaf, and by whom.
fn remark(difference: &Difference) -> String {
    let path = &difference.path;
    let why = match (difference.what, difference.drift) {
        (What::Extra, _) => "no longer in Git",
        (_, true) => "drift",
        (_, false) => "not synced yet",
    };
    let who = match (&difference.owner, difference.what) {
        (Some(owner), _) => {
            let through =
                if owner.subresource.is_empty() { String::new() } else { format!(" through {}", owner.subresource) };
            let when = if owner.time.is_empty() { String::new() } else { format!(" at {}", owner.time) };
            format!(", set by {}{through}{when}", owner.manager)
        }
        // What is not there has no owner, and what was never there nobody took away.
        (None, What::Missing) if difference.drift => ": taken away, by whom is not recorded".to_owned(),
        (None, What::Missing) => String::new(),
        (None, What::Changed | What::Extra) => ", who set it is not recorded".to_owned(),
    };
    one_line(&format!("{path}: {why}{who}"))
}

/// What does not count as a difference, in words.
fn said(note: &Note) -> String {
    match note {
        Note::Shared { path, manager } => format!("{path}: no longer in Git, left to {manager}, which sets it as well"),
        Note::GivenUp { path, manager } => {
            format!("{path}: no longer in Git, left to {}, who changed it since", view::or(manager, "somebody"))
        }
        Note::Scaled { manager } => format!(".spec.replicas: left to {manager}, which scales it: remove it from Git"),
        Note::Duplicate { path } => format!("{path}: is in Git more than once, the last one counts"),
        Note::Aggregated => ".rules: left to the API server, which aggregates them: remove them from Git".to_owned(),
    }
}

fn text(mut node: Node) -> String {
    for path in SERVER_FIELDS {
        node.remove_at(path);
    }
    if node.at(&["metadata", "annotations"]).and_then(Node::as_map).is_some_and(trueup_object::Map::is_empty) {
        node.remove_at(&["metadata", "annotations"]);
    }
    yaml::print(&node)
}

#[cfg(test)]
mod tests {
    use trueup_object::{Path, Step};

    use super::*;

    #[test]
    fn what_is_absent_was_set_by_nobody() {
        let said = |what: What, drift: bool| {
            remark(&Difference {
                path: Path(vec![Step::field("x")]),
                pointer: String::new(),
                what,
                desired: None,
                live: None,
                owner: None,
                doubtful: false,
                drift,
            })
        };
        assert_eq!(said(What::Missing, false), ".x: not synced yet");
        assert_eq!(said(What::Missing, true), ".x: drift: taken away, by whom is not recorded");
        assert_eq!(said(What::Extra, false), ".x: no longer in Git, who set it is not recorded");
    }
}
