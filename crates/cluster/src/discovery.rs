//! Which kinds the API server serves.
//!
//! Keeps the kinds of every group, read at once where the server can tell all together, and group by group after that.
//! Invariants: a group that cannot be read costs its own kinds only, and what was known of it stays known; a miss reads
//! its group again at most once per [`MISS_PACE`]. Entry points: [`Shared::kind`] and [`Shared::read_group`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use compact_str::CompactString;
use serde::Deserialize;
use tokio::time::Instant;
use trueup_object::Gvk;

use crate::change::Change;
use crate::cluster::{Shared, lock};
use crate::counters::Verb;
use crate::error::ClusterError;
use crate::kind::{Kind, KindError, escape};
use crate::request::Call;

/// How often a group is read again because something was not in it. A definition that appears is told by its watch at
/// once; this is for when that watch is not allowed.
pub(crate) const MISS_PACE: Duration = Duration::from_secs(3);
/// How long one reading may take: an aggregated server that hangs must not hold up what waits for its kinds.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// Everything at once, since Kubernetes 1.26; older servers answer the list of groups.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                          application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// What is known of the API server's kinds.
#[derive(Default)]
pub(crate) struct Discovery {
    known: Mutex<Known>,
    /// Held while everything is read for the first time.
    loading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    loaded: bool,
    groups: HashMap<CompactString, Group>,
}

/// The kinds of an API server.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// What is served, as far as it is known.
    pub served: Vec<Kind>,
    /// The groups, or versions of groups, that could not be read, and why: their kinds are missing, or may be out of date.
    pub unread: BTreeMap<String, String>,
}

/// What is known of one group.
#[derive(Default)]
struct Group {
    versions: BTreeMap<CompactString, VersionKinds>,
    /// Why the last reading failed; the versions are then those of the reading before.
    failed: Option<String>,
    /// When it was last read by itself.
    read: Option<Instant>,
    /// Held while it is read.
    reading: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of one version of a group.
#[derive(Default)]
struct VersionKinds {
    kinds: Vec<Kind>,
    /// Why the last reading failed; the kinds are then those of the reading before.
    failed: Option<String>,
}

// === impl Group ===

impl Group {
    /// Whether another reading may tell more: it was never read, or not wholly.
    fn is_unread(&self) -> bool {
        (self.versions.is_empty() && self.read.is_none())
            || self.failed.is_some()
            || self.versions.values().any(|version| version.failed.is_some())
    }
}

// === impl Discovery ===

impl Discovery {
    /// The kind, if it is known by now.
    pub(crate) fn known(&self, gvk: &Gvk) -> Option<Kind> {
        let known = lock(&self.known);
        let version = known.groups.get(&gvk.group)?.versions.get(&gvk.version)?;
        version.kinds.iter().find(|kind| kind.gvk.kind == gvk.kind).cloned()
    }

    /// Whether any version of a group has this plural name.
    pub(crate) fn has_plural(&self, group: &str, plural: &str) -> bool {
        let known = lock(&self.known);
        let Some(group) = known.groups.get(group) else { return false };
        group.versions.values().flat_map(|version| &version.kinds).any(|kind| kind.plural == plural)
    }

    pub(crate) fn loaded(&self) -> bool {
        lock(&self.known).loaded
    }

    fn why_not(&self, gvk: &Gvk) -> KindError {
        let known = lock(&self.known);
        let version = known.groups.get(&gvk.group).and_then(|group| group.versions.get(&gvk.version));
        match version.and_then(|version| version.failed.clone()) {
            Some(message) => KindError::Failed { gvk: gvk.clone(), message },
            None => KindError::NotServed(gvk.clone()),
        }
    }

    fn reading(&self, group: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(&lock(&self.known).groups.entry(group.into()).or_default().reading)
    }

    fn read_lately(&self, group: &str) -> bool {
        let known = lock(&self.known);
        known.groups.get(group).and_then(|group| group.read).is_some_and(|read| read.elapsed() < MISS_PACE)
    }
}

// === impl Shared ===

impl Shared {
    pub(crate) async fn kind(&self, gvk: &Gvk) -> Result<Kind, KindError> {
        let failed = |error: ClusterError| KindError::Failed { gvk: gvk.clone(), message: error.to_string() };
        if let Some(kind) = self.discovery.known(gvk) {
            return Ok(kind);
        }
        self.load().await.map_err(failed)?;
        if let Some(kind) = self.discovery.known(gvk) {
            return Ok(kind);
        }
        let reading = self.discovery.reading(&gvk.group);
        let _reading = reading.lock().await;
        // Who waited for another's reading has its answer.
        if !self.discovery.read_lately(&gvk.group) {
            self.read_group_held(&gvk.group).await.map_err(failed)?;
        }
        self.discovery.known(gvk).ok_or_else(|| self.discovery.why_not(gvk))
    }

