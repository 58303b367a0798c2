//! Renders sources, each content once.
//!
//! What was rendered is found in two steps: what is declared leads to what was read by renders that were declared alike, and
//! what of it is there now to what came out. A plain directory needs one step only: it reads itself and nothing else.
//! Entry points: [`Renderer::render`], [`render_directory`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use trueup_api::source::DirectorySource;
use trueup_object::Digest;

use crate::cache::{Cache, Kept};
use crate::engine::Engine;
use crate::plan::{self, Plan};
use crate::reads::{Place, Present, Read, ReadSet};
use crate::tree::{DiskTree, Stat, clean};
use crate::view::View;
use crate::walk::choose;
use crate::workers::{Need, Workers};
use crate::{Answer, Capabilities, RenderError, Rendered, Request, Trees, jsonnet, overrides, read};

/// Sets of reads that are kept for what is declared alike: one that ends with what is needed, one with manifests, and that of
/// some branches that are looked at in turn.
const READ_SETS_MAX: usize = 8;
/// How long a failure of the renderer is believed for the same files: a chart that runs into its deadline costs a minute of a
/// worker, and applications that fail are looked at again and again.
const FAILURE_KEPT: Duration = Duration::from_secs(30);
/// Failures that are remembered: more applications than that do not fail at once.
const FAILURES_MAX: usize = 1000;

/// Renders sources, and remembers what it rendered. Blocks: for reading from disk, for parsing, and for the workers.
pub struct Renderer {
    cache: Cache,
    engine: Option<Box<dyn Engine>>,
    /// What is being rendered just now: who comes second waits for the first.
    flights: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
    failures: Mutex<HashMap<Digest, (Instant, RenderError)>>,
    /// Held while the sets of reads of some key are changed.
    learning: Mutex<()>,
    renders: AtomicU64,
    hits: AtomicU64,
}

/// What was done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sources rendered, failures included.
    pub renders: u64,
    /// Answers from the cache.
    pub hits: u64,
}

/// What a render answers that was asked for although the answer was known.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    /// The answer.
    pub answer: Answer,
    /// Whether it is another one than was known, which should not be: something counts that nobody recorded.
    pub differs: bool,
}

/// What comes of a render before it is kept.
pub(crate) enum Outcome {
    Rendered(Rendered),
    Needs(Vec<Need>),
}

// === impl Renderer ===

impl Renderer {
    /// A renderer that keeps what it renders in this directory too, which nobody else uses. Without workers, only plain
    /// directories are rendered.
    pub fn new(cache_dir: Option<PathBuf>, workers: Option<Workers>) -> Self {
        Self::with_engine(cache_dir, workers.map(|workers| Box::new(workers) as Box<dyn Engine>))
    }

    pub(crate) fn with_engine(cache_dir: Option<PathBuf>, engine: Option<Box<dyn Engine>>) -> Self {
        Self {
            cache: Cache::new(cache_dir),
            engine,
            flights: Mutex::default(),
            failures: Mutex::default(),
            learning: Mutex::default(),
            renders: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        }
    }

    /// What a source says, or what is to be fetched before that can be told.
    pub fn render(&self, request: &Request, trees: &Trees, capabilities: &Capabilities) -> Result<Answer, RenderError> {
        self.errand(request, trees, capabilities)?.answer()
    }

    /// The same, rendered even if it is known.
    pub fn render_again(
        &self,
        request: &Request,
        trees: &Trees,
        capabilities: &Capabilities,
    ) -> Result<Again, RenderError> {
        let errand = self.errand(request, trees, capabilities)?;
        let plan = errand.plan()?;
        let known = errand.known(&plan);
        let flight = errand.flight(&plan).map(|key| self.flight(key));
        let _alone = flight.as_ref().map(|flight| lock(flight));
        let answer = errand.rendered(&plan)?;
        let differs = known.is_some_and(|known| known != answer);
        Ok(Again { answer, differs })
    }

    /// What was done since the start.
    pub fn counters(&self) -> Counters {
        Counters { renders: self.renders.load(Ordering::Relaxed), hits: self.hits.load(Ordering::Relaxed) }
    }

