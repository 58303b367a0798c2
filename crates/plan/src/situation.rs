//! What a decision rests on: what automation may do, what somebody asks for, how the last operation went, what differs.
//!
//! Keeps nothing. Entry point: [`Situation`].

use std::time::Duration;

use trueup_api::Retry;

/// What the decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What automation may do; none if it is off.
    pub automation: Option<Automation>,
    /// What somebody asks for.
    pub request: Option<Request>,
    /// The last operation, under way or ended.
    pub last: Option<Last>,
    /// Why nothing may be done to the objects that were looked at.
    pub block: Option<Block>,
    /// Why nothing may begin, although it could.
    pub held_back: Option<HeldBack>,
    /// Git says something else than at the last successful sync.
    pub pending: bool,
    /// How many objects Git has.
    pub desired: usize,
    /// How many of them a sync would change, or at least try to.
    pub wanting: usize,
    /// How many objects a sync that prunes would delete.
    pub prunable: usize,
    /// Another application has not looked at the tip of this repository yet; waited for so long.
    pub behind: Option<Duration>,
    /// The objects that drifted.
    pub drifts: &'a [Drift],
    /// After this time what failed for good is tried again.
    pub resync: Duration,
    /// Somebody wants everything to be found out again (a hard refresh): what waits for its next attempt is tried now.
    pub at_once: bool,
}

/// What automation may do.
#[derive(Clone, Copy, Debug)]
pub struct Automation {
    /// It deletes what Git no longer has.
    pub prune: bool,
    /// It undoes drift.
    pub self_heal: bool,
    /// It may delete everything.
    pub allow_empty: bool,
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// It cannot be read, asks for nothing, or for something that is not honoured.
    pub refused: bool,
    /// It is for another revision than the one that was looked at: what blocks this one says nothing about that one.
    pub elsewhere: bool,
    /// It deletes what Git no longer has.
    pub prune: bool,
}

/// Why nothing may be done to the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Something asked for is not honoured, or the render is not complete: it stays so until somebody changes it.
    Stopped,
    /// Something cannot be read at the moment.
    Unreadable,
}

/// Why nothing may begin, although it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// Somebody paused it: what runs waits, and what is asked for is refused.
    Paused,
    /// It waits for other applications: what is asked for waits with it. What runs went past that already: it is not held back.
    Dependencies,
    /// A sync window of its project forbids it at this time: what runs waits, and so does what is asked for.
    Window,
}

/// The last operation.
#[derive(Clone, Copy, Debug)]
pub struct Last {
    /// Where it is.
    pub phase: Phase,
    /// It is what somebody asks for now.
    pub requested: bool,
    /// Automation began it.
    pub automated: bool,
    /// A hook of it runs: nothing else begins before that has ended.
    pub bound: bool,
    /// What it was for.
    pub subject: Subject,
    /// How long ago it, or its last attempt, ended; none if it, or its attempt, was never seen to end.
    pub ended: Option<Duration>,
    /// How many of its retries have begun or are promised.
    pub retries: u32,
    /// How it is repeated.
    pub retry: Retry,
}

/// What an operation was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// What Git and the specification say now.
    Now,
    /// Something else that they said.
    Before,
    /// Some objects only: drift was undone.
    Part,
}

/// Where an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It began and is not over. With an end, as upstream: an attempt failed and the next one is promised. Without: it runs,
    /// which is asked here only when nobody runs it, so its controller died.
    Running,
    /// Somebody wants it to end.
    Terminating,
    /// It did all that it had to do.
    Succeeded,
    /// It failed and will not be repeated.
    Failed,
    /// Somebody ended it.
    Ended,
}

/// An object that drifted.
#[derive(Clone, Copy, Debug)]
pub struct Drift {
    /// How often the same was brought back before, or could not be.
    pub heals: u32,
    /// How long ago that was last tried.
    pub ago: Duration,
}
