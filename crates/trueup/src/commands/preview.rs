//! `trueup preview`: what a change of a repository does to the objects of its Applications.

mod changes;
mod found;
mod here;
mod markdown;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use futures::stream::{self, StreamExt as _};
use trueup_api::App;
use trueup_controller::loading::{self, Frame};
use trueup_git::{CommitId, WorkingCopy};
use trueup_render::{Capabilities, Rendered};

use crate::cache::CacheDir;
use crate::command_error::{CommandError, Outcome, internal_error_with_message, user_error, user_error_with_message};
use crate::commands::block_on;
use crate::commands::preview::changes::changes;
use crate::commands::preview::found::{Found, Pair};
use crate::commands::preview::here::{Here, Places, Urls};
use crate::commands::preview::report::{Format, Previewed, Report, Revision};
use crate::commands::render::KUBE_VERSION;
use crate::output::progress::Progress;
use crate::output::{Output, talk};

pub(crate) const ABOUT: &str = "\
Shows what a change of a repository does to the objects of its Applications, without a cluster: every Application in a YAML file of \
the repository at either revision is rendered at both, as the controller renders it, and the objects that would be added, changed or \
removed are printed. What is the same by content is rendered once. Only commits count, not what is not committed. Sources elsewhere \
are fetched without a login. Values of Secrets are masked.

Ends with 0 if nothing differs, with 1 if something does, with 2 if that cannot be found out for some Application.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup preview --base origin/main
  trueup preview --base \"$(git merge-base origin/main HEAD)\" --head HEAD ~/shop
  trueup preview --base HEAD^1 -o markdown > comment.md
  trueup preview --base v1.4.0 --head main --repo-url git@git.example.com:shop.git -o json";

/// Applications that are rendered at the same time: as many as a machine of a CI has cores, or a few more.
const APPLICATIONS_AT_ONCE: usize = 4;

/// How long it is quiet: what takes no longer needs no words.
const QUIET: Duration = Duration::from_secs(1);

/// The arguments of `trueup preview`.
#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// A directory in the repository.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The revision before the change, in any words of git.
    #[arg(long, value_name = "REF")]
    base: String,
    /// The revision after it.
    #[arg(long, value_name = "REF", default_value = "HEAD")]
    head: String,
    /// A URL by which Applications mean this repository, beside those of its remotes; as often as needed.
    #[arg(long, value_name = "URL")]
    repo_url: Vec<String>,
    /// The version of Kubernetes that charts are rendered for.
    #[arg(long, value_name = "VERSION", default_value = KUBE_VERSION)]
    kube_version: String,
    /// What Kubernetes serves, as group/version or group/version/Kind.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    api_versions: Vec<String>,
    /// Unified diffs, a comment for a pull request, or JSON.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// One of the two revisions, and how its sources are loaded.
struct Side<'a> {
    word: &'static str,
    here: &'a Here<'a>,
}

/// Prints the differences.
pub(crate) fn run(args: &PreviewArgs) -> Result<Outcome, CommandError> {
    block_on(preview(args))
}

async fn preview(args: &PreviewArgs) -> Result<Outcome, CommandError> {
    let began = Instant::now();
    let unreadable = |error| user_error_with_message("the repository cannot be read", error);
    let copy = WorkingCopy::around(&args.dir).map_err(unreadable)?;
    let (base, head) = (commit(&copy, "--base", &args.base)?, commit(&copy, "--head", &args.head)?);
    // Of its own: nothing of a private repository stays behind, and nobody has to wait for another.
    let temporary = tempfile::Builder::new().prefix("trueup-").tempdir();
    let temporary =
        temporary.map_err(|error| internal_error_with_message("cannot make a directory for what is fetched", error))?;
    let cache = CacheDir::open(Some(temporary.path().to_path_buf()), "preview")?;
    let urls = Urls::new(copy.url(), copy.remotes().into_iter().chain(args.repo_url.iter().cloned()));
    let places = Places::new(&cache, copy.url(), urls)?;
    places.store.fetch(&[base, head]).await.map_err(unreadable)?;
    let pairs = found::pairs(&places.store, base, head).map_err(unreadable)?;
    let (pairs, elsewhere): (Vec<Pair>, Vec<Pair>) = pairs.into_iter().partition(|pair| pair.concerns(&places.urls));
    let frame = Frame {
        capabilities: Arc::new(Capabilities {
            kube_version: args.kube_version.clone(),
            api_versions: args.api_versions.clone().into(),
        }),
        ..Frame::default()
    };
    let sides = [Here::new(&places, base), Here::new(&places, head)];
    let [base_side, head_side] =
        [("at the base", &sides[0]), ("at the head", &sides[1])].map(|(word, here)| Side { word, here });
    let count = pairs.len();
    let mut progress = Progress::start_on_terminal();
    let mut applications = Vec::with_capacity(count);
    let mut looked =
        stream::iter(&pairs).map(|pair| compare(pair, &base_side, &head_side, &frame)).buffered(APPLICATIONS_AT_ONCE);
    while let Some(previewed) = looked.next().await {
        applications.push(previewed);
        if began.elapsed() > QUIET {
            progress.show(&format!("rendered {} of {count} Applications", applications.len()));
        }
    }
    progress.end();
    let revision = |name: &str, commit: CommitId| Revision { name: name.to_owned(), commit: commit.to_string() };
    let report = Report { base: revision(&args.base, base), head: revision(&args.head, head), applications };
    let mut output = Output::stdout();
    report.print(&mut output, args.output)?;
    output.finish()?;
    let counters = places.renderer.counters();
    talk::note(&format!("{count} Applications; rendered: {}, known by content: {}", counters.renders, counters.hits));
    if count == 0 {
        talk::warning(&nothing_found(&places.urls, elsewhere.len()));
    }
    conclude(&report)
}

