//! Why a render came to no answer of the renderer.
//!
//! None of these is the chart's word: what is wrong with a chart is [`super::Reply::Failed`]. No error holds content of files.

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
    /// It did not come to an end in time.
    #[error("the renderer was ended after {seconds} s, {doing}; {advice}")]
    Deadline {
        /// How long it was waited for.
        seconds: u64,
        /// What it was to do.
        doing: &'static str,
        /// What to look at.
        advice: &'static str,
    },
    /// It asked for more files than any render needs.
    #[error("the renderer was ended after it had asked {limit} times; see whether what it renders includes itself")]
    Asks {
        /// How often it may ask.
        limit: u32,
    },
    /// It needed more memory than it may have.
    #[error(
        "the renderer was ended because it needed more than {megabytes} MB of memory; see whether what it renders repeats itself, or make several applications of it"
    )]
    Memory {
        /// How much it may have.
        megabytes: u64,
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
    #[error("{what} is larger than {megabytes} MB; make several applications of it")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large it may be.
        megabytes: u64,
    },
    /// All workers were at work for too long.
    #[error(
        "no renderer was free within {seconds} s, all {count} were at work; this is tried again, and what takes them so long says so itself"
    )]
    Busy {
        /// How long it was waited for.
        seconds: u64,
        /// How many there are.
        count: usize,
    },
}

fn last_words(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; its last words: {stderr}") }
}