    pub(crate) async fn kinds(&self) -> Result<Kinds, ClusterError> {
        self.load().await?;
        let unread: Vec<CompactString> = {
            let known = lock(&self.discovery.known);
            let unread = known.groups.iter().filter(|(_, group)| group.is_unread());
            unread.map(|(name, _)| name.clone()).collect()
        };
        // One that cannot be read costs its own kinds only, and one that hangs keeps no other waiting.
        futures::future::join_all(unread.iter().map(|group| self.read_group(group))).await;
        let known = lock(&self.discovery.known);
        let mut kinds = Kinds::default();
        for (name, group) in &known.groups {
            let name = if name.is_empty() { "core" } else { name };
            if let Some(why) = &group.failed {
                kinds.unread.insert(name.to_owned(), why.clone());
            }
            for (version, read) in &group.versions {
                kinds.served.extend(read.kinds.iter().cloned());
                if let Some(why) = &read.failed {
                    kinds.unread.insert(format!("{name}/{version}"), why.clone());
                }
            }
        }
        Ok(kinds)
    }

    /// Reads one group again, and tells of every kind that came, went or changed.
    pub(crate) async fn read_group(&self, group: &str) -> Result<(), ClusterError> {
        let reading = self.discovery.reading(group);
        let _reading = reading.lock().await;
        self.read_group_held(group).await
    }

    /// Reads everything, if nothing has been read yet.
    async fn load(&self) -> Result<(), ClusterError> {
        if self.discovery.loaded() {
            return Ok(());
        }
        let _loading = self.discovery.loading.lock().await;
        if self.discovery.loaded() {
            return Ok(());
        }
        let (core, named) = futures::join!(self.discover("/api", AGGREGATED), self.discover("/apis", AGGREGATED));
        let mut groups = all_groups(&core?);
        groups.extend(all_groups(&named?));
        // A server that cannot tell all together does not name the core group either.
        groups.entry(CompactString::default()).or_default();
        let mut known = lock(&self.discovery.known);
        known.loaded = true;
        for (name, versions) in groups {
            let group = known.groups.entry(name).or_default();
            // What was read by itself is newer.
            if group.read.is_none() {
                group.versions = versions;
            }
        }
        Ok(())
    }

    async fn read_group_held(&self, group: &str) -> Result<(), ClusterError> {
        let read = self.ask_group(group).await;
        let mut known = lock(&self.discovery.known);
        let entry = known.groups.entry(group.into()).or_default();
        entry.read = Some(Instant::now());
        entry.failed = read.as_ref().err().map(ToString::to_string);
        let mut versions = read?;
        let before = std::mem::take(&mut entry.versions);
        for (name, version) in &mut versions {
            if version.failed.is_some()
                && let Some(before) = before.get(name)
            {
                version.kinds.clone_from(&before.kinds);
            }
        }
        let changed = changed(&before, &versions);
        entry.versions = versions;
        drop(known);
        for gvk in &changed {
            self.schemas.forget(gvk);
            self.watches.kick(gvk);
        }
        self.outbox.push(changed.into_iter().map(|gvk| Change::Kind { gvk }));
        Ok(())
    }

    async fn ask_group(&self, group: &str) -> Result<BTreeMap<CompactString, VersionKinds>, ClusterError> {
        let mut address = "/apis/".to_owned();
        escape(&mut address, group);
        let versions = if group.is_empty() {
            vec!["v1".into()]
        } else {
            match self.discover(&address, crate::request::JSON).await {
                Ok(answer) => group_versions(&answer)?,
                Err(ClusterError::NotFound(_)) => Vec::new(),
                Err(error) => return Err(error),
            }
        };
        let mut kinds = BTreeMap::new();
        for version in versions {
            let mut address = if group.is_empty() { "/api".to_owned() } else { address.clone() };
            address.push('/');
            escape(&mut address, &version);
            let answer = self.discover(&address, crate::request::JSON).await;
            let read = match answer.and_then(|answer| version_kinds(group, &version, &answer)) {
                Ok(kinds) => VersionKinds { kinds, failed: None },
                // Between the two requests it went.
                Err(ClusterError::NotFound(_)) => continue,
                Err(error) => VersionKinds { kinds: Vec::new(), failed: Some(error.to_string()) },
            };
            kinds.insert(version, read);
        }
        Ok(kinds)
    }

