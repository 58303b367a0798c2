//! The flags that say how a sync is done, in the words of `argocd app sync`. Entry points: [`HowArgs::apply`] and
//! [`HowArgs::retry`].

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use trueup_api::operation::{SyncStrategy, SyncStrategyApply};
use trueup_api::{NameValue, SyncOperation};

use crate::command_error::{CommandError, user_error};
use crate::duration;

/// How a sync is done.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "How it is done")]
pub(crate) struct HowArgs {
    /// Whether hooks run; 'hook' if not given.
    #[arg(long, value_enum, value_name = "STRATEGY")]
    strategy: Option<Strategy>,
    /// Delete and make anew what cannot be changed.
    #[arg(long)]
    force: bool,
    /// Replace objects as a whole instead of applying them.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    replace: Option<bool>,
    /// Apply on the server; =false merges here, as kubectl does without --server-side.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    server_side: Option<bool>,
    /// Apply only what differs.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    apply_out_of_sync_only: Option<bool>,
    /// How often it is tried again if it fails; less than 0 is without end.
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    retry_limit: Option<i64>,
    /// The first wait before it is tried again.
    #[arg(long, value_name = "DURATION", value_parser = duration_text)]
    retry_backoff_duration: Option<String>,
    /// How many times longer each wait is than the one before.
    #[arg(long, value_name = "FACTOR", value_parser = clap::value_parser!(i64).range(1..))]
    retry_backoff_factor: Option<i64>,
    /// The longest wait.
    #[arg(long, value_name = "DURATION", value_parser = duration_text)]
    retry_backoff_max_duration: Option<String>,
    /// Each attempt takes the newest commit.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    retry_refresh: Option<bool>,
    /// A fact to keep with the operation, for whoever reads it. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = info)]
    info: Vec<NameValue>,
}

/// Whether hooks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Strategy {
    /// Without hooks: objects are only applied.
    Apply,
    /// With hooks.
    Hook,
}

// === impl HowArgs ===

impl HowArgs {
    /// What the operation says of it. The options are only those that are given here.
    pub(crate) fn apply(&self, sync: &mut SyncOperation) {
        let detail = Some(SyncStrategyApply { force: self.force });
        sync.sync_strategy = match self.strategy {
            Some(Strategy::Apply) => Some(SyncStrategy { apply: detail, hook: None }),
            Some(Strategy::Hook) => Some(SyncStrategy { apply: None, hook: detail }),
            None if self.force => Some(SyncStrategy { apply: None, hook: detail }),
            None => None,
        };
        let options = [
            ("Replace", self.replace),
            ("ServerSideApply", self.server_side),
            ("ApplyOutOfSyncOnly", self.apply_out_of_sync_only),
        ];
        let given = options.into_iter().filter_map(|(name, on)| Some(format!("{name}={}", on?)));
        sync.sync_options = given.collect();
    }

    /// The facts to keep.
    pub(crate) fn info(&self) -> &[NameValue] {
        &self.info
    }

    /// The retries: the Application's own, where nothing else is named.
    pub(crate) fn retry(&self, own: Option<Value>) -> Result<Option<Value>, CommandError> {
        let named = [
            ("/limit", self.retry_limit.map(Value::from)),
            ("/refresh", self.retry_refresh.map(Value::from)),
            ("/backoff/duration", self.retry_backoff_duration.as_deref().map(Value::from)),
            ("/backoff/factor", self.retry_backoff_factor.map(Value::from)),
            ("/backoff/maxDuration", self.retry_backoff_max_duration.as_deref().map(Value::from)),
        ];
        if named.iter().all(|(_, value)| value.is_none()) {
            return Ok(own);
        }
        let mut retry = own.filter(Value::is_object).unwrap_or_else(|| json!({}));
        if !retry["backoff"].is_object()
            && named.iter().any(|(at, value)| at.starts_with("/backoff") && value.is_some())
        {
            retry["backoff"] = json!({});
        }
        for (at, value) in named {
            let Some(value) = value else { continue };
            match at.rsplit_once('/') {
                Some(("/backoff", field)) => retry["backoff"][field] = value,
                Some((_, field)) => retry[field] = value,
                None => {}
            }
        }
        if self.retry_limit.is_none() && retry["limit"].as_i64().unwrap_or_default() == 0 {
            return Err(user_error("how a sync is retried says nothing where it is never retried")
                .hinted("say how often: --retry-limit COUNT"));
        }
        Ok(Some(retry))
    }
}

