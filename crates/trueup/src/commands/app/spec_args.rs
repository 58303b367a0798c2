//! A specification from flags, in Argo CD's words. Entry point: [`SpecArgs::apply`], which changes only what is named.

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use serde_json::{Map, Value, json};

use crate::command_error::{CommandError, user_error};
use crate::{complete, names};

/// The flags that describe an Application.
#[derive(Debug, Default, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Specification")]
pub(crate) struct SpecArgs {
    /// The repository.
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// The directory in the repository; '.' is its root.
    #[arg(long, value_name = "DIR")]
    path: Option<String>,
    /// The branch, tag or commit to follow; HEAD if it was never set.
    #[arg(long, value_name = "REVISION", value_parser = revision)]
    revision: Option<String>,
    /// The cluster to deploy to, by its address.
    #[arg(long, value_name = "URL", conflicts_with = "dest_name")]
    dest_server: Option<String>,
    /// The cluster to deploy to, by its name.
    #[arg(long, value_name = "NAME")]
    dest_name: Option<String>,
    /// The namespace of objects that name none.
    #[arg(long, value_name = "NAMESPACE", value_parser = names::namespace, add = ArgValueCompleter::new(complete::namespaces))]
    dest_namespace: Option<String>,
    /// The project.
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Whether it syncs by itself.
    #[arg(long, value_enum, value_name = "POLICY")]
    sync_policy: Option<SyncPolicy>,
    /// An automated sync deletes what is no longer in Git.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    auto_prune: Option<bool>,
    /// Changes made by hand are undone.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    self_heal: Option<bool>,
    /// An automated sync may delete everything.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_empty: Option<bool>,
    /// A sync option, as CreateNamespace=true; with '!' before it, it is taken out. May be repeated.
    #[arg(long, value_name = "OPTION", value_parser = sync_option)]
    sync_option: Vec<String>,
    /// Read the directories below the path as well.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    directory_recurse: Option<bool>,
    /// Read only files that match this glob.
    #[arg(long, value_name = "GLOB")]
    directory_include: Option<String>,
    /// Leave out files that match this glob.
    #[arg(long, value_name = "GLOB")]
    directory_exclude: Option<String>,
    /// How often a failed sync is tried again; less than 0 is without end.
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    sync_retry_limit: Option<i64>,
    /// The first wait before it is tried again.
    #[arg(long, value_name = "DURATION")]
    sync_retry_backoff_duration: Option<String>,
    /// How many times longer each wait is than the one before.
    #[arg(long, value_name = "FACTOR")]
    sync_retry_backoff_factor: Option<i64>,
    /// The longest wait.
    #[arg(long, value_name = "DURATION")]
    sync_retry_backoff_max_duration: Option<String>,
    /// How many syncs the history keeps.
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(0..))]
    revision_history_limit: Option<i64>,
    /// A label of the Application itself. May be repeated.
    #[arg(short = 'l', long = "label", value_name = "KEY=VALUE", value_parser = names::label)]
    labels: Vec<(String, String)>,
    /// An annotation of the Application itself. May be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = names::annotation)]
    annotations: Vec<(String, String)>,
}

/// Whether an Application syncs by itself, with every word that Argo CD takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SyncPolicy {
    /// By itself.
    #[value(aliases = ["auto", "automatic"])]
    Automated,
    /// Only when it is asked to.
    #[value(alias = "manual")]
    None,
}

// === impl SpecArgs ===

impl SpecArgs {
    /// Whether nothing is named.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The labels of the Application itself.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The annotations of the Application itself.
    pub(crate) fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Changes a specification where something is named.
    pub(crate) fn apply(&self, spec: &mut Value) -> Result<(), CommandError> {
        self.apply_source(spec)?;
        if let Some(server) = &self.dest_server {
            set(spec, &["destination", "server"], json!(server));
            take(spec, &["destination"], "name");
        }
        if let Some(name) = &self.dest_name {
            set(spec, &["destination", "name"], json!(name));
            take(spec, &["destination"], "server");
        }
        set_some(spec, &["destination", "namespace"], self.dest_namespace.as_ref());
        set_some(spec, &["project"], self.project.as_ref());
        set_some(spec, &["revisionHistoryLimit"], self.revision_history_limit);
        self.apply_policy(spec)
    }

