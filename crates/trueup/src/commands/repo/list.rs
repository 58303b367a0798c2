//! `trueup repo list`.

use clap::Args;
use serde::Serialize;
use trueup_git::{Credentials, RepoUrl, RepositorySecret};

use crate::access::AccessArgs;
use crate::command_error::{CommandError, Outcome};
use crate::credentials::{Logins, listed};
use crate::output::style::Paint;
use crate::output::table::{Cell, Table};
use crate::output::{DataFormat, ListFormat, Output, talk};

pub(crate) const ABOUT: &str = "\
Lists the repositories that there are Secrets for in the controller's namespace (labelled argocd.argoproj.io/secret-type: \
repository or repo-creds). A URL that ends with * is a prefix: its login is for all repositories under it that have none of their \
own. What keeps a login from being used is told without asking a server: a private key that cannot be read, for one. Values of Secrets are never printed.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup repo list
  trueup repo list -o wide
  trueup repo list -o json | jq -r '.[] | select(.problem) | .secret'";

const COLUMNS: [&str; 5] = ["TYPE", "NAME", "URL", "PROJECT", "LOGIN"];
const WIDE_COLUMNS: [&str; 2] = ["SECRET", "PROBLEM"];
const NONE: &str = "<none>";
/// What stands before a name, as kubectl prints it.
const NAME_PREFIX: &str = "secret/";

/// The arguments of `trueup repo list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    access: AccessArgs,
    /// How to print the list.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "table")]
    output: ListFormat,
}

/// What is printed of a Secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    secret: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    url: String,
    /// Whether the URL is a prefix.
    prefix: bool,
    project: String,
    /// The kind of login.
    login: String,
    /// The Secret that the login is from.
    login_from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What is odd about it, but does not keep it from being used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Prints the repositories.
pub(crate) async fn run(args: &ListArgs) -> Result<Outcome, CommandError> {
    let cluster = args.access.connect().await?;
    let credentials = listed(Logins { cluster: &cluster, namespace: &args.access.namespace }).await?;
    let rows: Vec<Row> = credentials.secrets().map(|secret| Row::new(secret, &credentials)).collect();
    let mut output = Output::stdout();
    match args.output {
        ListFormat::Table | ListFormat::Wide if rows.is_empty() => {
            talk::note(&format!("there are no Secrets of repositories in namespace '{}'", args.access.namespace));
        }
        ListFormat::Table | ListFormat::Wide => {
            let table = table(&rows, args.output == ListFormat::Wide).print(output.palette);
            output.text(&table)?;
        }
        ListFormat::Json => output.data(&rows, DataFormat::Json)?,
        ListFormat::Yaml => output.data(&rows, DataFormat::Yaml)?,
        ListFormat::Name => {
            for row in &rows {
                output.line(&format!("{NAME_PREFIX}{}", row.secret))?;
            }
        }
    }
    output.finish()?;
    Ok(Outcome::Done)
}

// === impl Row ===

impl Row {
    fn new(secret: &RepositorySecret, credentials: &Credentials) -> Self {
        let used = match RepoUrl::parse(&secret.url) {
            Ok(url) if !secret.prefix && secret.is_git() => credentials.login_of(&url, &secret.project),
            _ => None,
        };
        let used = used.unwrap_or(secret);
        Self {
            secret: secret.secret.clone(),
            kind: secret.kind.clone(),
            name: secret.name.clone(),
            url: secret.url.clone(),
            prefix: secret.prefix,
            project: secret.project.clone(),
            login: used.login_kind().to_owned(),
            login_from: used.secret.clone(),
            problem: used.fault().or_else(|| secret.fault()),
            warnings: used.oddities.clone(),
        }
    }
}

fn table(rows: &[Row], wide: bool) -> Table {
    let mut heading = COLUMNS.to_vec();
    if wide {
        heading.extend(WIDE_COLUMNS);
    }
    let or_none = |text: &str| if text.is_empty() { NONE.to_owned() } else { text.to_owned() };
    let mut table = Table::new(&heading);
    for row in rows {
        let url = if row.prefix { format!("{}*", row.url) } else { row.url.clone() };
        let login = if row.login_from == row.secret {
            row.login.clone()
        } else {
            format!("{} of {}", row.login, row.login_from)
        };
        let login = if row.problem.is_some() { Cell::painted(&login, Paint::Bad) } else { login.into() };
        let mut cells: Vec<Cell> =
            vec![row.kind.as_str().into(), or_none(&row.name).into(), url.into(), or_none(&row.project).into(), login];
        if wide {
            cells.push(row.secret.as_str().into());
            cells.push(match &row.problem {
                Some(problem) => Cell::painted(problem, Paint::Bad),
                None if row.warnings.is_empty() => NONE.into(),
                None => Cell::painted(&row.warnings.join("; "), Paint::Warning),
            });
        }
        table.row(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trueup_git::Trust;

    use super::*;
    use crate::output::style::Palette;

    #[test]
    fn a_login_is_named_and_not_shown() {
        // "hunter2" everywhere where a value can be.
        let secrets = [
            r#"{"metadata":{"name":"org","labels":{"argocd.argoproj.io/secret-type":"repo-creds"}},
                "data":{"url":"aHR0cHM6Ly9oL29yZw==","password":"aHVudGVyMgo="}}"#,
            r#"{"metadata":{"name":"shop","labels":{"argocd.argoproj.io/secret-type":"repository"}},
                "data":{"url":"aHR0cHM6Ly9ib3Q6aHVudGVyMkBoL29yZy9zaG9w","name":"c2hvcA==","project":"dGVhbQ=="}}"#,
            r#"{"metadata":{"name":"gcp","labels":{"argocd.argoproj.io/secret-type":"repository"}},
                "data":{"url":"aHR0cHM6Ly9oL2djcA==","gcpServiceAccountKey":"aHVudGVyMg=="}}"#,
            r#"{"metadata":{"name":"ssh","labels":{"argocd.argoproj.io/secret-type":"repository"}},
                "data":{"url":"Z2l0QGg6YQ==","sshPrivateKey":"aHVudGVyMg=="}}"#,
        ];
        let secrets = secrets.map(|json| Arc::new(RepositorySecret::read(json.as_bytes()).unwrap().unwrap()));
        let credentials = Credentials::new(secrets, &Trust::default());
        let rows: Vec<Row> = credentials.secrets().map(|secret| Row::new(secret, &credentials)).collect();
        let text = table(&rows, true).print(Palette::PLAIN);
        let line = |of: &str| text.lines().find(|line| line.contains(of)).unwrap().to_owned();
        assert!(line("https://h/org*").contains("basic"), "{text}");
        assert!(line("https://h/org/shop").contains("basic of org"), "{text}");
        assert!(line("https://h/gcp").contains("not supported"), "{text}");
        assert!(line("git@h:a").contains("the private key cannot be read"), "{text}");
        assert!(line("https://h/org/shop").contains("ends with a line break"), "{text}");
        let json = serde_json::to_string(&rows).unwrap();
        assert!(!text.contains("hunter2") && !json.contains("hunter2"), "{text}{json}");
        assert!(json.contains(r#""loginFrom":"org""#), "{json}");
    }
}
