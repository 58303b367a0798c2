//! The pool of workers against real processes: what they say, and every way in which they do not.
//!
//! The workers are this very program, which is one if it is called so ([`fake`]): hence its own `main`.
#![allow(clippy::unwrap_used, reason = "a test, which the lint does not see without a harness")]

mod bench;
mod fake;
mod limits;
mod real;
mod renders;
mod sockets;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let name = arguments.next().unwrap_or_default();
    if let Some(kind) = fake::kind(&name) {
        fake::work(kind);
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(bench::ORPHANS).is_some() {
        limits::leave_an_orphan();
    }
    let tests = [renders::TESTS, limits::TESTS, sockets::TESTS, real::TESTS].concat();
    let wanted = arguments.find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for (name, test) in tests.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        println!("test {name}");
        test();
    }
    ExitCode::SUCCESS
}
