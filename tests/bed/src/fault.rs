//! How a git server can misbehave.

use crate::Asked;

/// How a git server can misbehave, per repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Accepts the request and never answers.
    Hang,
    /// Sends so many bytes of the true answer and closes the connection.
    Truncate(usize),
    /// Sends so many bytes of the true answer and then nothing more, the connection open.
    Stall(usize),
    /// Sends the true answer, one byte per second.
    Trickle,
    /// Answers this HTTP status (401 with a challenge) and no content.
    Status(u16),
}

/// A fault, and the requests that meet it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trap {
    pub(crate) fault: Fault,
    /// Every kind, if none is named.
    pub(crate) only: Option<Asked>,
}

impl Trap {
    /// The fault that a request meets.
    pub(crate) fn catches(self, asked: Asked) -> Option<Fault> {
        self.only.is_none_or(|only| only == asked).then_some(self.fault)
    }
}
