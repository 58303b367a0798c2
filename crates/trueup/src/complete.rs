//! What a shell is told when somebody presses Tab: names that only the cluster or the kubeconfig knows.
//!
//! Whoever types waits for this, so there is a deadline, and every failure is silence: no names, no message. Entry point:
//! [`answer`]; [`register`] prints the script that makes a shell ask.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgMatches, Command, FromArgMatches as _};
use clap_complete::env::{EnvCompleter, Shells};
use clap_complete::{CompleteEnv, CompletionCandidate};
use trueup_object::{Gvk, yaml};

use crate::access::AccessArgs;
use crate::command_error::{CommandError, internal_error_with_message};
use crate::commands::app::client::Client;
use crate::commands::app::view::View;

/// How long Tab may take; past it, there are no names.
const DEADLINE: Duration = Duration::from_secs(2);
/// Names that are shown; a longer list helps nobody.
const NAMES_MAX: usize = 500;
/// The variable by which the script says that it is the shell that asks.
const VARIABLE: &str = "TRUEUP_COMPLETE";
const PROGRAM: &str = "trueup";

/// Answers a shell and ends the program, if it is one that asks.
pub(crate) fn answer(cli: fn() -> Command) {
    CompleteEnv::with_factory(cli).var(VARIABLE).bin(PROGRAM).complete();
}

/// The script by which a shell asks from now on.
pub(crate) fn register(shell: &dyn EnvCompleter) -> Result<String, CommandError> {
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)
        .map_err(|error| internal_error_with_message("cannot write the script", error))?;
    String::from_utf8(script).map_err(|error| internal_error_with_message("cannot write the script", error))
}

/// A shell that can be taught.
pub(crate) fn shell(name: &str) -> Option<&'static dyn EnvCompleter> {
    const SHELLS: Shells<'static> = Shells::builtins();
    SHELLS.0.iter().copied().find(|shell| shell.is(name))
}

/// The names of Applications: in the namespace that the line names, or in the one that the word itself begins with.
pub(crate) fn applications(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(mut access) = access() else { return Vec::new() };
    let current = current.to_string_lossy();
    let prefix = match current.split_once('/') {
        Some((namespace, _)) => {
            namespace.clone_into(&mut access.namespace);
            format!("{namespace}/")
        }
        None => String::new(),
    };
    let names = ask(async {
        let apps = Client::connect(&access).await.ok()?.list(None).await.ok()?;
        Some(apps.iter().map(|app| format!("{prefix}{}", View(app).name())).collect())
    });
    candidates(names, &current)
}

/// The names of namespaces.
pub(crate) fn namespaces(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(access) = access() else { return Vec::new() };
    let names = ask(async {
        let cluster = access.connect().await.ok()?;
        let kind = cluster.kind(&Gvk::from_api_version("v1", "Namespace")).await.ok()?;
        let all = cluster.list_raw(&kind, None, None).await.ok()?;
        Some(all.into_iter().map(|raw| raw.name).collect())
    });
    candidates(names, &current.to_string_lossy())
}

/// The names of the kubeconfig's contexts.
pub(crate) fn contexts(current: &OsStr) -> Vec<CompletionCandidate> {
    let files = match access().and_then(|access| access.kubeconfig) {
        Some(file) => vec![file],
        None => kubeconfigs(std::env::var_os("KUBECONFIG"), std::env::var_os("HOME")),
    };
    candidates(files.iter().flat_map(|file| contexts_of(file)).collect(), &current.to_string_lossy())
}

/// As kubectl finds them.
fn kubeconfigs(listed: Option<OsString>, home: Option<OsString>) -> Vec<PathBuf> {
    match listed.filter(|listed| !listed.is_empty()) {
        Some(listed) => std::env::split_paths(&listed).collect(),
        None => home.map(|home| PathBuf::from(home).join(".kube/config")).into_iter().collect(),
    }
}

fn contexts_of(file: &Path) -> Vec<String> {
    let documents = std::fs::read(file).ok().and_then(|text| yaml::documents(&text).ok()).unwrap_or_default();
    let contexts = documents.iter().flat_map(|document| document.node.list_at(&["contexts"]));
    contexts.filter_map(|context| context.str_at(&["name"])).map(str::to_owned).collect()
}

fn candidates(mut names: Vec<String>, current: &str) -> Vec<CompletionCandidate> {
    names.retain(|name| name.starts_with(current));
    names.sort_unstable();
    names.dedup();
    names.truncate(NAMES_MAX);
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn ask(names: impl Future<Output = Option<Vec<String>>>) -> Vec<String> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let names = runtime.block_on(async { tokio::time::timeout(DEADLINE, names).await });
    runtime.shutdown_background();
    names.ok().flatten().unwrap_or_default()
}

/// How to reach the cluster, as the line says that is being typed.
fn access() -> Option<AccessArgs> {
    // The words of the line follow a '--'.
    access_of(std::env::args_os().skip_while(|word| word != "--").skip(1))
}

fn access_of(words: impl Iterator<Item = OsString>) -> Option<AccessArgs> {
    use clap::CommandFactory as _;

    // It is not finished, so it need not be right.
    let matches = crate::cli::Cli::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    AccessArgs::from_arg_matches(last(&matches)).ok()
}

/// The arguments of the innermost command.
fn last(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, matches)| last(matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (String, Option<PathBuf>, Option<String>) {
        let access = access_of(line.split(' ').map(OsString::from)).unwrap();
        (access.namespace, access.kubeconfig, access.context)
    }

    #[test]
    fn an_unfinished_line_says_where_to_ask() {
        let argocd = || "argocd".to_owned();
        assert_eq!(read("trueup app get "), (argocd(), None, None));
        assert_eq!(read("trueup app get -n team-a we"), ("team-a".to_owned(), None, None));
        let all = read("trueup app diff --kubeconfig=/k --context c --revision");
        assert_eq!(all, (argocd(), Some(PathBuf::from("/k")), Some("c".to_owned())));
    }

    #[test]
    fn contexts_are_those_of_every_kubeconfig() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, context: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, format!("contexts:\n- name: {context}\n  context: {{}}\n")).unwrap();
            path
        };
        let files = [write("a", "dev"), write("b", "prod"), dir.path().join("missing")];
        let listed = std::env::join_paths(&files).unwrap();
        let found = kubeconfigs(Some(listed), None);
        assert_eq!(found, files);
        let names: Vec<String> = found.iter().flat_map(|file| contexts_of(file)).collect();
        assert_eq!(names, ["dev", "prod"]);
        assert_eq!(kubeconfigs(None, Some("/home/a".into())), [PathBuf::from("/home/a/.kube/config")]);
    }

    #[test]
    fn only_what_begins_as_typed_is_offered() {
        let names = ["web-b", "api", "web-a", "web-a"].map(str::to_owned).to_vec();
        let offered: Vec<OsString> =
            candidates(names, "we").iter().map(|candidate| candidate.get_value().to_owned()).collect();
        assert_eq!(offered, ["web-a", "web-b"]);
    }
}
