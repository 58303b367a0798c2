//! A leash: ends a process when ours is gone, however we went.

use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use crate::Error;
use crate::Result;

/// Ends a process when ours ends, even by kill -9: a shell waits for the end of a pipe that only we hold open.
///
/// The kernel's own death signal would need `unsafe`, and is sent when the thread that started the process ends.
#[derive(Debug)]
pub struct Leash(Child);

impl Leash {
    /// Ties the process to ours.
    pub fn tie(pid: u32) -> Result<Self> {
        Command::new("sh")
            .args(["-c", "read -r never; kill -9 \"$0\" 2>/dev/null", &pid.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
            .map_err(Error::spawn("sh"))
    }
}

/// Lets go: the process is no longer ours to end, its number may soon be another's.
impl Drop for Leash {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("300").spawn().unwrap()
    }

    #[test]
    fn ends_the_process_when_the_pipe_ends() {
        let mut sleeper = sleeper();
        let mut leash = Leash::tie(sleeper.id()).unwrap();
        // What the kernel does when this process ends.
        drop(leash.0.stdin.take());
        assert!(!sleeper.wait().unwrap().success());
    }

    #[test]
    fn lets_go_when_dropped() {
        let mut sleeper = sleeper();
        drop(Leash::tie(sleeper.id()).unwrap());
        assert!(sleeper.try_wait().unwrap().is_none());
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
}
