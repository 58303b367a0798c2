//! One worker: its start, and one render after the other.
//!
//! Invariant: whatever goes wrong is the end of the worker. One that has answered a render has said nothing else since.
//! Entry points: [`Worker::start`], [`Worker::render`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asked::answer;
use super::frame::{FRAME_BYTES_MAX, frame};
use super::line::{Line, Silence};
use super::message::{Ask, Failed, Heard, Hello, PROTOCOL, Said, heard};
use super::{Answers, Reply, Versions, WorkerError, WorkersConfig};

/// How long a start may take until the worker says hello: 50 ms are usual, a machine under load may need a hundred times that.
const START_MAX: Duration = Duration::from_secs(15);
/// How long a worker that was idle may take to answer that it lives: it has nothing else to do, but the machine may.
const PING_MAX: Duration = Duration::from_secs(5);
/// How often one render may ask: every file of the largest repository, and each of the places where it might be.
const ASKS_MAX: u32 = 200_000;
/// How much longer than it may work a render may take with our answers: they come from memory and a local disk.
const ANSWERS_FACTOR: u32 = 5;
/// With which status a worker ends that has taken more memory than it may. It has said so before, if it could.
const OUT_OF_MEMORY_STATUS: i32 = 3;
/// What Go says when the system refuses it memory.
const OUT_OF_MEMORY: &str = "out of memory";

/// One worker.
#[derive(Debug)]
pub(crate) struct Worker {
    line: Line,
    versions: Arc<Versions>,
    renders: u32,
    /// Whether it may be asked again.
    usable: bool,
}

/// Why a worker is no more.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) error: WorkerError,
    pub(crate) end: End,
}

/// How a worker came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was never there.
    Unborn,
    /// It ended by itself, before it had said anything to what it was asked.
    Silent,
    /// It ended by itself.
    Crashed,
    /// It was ended by us.
    Killed,
}

// === impl Worker ===

impl Worker {
    /// Starts a worker and waits until it says hello.
    pub(crate) fn start(config: &WorkersConfig) -> Result<Self, Lost> {
        let mut line = Line::open(config).map_err(|error| Lost { error, end: End::Unborn })?;
        let patience = config.deadline.min(START_MAX);
        let said = match line.exchange(&[], Instant::now() + patience) {
            Ok(frame) => hello(&frame, config),
            Err(Silence::Late) => Err(WorkerError::Deadline { what: "did not begin to speak", after: patience }),
            Err(silence) => return Err(lost(line, silence, config, End::Crashed)),
        };
        let versions = said.map_err(killed)?;
        Ok(Self { line, versions: Arc::new(versions), renders: 0, usable: true })
    }

    /// What it says of itself.
    pub(crate) fn versions(&self) -> &Arc<Versions> {
        &self.versions
    }

    /// Whether it may be asked for another render.
    pub(crate) fn is_usable(&self, renders_max: u32) -> bool {
        self.usable && self.renders < renders_max
    }

    /// Makes sure that it listens, and that it has said nothing unasked: that would be heard before its answer to this.
    pub(crate) fn ping(mut self, config: &WorkersConfig) -> Result<Self, Lost> {
        let ping = frame(&Said::Ping {}).unwrap_or_default();
        match self.line.exchange(&ping, Instant::now() + PING_MAX) {
            Ok(pong) if heard(&pong).is_ok_and(|heard| heard.pong.is_some()) => {}
            Ok(_) => return Err(killed(nonsense(config, "something that it was not asked".to_owned()))),
            Err(Silence::Late) => {
                return Err(killed(WorkerError::Deadline { what: "did not answer a ping", after: PING_MAX }));
            }
            Err(silence) => return Err(lost(self.line, silence, config, End::Silent)),
        }
        self.line.forget_errors();
        Ok(self)
    }

