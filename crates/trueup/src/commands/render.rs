//! `trueup render`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use trueup_api::source::DirectorySource;
use trueup_api::{Application, Source, SourceKind};
use trueup_render::workers::{Workers, WorkersConfig};
use trueup_render::{Answer, Capabilities, DiskTree, RenderError, Rendered, Renderer, Request, Tree, Trees};

use crate::command_error::{CommandError, Outcome, user_error, user_error_with_message};
use crate::commands::app::create;
use crate::output::{DataFormat, Output, talk};
use crate::renderer::RendererArgs;

mod chart;

use chart::ChartArgs;

pub(crate) const ABOUT: &str = "\
Prints the objects that a directory, or the source of an Application, renders to, as the controller renders it: plain YAML and JSON in \
the order of their names, lists taken apart, values as Kubernetes reads them; charts, overlays and Jsonnet by trueup-renderer, which \
lies beside this program or is named with --renderer. Nothing is fetched and no cluster is asked, and what the controller adds for an \
Application (namespace, tracking) is not added. Links that leave the working copy are refused.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup render environments/dev
  trueup render . --recurse --exclude '{kustomization.yaml,test/*}'
  trueup render environments/dev -o json | jq '.items[].kind'
  trueup render charts/shop --values dev.yaml --set image.tag=1.2 --namespace shop-dev
  trueup render shop-dev.yaml --repo ~/shop";

/// The version of Kubernetes that charts see where none is named: the newest that is supported.
pub(crate) const KUBE_VERSION: &str = "v1.36.0";

/// What releases are called that nobody names.
const RELEASE_NAME: &str = "release-name";

/// The arguments of `trueup render`.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// A directory, or a file with an Application; - is an Application on stdin.
    #[arg(value_name = "DIR|FILE")]
    path: PathBuf,
    /// The working copy of the Application's repository; the one that this directory is in, if not given.
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// Read the directories below it as well.
    #[arg(long)]
    recurse: bool,
    /// Read only files whose path below DIR matches this glob.
    #[arg(long, value_name = "GLOB", default_value = "", hide_default_value = true)]
    include: String,
    /// Leave out files whose path below DIR matches this glob.
    #[arg(long, value_name = "GLOB", default_value = "", hide_default_value = true)]
    exclude: String,
    #[command(flatten)]
    chart: ChartArgs,
    /// The namespace that charts are rendered for.
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The version of Kubernetes that charts are rendered for.
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<String>,
    /// What Kubernetes serves, as group/version or group/version/Kind.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    api_versions: Vec<String>,
    #[command(flatten)]
    renderer: RendererArgs,
    /// YAML documents, or one JSON list.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "yaml")]
    output: DataFormat,
}

/// What is rendered: sources of one working copy.
struct Job {
    requests: Vec<Request>,
    trees: Trees,
}

/// Prints the objects.
pub(crate) fn run(args: &RenderArgs) -> Result<Outcome, CommandError> {
    let failed = |error| user_error_with_message(format!("'{}' cannot be rendered", args.path.display()), error);
    let mut job = if args.path.is_dir() { of_directory(args) } else { of_application(args) }?;
    for request in &mut job.requests {
        args.edit(request, &mut job.trees)?;
    }
    let renderer = Renderer::new(None, args.workers());
    let capabilities = Capabilities {
        kube_version: args.kube_version.clone().unwrap_or_else(|| KUBE_VERSION.to_owned()),
        api_versions: args.api_versions.clone().into(),
    };
    let mut output = Output::stdout();
    let mut parts = Vec::new();
    for request in &job.requests {
        parts.push(render(&renderer, request, &job.trees, &capabilities).map_err(failed)?);
    }
    let rendered = Rendered::joined(parts);
    for warning in &rendered.warnings {
        talk::warning(warning);
    }
    output.objects(rendered.manifests.iter().map(|manifest| manifest.node().clone()), args.output)?;
    output.finish()?;
    if rendered.manifests.is_empty() {
        talk::warning(&format!("there are no objects in '{}'", args.path.display()));
    }
    Ok(Outcome::Done)
}

fn render(
    renderer: &Renderer,
    request: &Request,
    trees: &Trees,
    capabilities: &Capabilities,
) -> Result<Arc<Rendered>, RenderError> {
    match renderer.render(request, trees, capabilities)? {
        Answer::Rendered(rendered) => Ok(rendered),
        Answer::Needs(needs) => Err(RenderError::NotFetched { needs }),
    }
}