    fn apply_source(&self, spec: &mut Value) -> Result<(), CommandError> {
        let texts = [
            (self.repo.as_ref(), &["source", "repoURL"][..]),
            (self.path.as_ref(), &["source", "path"]),
            (self.revision.as_ref(), &["source", "targetRevision"]),
            (self.directory_include.as_ref(), &["source", "directory", "include"]),
            (self.directory_exclude.as_ref(), &["source", "directory", "exclude"]),
        ];
        let any = self.directory_recurse.is_some() || texts.iter().any(|(value, _)| value.is_some());
        if any && spec["sources"].as_array().is_some_and(|sources| !sources.is_empty()) {
            return Err(user_error("the Application has several sources: these cannot be set by flags")
                .hinted("change spec.sources: kubectl edit application"));
        }
        for (value, path) in texts {
            set_some(spec, path, value);
        }
        set_some(spec, &["source", "directory", "recurse"], self.directory_recurse);
        Ok(())
    }

    fn apply_policy(&self, spec: &mut Value) -> Result<(), CommandError> {
        match self.sync_policy {
            Some(SyncPolicy::Automated) => {
                if !spec["syncPolicy"]["automated"].is_object() {
                    set(spec, &["syncPolicy", "automated"], json!({}));
                }
                take(spec, &["syncPolicy", "automated"], "enabled");
            }
            Some(SyncPolicy::None) => take(spec, &["syncPolicy"], "automated"),
            None => {}
        }
        let switches = [
            ("--auto-prune", self.auto_prune, "prune"),
            ("--self-heal", self.self_heal, "selfHeal"),
            ("--allow-empty", self.allow_empty, "allowEmpty"),
        ];
        for (flag, on, field) in switches {
            let Some(on) = on else { continue };
            if !spec["syncPolicy"]["automated"].is_object() {
                return Err(user_error(format!("{flag} is of automated syncs, and the Application has none"))
                    .hinted("turn them on as well: --sync-policy automated"));
            }
            set(spec, &["syncPolicy", "automated", field], json!(on));
        }
        for option in &self.sync_option {
            self::option(spec, option);
        }
        set_some(spec, &["syncPolicy", "retry", "limit"], self.sync_retry_limit);
        let backoff = |field| ["syncPolicy", "retry", "backoff", field];
        set_some(spec, &backoff("duration"), self.sync_retry_backoff_duration.as_ref());
        set_some(spec, &backoff("factor"), self.sync_retry_backoff_factor);
        set_some(spec, &backoff("maxDuration"), self.sync_retry_backoff_max_duration.as_ref());
        // What is left empty says nothing.
        if spec["syncPolicy"].as_object().is_some_and(Map::is_empty) {
            take(spec, &[], "syncPolicy");
        }
        Ok(())
    }
}

/// Sets a sync option, which has one value, or takes it out.
fn option(spec: &mut Value, option: &str) {
    let (option, on) = option.strip_prefix('!').map_or((option, true), |option| (option, false));
    let name = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
    let mut options: Vec<Value> = spec["syncPolicy"]["syncOptions"].as_array().cloned().unwrap_or_default();
    options.retain(|known| known.as_str().is_none_or(|known| name(known) != name(option)));
    if on {
        options.push(json!(option));
    }
    if options.is_empty() {
        take(spec, &["syncPolicy"], "syncOptions");
    } else {
        set(spec, &["syncPolicy", "syncOptions"], json!(options));
    }
}

fn set_some<T: serde::Serialize>(spec: &mut Value, path: &[&str], value: Option<T>) {
    if let Some(value) = value {
        set(spec, path, json!(value));
    }
}

/// Sets a value; what is missing on the way is made.
fn set(spec: &mut Value, path: &[&str], value: Value) {
    let mut at = spec;
    for step in path {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[*step];
    }
    *at = value;
}

/// Takes a field out of the map at a path.
fn take(spec: &mut Value, path: &[&str], field: &str) {
    let map = path.iter().try_fold(spec, |at, step| at.get_mut(*step)).and_then(Value::as_object_mut);
    if let Some(map) = map {
        map.remove(field);
    }
}