/// Tells what failed, and how the command ends.
fn conclude(report: &Report) -> Result<Outcome, CommandError> {
    let mut failed = 0;
    for application in &report.applications {
        for remark in &application.remarks {
            talk::warning(&format!("{}: {remark}", application.title()));
        }
        if let Err(error) = &application.outcome {
            failed += 1;
            talk::warning(&format!("{}: {error}", application.title()));
        }
    }
    match failed {
        0 if report.is_empty() => Ok(Outcome::Done),
        0 => Ok(Outcome::Differs),
        _ => Err(user_error(format!(
            "{failed} of {} Applications cannot be compared: see the warnings above",
            report.applications.len()
        ))),
    }
}

fn nothing_found(urls: &Urls, elsewhere: usize) -> String {
    format!(
        "no Application of this repository was found at either revision ({elsewhere} of other repositories, which did not change); it \
         is known as {urls}: name another URL with --repo-url"
    )
}

fn commit(copy: &WorkingCopy, flag: &str, revision: &str) -> Result<CommitId, CommandError> {
    copy.resolve(revision).ok_or_else(|| {
        user_error(format!("{flag}: there is no commit '{revision}' in the repository")).hinted(
            "a clone may lack it: git fetch origin, and in a CI fetch more than one commit (fetch-depth, GIT_DEPTH)",
        )
    })
}

async fn compare(pair: &Pair, base: &Side<'_>, head: &Side<'_>, frame: &Frame) -> Previewed {
    let shown = pair.shown();
    let mut previewed = Previewed {
        namespace: shown.application.meta.namespace.clone(),
        name: shown.application.meta.name.clone(),
        file: shown.file.clone(),
        remarks: pair.remarks(),
        outcome: Ok(Vec::new()),
    };
    // One after the other: what the first renders the second may find.
    let [before, after] = [base.load(pair.base.as_ref(), frame).await, head.load(pair.head.as_ref(), frame).await];
    previewed.outcome = match (before, after) {
        (Ok(before), Ok(after)) => {
            let warnings = after.iter().flat_map(|rendered| rendered.warnings.iter().cloned());
            previewed.remarks.extend(warnings);
            let manifests = |side: &Option<Arc<Rendered>>| side.as_ref().map(|side| side.manifests.clone());
            Ok(changes(&manifests(&before).unwrap_or_default(), &manifests(&after).unwrap_or_default()))
        }
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(before), Err(after)) => Err(format!("{before}; {after}")),
    };
    previewed
}

// === impl Side ===

impl Side<'_> {
    /// What an Application is rendered to; nothing where there is none.
    async fn load(&self, found: Option<&Found>, frame: &Frame) -> Result<Option<Arc<Rendered>>, String> {
        let Some(Found { application, file }) = found else { return Ok(None) };
        let failed = |error: &dyn std::fmt::Display| format!("{} ({file}): {error}", self.word);
        let app: &App = application.spec.as_ref().map_err(|error| failed(error))?;
        if app.sources.is_empty() {
            return Err(failed(&"spec.sourceHydrator: what is hydrated is not rendered here"));
        }
        let loaded = Box::pin(loading::at(self.here, &application.meta, app, &app.target(), frame.clone())).await;
        Ok(Some(loaded.map_err(|error| failed(&error))?.rendered))
    }
}
