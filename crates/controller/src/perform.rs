//! Writing one object: apply it, with what must be taken over first, or delete it.
//!
//! Invariant: whatever is written was judged at the version that is written over, where overwriting could hurt; a version
//! that moved meanwhile is looked at again. Entry points: [`apply`] and [`prune`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use trueup_api::{Effective, Ignored};
use trueup_cluster::{Absent, Apply, Cluster, ClusterError, Kind, Live, Propagation};
use trueup_diff::{
    Former, Input, Schema, has_directive_at_root, has_directives, is_built_in, is_client_side,
    only_managed_fields_differ, respected, takeover, to_send, without_duplicates,
};
use trueup_object::{Node, ObjectKey};
use trueup_render::Target;

use crate::extras::live;
use crate::judge::holder;
use crate::metrics::Metrics;
use crate::world::World;
use crate::{client_side, recreate, replace};

/// How often an object that changes under our hands is looked at again within one apply.
const ROUNDS_MAX: u32 = 3;
/// How many fields that the server does not know are dropped with `Validate=false`: it names one at a time.
const UNKNOWN_FIELDS_MAX: usize = 20;
/// How long an object waits for the kind that was defined a moment before: the server serves it within 0.2 s.
const KIND_PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries of such an object.
const KIND_PAUSE: Duration = Duration::from_millis(50);
/// What a server answers that knows no server-side apply.
pub(crate) const UNKNOWN_PATCH: u16 = 415;

/// What one apply needs to know.
pub(crate) struct Order<'a> {
    pub(crate) world: &'a World,
    /// The cluster, as whoever writes the object.
    pub(crate) hands: &'a Cluster,
    /// The application.
    pub(crate) name: &'a str,
    pub(crate) target: &'a Target,
    pub(crate) kind: &'a Kind,
    pub(crate) base: Option<&'a Node>,
    pub(crate) scalers: &'a [&'a str],
    /// Managers whose fields are taken over.
    pub(crate) former: Former<'a>,
    /// How it is written.
    pub(crate) options: Effective,
    /// Fields that are left as live has them (`RespectIgnoreDifferences`).
    pub(crate) respected: Option<&'a Ignored<'a>>,
    /// Leaves of the object that Git gave up are still there and have to go.
    pub(crate) removes: bool,
    /// Its kind was defined in this very sync.
    pub(crate) fresh_kind: bool,
}

/// What came of an apply.
pub(crate) struct Applied {
    pub(crate) live: Arc<Live>,
    pub(crate) change: Change,
    pub(crate) warnings: Vec<String>,
}

/// What an apply did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Created,
    Configured,
    /// It was deleted and made anew.
    Recreated,
    /// The same version came back: it was equal already.
    Unchanged,
    /// Nothing: this other application has come to hold it meanwhile.
    LeftTo(Arc<str>),
}

/// What is sent of an object.
struct Sending {
    body: Node,
    /// It was made from this version of live, and is not to be written over another.
    resource_version: Option<String>,
}

/// How an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The server applies it.
    Apply,
    /// A patch is made here and merged there.
    ClientSide,
    /// It is put in the place of what is there.
    Replace,
}

/// How an object is written: replaced or applied as its options say. Without a word on it, strategic directives make it a
/// client-side apply, which alone knows them.
pub(crate) fn manner(options: &Effective, target: &Target) -> Manner {
    if options.replace {
        Manner::Replace
    } else if is_client_side(options.server_side_apply, &target.gvk.group, target.manifest.node()) {
        Manner::ClientSide
    } else {
        Manner::Apply
    }
}

