//! Workers that crash, hang, flood and lie: each costs the render that it was asked for.

use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread::scope;
use std::time::{Duration, Instant};

use trueup_render::workers::{Program, WorkerCounters, WorkerError};

use super::bench::{Bench, Nothing, ORPHANS, SOON, Tests, Then, asking, job, pid, render, texts, wait_ended};

pub(crate) const TESTS: Tests = &[
    (
        "one_that_is_not_there_or_cannot_be_started_says_what_to_do",
        one_that_is_not_there_or_cannot_be_started_says_what_to_do,
    ),
    ("one_that_does_not_begin_as_it_should_is_ended", one_that_does_not_begin_as_it_should_is_ended),
    ("whatever_it_does_costs_one_render", whatever_it_does_costs_one_render),
    ("its_deadline_counts_only_while_it_works", its_deadline_counts_only_while_it_works),
    ("who_asks_for_ever_comes_to_an_end", who_asks_for_ever_comes_to_an_end),
    ("with_it_ends_what_it_started", with_it_ends_what_it_started),
    ("it_ends_with_us", it_ends_with_us),
    ("a_panic_in_an_answer_costs_one_worker", a_panic_in_an_answer_costs_one_worker),
];

fn one_that_is_not_there_or_cannot_be_started_says_what_to_do() {
    let mut bench = Bench::new("good");
    bench.config.program = Program::Child(bench.dir.path().join("trueup-renderer"));
    let workers = bench.workers();
    let error = render(&workers, "done").unwrap_err();
    assert!(matches!(error, WorkerError::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("put trueup-renderer beside trueup"), "{error}");
    std::fs::write(bench.dir.path().join("trueup-renderer"), "not executable").unwrap();
    let error = render(&workers, "done").unwrap_err();
    assert!(matches!(error, WorkerError::CannotStart { .. }), "{error}");
    assert_eq!(workers.counters(), WorkerCounters { renders: 2, ..WorkerCounters::default() });
}

fn one_that_does_not_begin_as_it_should_is_ended() {
    type Check = fn(&WorkerError) -> bool;
    let kinds: [(&str, Check, &str); 9] = [
        ("mute", |error| matches!(error, WorkerError::Deadline { .. }), "did not begin to speak within 500 ms"),
        ("half", |error| matches!(error, WorkerError::Deadline { .. }), "did not begin to speak within 500 ms"),
        ("giant", |error| matches!(error, WorkerError::TooLarge { .. }), "larger than 96 MB"),
        ("babbler", |error| matches!(error, WorkerError::Nonsense { .. }), "what is not JSON"),
        ("impatient", |error| matches!(error, WorkerError::Nonsense { .. }), "something else than hello"),
        ("drip", |error| matches!(error, WorkerError::Nonsense { .. }), "what is not JSON"),
        ("busy", |error| matches!(error, WorkerError::Refused { .. }), "takes no more work: all 8 are in use"),
        (
            "old",
            |error| matches!(error, WorkerError::Protocol { theirs: 2, ours: 1, .. }),
            "install the two of one version",
        ),
        (
            "broken",
            |error| matches!(error, WorkerError::Crashed { .. }),
            "exit status: 9); its last words: cannot find my hat",
        ),
    ];
    scope(|scope| {
        for (kind, check, text) in kinds {
            scope.spawn(move || {
                let mut bench = Bench::new(kind);
                // The others are never late, however busy the machine is.
                let late = matches!(kind, "mute" | "half");
                bench.config.deadline = if late { SOON } else { Duration::from_mins(1) };
                let workers = bench.workers();
                let error = render(&workers, "done").unwrap_err();
                assert!(check(&error) && error.to_string().contains(text), "{kind}: {error}");
                assert!(!error.to_string().contains("secret"), "{error}");
                let counters = workers.counters();
                assert_eq!(counters.crashes + counters.kills, 1, "{kind}: {counters:?}");
                assert_eq!(counters.crashes, u64::from(kind == "broken"), "{kind}: {counters:?}");
            });
        }
    });
}

fn whatever_it_does_costs_one_render() {
    type Check = fn(&WorkerError) -> bool;
    let kinds: [(&str, Check, &str); 8] = [
        ("hang", |error| matches!(error, WorkerError::Deadline { .. }), "came to no end within"),
        ("half", |error| matches!(error, WorkerError::Deadline { .. }), "came to no end within"),
        ("complain for ever", |error| matches!(error, WorkerError::Deadline { .. }), "came to no end within"),
        ("giant", |error| matches!(error, WorkerError::TooLarge { .. }), "what it renders to is larger than 96 MB"),
        ("babble", |error| matches!(error, WorkerError::Nonsense { .. }), "what is not JSON"),
        ("crash", |error| matches!(error, WorkerError::Crashed { .. }), "panic: [2Jnil map\ngoroutine 1"),
        ("eat", |error| matches!(error, WorkerError::Memory { .. }), "more than 512 MB of memory"),
        ("eat at once", |error| matches!(error, WorkerError::Memory { .. }), "more than 512 MB of memory"),
    ];
    scope(|scope| {
        for (what, check, text) in kinds {
            scope.spawn(move || {
                let mut bench = Bench::new("good");
                let late = matches!(what, "hang" | "half" | "complain for ever");
                bench.config.deadline = if late { 2 * SOON } else { Duration::from_mins(1) };
                let workers = bench.workers();
                let before = pid(&workers);
                let error = render(&workers, what).unwrap_err();
                assert!(check(&error) && error.to_string().contains(text), "{what}: {error}");
                assert!(!error.to_string().contains("secret"), "{error}");
                wait_ended(before);
                assert_ne!(pid(&workers), before);
                let counters = workers.counters();
                // One that dies without a word is tried once more.
                let twice = matches!(what, "crash" | "eat" | "eat at once");
                assert_eq!(counters.crashes + counters.kills, 1 + u64::from(twice), "{what}: {counters:?}");
                assert_eq!(counters.renders, 3);
            });
        }
    });
}

fn its_deadline_counts_only_while_it_works() {
    let mut bench = Bench::new("good");
    bench.config.deadline = 2 * SOON;
    let (workers, began) = (bench.workers(), Instant::now());
    // We take longer than it may.
    let (_held, never) = channel::<()>();
    let mut slow = Then(|_: &str| Ok(never.recv_timeout(2 * SOON + SOON / 2).is_err()));
    assert_eq!(texts(workers.render(&asking(&[r#"{"kubeVersion":{}}"#]), &mut slow).unwrap()).len(), 1);
    assert!(began.elapsed() > bench.config.deadline);
}

fn who_asks_for_ever_comes_to_an_end() {
    let mut bench = Bench::new("good");
    bench.config.deadline = SOON;
    let workers = bench.workers();
    let error = render(&workers, "ask for ever").unwrap_err();
    assert!(matches!(error, WorkerError::Deadline { .. }), "{error}");
    // Nor if it is our answers that take the time.
    let (_held, never) = channel::<()>();
    let mut slow = Then(|_: &str| Ok(never.recv_timeout(SOON).is_err()));
    let error = workers.render(&job("ask for ever"), &mut slow).err();
    assert_eq!(error, Some(WorkerError::Deadline { what: "came to no end", after: 5 * SOON }));
    assert_eq!(workers.counters().kills, 2);
}

fn with_it_ends_what_it_started() {
    let mut bench = Bench::new("good");
    bench.config.deadline = 2 * SOON;
    let workers = bench.workers();
    let mut children = Vec::new();
    let mut remember = Then(|name: &str| {
        children.push(name.parse().unwrap());
        Ok(true)
    });
    assert!(workers.render(&job("hang with a child"), &mut remember).is_err());
    assert_eq!(children.len(), 1);
    wait_ended(children[0]);
}

fn it_ends_with_us() {
    let us = Command::new(std::env::current_exe().unwrap()).env(ORPHANS, "1").stdout(Stdio::piped()).output().unwrap();
    let orphan = String::from_utf8(us.stdout).unwrap().trim().parse().unwrap();
    wait_ended(orphan);
}

/// Starts a worker, says its id, and ends as a crash would.
pub(crate) fn leave_an_orphan() {
    let bench = Bench::new("good");
    let workers = bench.workers();
    println!("{}", pid(&workers));
    std::process::abort();
}

fn a_panic_in_an_answer_costs_one_worker() {
    let mut bench = Bench::new("good");
    bench.config.count = 1;
    let workers = &bench.workers();
    let before = pid(workers);
    let panicked = scope(|scope| {
        let mut panics = Then(|_: &str| -> Result<bool, String> { panic!("as the test wants") });
        scope.spawn(move || workers.render(&job("ask for ever"), &mut panics).is_ok()).join()
    });
    assert!(panicked.is_err());
    wait_ended(before);
    assert!(workers.render(&job("done"), &mut Nothing).is_ok());
}
