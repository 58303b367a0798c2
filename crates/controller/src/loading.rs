//! From an application's sources to its manifests: revisions, files, render. For the controller, and for whoever looks once.
//!
//! A commit that leaves what was read alone costs a look at the cache and nothing else. Invariant: all sources of one answer
//! belong to one revision, and one that fails fails the whole. Entry points: [`at`] and [`load`].

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use trueup_api::{App, Meta, Revision, Source};
use trueup_cluster::ClusterError;
use trueup_git::{GitError, RegistryAccess, Resolved, Store};
use trueup_registry::Registry;
use trueup_render::{
    Answer, Capabilities, Decrypt, RenderError, Rendered, Renderer, Request, Settings, Tool, Tree, Trees,
};

use crate::decryption::Decryption;
use crate::needs::{self, Kept, NEEDED_BYTES_MAX, NeedError};
use crate::pins::{self, Pin, PinError};

/// How often a render may come back for something that it needs: charts that need charts that need charts.
const ROUNDS_MAX: usize = 10;

/// Who fetches and renders.
pub trait Loader: Sync {
    /// The store of a repository, as an application of a project reaches it.
    fn store(&self, url: &str, project: &str) -> impl Future<Output = Result<Arc<Store>, GitError>> + Send;
    /// The commit that a revision is at now, and whether it is an annotated tag.
    fn resolve(&self, store: &Store, revision: &str) -> impl Future<Output = Result<Resolved, GitError>> + Send;
    /// How an application of a project reaches a Helm repository or a registry.
    fn registry_access(&self, url: &str, project: &str) -> Result<RegistryAccess, GitError>;
    /// What fetches charts and artifacts.
    fn registry(&self) -> &Arc<Registry>;
    /// Whether a project permits a repository.
    fn permits(&self, project: &str, url: &str) -> bool;
    /// What renders.
    fn renderer(&self) -> &Arc<Renderer>;
    /// What was fetched a moment ago, and how long that counts.
    fn kept(&self) -> (&Kept, Duration);
    /// What decrypts the files of a project's applications, or refuses those that it cannot.
    fn decryption(&self, project: &str) -> impl Future<Output = Decryption> + Send;
}

/// What an application's sources say, and at which revision.
#[derive(Clone)]
pub struct Loaded {
    /// The revision.
    pub at: Revision,
    /// The manifests.
    pub rendered: Arc<Rendered>,
    /// What rendered each source; none where nothing is rendered from it.
    pub tools: Arc<[Option<Tool>]>,
    /// What was known came out otherwise when it was rendered again: something counts that nobody recorded.
    pub differs: bool,
}

/// Why a source cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The repository, the revision or the commit.
    #[error("{0}")]
    Pin(#[from] PinError),
    /// The files at the revision.
    #[error("{}{error} (revision {revision})", place(*.of))]
    Render {
        /// Which of several sources, from 1; none if there is one.
        of: Option<usize>,
        /// What does not render.
        revision: String,
        /// Why.
        error: RenderError,
    },
    /// Who made it: nothing of it is rendered.
    #[error("{}{revision} of {repository} does not count, since project '{project}' asks for a signature: {why}", place(*.of))]
    Untrusted {
        /// Which of several sources, from 1; none if there is one.
        of: Option<usize>,
        /// The commit, and the tag if that is what should be signed.
        revision: String,
        /// The repository, without credentials.
        repository: String,
        /// The project.
        project: String,
        /// What the signature lacks.
        why: String,
    },
    /// Something that the files refer to.
    #[error("{}{error} (revision {revision})", place(*.of))]
    Needed {
        /// Which of several sources, from 1; none if there is one.
        of: Option<usize>,
        /// What needs it.
        revision: String,
        /// Why it cannot be had.
        error: NeedError,
    },
    /// Another number of revisions than of sources.
    #[error(
        "the application has {sources} sources, and {revisions} revisions are asked for: name one for each in operation.sync.revisions"
    )]
    Count {
        /// How many sources there are.
        sources: usize,
        /// How many revisions are asked for.
        revisions: usize,
    },
    /// What the cluster serves is not known.
    #[error("the API server does not say what it serves: {0}")]
    Cluster(#[from] ClusterError),
    /// The worker thread ended.
    #[error("rendering ended without an answer: {0}")]
    Ended(String),
}

fn place(of: Option<usize>) -> String {
    of.map(|at| format!("source {at}: ")).unwrap_or_default()
}

/// The sources at a revision. An empty part is the target revision of that source.
pub async fn at(
    loader: &impl Loader,
    meta: &Meta,
    app: &App,
    wanted: &Revision,
    frame: Frame,
) -> Result<Loaded, SourceError> {
    let pins = pins_at(loader, app, wanted).await?;
    load(loader, meta, app, pins, frame).await
}