/// The application's options with those that are given here: one of a name counts.
pub(crate) fn merged(own: &[String], given: &[String]) -> Vec<String> {
    let name = |option: &str| option.split('=').next().unwrap_or_default().trim().to_owned();
    let kept = own.iter().filter(|own| given.iter().all(|given| name(given) != name(own)));
    kept.chain(given).cloned().collect()
}

/// A duration, as it was written.
fn duration_text(text: &str) -> Result<String, duration::DurationError> {
    duration::parse(text).map(|_| text.trim().to_owned())
}

fn info(text: &str) -> Result<NameValue, String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write NAME=VALUE")?;
    Ok(NameValue { name: name.to_owned(), value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        how: HowArgs,
    }

    fn read(line: &str) -> Result<HowArgs, clap::Error> {
        Line::try_parse_from(std::iter::once("sync").chain(line.split_whitespace())).map(|line| line.how)
    }

    fn applied(line: &str) -> Value {
        let mut sync = SyncOperation::default();
        read(line).unwrap().apply(&mut sync);
        serde_json::to_value(sync).unwrap()
    }

    #[test]
    fn flags_become_the_fields_of_the_operation() {
        assert_eq!(applied(""), json!({}));
        assert_eq!(applied("--strategy apply"), json!({"syncStrategy": {"apply": {}}}));
        assert_eq!(applied("--strategy apply --force"), json!({"syncStrategy": {"apply": {"force": true}}}));
        assert_eq!(applied("--strategy hook"), json!({"syncStrategy": {"hook": {}}}));
        assert_eq!(applied("--force"), json!({"syncStrategy": {"hook": {"force": true}}}));
        let all = applied("--replace --server-side=false --apply-out-of-sync-only");
        assert_eq!(all, json!({"syncOptions": ["Replace=true", "ServerSideApply=false", "ApplyOutOfSyncOnly=true"]}));
        let info = read("--info reason=a=b --info ticket=").unwrap().info;
        let pairs: Vec<(&str, &str)> = info.iter().map(|it| (it.name.as_str(), it.value.as_str())).collect();
        assert_eq!(pairs, [("reason", "a=b"), ("ticket", "")]);
        let wrong = ["--info a", "--info =b", "--strategy both", "--server-side=maybe", "--retry-backoff-factor 0"];
        for wrong in wrong.into_iter().chain(["--retry-backoff-duration soon", "--retry-limit many"]) {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn options_that_are_given_add_to_those_of_the_application() {
        let texts = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let own = texts(&["CreateNamespace=true", "Replace=true"]);
        assert_eq!(merged(&own, &[]), own);
        let both = merged(&own, &texts(&["Replace=false", "ServerSideApply=true"]));
        assert_eq!(both, ["CreateNamespace=true", "Replace=false", "ServerSideApply=true"]);
    }

    #[test]
    fn retries_are_the_applications_own_but_for_what_is_named() {
        let retry = |line: &str, own: Value| {
            read(line).unwrap().retry((!own.is_null()).then_some(own)).map_err(|error| error.error.to_string())
        };
        let own = json!({"limit": 3, "backoff": {"duration": "5s", "factor": 2}});
        assert_eq!(retry("", Value::Null), Ok(None));
        assert_eq!(retry("", own.clone()), Ok(Some(own.clone())));
        let changed = retry("--retry-backoff-duration 1s --retry-refresh", own.clone()).unwrap();
        assert_eq!(changed, Some(json!({"limit": 3, "backoff": {"duration": "1s", "factor": 2}, "refresh": true})));
        let all = "--retry-limit -1 --retry-backoff-duration 1s --retry-backoff-factor 3 --retry-backoff-max-duration 1m --retry-refresh=false";
        let expected =
            json!({"limit": -1, "backoff": {"duration": "1s", "factor": 3, "maxDuration": "1m"}, "refresh": false});
        assert_eq!(retry(all, Value::Null), Ok(Some(expected)));
        assert_eq!(
            retry("--retry-limit 0", own),
            Ok(Some(json!({"limit": 0, "backoff": {"duration": "5s", "factor": 2}})))
        );
        assert!(retry("--retry-refresh", Value::Null).unwrap_err().contains("never retried"));
    }
}
