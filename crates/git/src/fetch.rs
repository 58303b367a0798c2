//! The fetch process: reads one request from stdin, does it, answers on stdout, and ends.
//!
//! A process of its own, so that a deadline can end a fetch that hangs, its memory goes back to the system, and a crash in it
//! is one failed fetch. It ends at the end of its stdin: a parent that dies takes it along. Entry point: [`fetch_main`].

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::http::Discovered;
use crate::http_client::{Settings, naming_the_proxy};
use crate::local::Local;
use crate::pack::{Incoming, Packs};
use crate::private::keep_memory_private;
use crate::process::REQUEST_BYTES;
use crate::protocol::{self, Capabilities, Fetched, Want};
use crate::remote::Remote;
use crate::server::Server;
use crate::{Access, CommitId, GitError, Limits, Proxies, RepoUrl, TagId};

/// The longest request, in bytes: some hundreds of commit ids, and certificates and known hosts, each of a ConfigMap that has
/// 1 MiB at most.
const REQUEST_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How many commits are named as present: enough for the server to find the nearest, small enough for one request.
const HAVES_MAX: usize = 256;

/// What the parent asks for. Holds the credentials of the URL: it has no `Debug` and goes through a pipe only.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    /// The URL with its credentials.
    pub(crate) url: String,
    pub(crate) access: Access,
    pub(crate) proxies: Proxies,
    pub(crate) store: PathBuf,
    pub(crate) cache_dir: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) work: Work,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Work {
    /// Brings commits into the store.
    Fetch {
        commits: Vec<CommitId>,
        /// Commits that the parent used, the last first.
        used: Vec<CommitId>,
        /// Wanted commits that were searched for in vain a short while ago.
        searched: Vec<CommitId>,
        /// A reader missed an object: kept commits are checked before they count as present.
        suspect: bool,
        /// What the server can do; `None` for `file://`, and for SSH, where each connection says so.
        discovered: Option<Discovered>,
    },
    /// Brings an annotated tag into the store.
    Tag {
        tag: TagId,
        /// As for a fetch.
        discovered: Option<Discovered>,
    },
    /// Makes one pack of all.
    Rewrite,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Those commits that could not be had, and why.
    pub(crate) missing: HashMap<CommitId, GitError>,
    /// How many packs the store has now.
    pub(crate) packs: usize,
    /// How many bytes these have.
    pub(crate) bytes: u64,
}

pub(crate) type Reply = Result<Done, GitError>;

/// The main function of the fetch process, for the hidden subcommand of the binary and for tests.
///
/// It takes no arguments and needs no environment. The exit code is a failure only if there is no answer.
pub fn fetch_main() -> ExitCode {
    keep_memory_private();
    let Some(request) = read_request() else { return ExitCode::FAILURE };
    std::thread::spawn(end_with_parent);
    let reply = work(&request);
    let mut stdout = std::io::stdout().lock();
    let written =
        serde_json::to_writer(&mut stdout, &reply).map_err(std::io::Error::from).and_then(|()| stdout.flush());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One line of JSON; what follows it is nothing until the parent ends.
fn read_request() -> Option<Request> {
    // Byte by byte from the locked, buffered stdin: nobody else reads it before the watcher does.
    let mut line = Zeroizing::new(String::with_capacity(REQUEST_BYTES));
    std::io::stdin().lock().take(REQUEST_BYTES_MAX).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

fn end_with_parent() {
    let mut stdin = std::io::stdin().lock();
    let mut nothing = [0; 64];
    while !matches!(stdin.read(&mut nothing), Ok(0) | Err(_)) {}
    std::process::exit(1);
}

fn work(request: &Request) -> Reply {
    let url = RepoUrl::parse(&request.url)?;
    let remote = Remote { url, access: request.access.clone() };
    let packs = Packs::open(&request.store, remote.to_string(), &request.limits)?;
    match &request.work {
        Work::Rewrite => {
            packs.rewrite()?;
            Ok(done(&packs, HashMap::new()))
        }
        Work::Fetch { commits, used, searched, suspect, discovered } => {
            let packs = if *suspect { distrust(packs, commits)? } else { packs };
            bring(request, &remote, packs, discovered.as_ref(), searched, async |bring| bring.all(commits, used).await)
        }
        Work::Tag { tag, discovered } => {
            bring(request, &remote, packs, discovered.as_ref(), &[], async |bring| bring.tag(*tag).await)
        }
    }
}

fn bring(
    request: &Request,
    remote: &Remote,
    packs: Packs<'_>,
    discovered: Option<&Discovered>,
    searched: &[CommitId],
    what: impl AsyncFnOnce(Bring<'_>) -> Reply,
) -> Reply {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| process_failed(remote, &error.to_string()))?;
    let brought = runtime.block_on(async {
        let origin = Origin::open(remote, discovered, request).await?;
        what(Bring { origin, packs, remote, limits: &request.limits, searched }).await
    });
    brought.map_err(|error| naming_the_proxy(error, remote, &request.proxies))
}

fn done(packs: &Packs, missing: HashMap<CommitId, GitError>) -> Done {
    Done { missing, packs: packs.names().len(), bytes: packs.bytes() }
}

/// Starts the store over if a kept commit that is wanted turns out to be damaged.
fn distrust<'a>(packs: Packs<'a>, commits: &[CommitId]) -> Result<Packs<'a>, GitError> {
    let kept: HashSet<CommitId> = packs.kept().into_iter().collect();
    let damaged = commits.iter().any(|&commit| kept.contains(&commit) && !packs.is_whole(commit, None));
    if damaged { packs.start_over() } else { Ok(packs) }
}