/// What the sources are at, at a revision.
pub(crate) async fn pins_at(loader: &impl Loader, app: &App, wanted: &Revision) -> Result<Vec<Pin>, SourceError> {
    let (sources, revisions) = (app.sources.len(), wanted.parts().len());
    if sources != revisions {
        return Err(SourceError::Count { sources, revisions });
    }
    let mut pins = Vec::with_capacity(sources);
    for (source, wanted) in app.sources.iter().zip(wanted.parts()) {
        pins.push(pins::at(loader, app, source, wanted).await?);
    }
    Ok(pins)
}

/// What every render of one moment is made with.
#[derive(Clone, Default)]
pub struct Frame {
    /// What the destination serves.
    pub capabilities: Arc<Capabilities>,
    /// What `argocd-cm` says about rendering.
    pub settings: Arc<Settings>,
    /// What is known is rendered all the same.
    pub again: bool,
}

/// What is rendered: one source, at its pin, among all trees of the application.
struct Errand {
    request: Request,
    trees: Trees,
    of: Option<usize>,
}

/// The sources at their pins.
pub(crate) async fn load(
    loader: &impl Loader,
    meta: &Meta,
    app: &App,
    pins: Vec<Pin>,
    frame: Frame,
) -> Result<Loaded, SourceError> {
    let mut trees: Vec<Arc<dyn Tree>> = Vec::with_capacity(pins.len());
    for pin in &pins {
        trees.push(pin.tree(loader).await?);
    }
    let named = |(source, _): &(&Source, &Arc<dyn Tree>)| !source.reference.is_empty();
    let referenced: BTreeMap<String, Arc<dyn Tree>> = app
        .sources
        .iter()
        .zip(&trees)
        .filter(named)
        .map(|(source, tree)| (source.reference.clone(), Arc::clone(tree)))
        .collect();
    let decryptor: Arc<dyn Decrypt> = Arc::new(loader.decryption(&app.project).await);
    let mut parts = Vec::new();
    let (mut tools, mut differs) = (vec![None; pins.len()], false);
    for (at, (source, pin)) in app.sources.iter().zip(&pins).enumerate() {
        if !source.is_rendered() {
            continue;
        }
        let errand = Errand {
            request: request(meta, app, source, pin, &frame.settings),
            trees: Trees {
                referenced: referenced.clone(),
                decryptor: Some(Arc::clone(&decryptor)),
                ..Trees::new(Arc::clone(&trees[at]))
            },
            of: app.several.then_some(at + 1),
        };
        let (rendered, other) = errand.run(loader, app, &frame).await?;
        differs |= other;
        tools[at] = Some(rendered.tool);
        parts.push(rendered);
    }
    Ok(Loaded { at: pins::revision(app, &pins), rendered: Rendered::joined(parts), tools: tools.into(), differs })
}

fn request(meta: &Meta, app: &App, source: &Source, pin: &Pin, settings: &Arc<Settings>) -> Request {
    Request {
        source: source.written.clone(),
        path: source.path.clone(),
        revision: pin.part(),
        application: meta.instance.clone(),
        application_namespace: meta.namespace.clone(),
        project: app.project.clone(),
        destination_namespace: app.destination.namespace.clone(),
        settings: Arc::clone(settings),
    }
}

// === impl Errand ===

impl Errand {
    /// Renders, and fetches what that needs, until nothing is needed any more. Answers as well whether it was known otherwise.
    async fn run(
        mut self,
        loader: &impl Loader,
        app: &App,
        frame: &Frame,
    ) -> Result<(Arc<Rendered>, bool), SourceError> {
        let (of, revision) = (self.of, self.request.revision.clone());
        let needed = |error| SourceError::Needed { of, revision: revision.clone(), error };
        let (again, mut bytes) = (frame.again, 0);
        for _ in 0..ROUNDS_MAX {
            let renderer = Arc::clone(loader.renderer());
            let capabilities = Arc::clone(&frame.capabilities);
            // Reading, parsing and workers block: not on the threads that serve everybody.
            let answer = tokio::task::spawn_blocking(move || {
                let (request, trees) = (&self.request, &self.trees);
                let answer = if again {
                    renderer.render_again(request, trees, &capabilities).map(|again| (again.answer, again.differs))
                } else {
                    renderer.render(request, trees, &capabilities).map(|answer| (answer, false))
                };
                (self, answer)
            });
            let (errand, answer) = answer.await.map_err(|error| SourceError::Ended(error.to_string()))?;
            self = errand;
            let answer = answer.map_err(|error| SourceError::Render { of, revision: revision.clone(), error })?;
            match answer {
                (Answer::Rendered(rendered), differs) => return Ok((rendered, differs)),
                (Answer::Needs(needs), _) => {
                    for need in needs {
                        let found = needs::fetch(loader, app, need, again).await.map_err(needed)?;
                        bytes += found.bytes;
                        if bytes > NEEDED_BYTES_MAX {
                            return Err(needed(NeedError::TooLarge { limit: NEEDED_BYTES_MAX }));
                        }
                        self.trees.fetched.push(found.fetched);
                    }
                }
            }
        }
        Err(needed(NeedError::Endless { rounds: ROUNDS_MAX }))
    }
}
