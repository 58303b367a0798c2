//! The line to one worker: the pipes of a child, or a connection.
//!
//! Nothing here waits beyond a given moment, whatever the other side does: everything is non-blocking, and one `poll` waits
//! for all of it, stderr too, so that no full pipe holds a worker up. A child is in a process group of its own, and its whole
//! group ends with the line. Entry points: [`Line::open`], [`Line::exchange`].

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Pid, Signal, kill_process_group};

use super::frame::{Frames, TooLarge};
use super::words::Words;
use super::{Program, WorkerError, WorkersConfig};

/// With which flag a worker is told how much memory it may have, in bytes.
const MEMORY_FLAG: &str = "--memory-limit";
/// How much is read at once, in bytes: what a pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;
/// How long a worker that has closed its output may take to end, before it is ended. What it still says is its reason.
const END_GRACE: Duration = Duration::from_secs(1);

/// The line to one worker.
#[derive(Debug)]
pub(crate) struct Line {
    child: Option<Child>,
    /// None once the worker does not listen any more.
    to: Option<File>,
    /// None once the worker has said its last.
    from: Option<File>,
    errors: Option<File>,
    frames: Frames,
    words: Words,
    chunk: Vec<u8>,
}

/// Why nothing was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It is too late.
    Late,
    /// The worker has ended, or has closed the line.
    Ended,
    /// It announced a frame that is too large.
    TooLarge,
}

// === impl Line ===

impl Line {
    /// Starts a child, or connects to a socket. The worker has said nothing yet.
    pub(crate) fn open(config: &WorkersConfig) -> Result<Self, WorkerError> {
        match &config.program {
            Program::Child(path) => Self::start(path, config),
            Program::Socket(path) => Self::connect(path),
        }
    }

    fn start(path: &Path, config: &WorkersConfig) -> Result<Self, WorkerError> {
        let mut child = Command::new(path)
            .arg(format!("{MEMORY_FLAG}={}", config.memory_bytes))
            .env_clear()
            .current_dir("/")
            // A signal from the terminal is for us alone, and a kill for all that the worker may have started.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => WorkerError::NotFound { program: config.program.to_string() },
                _ => WorkerError::CannotStart { program: config.program.to_string(), detail: error.to_string() },
            })?;
        let to = child.stdin.take().map(|pipe| File::from(OwnedFd::from(pipe)));
        let from = child.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe)));
        let errors = child.stderr.take().map(|pipe| File::from(OwnedFd::from(pipe)));
        Self::new(Some(child), to, from, errors).map_err(|error| WorkerError::CannotStart {
            program: config.program.to_string(),
            detail: error.to_string(),
        })
    }

    fn connect(path: &Path) -> Result<Self, WorkerError> {
        let connected = || -> io::Result<Self> {
            let address = SocketAddrUnix::new(path)?;
            // A server that accepts nobody is an error at once, instead of a wait without end.
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            connect(&socket, &address)?;
            let to = File::from(socket);
            let from = to.try_clone()?;
            Self::new(None, Some(to), Some(from), None)
        };
        connected().map_err(|error| {
            let detail = match error.kind() {
                io::ErrorKind::WouldBlock => "it accepts no more connections".to_owned(),
                _ => error.to_string(),
            };
            WorkerError::Unreachable { socket: Program::Socket(path.to_owned()).to_string(), detail }
        })
    }

    fn new(child: Option<Child>, to: Option<File>, from: Option<File>, errors: Option<File>) -> io::Result<Self> {
        let line = Self {
            child,
            to,
            from,
            errors,
            frames: Frames::default(),
            words: Words::default(),
            chunk: vec![0; CHUNK_BYTES],
        };
        for file in [&line.to, &line.from, &line.errors].into_iter().flatten() {
            rustix::io::ioctl_fionbio(file, true)?;
        }
        Ok(line)
    }

    /// Forgets what the worker wrote to stderr.
    pub(crate) fn forget_errors(&mut self) {
        self.words.clear();
    }

    /// Whether something has arrived that was not taken.
    pub(crate) fn has_more(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Says something, or nothing, and waits for the next frame. What a worker says and then ends is still heard.
    pub(crate) fn exchange(&mut self, said: &[u8], until: Instant) -> Result<Vec<u8>, Silence> {
        let mut said = said;
        let mut looked = false;
        loop {
            if self.to.is_none() {
                said = &[];
            }
            if said.is_empty() {
                match self.frames.take() {
                    Ok(Some(frame)) => return Ok(frame),
                    Ok(None) if self.from.is_none() => return Err(Silence::Ended),
                    Ok(None) => {}
                    Err(TooLarge) => return Err(Silence::TooLarge),
                }
            } else if self.from.is_none() {
                // It will not say anything to what we are saying.
                self.to = None;
                continue;
            }
            // One look is taken in any case. A worker that always has something to say is late all the same.
            let left = until.saturating_duration_since(Instant::now());
            if (looked && left.is_zero()) || !self.wait(!said.is_empty(), left) {
                return Err(Silence::Late);
            }
            looked = true;
            said = self.write(said);
            if !self.frames.is_full() {
                self.read();
            }
            self.read_errors();
        }
    }

    /// How a child has ended, and what it wrote to stderr. It is ended if it does not within [`END_GRACE`].
    pub(crate) fn end(mut self) -> (Option<ExitStatus>, String) {
        let until = Instant::now() + END_GRACE;
        (self.to, self.from) = (None, None);
        while self.errors.is_some() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.wait(false, left) {
                break;
            }
            self.read_errors();
        }
        (self.kill(), self.words.text())
    }

    /// Waits until something can be written or read; false if nothing can within that time.
    fn wait(&self, to_write: bool, left: Duration) -> bool {
        let mut places = Vec::with_capacity(3);
        if let Some(to) = self.to.as_ref().filter(|_| to_write) {
            places.push(PollFd::new(to, PollFlags::OUT));
        }
        if let Some(from) = self.from.as_ref().filter(|_| !self.frames.is_full()) {
            places.push(PollFd::new(from, PollFlags::IN));
        }
        if let Some(errors) = &self.errors {
            places.push(PollFd::new(errors, PollFlags::IN));
        }
        let Ok(left) = Timespec::try_from(left) else { return false };
        match poll(&mut places, Some(&left)) {
            Ok(ready) => ready > 0,
            // Interrupted: look again. All else is as if it never answered.
            Err(error) => error == Errno::INTR,
        }
    }

    fn write<'a>(&mut self, said: &'a [u8]) -> &'a [u8] {
        let Some(to) = self.to.as_mut().filter(|_| !said.is_empty()) else { return said };
        match to.write(said) {
            Ok(written) => &said[written..],
            Err(error) if is_passing(&error) => said,
            Err(_) => {
                self.to = None;
                &[]
            }
        }
    }

    fn read(&mut self) {
        let Some(from) = self.from.as_mut() else { return };
        match from.read(&mut self.chunk) {
            Ok(0) => self.from = None,
            Ok(count) => self.frames.push(&self.chunk[..count]),
            Err(error) if is_passing(&error) => {}
            Err(_) => self.from = None,
        }
    }

    fn read_errors(&mut self) {
        let Some(errors) = self.errors.as_mut() else { return };
        match errors.read(&mut self.chunk) {
            Ok(0) => self.errors = None,
            Ok(count) => self.words.push(&self.chunk[..count]),
            Err(error) if is_passing(&error) => {}
            Err(_) => self.errors = None,
        }
    }

    /// Ends a child with all that it may have started.
    fn kill(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        // Its id cannot be somebody else's before it was waited for. One that has ended keeps the status that it ended with.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        child.wait().ok()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
