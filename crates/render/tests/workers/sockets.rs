//! Workers behind a socket.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread::{self, JoinHandle};

use trueup_render::workers::{Program, WorkerCounters, WorkerError};

use super::bench::{Bench, SOON, Tests, pid, render, wait_ended};

pub(crate) const TESTS: Tests = &[
    ("a_connection_is_a_worker", a_connection_is_a_worker),
    ("a_socket_that_does_not_answer_is_named", a_socket_that_does_not_answer_is_named),
];

/// Starts one worker for each of so many connections, and then listens no more.
fn serve(bench: &Bench, connections: usize) -> (PathBuf, JoinHandle<Vec<Child>>) {
    let socket = bench.dir.path().join("renderer.sock");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let Program::Child(program) = bench.config.program.clone() else { panic!("no program to serve") };
    let served = thread::spawn(move || {
        let serve = |_| {
            let (connection, _) = listener.accept().unwrap();
            let output = connection.try_clone().unwrap();
            Command::new(&program).stdin(OwnedFd::from(connection)).stdout(OwnedFd::from(output)).spawn().unwrap()
        };
        (0..connections).map(serve).collect()
    });
    (socket, served)
}

fn a_connection_is_a_worker() {
    let mut bench = Bench::new("good");
    let (socket, served) = serve(&bench, 3);
    bench.config.program = Program::Socket(socket.clone());
    bench.config.deadline = 4 * SOON;
    let workers = bench.workers();
    let first = pid(&workers);
    assert_eq!(pid(&workers), first);
    // Another one instead of what hangs, and of what has ended meanwhile.
    assert!(matches!(render(&workers, "hang"), Err(WorkerError::Deadline { .. })));
    assert_ne!(pid(&workers), first);
    assert!(render(&workers, "end").is_ok());
    let third = pid(&workers);
    assert_eq!(workers.counters().starts, 3);
    // The server is gone: what is connected goes on, what is not is told where to look.
    let mut children = served.join().unwrap();
    assert_eq!(pid(&workers), third);
    let error = render(&workers, "crash").unwrap_err();
    assert!(matches!(&error, WorkerError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&format!("unix:{}", socket.display())), "{error}");
    children[0].kill().unwrap();
    for mut child in children {
        child.wait().unwrap();
    }
    wait_ended(third);
}

fn a_socket_that_does_not_answer_is_named() {
    let mut bench = Bench::new("good");
    let socket = bench.dir.path().join("nobody.sock");
    bench.config.program = Program::Socket(socket.clone());
    bench.config.deadline = SOON;
    let workers = bench.workers();
    let error = render(&workers, "done").unwrap_err();
    assert!(error.to_string().contains(&format!("the renderer at unix:{}", socket.display())), "{error}");
    // Somebody is there, but nobody takes the call.
    let _listener = UnixListener::bind(&socket).unwrap();
    let error = render(&workers, "done").unwrap_err();
    assert!(matches!(error, WorkerError::Deadline { .. }), "{error}");
    assert_eq!(workers.counters(), WorkerCounters { renders: 2, kills: 1, ..WorkerCounters::default() });
}
