//! `trueup health`.

use std::path::PathBuf;

use clap::Args;
use trueup_object::{Node, yaml};

use crate::command_error::{CommandError, Outcome, user_error, user_error_with_message};
use crate::input;
use crate::output::style::{self, one_line};
use crate::output::{Output, talk};

pub(crate) const ABOUT: &str = "\
Prints one line per object of a file: KIND/NAME STATUS MESSAGE, by the rules that the controller has for Applications. A kind \
that has no health shows '-'. No cluster is asked: the file holds live objects, as 'kubectl get -o yaml' prints them.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  kubectl get deployments,pods -o yaml | trueup health -f -
  trueup health -f objects.yaml";

/// Bytes of input that are read: what the API server gives for some thousand objects.
const INPUT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// What is shown for a kind that has no health.
const NONE: &str = "-";

/// The arguments of `trueup health`.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// A file with YAML or JSON documents, or - for stdin.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

/// Prints the health of each object.
pub(crate) fn run(args: &HealthArgs) -> Result<Outcome, CommandError> {
    let (name, text) = input::read(&args.file, INPUT_BYTES_MAX)?;
    let documents = yaml::documents(&text)
        .map_err(|error| user_error_with_message(format!("{name} cannot be read as YAML"), error))?;
    let mut lines = Vec::new();
    for document in &documents {
        assess(&document.node, &mut lines)
            .map_err(|problem| user_error(format!("{name}: the document at line {} {problem}", document.line)))
            .map_err(|error| error.hinted("give live objects, as 'kubectl get -o yaml' prints them"))?;
    }
    if lines.is_empty() {
        talk::warning(&format!("there are no objects in {name}"));
    }
    let mut output = Output::stdout();
    for Line { object, status, message } in lines {
        let status = match style::of_word(&status) {
            Some(paint) => output.palette.paint(paint, &status),
            None => status,
        };
        let line = format!("{object} {status} {}", one_line(&message));
        output.line(line.trim_end())?;
    }
    output.finish()?;
    Ok(Outcome::Done)
}

#[derive(Debug, PartialEq, Eq)]
struct Line {
    object: String,
    status: String,
    message: String,
}

/// Adds the lines of one document, or says what is wrong with it.
fn assess(node: &Node, lines: &mut Vec<Line>) -> Result<(), String> {
    let Some(kind) = node.str_at(&["kind"]).filter(|kind| !kind.is_empty()) else {
        return Err("has no kind".to_owned());
    };
    // A list as kubectl prints it, and as the API server does.
    if kind.ends_with("List") && node.get("items").is_some() {
        return node.list_at(&["items"]).iter().try_for_each(|item| assess(item, lines));
    }
    let Some(name) = node.str_at(&["metadata", "name"]).filter(|name| !name.is_empty()) else {
        return Err(format!("is a {} without a name", one_line(kind)));
    };
    let (status, message) = match trueup_health::of(node) {
        Some(health) => (health.code.to_string(), health.message),
        None => (NONE.to_owned(), String::new()),
    };
    lines.push(Line { object: one_line(&format!("{kind}/{name}")), status, message });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(json: &str) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        assess(&Node::from_json(json.as_bytes()).unwrap(), &mut lines)?;
        Ok(lines.into_iter().map(|line| format!("{} {}", line.object, line.status)).collect())
    }

    #[test]
    fn lists_are_taken_apart() {
        let list = r#"{"apiVersion":"v1","kind":"List","items":[
            {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}},
            {"apiVersion":"v1","kind":"ConfigMapList","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}]}]}"#;
        assert_eq!(lines(list), Ok(vec!["ConfigMap/a -".to_owned(), "ConfigMap/b -".to_owned()]));
    }

    #[test]
    fn what_is_no_object_is_named() {
        assert_eq!(lines("[]"), Err("has no kind".to_owned()));
        assert_eq!(lines(r#"{"kind":"Pod"}"#), Err("is a Pod without a name".to_owned()));
    }
}