fn of_directory(args: &RenderArgs) -> Result<Job, CommandError> {
    if args.repo.is_some() {
        return Err(user_error("--repo is the working copy of an Application, and a directory is in its own"));
    }
    let tree = DiskTree::new(&args.path)
        .map_err(|error| user_error_with_message(format!("'{}' cannot be rendered", args.path.display()), error))?;
    let request = Request::of_directory(tree.top(), &DirectorySource::default());
    // As `helm template` calls what nobody names.
    let request = Request { application: RELEASE_NAME.to_owned(), ..request };
    Ok(Job { requests: vec![request], trees: Trees::new(Arc::new(tree)) })
}

fn of_application(args: &RenderArgs) -> Result<Job, CommandError> {
    let read = create::read(&args.path)?;
    let application =
        Application::read(&read.to_json()).map_err(|error| user_error_with_message("this is no Application", error))?;
    let app = application.spec.map_err(|errors| user_error_with_message("the specification is not valid", errors))?;
    let tree = match &args.repo {
        Some(root) => DiskTree::rooted(root),
        None => DiskTree::new(Path::new(".")),
    };
    let tree: Arc<dyn Tree> =
        Arc::new(tree.map_err(|error| user_error_with_message("the working copy cannot be read", error))?);
    let Some(first) = app.sources.first() else {
        return Err(user_error("spec.sourceHydrator: what is hydrated is not rendered here"));
    };
    if let Some(chart) = app.sources.iter().find(|source| source.kind != SourceKind::Git) {
        return Err(user_error(format!("the source is not in a working copy, and nothing is fetched here: {chart:?}"))
            .hinted("unpack it, and render its directory"));
    }
    if let Some(other) = app.sources.iter().find(|source| source.repo_url != first.repo_url) {
        return Err(user_error(format!("the sources of the Application are in several places: {other:?}"))
            .hinted("one working copy stands for one repository"));
    }
    let request = |source: &Source| Request {
        source: source.written.clone(),
        path: source.path.clone(),
        revision: String::new(),
        application: application.meta.instance.clone(),
        application_namespace: application.meta.namespace.clone(),
        project: app.project.clone(),
        destination_namespace: app.destination.namespace.clone(),
        settings: Arc::default(),
    };
    let mut trees = Trees::new(Arc::clone(&tree));
    let named = app.sources.iter().filter(|source| !source.reference.is_empty());
    trees.referenced = named.map(|source| (source.reference.clone(), Arc::clone(&tree))).collect();
    Ok(Job { requests: app.sources.iter().filter(|source| source.is_rendered()).map(request).collect(), trees })
}

// === impl RenderArgs ===

impl RenderArgs {
    fn workers(&self) -> Option<Workers> {
        let exe = std::env::current_exe().ok()?;
        self.renderer.program(&exe).map(|program| Workers::new(WorkersConfig::new(program)))
    }

    /// Puts what the flags say over what the source says.
    fn edit(&self, request: &mut Request, trees: &mut Trees) -> Result<(), CommandError> {
        let source = &mut request.source;
        if self.recurse || !self.include.is_empty() || !self.exclude.is_empty() {
            let directory = source.directory.get_or_insert_default();
            directory.recurse |= self.recurse;
            for (flag, field) in [(&self.include, &mut directory.include), (&self.exclude, &mut directory.exclude)] {
                if !flag.is_empty() {
                    field.clone_from(flag);
                }
            }
        }
        self.chart.edit(source, trees)?;
        // What the source itself names would win.
        if let Some(namespace) = &self.namespace {
            request.destination_namespace.clone_from(namespace);
            source.helm.iter_mut().for_each(|helm| helm.namespace.clear());
        }
        if self.kube_version.is_some() {
            source.helm.iter_mut().for_each(|helm| helm.kube_version.clear());
            source.kustomize.iter_mut().for_each(|kustomize| kustomize.kube_version.clear());
        }
        if !self.api_versions.is_empty() {
            source.helm.iter_mut().for_each(|helm| helm.api_versions.clear());
            source.kustomize.iter_mut().for_each(|kustomize| kustomize.api_versions.clear());
        }
        Ok(())
    }
}
