//! A renderer that follows a script, and small trees: for tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use trueup_object::Digest;

use crate::engine::Engine;
use crate::workers::{Answers, Document, Done, Job, Reply, WorkerError};
use crate::{ArchiveTree, Request, Settings, Trees};

type Play = dyn Fn(&Job, &mut dyn Answers) -> Reply + Send + Sync;

/// A renderer that follows a script.
#[derive(Clone)]
pub(crate) struct Script(Arc<Inner>);

struct Inner {
    play: Box<Play>,
    build: Mutex<String>,
    runs: AtomicU64,
    jobs: Mutex<Vec<Value>>,
}

impl Script {
    pub(crate) fn new(play: impl Fn(&Job, &mut dyn Answers) -> Reply + Send + Sync + 'static) -> Self {
        let (play, build) = (Box::new(play), Mutex::new("1".to_owned()));
        Self(Arc::new(Inner { play, build, runs: AtomicU64::new(0), jobs: Mutex::default() }))
    }

    /// How often it rendered.
    pub(crate) fn runs(&self) -> u64 {
        self.0.runs.load(Ordering::Relaxed)
    }

    /// The job that it was given last.
    pub(crate) fn job(&self) -> Value {
        self.0.jobs.lock().unwrap().last().cloned().unwrap_or_default()
    }

    pub(crate) fn set_build(&self, build: &str) {
        build.clone_into(&mut self.0.build.lock().unwrap());
    }
}

impl Engine for Script {
    fn render(&self, job: &Job, answers: &mut dyn Answers) -> Result<Reply, WorkerError> {
        self.0.runs.fetch_add(1, Ordering::Relaxed);
        self.0.jobs.lock().unwrap().push(serde_json::to_value(job).unwrap());
        Ok((self.0.play)(job, answers))
    }

    fn build(&self) -> Result<String, WorkerError> {
        Ok(self.0.build.lock().unwrap().clone())
    }
}

/// An object of this name.
pub(crate) fn object(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

/// An object of each of these names.
pub(crate) fn done(names: &[&str]) -> Done {
    let document = |name: &&str| Document { file: format!("templates/{name}.yaml"), text: object(name) };
    Done { documents: names.iter().map(document).collect(), ..Done::default() }
}

/// Files by path and content.
pub(crate) fn tree(files: &[(&str, &str)]) -> Arc<ArchiveTree> {
    let digest = Digest::of_parts(files.iter().flat_map(|(path, text)| [*path, *text])).to_string();
    let files: BTreeMap<String, Vec<u8>> =
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    Arc::new(ArchiveTree::new(files, digest))
}

pub(crate) fn trees(files: &[(&str, &str)]) -> Trees {
    Trees::new(tree(files))
}

/// The application `web` at `app`, with this source as JSON.
pub(crate) fn request(source: Value) -> Request {
    Request {
        source: serde_json::from_value(source).unwrap(),
        path: "app".to_owned(),
        revision: "0123456789abcdef".to_owned(),
        application: "web".to_owned(),
        application_namespace: "argocd".to_owned(),
        project: "shop".to_owned(),
        destination_namespace: "team".to_owned(),
        settings: Arc::new(Settings::default()),
    }
}