/// Where commits come from.
enum Origin<'a> {
    Server(Box<Server<'a>>, Capabilities),
    Disk(Local<'a>),
}

impl<'a> Origin<'a> {
    async fn open(remote: &'a Remote, discovered: Option<&'a Discovered>, request: &Request) -> Result<Self, GitError> {
        if remote.url.file_path().is_some() {
            return Ok(Self::Disk(Local::open(&remote.url, &request.cache_dir)?));
        }
        let over_http = match discovered {
            None => None,
            Some(discovered) => {
                let client = Settings::of(&remote.access).client(&request.proxies, &request.limits);
                Some((client.map_err(|detail| Settings::unusable(remote, &detail))?, discovered))
            }
        };
        let (server, capabilities) = Server::open(remote, over_http, &request.limits).await?;
        Ok(Self::Server(Box::new(server), capabilities))
    }
}

/// One fetch.
struct Bring<'a> {
    origin: Origin<'a>,
    packs: Packs<'a>,
    remote: &'a Remote,
    limits: &'a Limits,
    searched: &'a [CommitId],
}

impl Bring<'_> {
    async fn all(&self, commits: &[CommitId], used: &[CommitId]) -> Reply {
        let kept: HashSet<CommitId> = self.packs.kept().into_iter().collect();
        let (here, wanted): (Vec<CommitId>, Vec<CommitId>) = commits.iter().partition(|id| kept.contains(id));
        for id in here {
            self.packs.keep(id)?;
        }
        let mut missing = HashMap::new();
        // One that is too large must not keep the others away: then each is asked for by itself.
        let together = wanted.len() > 1
            && match self.try_once(&wanted).await {
                Ok(fetched) => fetched == Fetched::Pack,
                Err(error) if error.is_about_repository() => return Err(error),
                Err(_) => false,
            };
        for &id in &wanted {
            let outcome = if together && self.accept(id)? { Ok(()) } else { self.one(id).await };
            match outcome {
                Err(error) if error.is_about_repository() => return Err(error),
                Err(error) => drop(missing.insert(id, error)),
                Ok(()) => {}
            }
        }
        let used: Vec<CommitId> = commits.iter().chain(used).copied().collect();
        self.packs.forget(&used)?;
        Ok(done(&self.packs, missing))
    }

    /// Brings an annotated tag.
    async fn tag(&self, tag: TagId) -> Reply {
        let odb = self.packs.repository.odb().map_err(|error| process_failed(self.remote, error.message()))?;
        if let Origin::Disk(local) = &self.origin {
            let written = odb.write(git2::ObjectType::Tag, &local.tag(tag)?);
            written.map_err(|error| process_failed(self.remote, error.message()))?;
        } else {
            // To a server it is one more object, as a commit is.
            self.try_once(&[CommitId::from(*tag.as_bytes())]).await?;
        }
        if odb.read_header(tag.oid()).is_ok_and(|(_, kind)| kind == git2::ObjectType::Tag) {
            return Ok(done(&self.packs, HashMap::new()));
        }
        // It was moved since it was listed.
        Err(GitError::RevisionNotFound { repository: self.remote.to_string(), revision: tag.to_string() })
    }

    /// Brings one commit, by every way there is.
    async fn one(&self, id: CommitId) -> Result<(), GitError> {
        let before = self.packs.names();
        let mut refused = self.try_once(&[id]).await? != Fetched::Pack;
        if !refused && self.accept(id)? {
            return Ok(());
        }
        if !refused {
            // What the server left out because we claim to have it is not here after all: ask for everything.
            refused = self.transfer(&[id], &[], false).await? != Fetched::Pack;
        }
        if refused && !self.searched.contains(&id) {
            self.search(id).await?;
        }
        if self.accept(id)? {
            return Ok(());
        }
        // What came is of no use to anybody.
        let came = self.packs.names().difference(&before).cloned().collect();
        self.packs.remove(&came)?;
        let (repository, commit) = (self.remote.to_string(), id);
        Err(if self.is_other_kind(id) {
            GitError::NotACommit { repository, revision: id.to_string() }
        } else if refused {
            GitError::CommitNotFound { repository, commit }
        } else {
            GitError::Protocol { repository, detail: format!("commit {id} was sent without all of its files") }
        })
    }

    async fn try_once(&self, commits: &[CommitId]) -> Result<Fetched, GitError> {
        let have: Vec<CommitId> = self.packs.kept().into_iter().take(HAVES_MAX).collect();
        self.transfer(commits, &have, false).await
    }

    /// Looks for a commit that the server does not give out by its id: in the history of all branches and tags.
    async fn search(&self, id: CommitId) -> Result<(), GitError> {
        let Origin::Server(wire, capabilities) = &self.origin else { return Ok(()) };
        let prefixes = ["refs/heads/".to_owned(), "refs/tags/".to_owned()];
        let refs = protocol::list(&**wire, capabilities, &prefixes, self.limits).await?;
        let tips: HashSet<CommitId> = refs.into_iter().map(|found| found.id).collect();
        let tips: Vec<CommitId> = tips.into_iter().collect();
        if !tips.is_empty() && !tips.contains(&id) {
            self.transfer(&tips, &[], true).await?;
        }
        Ok(())
    }

    /// Asks once, and takes in what comes.
    async fn transfer(&self, commits: &[CommitId], have: &[CommitId], history: bool) -> Result<Fetched, GitError> {
        let odb = self.packs.repository.odb().map_err(|error| process_failed(self.remote, error.message()))?;
        let mut incoming = Incoming::new(&odb, &self.packs);
        let fetched = match &self.origin {
            Origin::Server(wire, capabilities) => {
                let want = Want { commits, have, history };
                protocol::fetch(&**wire, capabilities, &want, self.limits, |bytes| incoming.write(bytes)).await?
            }
            Origin::Disk(local) => {
                if let Some(id) = commits.iter().find(|&&id| !local.has(id)) {
                    return Ok(Fetched::Refused(format!("there is no commit {id}")));
                }
                // Without a kept commit nothing here is known to be whole.
                let known = |id| !have.is_empty() && odb.exists(id);
                local.copy(commits, known, self.limits, |bytes| incoming.write(bytes))?;
                Fetched::Pack
            }
        };
        if fetched == Fetched::Pack {
            incoming.finish()?;
        }
        Ok(fetched)
    }

    /// Keeps the commit if it is here and whole.
    fn accept(&self, id: CommitId) -> Result<bool, GitError> {
        let whole = self.packs.is_whole(id, self.packs.kept().first().copied());
        if whole {
            self.packs.keep(id)?;
        }
        Ok(whole)
    }

    fn is_other_kind(&self, id: CommitId) -> bool {
        let kind = self.packs.repository.find_object(id.oid(), None).ok().and_then(|object| object.kind());
        kind.is_some_and(|kind| kind != git2::ObjectType::Commit)
    }
}

fn process_failed(remote: &Remote, detail: &str) -> GitError {
    GitError::FetchProcess { repository: remote.to_string(), detail: remote.scrub(detail) }
}