    async fn discover(&self, address: &str, accept: &'static str) -> Result<Vec<u8>, ClusterError> {
        let call = Call { accept, ..Call::read(Verb::Discover, address.to_owned()) };
        let answer = tokio::time::timeout(READ_TIMEOUT, self.requests.send(&call)).await;
        answer.unwrap_or_else(|_| {
            let message = format!("{address} was not answered within {} s", READ_TIMEOUT.as_secs());
            Err(ClusterError::Unavailable { message })
        })
    }
}

/// Every kind that is in one and not, or not so, in the other.
fn changed(before: &BTreeMap<CompactString, VersionKinds>, after: &BTreeMap<CompactString, VersionKinds>) -> Vec<Gvk> {
    let all = |versions: &BTreeMap<CompactString, VersionKinds>| -> Vec<Kind> {
        versions.values().flat_map(|version| version.kinds.clone()).collect()
    };
    let (before, after) = (all(before), all(after));
    let came = after.iter().filter(|kind| !before.contains(kind));
    let went = before.iter().filter(|kind| !after.iter().any(|other| other.gvk == kind.gvk));
    came.chain(went).map(|kind| kind.gvk.clone()).collect()
}

// === what the API server says ===

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct GroupList {
    /// Everything at once.
    items: Vec<GroupDiscovery>,
    /// The names of the groups alone, from older servers.
    groups: Vec<GroupName>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupDiscovery {
    metadata: GroupName,
    versions: Vec<VersionDiscovery>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupName {
    name: CompactString,
    versions: Vec<GroupVersion>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupVersion {
    version: CompactString,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VersionDiscovery {
    version: CompactString,
    freshness: String,
    resources: Vec<ResourceDiscovery>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResourceDiscovery {
    resource: String,
    response_kind: Option<ResponseKind>,
    scope: String,
    verbs: Vec<String>,
    subresources: Vec<Subresource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseKind {
    kind: CompactString,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subresource {
    subresource: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResourceList {
    resources: Vec<Resource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource {
    name: String,
    namespaced: bool,
    kind: CompactString,
    verbs: Vec<String>,
}

fn unreadable(what: &str) -> ClusterError {
    ClusterError::Malformed { message: format!("it is no {what}") }
}

/// The groups of an answer to `/api` or `/apis`; without kinds where the server cannot tell all together.
fn all_groups(answer: &[u8]) -> HashMap<CompactString, BTreeMap<CompactString, VersionKinds>> {
    // An answer that is something else is as good as none: each group is then read by itself.
    let list: GroupList = serde_json::from_slice(answer).unwrap_or_default();
    let mut groups: HashMap<_, _> = list.groups.into_iter().map(|group| (group.name, BTreeMap::new())).collect();
    for group in list.items {
        let name = group.metadata.name;
        let versions = group.versions.into_iter().map(|version| {
            let failed = (version.freshness == "Stale").then(|| "its server does not answer".to_owned());
            let kinds = version.resources.into_iter().filter_map(|it| it.kind(&name, &version.version)).collect();
            (version.version, VersionKinds { kinds, failed })
        });
        groups.insert(name.clone(), versions.collect());
    }
    groups
}

impl ResourceDiscovery {
    fn kind(self, group: &CompactString, version: &CompactString) -> Option<Kind> {
        let kind = self.response_kind?.kind;
        let has = |name: &str| self.subresources.iter().any(|it| it.subresource == name);
        (!kind.is_empty()).then(|| Kind {
            gvk: Gvk { group: group.clone(), version: version.clone(), kind },
            namespaced: self.scope == "Namespaced",
            scale: has("scale"),
            status: has("status"),
            watchable: watchable(&self.verbs),
            plural: self.resource,
        })
    }
}

fn watchable(verbs: &[String]) -> bool {
    ["list", "watch"].iter().all(|verb| verbs.iter().any(|other| other == verb))
}

/// The versions of an answer to `/apis/<group>`.
fn group_versions(answer: &[u8]) -> Result<Vec<CompactString>, ClusterError> {
    let group: GroupName = serde_json::from_slice(answer).map_err(|_| unreadable("API group"))?;
    Ok(group.versions.into_iter().map(|version| version.version).collect())
}

/// The kinds of an answer to `/apis/<group>/<version>`.
fn version_kinds(group: &str, version: &str, answer: &[u8]) -> Result<Vec<Kind>, ClusterError> {
    let list: ResourceList = serde_json::from_slice(answer).map_err(|_| unreadable("list of resources"))?;
    let has = |plural: &str, subresource: &str| {
        list.resources.iter().any(|it| it.name.split_once('/') == Some((plural, subresource)))
    };
    let whole = list.resources.iter().filter(|it| !it.name.contains('/') && !it.kind.is_empty());
    Ok(whole
        .map(|it| Kind {
            gvk: Gvk { group: group.into(), version: version.into(), kind: it.kind.clone() },
            plural: it.name.clone(),
            namespaced: it.namespaced,
            scale: has(&it.name, "scale"),
            status: has(&it.name, "status"),
            watchable: watchable(&it.verbs),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Kind {
        Kind {
            gvk: Gvk::from_api_version("apps/v1", "Deployment"),
            plural: "deployments".to_owned(),
            namespaced: true,
            scale: true,
            status: true,
            watchable: true,
        }
    }

    #[test]
    fn everything_at_once() {
        let answer = json!({"kind": "APIGroupDiscoveryList", "items": [
            {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "freshness": "Current", "resources": [{
                "resource": "deployments", "responseKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
                "scope": "Namespaced", "verbs": ["get", "list", "watch"],
                "subresources": [{"subresource": "scale"}, {"subresource": "status"}],
            }, {"resource": "odd", "responseKind": null}]}]},
            {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "freshness": "Stale"}]},
        ]});
        let groups = all_groups(answer.to_string().as_bytes());
        assert_eq!(groups["apps"]["v1"].kinds, [deployment()]);
        assert!(groups["metrics.k8s.io"]["v1beta1"].failed.is_some());
        assert!(groups["metrics.k8s.io"]["v1beta1"].kinds.is_empty());
    }

    #[test]
    fn an_older_server_names_its_groups() {
        let answer = br#"{"kind":"APIGroupList","groups":[{"name":"apps","versions":[{"version":"v1"}]}]}"#;
        let groups = all_groups(answer);
        assert_eq!((groups.len(), groups["apps"].len()), (1, 0));
        assert!(all_groups(b"whatever").is_empty());
    }

    #[test]
    fn one_version_by_itself() {
        let answer = json!({"resources": [
            {"name": "deployments", "namespaced": true, "kind": "Deployment", "verbs": ["list", "watch"]},
            {"name": "deployments/scale", "namespaced": true, "kind": "Scale", "verbs": ["get"]},
            {"name": "deployments/status", "namespaced": true, "kind": "Deployment", "verbs": ["get"]},
            {"name": "reviews", "namespaced": false, "kind": "Review", "verbs": ["create"]},
        ]});
        let kinds = version_kinds("apps", "v1", answer.to_string().as_bytes()).unwrap();
        assert_eq!(kinds[0], deployment());
        assert!(!kinds[1].watchable && !kinds[1].namespaced && kinds.len() == 2);
        assert!(version_kinds("apps", "v1", b"[").is_err());
    }

    #[test]
    fn what_came_went_or_changed_is_told() {
        let of = |kinds: Vec<Kind>| BTreeMap::from([("v1".into(), VersionKinds { kinds, failed: None })]);
        let gvk = deployment().gvk;
        assert_eq!(changed(&of(vec![deployment()]), &of(vec![deployment()])), []);
        assert_eq!(changed(&of(vec![deployment()]), &of(vec![])), std::slice::from_ref(&gvk));
        assert_eq!(changed(&of(vec![]), &of(vec![deployment()])), std::slice::from_ref(&gvk));
        let cluster_scoped = Kind { namespaced: false, ..deployment() };
        assert_eq!(changed(&of(vec![deployment()]), &of(vec![cluster_scoped])), [gvk]);
    }
}