/// Applies one object.
pub(crate) async fn apply(order: &Order<'_>) -> Result<Applied, ClusterError> {
    let began = Instant::now();
    let mut round = 1;
    loop {
        let before = live(order.world, order.kind, &order.target.key).await?;
        match once(order, before.as_ref()).await {
            Err(ClusterError::Conflict | ClusterError::AlreadyExists) if round < ROUNDS_MAX => {
                round += 1;
                order.hands.fetch(order.kind, &order.target.key).await?;
            }
            Err(ClusterError::NotFound(Absent::Kind)) if order.fresh_kind && began.elapsed() < KIND_PATIENCE => {
                sleep(KIND_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

async fn once(order: &Order<'_>, before: Option<&Arc<Live>>) -> Result<Applied, ClusterError> {
    if let Some(seen) = before
        && let Some(holder) = holder(order.world, order.name, &order.target.key, seen)
    {
        return Ok(Applied { live: Arc::clone(seen), change: Change::LeftTo(holder), warnings: Vec::new() });
    }
    let manner = manner(&order.options, order.target);
    allow_directives(order, manner)?;
    let mut before = before.cloned();
    if manner == Manner::Apply
        && let Some(seen) = &before
    {
        before = Some(take_over(order, seen).await?);
    }
    let mut warnings = Vec::new();
    let sending = sending(order, manner, before.as_deref(), &mut warnings);
    order.world.metrics.applies.inc();
    let (live, anew) = match (write(order, manner, &sending, before.as_deref(), &mut warnings).await, &before) {
        (Ok(live), _) => (live, false),
        (Err(error), Some(seen)) => {
            let body = replace::with_others(order.target.manifest.node(), &sending.body, &seen.node());
            recreate::make_way(order, manner, &body, seen, error).await?;
            let sending = Sending { body, resource_version: None };
            (write(order, manner, &sending, None, &mut warnings).await?, true)
        }
        (Err(error), None) => return Err(error),
    };
    let change = match &before {
        None => Change::Created,
        Some(_) if anew => Change::Recreated,
        Some(before) if before.uid != live.uid => Change::Created,
        Some(before) if before.resource_version == live.resource_version => Change::Unchanged,
        // Adopted: who owns what has changed, and nothing else.
        Some(before) if only_managed_fields_differ(&before.node(), &live.node()) => Change::Unchanged,
        Some(_) => Change::Configured,
    };
    Ok(Applied { live, change, warnings })
}

async fn write(
    order: &Order<'_>,
    manner: Manner,
    sending: &Sending,
    before: Option<&Live>,
    warnings: &mut Vec<String>,
) -> Result<Arc<Live>, ClusterError> {
    match manner {
        Manner::Apply => send(order, sending, before, warnings).await,
        Manner::ClientSide => client_side::apply(order, &sending.body, before).await,
        Manner::Replace => replace::replace(order, &sending.body, before).await,
    }
}

/// Refuses strategic directives where nothing would come of them, or something else than meant.
fn allow_directives(order: &Order<'_>, manner: Manner) -> Result<(), ClusterError> {
    let manifest = order.target.manifest.node();
    if !has_directives(manifest) {
        return Ok(());
    }
    let message = if has_directive_at_root(manifest) {
        "$patch at its root speaks of the whole object: remove it, or the manifest"
    } else {
        match manner {
            Manner::ClientSide if is_built_in(&order.target.gvk.group) => return Ok(()),
            // Of other kinds it may be a field like any other; if it is none, the server says so.
            Manner::Apply if !is_built_in(&order.target.gvk.group) => return Ok(()),
            Manner::ClientSide => {
                "strategic directives ($patch, $retainKeys and the like) mean nothing to kinds that a definition adds: remove them"
            }
            Manner::Apply => {
                "strategic directives ($patch, $retainKeys and the like) mean nothing to server-side apply: remove the option \
                 ServerSideApply=true, or them"
            }
            Manner::Replace => {
                "strategic directives ($patch, $retainKeys and the like) mean nothing where an object is replaced: remove the \
                 option Replace=true, or them"
            }
        }
    };
    Err(ClusterError::Declined { message: message.to_owned() })
}

/// What is sent of an object, seen what is there.
fn sending(order: &Order<'_>, manner: Manner, before: Option<&Live>, warnings: &mut Vec<String>) -> Sending {
    let node = before.map(Live::node);
    let mut sent = to_send(order.target.manifest.node(), node.as_ref(), order.scalers);
    // An autoscaler that was faster must not be undone.
    let mut guarded = order.kind.scale;
    if let (Some(ignored), Some(node)) = (order.respected, &node) {
        guarded = true;
        let unknown = Schema::unknown();
        let input = Input {
            desired: &sent,
            base: None,
            ignore: &ignored.pointers,
            ignore_managers: &ignored.managers,
            ..order.input(node, manner, &unknown)
        };
        if let Some(with_live_values) = respected(&input, manner == Manner::Replace) {
            sent = with_live_values;
        }
    }
    let resource_version = before.filter(|_| guarded).map(|live| live.resource_version.clone());
    // A merge takes the last of several with one key by itself, and its directives are items too.
    if manner == Manner::ClientSide {
        return Sending { body: sent, resource_version };
    }
    let (body, duplicates) = without_duplicates(&sent, node.as_ref(), &Schema::unknown());
    warnings.extend(duplicates.iter().map(|path| twice(order, path)));
    Sending { body, resource_version }
}

fn twice(order: &Order<'_>, path: &trueup_object::Path) -> String {
    format!("{}: {path} occurs more than once: the last one counts", order.target.key)
}

/// Takes leaves over from other managers where an apply alone would leave them behind.
async fn take_over(order: &Order<'_>, live: &Arc<Live>) -> Result<Arc<Live>, ClusterError> {
    let node = live.node();
    let first = !applied_by_us(&node);
    if !first && !order.removes {
        return Ok(Arc::clone(live));
    }
    let fields = takeover(order.target.manifest.node(), order.base, &node, &Schema::unknown(), order.former, first);
    let Some(fields) = fields else { return Ok(Arc::clone(live)) };
    order.world.metrics.takeovers.inc();
    order.cluster().patch_managed_fields(order.kind, &order.target.key, &live.resource_version, &fields).await
}

/// Sends an apply, and does what can be done about a refusal.
async fn send(
    order: &Order<'_>,
    sending: &Sending,
    before: Option<&Live>,
    warnings: &mut Vec<String>,
) -> Result<Arc<Live>, ClusterError> {
    let cluster = order.cluster();
    let validate = order.options.validate;
    let mut body = sending.body.clone();
    let mut dropped = 0;
    let mut deduplicated = false;
    loop {
        let how = Apply { dry_run: false, resource_version: sending.resource_version.clone(), validate };
        let error = match cluster.apply(order.kind, &body, how).await {
            Ok(live) => return Ok(live),
            Err(error) => error,
        };
        match &error {
            ClusterError::Refused { code: UNKNOWN_PATCH, .. } => {
                return client_side::apply(order, &body, before).await;
            }
            ClusterError::Refused { message, .. } if !deduplicated && message.contains("duplicate entries for key") => {
                deduplicated = true;
                let schema = cluster.openapi(&order.kind.gvk).await?;
                let (reduced, paths) = without_duplicates(&body, None, &schema);
                if paths.is_empty() {
                    return Err(error);
                }
                warnings.extend(paths.iter().map(|path| twice(order, path)));
                body = reduced;
            }
            ClusterError::Refused { message, fields, .. }
                if !validate && dropped < UNKNOWN_FIELDS_MAX && message.contains("field not declared in schema") =>
            {
                let Some(field) = fields.iter().find(|field| remove_field(&mut body, field)) else {
                    return Err(error);
                };
                dropped += 1;
                warnings.push(format!(
                    "{}: the API server does not know the field {field}: it is left out (Validate=false)",
                    order.target.key
                ));
            }
            _ => return Err(error),
        }
        order.world.metrics.applies.inc();
    }
}

// === impl Order ===

impl Order<'_> {
    /// What a comparison with this state of the object needs.
    pub(crate) fn input<'i>(&'i self, live: &'i Node, manner: Manner, schema: &'i Schema) -> Input<'i> {
        Input {
            base: self.base,
            scalers: self.scalers,
            former: self.former,
            built_in: is_built_in(&self.target.gvk.group),
            client_side: manner == Manner::ClientSide,
            ..Input::plain(self.target.manifest.node(), live, schema)
        }
    }

    /// The cluster that the object is written to.
    pub(crate) fn cluster(&self) -> &Cluster {
        self.hands
    }
}

/// Removes the field at a path as the server names it (`.spec.template.spec.containers[name="web"].imagee`). Answers whether
/// there was one.
fn remove_field(body: &mut Node, path: &str) -> bool {
    let (parents, leaf) = match path.rfind('.') {
        Some(at) if !path[at..].contains(']') => (&path[..at], &path[at + 1..]),
        _ => return false,
    };
    let mut at = vec![body];
    for step in parents.split('.').filter(|step| !step.is_empty()) {
        let (field, item) = step.split_once('[').map_or((step, None), |(field, rest)| (field, rest.strip_suffix(']')));
        at = at.into_iter().filter_map(|node| node.as_map_mut()?.get_mut(field)).collect();
        if let Some(item) = item {
            at = at.into_iter().filter_map(Node::as_list_mut).flatten().filter(|node| is_item(node, item)).collect();
        }
    }
    at.into_iter().filter_map(|node| node.as_map_mut()?.remove(leaf)).count() > 0
}

/// Whether an item of a list is the one named as `name="web"`, or any of several with `,` between them.
fn is_item(node: &Node, named: &str) -> bool {
    named.split(',').all(|pair| {
        pair.split_once('=')
            // A key that Git leaves out has its default there.
            .is_some_and(|(field, value)| node.get(field).is_none_or(|found| found.to_string() == value))
    })
}

/// Whether an object has an Apply entry of ours.
pub(crate) fn applied_by_us(live: &Node) -> bool {
    live.list_at(&["metadata", "managedFields"]).iter().any(|entry| {
        entry.str_at(&["manager"]) == Some(trueup_diff::MANAGER)
            && entry.str_at(&["operation"]) == Some("Apply")
            && entry.str_at(&["subresource"]).unwrap_or_default().is_empty()
    })
}

/// Deletes an object as it was judged.
pub(crate) async fn prune(
    cluster: &Cluster,
    metrics: &Metrics,
    kind: &Kind,
    key: &ObjectKey,
    live: &Live,
    propagation: Propagation,
) -> Result<(), ClusterError> {
    metrics.prunes.inc();
    cluster.delete(kind, key, &live.uid, &live.resource_version, propagation).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(json: &str) -> Node {
        Node::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn removes_the_field_that_the_server_names() {
        let table = [
            (".spec.replcas", r#"{"spec":{"replcas":1,"x":2}}"#, r#"{"spec":{"x":2}}"#),
            (
                r#".spec.containers[name="b"].imagee"#,
                r#"{"spec":{"containers":[{"name":"a","imagee":1},{"name":"b","imagee":1}]}}"#,
                r#"{"spec":{"containers":[{"imagee":1,"name":"a"},{"name":"b"}]}}"#,
            ),
            (
                r#".ports[containerPort=80,protocol="TCP"].x"#,
                r#"{"ports":[{"containerPort":80,"protocol":"TCP","x":1},{"containerPort":81,"x":1}]}"#,
                r#"{"ports":[{"containerPort":80,"protocol":"TCP"},{"containerPort":81,"x":1}]}"#,
            ),
            (
                r#".ports[containerPort=80,protocol="TCP"].x"#,
                r#"{"ports":[{"containerPort":80,"x":1}]}"#,
                r#"{"ports":[{"containerPort":80}]}"#,
            ),
        ];
        for (path, before, after) in table {
            let mut body = node(before);
            assert!(remove_field(&mut body, path), "{path}");
            assert_eq!(body.to_string(), after, "{path}");
        }
        assert!(!remove_field(&mut node(r#"{"spec":{}}"#), ".spec.nothing"));
        assert!(!remove_field(&mut node(r#"{"spec":{}}"#), "nothing"));
    }

    #[test]
    fn an_entry_of_ours_is_an_apply_of_the_object_itself() {
        let entry = |fields: &str| node(&format!(r#"{{"metadata":{{"managedFields":[{fields}]}}}}"#));
        assert!(applied_by_us(&entry(r#"{"manager":"trueup","operation":"Apply"}"#)));
        assert!(!applied_by_us(&entry(r#"{"manager":"trueup","operation":"Update"}"#)));
        assert!(!applied_by_us(&entry(r#"{"manager":"trueup","operation":"Apply","subresource":"status"}"#)));
        assert!(!applied_by_us(&entry(r#"{"manager":"argocd-controller","operation":"Apply"}"#)));
    }
}
