//! What is counted, and how it is told.
//!
//! Counters of this room are kept here; what other rooms count themselves is read when somebody asks. Entry point:
//! [`Metrics::text`].

use std::fmt;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::world::World;

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
    compare_only: Gauge,
    applications: Gauge,
    queue_depth: Gauge,
    renders: Counter,
    render_hits: Counter,
    listings: Counter,
    fetches: Counter,
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
            compare_only,
            applications,
            queue_depth,
            renders,
            render_hits,
            listings,
            fetches,
        }
    }

    /// All metrics in the OpenMetrics text format.
    pub(crate) fn text(&self, world: &World) -> Result<String, fmt::Error> {
        let renders = world.renderer.counters();
        let git = world.repositories.counters();
        set(&self.renders, renders.renders);
        set(&self.render_hits, renders.hits);
        set(&self.listings, git.listings);
        set(&self.fetches, git.fetches);
        self.compare_only.set(i64::from(world.rival.active().is_some()));
        self.applications.set(whole(world.applications.len()));
        self.queue_depth.set(whole(world.queue.depth()));
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn set(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
