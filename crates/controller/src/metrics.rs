//! What is counted, and how it is told.
//!
//! Counters of this room are kept here; what other rooms count themselves is read when somebody asks. Counting costs the same
//! whatever the number of applications; only telling loops over them. Entry point: [`Metrics::text`].

mod drifts;
mod upstream;

use std::fmt;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use trueup_api::Meta;
use trueup_diff::drift::Event;

use crate::metrics::drifts::Drifts;
use crate::metrics::upstream::Upstream;
use crate::world::World;

/// The labels of a series.
type Labels = Vec<(&'static str, String)>;

/// The counters of this process.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) reconciles: Counter,
    pub(crate) comparisons: Counter,
    pub(crate) status_writes: Counter,
    pub(crate) deferred_writes: Counter,
    pub(crate) applies: Counter,
    pub(crate) dry_runs: Counter,
    pub(crate) takeovers: Counter,
    pub(crate) prunes: Counter,
    pub(crate) heals: Counter,
    pub(crate) syncs: Counter,
    leader: Gauge,
    compare_only: Gauge,
    applications: Gauge,
    queue_depth: Gauge,
    renders: Counter,
    render_hits: Counter,
    listings: Counter,
    fetches: Counter,
    drifts: Drifts,
    pub(crate) upstream: Upstream,
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("trueup");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let reconciles = counter("reconciles", "Looks at applications");
        let comparisons = counter("comparisons", "Objects compared anew");
        let status_writes = counter("status_writes", "Patches of an Application's status");
        let deferred_writes =
            counter("deferred_status_writes", "Those of them that only tell a new revision without new content");
        let applies = counter("applies", "Server-side applies of objects");
        let dry_runs = counter("dry_runs", "Dry runs asked of the API server in doubt");
        let takeovers = counter("takeovers", "Patches that take fields over from other managers");
        let prunes = counter("prunes", "Objects deleted because Git no longer has them, or with their application");
        let heals = counter("heals", "Objects brought back after a change that did not come from Git");
        let syncs = counter("syncs", "Sync operations ended");
        let renders = counter("renders", "Directories rendered");
        let render_hits = counter("render_cache_hits", "Renders answered from the cache");
        let listings = counter("git_listings", "Listings of refs");
        let fetches = counter("git_fetches", "Fetches");
        let mut gauge = |name: &str, help: &str| {
            let gauge: Gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let leader = gauge("leader", "1 while this controller is the active one, 0 while it stands by");
        let compare_only = gauge("compare_only", "1 while an Argo CD controller runs and nothing is written");
        let applications = gauge("applications", "Applications known");
        let queue_depth = gauge("queue_depth", "Applications that wait to be looked at");
        Self {
            registry,
            reconciles,
            comparisons,
            status_writes,
            deferred_writes,
            applies,
            dry_runs,
            takeovers,
            prunes,
            heals,
            syncs,
            leader,
            compare_only,
            applications,
            queue_depth,
            renders,
            render_hits,
            listings,
            fetches,
            drifts: Drifts::default(),
            upstream: Upstream::new(),
        }
    }

    /// Counts a drift of an application.
    pub(crate) fn drifted(&self, app: &str, meta: &Meta, event: &Event) {
        self.drifts.saw(app, meta, event);
    }

    /// Forgets the series of an application that is no more.
    pub(crate) fn forget(&self, app: &str) {
        self.drifts.forget(app);
        self.upstream.forget(app);
    }

    /// All metrics in the OpenMetrics text format.
    pub(crate) fn text(&self, world: &World) -> Result<String, fmt::Error> {
        let renders = world.renderer.counters();
        let git = world.repositories.counters();
        set(&self.renders, renders.renders);
        set(&self.render_hits, renders.hits);
        set(&self.listings, git.listings);
        set(&self.fetches, git.fetches);
        self.leader.set(i64::from(world.leadership.leads()));
        self.compare_only.set(i64::from(world.rival.active().is_some()));
        self.applications.set(whole(world.applications.len()));
        self.queue_depth.set(whole(world.queue.depth()));
        let mut now = Registry::default();
        now.register("trueup_drift", "Changes that did not come from Git, by kind and manager", self.drifts.family());
        let help = "Objects that the cluster has otherwise than at the last sync";
        now.register("trueup_drifted_objects", help, drifted_objects(world));
        self.upstream.register(&mut now, world);
        world.webhooks.register(&mut now);
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &now)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

fn drifted_objects(world: &World) -> Family<Labels, Gauge> {
    let family = Family::<Labels, Gauge>::default();
    for application in world.applications.all() {
        let Some(drift) = &application.status.drift else { continue };
        let meta = &application.meta;
        let labels = vec![("namespace", meta.namespace.clone()), ("name", meta.name.clone())];
        family.get_or_create(&labels).set(drift.count);
    }
    family
}

fn set(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