    fn errand<'a>(
        &'a self,
        request: &'a Request,
        trees: &'a Trees,
        capabilities: &'a Capabilities,
    ) -> Result<Errand<'a>, RenderError> {
        let content = trees.own.directory(&request.path)?;
        let top = clean(&request.path).ok_or_else(|| RenderError::Missing { file: request.path.clone() })?;
        let present = Present { trees, capabilities, revision: &request.revision, engine: self.engine.as_deref() };
        Ok(Errand {
            renderer: self,
            request,
            present,
            top,
            plain: content.and_then(|id| plan::plain(request, trees, id)),
        })
    }

    fn flight(&self, key: Digest) -> Arc<Mutex<()>> {
        let mut flights = lock(&self.flights);
        flights.retain(|_, flight| Arc::strong_count(flight) > 1);
        Arc::clone(flights.entry(key).or_default())
    }

    fn found(&self, key: Digest) -> Option<Kept> {
        let kept = self.cache.get(key)?;
        if let Kept::Rendered(_) = &kept {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
        Some(kept)
    }

    fn failure(&self, key: Digest) -> Option<RenderError> {
        let failures = lock(&self.failures);
        failures.get(&key).filter(|(at, _)| at.elapsed() < FAILURE_KEPT).map(|(_, error)| error.clone())
    }

    fn failed(&self, key: Digest, error: &RenderError) {
        let mut failures = lock(&self.failures);
        failures.retain(|_, (at, _)| at.elapsed() < FAILURE_KEPT);
        if failures.len() < FAILURES_MAX {
            failures.insert(key, (Instant::now(), error.clone()));
        }
    }
}

/// One call of [`Renderer::render`].
struct Errand<'a> {
    renderer: &'a Renderer,
    request: &'a Request,
    present: Present<'a>,
    /// The directory of the application.
    top: String,
    /// The key under which its content is, if it is a plain directory.
    plain: Option<Digest>,
}

/// How an errand is done.
struct Planned {
    plan: Plan,
    declared: Digest,
    /// Whether files in the directory may change the source of some application.
    is_overridden: bool,
}

// === impl Errand ===