    /// Asks for a render, answers what it asks, and hears how it ends.
    pub(crate) fn render(
        mut self,
        job: &[u8],
        answers: &mut dyn Answers,
        config: &WorkersConfig,
    ) -> Result<(Reply, Self), Lost> {
        self.renders += 1;
        let whole = config.deadline * ANSWERS_FACTOR;
        let end = Instant::now() + whole;
        let mut left = config.deadline;
        let mut refused = None;
        let mut said = None;
        for asks in 0..=ASKS_MAX {
            let began = Instant::now();
            let until = end.min(began + left);
            let frame = match self.line.exchange(said.as_deref().unwrap_or(job), until) {
                Ok(frame) => frame,
                Err(Silence::Late) => {
                    let after = if until < end { config.deadline } else { whole };
                    return Err(killed(WorkerError::Deadline { what: "came to no end", after }));
                }
                Err(silence) => {
                    let silent = asks == 0 && !self.line.has_more();
                    return Err(lost(self.line, silence, config, if silent { End::Silent } else { End::Crashed }));
                }
            };
            left = left.saturating_sub(began.elapsed());
            let ask = match reply(&frame) {
                Ok(Turn::Ask(ask)) => ask,
                Ok(Turn::End(reply)) => {
                    self.usable = !self.line.has_more();
                    let reply = match (reply, refused) {
                        // Nothing that lacks what could not be answered is taken for whole.
                        (Reply::Done(_), Some(error)) => Reply::Failed(error),
                        (reply, _) => reply,
                    };
                    return Ok((reply, self));
                }
                Err(detail) => return Err(killed(nonsense(config, detail))),
            };
            let (frame, error) = answer(ask, answers);
            refused = refused.or(error);
            said = Some(frame);
        }
        Err(killed(WorkerError::Asks { limit: ASKS_MAX }))
    }
}

/// What a worker says in its turn.
enum Turn {
    Ask(Ask),
    End(Reply),
}

fn reply(frame: &[u8]) -> Result<Turn, String> {
    match heard(frame)? {
        Heard { ask: Some(ask), .. } => Ok(Turn::Ask(ask)),
        Heard { failed: Some(failed), .. } => Ok(Turn::End(Reply::Failed(failed.message))),
        // None at all would be asked for again for ever.
        Heard { needs: Some(needs), .. } if !needs.is_empty() => Ok(Turn::End(Reply::Needs(needs))),
        Heard { done: Some(done), .. } => Ok(Turn::End(Reply::Done(done))),
        _ => Err("something that is neither a question nor an answer".to_owned()),
    }
}

fn hello(frame: &[u8], config: &WorkersConfig) -> Result<Versions, WorkerError> {
    let said = heard(frame).map_err(|detail| nonsense(config, detail))?;
    if let Some(Failed { message }) = said.failed {
        return Err(WorkerError::Refused { program: config.program.to_string(), reason: message });
    }
    match said.hello {
        Some(Hello { protocol: PROTOCOL, versions }) => Ok(versions),
        Some(Hello { protocol, .. }) => {
            Err(WorkerError::Protocol { program: config.program.to_string(), theirs: protocol, ours: PROTOCOL })
        }
        None => Err(nonsense(config, "something else than hello at its start".to_owned())),
    }
}

fn nonsense(config: &WorkersConfig, detail: String) -> WorkerError {
    WorkerError::Nonsense { program: config.program.to_string(), detail }
}

fn killed(error: WorkerError) -> Lost {
    Lost { error, end: End::Killed }
}

/// Why a worker said nothing more.
fn lost(line: Line, silence: Silence, config: &WorkersConfig, end: End) -> Lost {
    if silence == Silence::TooLarge {
        return killed(WorkerError::TooLarge { what: "what it renders to", bytes_max: FRAME_BYTES_MAX as u64 });
    }
    let (status, stderr) = line.end();
    let error =
        if status.and_then(|status| status.code()) == Some(OUT_OF_MEMORY_STATUS) || stderr.contains(OUT_OF_MEMORY) {
            WorkerError::Memory { bytes_max: config.memory_bytes }
        } else {
            let how = status.map_or_else(|| "it closed the connection".to_owned(), |status| status.to_string());
            WorkerError::Crashed { how, stderr }
        };
    Lost { error, end }
}
