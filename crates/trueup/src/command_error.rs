//! The one error of the command line: what went wrong, whose turn it is, and what to do next.
//!
//! Libraries say precisely what failed; only here it is decided how the program ends and which hints go with it.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// The end of a command that did what it was asked, in its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Exit code 0.
    Done,
    /// Exit code 1 without a message: the output says it.
    Differs,
}

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandErrorKind {
    /// The command worked, but what it waited for did not come. Exit code 1.
    Unmet,
    /// The arguments, the files or the objects named by them are not usable. Exit code 2.
    User,
    /// The cluster or its access is not as needed. Exit code 2.
    Cluster,
    /// This program or its machine. Exit code 2.
    Internal,
}

/// Why a command ended without success.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) kind: CommandErrorKind,
    pub(crate) error: Box<dyn Error + Send + Sync>,
    /// What to do next, each a sentence of its own.
    pub(crate) hints: Vec<String>,
}

/// A message before the error that caused it.
#[derive(Debug)]
struct WithMessage {
    message: String,
    source: Box<dyn Error + Send + Sync>,
}

/// The exit codes, for `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done; 'app diff', 'preview': nothing differs; 'drift', 'app drift': no drift; 'cluster check': nothing is missing; 'repo
     check': it answers; what waits ('app sync', 'app rollback', 'app wait', 'app delete --wait'): what was asked for has come
  1  'app diff', 'preview': something differs; 'drift', 'app drift': drift; 'cluster check': something is missing; a sync failed, what was
     waited for did not come, or the question of 'app delete' was not answered with yes
  2  wrong arguments, unusable input, or a cluster or repository that cannot be used as asked";

/// Arguments, files or objects that are not usable.
pub(crate) fn user_error(error: impl Into<Box<dyn Error + Send + Sync>>) -> CommandError {
    CommandError::new(CommandErrorKind::User, error)
}

/// The same, with a sentence before the error.
pub(crate) fn user_error_with_message(
    message: impl Into<String>,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> CommandError {
    user_error(WithMessage { message: message.into(), source: source.into() })
}

/// What was waited for did not come.
pub(crate) fn unmet(error: impl Into<Box<dyn Error + Send + Sync>>) -> CommandError {
    CommandError::new(CommandErrorKind::Unmet, error)
}

/// The cluster or its access is not as needed.
pub(crate) fn cluster_error(error: impl Into<Box<dyn Error + Send + Sync>>) -> CommandError {
    CommandError::new(CommandErrorKind::Cluster, error)
}

/// The same, with a sentence before the error.
pub(crate) fn cluster_error_with_message(
    message: impl Into<String>,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> CommandError {
    cluster_error(WithMessage { message: message.into(), source: source.into() })
}

/// This program or its machine.
pub(crate) fn internal_error(error: impl Into<Box<dyn Error + Send + Sync>>) -> CommandError {
    CommandError::new(CommandErrorKind::Internal, error)
}

/// The same, with a sentence before the error.
pub(crate) fn internal_error_with_message(
    message: impl Into<String>,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> CommandError {
    internal_error(WithMessage { message: message.into(), source: source.into() })
}

// === impl Outcome ===

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Differs => Self::from(1),
        }
    }
}

// === impl CommandError ===

impl CommandError {
    fn new(kind: CommandErrorKind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, error: error.into(), hints: Vec::new() }
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// How the program ends.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self.kind {
            CommandErrorKind::Unmet => ExitCode::from(1),
            CommandErrorKind::User | CommandErrorKind::Cluster | CommandErrorKind::Internal => ExitCode::from(2),
        }
    }

    /// The message and its causes, one a line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.error.to_string()];
        let mut source = self.error.source();
        while let Some(error) = source {
            let text = error.to_string();
            // Some libraries print their cause in their own message already.
            if !lines.iter().any(|line| line.contains(&text)) {
                lines.push(text);
            }
            source = error.source();
        }
        lines
    }
}

// === impl WithMessage ===

impl fmt::Display for WithMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for WithMessage {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once_each() {
        let io = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let error = user_error_with_message("cannot read 'a'", io).hinted("give another");
        assert_eq!(error.lines(), ["cannot read 'a'", "no such file"]);
        assert_eq!(error.hints, ["give another"]);
        let repeated = WithMessage { message: "cannot read: no such file".to_owned(), source: "no such file".into() };
        assert_eq!(user_error(repeated).lines(), ["cannot read: no such file"]);
    }

    #[test]
    fn only_what_did_not_come_ends_with_one() {
        let code = |error: CommandError| format!("{:?}", error.exit_code());
        assert_eq!(code(unmet("x")), format!("{:?}", ExitCode::from(1)));
        for error in [user_error("x"), cluster_error("x"), internal_error("x")] {
            assert_eq!(code(error), format!("{:?}", ExitCode::from(2)));
        }
    }
}