impl Errand<'_> {
    fn answer(&self) -> Result<Answer, RenderError> {
        if let Some(Kept::Rendered(rendered)) = self.plain.and_then(|key| self.renderer.found(key)) {
            return Ok(Answer::Rendered(rendered));
        }
        let plan = self.plan()?;
        if let Some(answer) = self.read_alike(&plan) {
            return Ok(answer);
        }
        let key = self.flight(&plan);
        let flight = key.map(|key| self.renderer.flight(key));
        let _alone = flight.as_ref().map(|flight| lock(flight));
        if flight.is_some()
            && let Some(answer) = self.known(&plan)
        {
            return Ok(answer);
        }
        if let Some(error) = key.and_then(|key| self.renderer.failure(key)) {
            return Err(error);
        }
        let answer = self.rendered(&plan);
        if let (Some(key), Err(error)) = (key, &answer)
            && error.is_of_renderer()
        {
            self.renderer.failed(key, error);
        }
        answer
    }

    fn plan(&self) -> Result<Planned, RenderError> {
        let trees = self.present.trees;
        let entries = trees.own.list(&self.top)?;
        let plan = Plan::of(self.request, trees, &self.top, &entries)?;
        let declared = plan.declared(self.request, trees, &self.top);
        Ok(Planned { plan, declared, is_overridden: overrides::any(&entries) })
    }

    fn known(&self, plan: &Planned) -> Option<Answer> {
        match self.plain.and_then(|key| self.renderer.found(key)) {
            Some(Kept::Rendered(rendered)) => Some(Answer::Rendered(rendered)),
            _ => self.read_alike(plan),
        }
    }

    /// What a render gave that was declared alike and read the same.
    fn read_alike(&self, plan: &Planned) -> Option<Answer> {
        let Some(Kept::Reads(sets)) = self.renderer.cache.get(plan.declared) else { return None };
        let mut needs = None;
        for set in sets.iter() {
            match set.key(plan.declared, &self.present).and_then(|key| self.renderer.found(key)) {
                Some(Kept::Rendered(rendered)) => return Some(Answer::Rendered(rendered)),
                Some(Kept::Needs(lacking)) if !self.has(&lacking) => needs = needs.or(Some(lacking.to_vec())),
                _ => {}
            }
        }
        needs.map(Answer::Needs)
    }

    fn has(&self, needs: &[Need]) -> bool {
        let fetched = &self.present.trees.fetched;
        needs.iter().all(|need| fetched.iter().any(|fetched| fetched.need == *need))
    }

    /// What tells this render from others that may be under way; `None` if nothing does.
    fn flight(&self, planned: &Planned) -> Option<Digest> {
        if let (Plan::Directory(_), false, Some(plain)) = (&planned.plan, planned.is_overridden, self.plain) {
            return Some(plain);
        }
        let trees = self.present.trees;
        let all = [&trees.own].into_iter().chain(trees.referenced.values());
        let all = all.chain(trees.fetched.iter().map(|fetched| &fetched.tree));
        let mut parts = vec![planned.declared.to_string(), self.request.revision.clone()];
        for tree in all {
            let Ok(Stat::Directory { id: Some(id) }) = tree.stat("") else { return None };
            parts.push(id.to_string());
        }
        let capabilities = self.present.capabilities;
        parts.push(capabilities.kube_version.clone());
        parts.push(Digest::of_parts(capabilities.api_versions.iter()).to_string());
        Some(Digest::of_parts(parts))
    }

    /// Renders, and keeps what came out.
    fn rendered(&self, planned: &Planned) -> Result<Answer, RenderError> {
        let mut view = View::new(self.present);
        let outcome = match &planned.plan {
            Plan::Directory(options) => self.directory(&mut view, options),
            Plan::Helm(chart) => chart.render(&mut view, &self.top),
            Plan::Kustomize(overlay) => overlay.render(&mut view, &self.top),
        };
        if !matches!(outcome, Ok(Outcome::Needs(_))) {
            self.renderer.renders.fetch_add(1, Ordering::Relaxed);
        }
        let outcome = outcome.map_err(|error| error.relative_to(&self.top))?;
        let (reads, decrypted) = view.into_reads();
        let (answer, kept) = match outcome {
            Outcome::Rendered(rendered) => {
                let rendered = Arc::new(rendered);
                (Answer::Rendered(Arc::clone(&rendered)), Kept::Rendered(rendered))
            }
            Outcome::Needs(needs) => (Answer::Needs(needs.clone()), Kept::Needs(Arc::new(needs))),
        };
        self.keep(planned, reads, decrypted, kept);
        Ok(answer)
    }

    fn directory(&self, view: &mut View, options: &DirectorySource) -> Result<Outcome, RenderError> {
        let tree = &self.present.trees.own;
        view.note(Read::Whole(Place::own(&self.top)));
        let choice = choose(tree.as_ref(), &self.top, options)?;
        for link in &choice.links {
            view.note(Read::File(Place::own(&crate::tree::join(&self.top, link))));
        }
        let is_on = self.request.settings.jsonnet_enabled;
        let mut evaluate = |view: &mut View, file: &str, name: &str| {
            if is_on {
                jsonnet::evaluate(&options.jsonnet, view, &self.top, file, name)
            } else {
                Ok(Default::default())
            }
        };
        read::read(view, &self.top, choice, &mut evaluate).map(Outcome::Rendered)
    }

    fn keep(&self, planned: &Planned, reads: ReadSet, decrypted: bool, kept: Kept) {
        let cache = &self.renderer.cache;
        let put = |key, kept| if decrypted { cache.put_in_memory(key, kept) } else { cache.put(key, kept) };
        let is_plain = !planned.is_overridden && matches!(planned.plan, Plan::Directory(_));
        if let Some(key) = self.plain.filter(|_| is_plain && reads.is_only(&Place::own(&self.top))) {
            return put(key, kept);
        }
        // Something changes while it is read, or cannot be read: nothing to rely on.
        let Some(key) = reads.key(planned.declared, &self.present) else { return };
        put(key, kept);
        let _alone = lock(&self.renderer.learning);
        let mut sets = match cache.get(planned.declared) {
            Some(Kept::Reads(sets)) => sets.to_vec(),
            _ => Vec::new(),
        };
        if sets.first() == Some(&reads) {
            return;
        }
        sets.retain(|set| *set != reads);
        sets.insert(0, reads);
        sets.truncate(READ_SETS_MAX);
        put(planned.declared, Kept::Reads(Arc::new(sets)));
    }
}

/// What a directory of plain manifests on disk says: for people who look at their files before they commit them. Links that
/// leave the working copy it is in are refused.
pub fn render_directory(dir: &Path, directory: &DirectorySource) -> Result<Rendered, RenderError> {
    let tree = DiskTree::new(dir)?;
    let request = Request::of_directory(tree.top(), directory);
    match Renderer::new(None, None).render(&request, &Trees::new(Arc::new(tree)), &Capabilities::default())? {
        Answer::Rendered(rendered) => Ok(Arc::unwrap_or_clone(rendered)),
        Answer::Needs(needs) => Err(RenderError::NotFetched { needs }),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
