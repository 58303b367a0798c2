//! Trueup keeps Kubernetes clusters exactly as Git says. This is its one binary: the controller and the command line.

mod access;
mod allocator;
mod cache;
mod cli;
mod command_error;
mod commands;
mod complete;
mod credentials;
mod duration;
mod input;
mod loader;
mod logging;
mod names;
mod output;
mod renderer;

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::output::{style, talk};

fn main() -> ExitCode {
    // Before anything else: a process of its own per fetch must cost next to nothing, and takes no arguments.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == cli::GIT_FETCH) {
        return trueup_git::fetch_main();
    }
    // Not only the controller holds keys.
    trueup_git::keep_memory_private();
    // The one TLS stack; that it is chosen already can only be by ourselves.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    complete::answer(Cli::command);
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    style::choose(cli.color);
    match cli.command.run() {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            talk::error(&error);
            error.exit_code()
        }
    }
}
