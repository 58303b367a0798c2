//! A specification from flags, in Argo CD's words. Entry point: [`SpecArgs::apply`], which changes only what is named.

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use serde_json::{Map, Value, json};

use crate::command_error::{CommandError, user_error};
use crate::commands::app::source_args::SourceArgs;
use crate::{complete, names};

/// The flags that describe an Application.
#[derive(Debug, Default, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Specification")]
pub(crate) struct SpecArgs {
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
    // Last, because what follows would stand under its headings.
    #[command(flatten)]
    source: SourceArgs,
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

    /// Changes a specification where something is named; of several sources the one at this position, of which the first is 1.
    pub(crate) fn apply(&self, spec: &mut Value, position: Option<u16>) -> Result<(), CommandError> {
        self.apply_source(spec, position)?;
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

    fn apply_source(&self, spec: &mut Value, position: Option<u16>) -> Result<(), CommandError> {
        if self.source.is_empty() {
            return match position {
                Some(_) => Err(user_error("--source-position says of which source, and nothing of it is named")
                    .hinted("name what changes, as --revision REVISION")),
                None => Ok(()),
            };
        }
        let several = spec["sources"].as_array().map_or(0, Vec::len);
        let source = match (several, position) {
            (0, None | Some(1)) => field(spec, "source"),
            (0, Some(at)) => return Err(user_error(format!("there is no source {at}: the Application has one"))),
            (_, None) => {
                return Err(user_error(format!(
                    "the Application has several sources, {several}: it is not said which is meant"
                ))
                .hinted("say which: trueup app set NAME --source-position NUMBER, the first is 1"));
            }
            (_, Some(at)) => {
                let source = usize::from(at).checked_sub(1).and_then(|index| spec["sources"].get_mut(index));
                source.ok_or_else(|| user_error(format!("there is no source {at}: the Application has {several}")))?
            }
        };
        self.source.apply(source);
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

/// Sets a value that is named.
pub(super) fn set_some<T: serde::Serialize>(spec: &mut Value, path: &[&str], value: Option<T>) {
    if let Some(value) = value {
        set(spec, path, json!(value));
    }
}

/// Sets a value; what is missing on the way is made.
pub(super) fn set(spec: &mut Value, path: &[&str], value: Value) {
    *path.iter().fold(spec, |at, step| field(at, step)) = value;
}

/// A field of what is a map from now on.
fn field<'a>(at: &'a mut Value, name: &str) -> &'a mut Value {
    if !at.is_object() {
        *at = json!({});
    }
    &mut at[name]
}

/// Takes a field out of the map at a path.
pub(super) fn take(spec: &mut Value, path: &[&str], field: &str) {
    let map = path.iter().try_fold(spec, |at, step| at.get_mut(*step)).and_then(Value::as_object_mut);
    if let Some(map) = map {
        map.remove(field);
    }
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
        args(line).apply(&mut spec, None).unwrap();
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
    fn one_of_several_sources_changes() {
        let change = |spec: Value, line: &str, position: u16| {
            let mut spec = spec;
            args(line).apply(&mut spec, Some(position)).map_err(|error| error.error.to_string())?;
            Ok::<_, String>(spec)
        };
        let two = json!({"sources": [{"path": "a"}, {"chart": "b", "targetRevision": "1"}]});
        let changed = change(two.clone(), "--revision 2", 2);
        assert_eq!(changed, Ok(json!({"sources": [{"path": "a"}, {"chart": "b", "targetRevision": "2"}]})));
        assert_eq!(change(json!({}), "--path p", 1), Ok(json!({"source": {"path": "p"}})));
        let refused = |spec: &Value, line: &str, position: u16| change(spec.clone(), line, position).unwrap_err();
        assert!(refused(&two, "--revision 2", 3).contains("no source 3: the Application has 2"));
        assert!(refused(&json!({}), "--revision 2", 2).contains("no source 2: the Application has one"));
        assert!(refused(&two, "--project x", 1).contains("nothing of it is named"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |spec: Value, line: &str| {
            let mut spec = spec;
            args(line).apply(&mut spec, None).unwrap_err().error.to_string()
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
