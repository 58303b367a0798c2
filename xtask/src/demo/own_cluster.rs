//! A cluster of the user's own, by a context of their kubeconfig. Nothing of it is touched that the demo did not make.
//!
//! Invariant: what [`OwnCluster::clean_up`] removes, [`OwnCluster::furnish`] found absent before. Entry point:
//! [`OwnCluster::open`].

use std::io::BufRead as _;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Output;
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use trueup_bed::workspace;

use super::failure::Unexpected;

/// The kubectl of the user.
pub(crate) const KUBECTL: &str = "kubectl";
/// The kind of a definition, as kubectl takes it.
const DEFINITION: &str = "crd";
/// Our definitions, by name.
const DEFINITIONS: [&str; 2] = ["applications.argoproj.io", "appprojects.argoproj.io"];

/// A context of the user's kubeconfig.
#[derive(Debug)]
pub(crate) struct OwnCluster {
    context: String,
    /// Logs, the cache, the repository and a kubeconfig with this context alone.
    dir: PathBuf,
    keep: bool,
    /// What we made, in the order to remove it: kind and name.
    made: Vec<(&'static str, String)>,
}

// === impl OwnCluster ===

impl OwnCluster {
    /// Finds the context, and makes a kubeconfig of it alone, for the controller too.
    pub(crate) async fn open(context: &str, keep: bool) -> anyhow::Result<Self> {
        let name = format!("trueup-demo-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(dir.join("logs")).with_context(|| format!("cannot make '{}'", dir.display()))?;
        let cluster = Self { context: context.to_owned(), dir, keep, made: Vec::new() };
        let arguments = ["config", "view", "--minify", "--flatten", "--raw", "--context", context];
        let output = tokio::process::Command::new(KUBECTL).args(arguments).stdin(Stdio::null()).output().await;
        let output = output.context("cannot run kubectl, which the demo needs in PATH")?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "there is no usable context '{context}': {}", stderr.trim());
        // It holds credentials.
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(cluster.kubeconfig())?;
        file.write_all(&output.stdout)?;
        Ok(cluster)
    }

    /// Refuses a cluster that has any of these namespaces, or definitions that cannot show the story.
    pub(crate) async fn refuse_if_taken(&self, namespaces: &[&str]) -> anyhow::Result<()> {
        for namespace in namespaces {
            let found = self.found("namespace", namespace).await?;
            anyhow::ensure!(
                found.is_none(),
                "the cluster of context '{}' has a namespace '{namespace}' already: the demo touches nothing that it did not \
                 make; remove it if an earlier demo left it: kubectl --context {} delete namespace {namespace}",
                self.context,
                self.context
            );
        }
        if let Some(definition) = self.found(DEFINITION, DEFINITIONS[0]).await? {
            let drift = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/drift";
            anyhow::ensure!(
                definition.pointer(drift).is_some(),
                "the cluster of context '{}' has Argo CD's definitions, which do not keep status.drift: use another cluster, \
                 or install ours, which are supersets: trueup crds | kubectl apply --server-side --force-conflicts -f -",
                self.context
            );
        }
        Ok(())
    }