/// A branch, tag, commit or range: none has a control character, and Git cannot be asked for one that does.
fn revision(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("a revision has no line breaks and no other control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// A sync option, or with `!` one that is to go.
fn sync_option(text: &str) -> Result<String, String> {
    if text.strip_prefix('!').unwrap_or(text).trim().is_empty() {
        return Err("name an option, as CreateNamespace=true".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SpecArgs,
    }

    fn args(line: &str) -> SpecArgs {
        Line::try_parse_from(std::iter::once("set").chain(line.split_whitespace())).unwrap().args
    }

    fn applied(spec: Value, line: &str) -> Value {
        let mut spec = spec;
        args(line).apply(&mut spec).unwrap();
        spec
    }

    #[test]
    fn flags_become_the_fields_of_argo_cd() {
        let line = "--repo http://git/a --path dev --revision main --dest-server https://c --dest-namespace shop \
            --project team --sync-policy auto --auto-prune --self-heal=false --allow-empty --sync-option CreateNamespace=true \
            --directory-recurse --directory-include *.yaml --directory-exclude x --sync-retry-limit -1 \
            --sync-retry-backoff-duration 5s --sync-retry-backoff-factor 2 --sync-retry-backoff-max-duration 3m \
            --revision-history-limit 5";
        let expected = json!({
            "project": "team", "revisionHistoryLimit": 5,
            "destination": {"server": "https://c", "namespace": "shop"},
            "source": {"repoURL": "http://git/a", "path": "dev", "targetRevision": "main",
                "directory": {"recurse": true, "include": "*.yaml", "exclude": "x"}},
            "syncPolicy": {
                "automated": {"prune": true, "selfHeal": false, "allowEmpty": true},
                "syncOptions": ["CreateNamespace=true"],
                "retry": {"limit": -1, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}},
            },
        });
        assert_eq!(applied(json!({}), line), expected);
        assert_eq!(applied(expected.clone(), ""), expected, "what is not named stays");
    }

    #[test]
    fn only_what_is_named_changes() {
        let spec =
            json!({"destination": {"server": "https://c", "namespace": "a"}, "ignoreDifferences": [{"kind": "X"}]});
        let named = applied(spec, "--dest-name in-cluster");
        assert_eq!(
            named,
            json!({"destination": {"name": "in-cluster", "namespace": "a"}, "ignoreDifferences": [{"kind": "X"}]})
        );
        let automated = json!({"syncPolicy": {"automated": {"prune": true, "enabled": false}}});
        assert_eq!(
            applied(automated.clone(), "--sync-policy automated"),
            json!({"syncPolicy": {"automated": {"prune": true}}})
        );
        assert_eq!(applied(automated, "--sync-policy none"), json!({}));
    }

    #[test]
    fn a_sync_option_has_one_value() {
        let spec = json!({"syncPolicy": {"syncOptions": ["Validate=false", "CreateNamespace=true"]}});
        let changed = applied(spec.clone(), "--sync-option Validate=true");
        assert_eq!(changed["syncPolicy"]["syncOptions"], json!(["CreateNamespace=true", "Validate=true"]));
        let fewer = applied(spec, "--sync-option !Validate=false --sync-option !CreateNamespace");
        assert_eq!(fewer, json!({}));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |spec: Value, line: &str| {
            let mut spec = spec;
            args(line).apply(&mut spec).unwrap_err().error.to_string()
        };
        assert!(refused(json!({}), "--auto-prune").contains("--auto-prune is of automated syncs"));
        assert!(refused(json!({"sources": [{}]}), "--path a").contains("several sources"));
        for wrong in ["--label a", "--annotations =b", "--sync-policy sometimes", "--dest-server a --dest-name b"] {
            assert!(Line::try_parse_from(std::iter::once("set").chain(wrong.split(' '))).is_err(), "{wrong}");
        }
        let lines: [&[&str]; 8] = [
            &["--revision", "ma\nin"],
            &["--sync-option", ""],
            &["--sync-option", "!"],
            &["--dest-namespace", "\u{dc}nsafe/.."],
            &["--label", "x/\u{e9}=1"],
            &["--annotations", "x/\u{e9}=1"],
            &["--revision-history-limit", "-5"],
            &["--revision-history-limit=-5"],
        ];
        for wrong in lines {
            let refused = Line::try_parse_from(std::iter::once(&"set").chain(wrong)).err().unwrap();
            assert_eq!(refused.kind(), clap::error::ErrorKind::ValueValidation, "{wrong:?}");
        }
        assert!(args("").is_empty() && !args("-l a=b").is_empty());
    }
}
