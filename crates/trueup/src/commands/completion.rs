//! `trueup completion`.

use clap::{Args, ValueEnum};

use crate::command_error::{CommandError, Outcome, internal_error};
use crate::complete;
use crate::output::Output;

pub(crate) const ABOUT: &str = "\
Prints the script by which a shell completes commands, options, and the names of Applications, namespaces and contexts. Names are \
asked from the cluster that the line names, for two seconds at most; where it does not answer, none are offered.";

pub(crate) const EXAMPLES: &str = "\
Examples:
  source <(trueup completion bash)                                      # in ~/.bashrc
  source <(trueup completion zsh)                                       # in ~/.zshrc, after compinit
  trueup completion fish > ~/.config/fish/completions/trueup.fish
  trueup completion powershell | Out-String | Invoke-Expression         # in $PROFILE
  eval (trueup completion elvish | slurp)                               # in ~/.config/elvish/rc.elv";

/// The arguments of `trueup completion`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Elvish,
}

/// Prints the script.
pub(crate) fn run(args: &CompletionArgs) -> Result<Outcome, CommandError> {
    let name = args.shell.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let shell = complete::shell(&name).ok_or_else(|| internal_error(format!("no script for the shell '{name}'")))?;
    let mut output = Output::stdout();
    output.text(&complete::register(shell)?)?;
    output.finish()?;
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script() {
        for value in Shell::value_variants() {
            let name = value.to_possible_value().unwrap().get_name().to_owned();
            let script = complete::register(complete::shell(&name).unwrap()).unwrap();
            assert!(script.contains("TRUEUP_COMPLETE") && script.contains("trueup"), "{name}: {script}");
        }
    }
}
