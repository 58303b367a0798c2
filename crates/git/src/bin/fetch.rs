//! The fetch process: one request on stdin, one answer on stdout.

use std::process::ExitCode;

fn main() -> ExitCode {
    trueup_git::fetch_main()
}