    /// Asks whether to write to it, unless that was said already.
    pub(crate) fn ask(&self, yes: bool, namespaces: &[&str]) -> anyhow::Result<bool> {
        if yes {
            return Ok(true);
        }
        anyhow::ensure!(
            std::io::stdin().is_terminal(),
            "the demo would write to the cluster of context '{}': say --yes where nobody can be asked",
            self.context
        );
        eprintln!(
            "The demo writes to the cluster of context '{}': it makes the namespaces {}, the definitions of Application and \
             AppProject if they are missing, and removes them at the end. It changes nothing else.",
            self.context,
            namespaces.join(" and ")
        );
        eprint!("Go on? [y/N] ");
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Makes what is missing: the definitions and the namespace of the Applications.
    pub(crate) async fn furnish(&mut self, namespace: &str, deployed_to: &str) -> Result<(), Unexpected> {
        for (name, file) in DEFINITIONS.iter().zip(["application-crd.yaml", "appproject-crd.yaml"]) {
            if self.found(DEFINITION, name).await.map_err(|error| Unexpected(format!("{error:#}")))?.is_some() {
                continue;
            }
            self.made.insert(0, (DEFINITION, (*name).to_owned()));
            let path = workspace().join("crds").join(file).display().to_string();
            self.kubectl(&["create", "-f", &path], "").await?;
            let wait = ["wait", "--for=condition=Established", "--timeout=30s", DEFINITION, name];
            self.kubectl(&wait, "").await?;
        }
        // Made by the first sync; it was not there when we looked.
        self.made.insert(0, ("namespace", deployed_to.to_owned()));
        // Create fails if somebody else was faster: then it is not ours.
        self.kubectl(&["create", "namespace", namespace], "").await?;
        self.made.insert(0, ("namespace", namespace.to_owned()));
        Ok(())
    }

    /// Removes what was made, unless it is to stay. The controller must have ended: it would make it anew.
    pub(crate) async fn clean_up(&mut self) -> Vec<String> {
        let mut trouble = Vec::new();
        if self.keep {
            let left: Vec<String> = self.made.iter().map(|(kind, name)| format!("{kind}/{name}")).collect();
            if !left.is_empty() {
                let context = &self.context;
                trouble.push(format!("kept; to remove it: kubectl --context {context} delete {}", left.join(" ")));
            }
            return trouble;
        }
        let (definitions, namespaces): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.made).into_iter().partition(|(kind, _)| *kind == DEFINITION);
        trouble.extend(self.remove(&namespaces).await);
        // Somebody may have made objects of them meanwhile, which would go along.
        match self.objects_of(&definitions).await {
            Ok(left) if left.is_empty() => trouble.extend(self.remove(&definitions).await),
            Ok(left) => trouble.push(format!("the definitions stay, since there are still {left}")),
            Err(Unexpected(error)) => trouble.push(format!("the definitions stay: {error}")),
        }
        trouble
    }

    /// The objects of those of these definitions that are there, by name.
    async fn objects_of(&self, definitions: &[(&str, String)]) -> Result<String, Unexpected> {
        let mut left = Vec::new();
        for (kind, name) in definitions {
            if self.found(kind, name).await.map_err(|error| Unexpected(format!("{error:#}")))?.is_some() {
                let said = self.kubectl(&["get", name, "-A", "-o", "name"], "").await?;
                left.extend(said.split_whitespace().map(str::to_owned));
            }
        }
        Ok(left.join(", "))
    }

    async fn remove(&self, made: &[(&str, String)]) -> Vec<String> {
        let mut trouble = Vec::new();
        for (kind, name) in made {
            if let Err(Unexpected(error)) = self.kubectl(&["delete", kind, name, "--ignore-not-found"], "").await {
                trouble.push(error);
            }
        }
        trouble
    }

    /// The kubeconfig of this context alone.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    async fn found(&self, kind: &str, name: &str) -> anyhow::Result<Option<Value>> {
        let arguments = ["get", kind, name, "-o", "json", "--ignore-not-found"];
        let said = self.kubectl(&arguments, "").await.map_err(|Unexpected(error)| anyhow::anyhow!(error))?;
        if said.trim().is_empty() { Ok(None) } else { Ok(Some(serde_json::from_str(&said)?)) }
    }

    async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, Unexpected> {
        super::stage::said(arguments, &self.run(arguments, input).await?)
    }

    /// Runs kubectl against it.
    pub(crate) async fn run(&self, arguments: &[&str], input: &str) -> std::io::Result<Output> {
        let mut child = tokio::process::Command::new(KUBECTL)
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A kubectl that does not read has closed the pipe; what it says then is what matters.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        // The kubeconfig goes always.
        let _ = std::fs::remove_file(self.kubeconfig());
        if self.keep {
            eprintln!("kept {}", self.dir.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}
