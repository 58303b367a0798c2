//! Why a render came to no answer of the renderer.
//!
//! None of these is the chart's word: what is wrong with a chart is [`super::Reply::Failed`]. No error holds content of files.

use std::time::Duration;

/// In bytes.
const MEGABYTE: u64 = 1024 * 1024;

/// Why a render came to no answer of the renderer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// There is no such program.
    #[error(
        "there is no renderer at '{program}', and charts, overlays and Jsonnet are rendered by it: put trueup-renderer beside trueup, or say where it is with --renderer"
    )]
    NotFound {
        /// Where it was looked for.
        program: String,
    },
    /// The program cannot be started.
    #[error(
        "the renderer '{program}' cannot be started: {detail}; put the trueup-renderer of this machine's kind beside trueup, executable, or say where it is with --renderer"
    )]
    CannotStart {
        /// The program.
        program: String,
        /// What the system said.
        detail: String,
    },
    /// Nothing answers at the socket.
    #[error(
        "the renderer at {socket} cannot be reached: {detail}; see whether its container runs, and whether it serves this socket"
    )]
    Unreachable {
        /// The socket.
        socket: String,
        /// What the system said.
        detail: String,
    },
    /// It speaks another protocol.
    #[error(
        "the renderer '{program}' speaks protocol {theirs}, and this trueup {ours}: install the two of one version"
    )]
    Protocol {
        /// The program or socket.
        program: String,
        /// The number it names.
        theirs: u64,
        /// The number that is understood.
        ours: u64,
    },
    /// It takes no more work.
    #[error("the renderer '{program}' takes no more work: {reason}; give it more workers, or fewer that ask it")]
    Refused {
        /// The program or socket.
        program: String,
        /// What it said.
        reason: String,
    },
    /// It did not come to an end in time.
    #[error(
        "the renderer {what} within {} and was ended; see whether what it renders repeats itself without end, or make several applications of it",
        amount(.after)
    )]
    Deadline {
        /// What it did not do.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// It asked for more files than any render needs.
    #[error("the renderer was ended after it had asked {limit} times; see whether what it renders includes itself")]
    Asks {
        /// How often it may ask.
        limit: u32,
    },
    /// It needed more memory than it may have.
    #[error(
        "the renderer was ended because it needed more than {} MB of memory; see whether what it renders repeats itself, or make several applications of it",
        bytes_max / MEGABYTE
    )]
    Memory {
        /// How much it may have, in bytes.
        bytes_max: u64,
    },
    /// It ended by itself.
    #[error("the renderer ended while it worked ({how}){}", last_words(.stderr))]
    Crashed {
        /// How it ended.
        how: String,
        /// The last of what it wrote to stderr.
        stderr: String,
    },
    /// What it said is not of the protocol.
    #[error("the renderer '{program}' was ended because it said {detail}; see whether it is trueup-renderer")]
    Nonsense {
        /// The program or socket.
        program: String,
        /// What was wrong with it, without its content.
        detail: String,
    },
    /// Something is too large to be said.
    #[error("{what} is larger than {} MB; make several applications of it", bytes_max / MEGABYTE)]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it may be, in bytes.
        bytes_max: u64,
    },
    /// All workers were at work for too long.
    #[error(
        "no renderer was free within {}, all {count} were at work; this is tried again, and what takes them so long says so itself",
        amount(.after)
    )]
    Busy {
        /// How long it was waited for.
        after: Duration,
        /// How many there are.
        count: usize,
    },
}

/// A time as people say it.
fn amount(time: &Duration) -> String {
    if time.as_secs() > 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}

fn last_words(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; its last words: {stderr}") }
}
