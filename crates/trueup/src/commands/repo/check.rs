//! `trueup repo check`.

use clap::Args;
use trueup_api::DEFAULT_PROJECT;
use trueup_git::{Credentials, GitError, RepoUrl, RepositorySecret};

use crate::access::AccessArgs;
use crate::cache::CacheDir;
use crate::command_error::{CommandError, Outcome, user_error, user_error_with_message};
use crate::commands::projects::Projects;
use crate::credentials::{Logins, Reach, listed};
use crate::output::{Output, talk};

pub(crate) const ABOUT: &str = "\
Connects to a repository from here, with the login, certificates and host keys that an Application of the project would use, and \
asks for its branches. Nothing is fetched.

Ends with 0 if it answers, with 2 if it does not; the message says what to do.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  trueup repo check https://git.example.com/team/shop.git
  trueup repo check git@git.example.com:team/shop.git --project team
  trueup repo check shop";

/// The arguments of `trueup repo check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The URL of the repository, or the name of it or of its Secret.
    #[arg(value_name = "URL|NAME")]
    repository: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Connect as an Application of this project would; by default that of the Secret, or 'default'.
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
}

/// What is to be asked, and for whom.
struct Question {
    url: RepoUrl,
    project: String,
}

/// Asks the repository.
pub(crate) async fn run(args: &CheckArgs) -> Result<Outcome, CommandError> {
    let cluster = args.access.connect().await?;
    let credentials = listed(Logins { cluster: &cluster, namespace: &args.access.namespace }).await?;
    if let Some(project) = &args.project {
        Projects::of(cluster.clone(), &args.access.namespace).await?.get(project).await?;
    }
    let question = question(&args.repository, args.project.as_deref(), &credentials)?;
    let login = credentials.login_of(&question.url, &question.project);
    for oddity in login.iter().flat_map(|secret| &secret.oddities) {
        talk::warning(oddity);
    }
    let reach = Reach::by(&credentials, &question.url, &question.project)?;
    let cache = CacheDir::open(None, "cli")?;
    let store = reach.store(&question.url, &cache)?;
    let answer = store.resolve(&["HEAD".to_owned()]).await.map_err(|error| reach.failed(error))?;
    let head = match answer.into_iter().next() {
        Some(Ok(commit)) => format!("HEAD is at {commit}"),
        // It answered, and has nothing yet.
        Some(Err(GitError::RevisionNotFound { .. })) | None => "it has no commit yet".to_owned(),
        Some(Err(error)) => return Err(reach.failed(error)),
    };
    let mut output = Output::stdout();
    output.line(&format!("ok: {} answers to {}; {head}", question.url, who(login)))?;
    output.finish()?;
    Ok(Outcome::Done)
}

fn who(login: Option<&RepositorySecret>) -> String {
    match login {
        Some(secret) => format!("the login of Secret '{}' ({})", secret.secret, secret.login_kind()),
        None => "anybody: no Secret is for it".to_owned(),
    }
}

/// Finds out what is meant: a name of a Secret or of a repository, or a URL.
fn question(text: &str, project: Option<&str>, credentials: &Credentials) -> Result<Question, CommandError> {
    let name = text.strip_prefix("secret/").unwrap_or(text);
    let named: Vec<&RepositorySecret> =
        credentials.secrets().filter(|secret| secret.secret == name || secret.name == name).collect();
    let (url, own_project) = match named.as_slice() {
        [] if !text.contains(['/', ':', '@']) => return Err(no_such(name, credentials)),
        [] => (text, ""),
        [secret] if secret.prefix => {
            let error = user_error(format!("Secret '{}' is for all repositories under {}", secret.secret, secret.url));
            return Err(error.hinted("name the URL of one of them"));
        }
        [secret] if !secret.is_git() => {
            return Err(user_error(format!("'{name}' is a repository of type {}: only git is checked", secret.kind)));
        }
        [secret] => (secret.url.as_str(), secret.project.as_str()),
        [..] => {
            return Err(user_error(format!("'{name}' names several repositories")).hinted("name the Secret or the URL"));
        }
    };
    let url = RepoUrl::parse(url).map_err(|error| user_error_with_message("the repository cannot be used", error))?;
    let own_project = if own_project.is_empty() { DEFAULT_PROJECT } else { own_project };
    Ok(Question { url, project: project.unwrap_or(own_project).to_owned() })
}

fn no_such(name: &str, credentials: &Credentials) -> CommandError {
    let error = user_error(format!("there is no Secret of a repository that is called '{name}'"));
    let names: Vec<&str> =
        credentials.secrets().flat_map(|secret| [secret.secret.as_str(), secret.name.as_str()]).collect();
    let near = trueup_git::near(name, &names);
    if near.is_empty() {
        error.hinted("see what there is: trueup repo list; another namespace is chosen with --namespace")
    } else {
        error.hinted(format!("did you mean {}?", near.join(" or ")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trueup_git::Trust;

    use super::*;

    fn credentials_of(secrets: &[&str]) -> Credentials {
        let read = |json: &&str| Arc::new(RepositorySecret::read(json.as_bytes()).unwrap().unwrap());
        Credentials::new(secrets.iter().map(read), &Trust::default())
    }

    #[test]
    fn a_repository_is_found_by_url_secret_and_name() {
        let all = credentials_of(&[
            r#"{"metadata":{"name":"s1","labels":{"argocd.argoproj.io/secret-type":"repository"}},
                "data":{"url":"aHR0cHM6Ly9oL29yZy9zaG9w","name":"c2hvcA==","project":"dGVhbQ=="}}"#,
            r#"{"metadata":{"name":"org","labels":{"argocd.argoproj.io/secret-type":"repo-creds"}},
                "data":{"url":"aHR0cHM6Ly9oL29yZw=="}}"#,
        ]);
        for name in ["s1", "secret/s1", "shop"] {
            let question = question(name, None, &all).unwrap();
            assert_eq!((question.url.to_string().as_str(), question.project.as_str()), ("https://h/org/shop", "team"));
        }
        let by_url = question("https://h/x", None, &all).unwrap();
        assert_eq!(by_url.project, "default");
        assert_eq!(question("shop", Some("other"), &all).unwrap().project, "other");
        let message = |text: &str| question(text, None, &all).err().unwrap().lines().join(" ");
        assert!(message("shpo").contains("called 'shpo'"));
        assert!(message("org").contains("all repositories under"));
        assert!(message("ftp://h/a").contains("cannot be used"));
    }
}
