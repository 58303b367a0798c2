//! How many workers there are, and what each of them may cost.

use std::time::Duration;

use super::Program;

/// How many workers there may be: so many charts that loop stand in nobody's way. A render takes milliseconds, and an idle
/// worker 60 MB.
const COUNT: usize = 4;
/// How long a worker may work on one render: charts of thousands of objects take a second.
const DEADLINE: Duration = Duration::from_mins(1);
/// How much memory one worker may have, in bytes: the largest charts need 200 MB, and all workers together share a pod.
const MEMORY_BYTES: u64 = 512 * 1024 * 1024;
/// After how many renders a worker is replaced: what the libraries leave behind ends with it. A start takes 50 ms.
const RENDERS_MAX: u32 = 1000;
/// How long a worker without work is kept: longer than the usual time between two listings of a repository.
const IDLE: Duration = Duration::from_mins(5);

/// How many workers there are, and what each of them may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkersConfig {
    /// What they are.
    pub program: Program,
    /// How many there may be at once.
    pub count: usize,
    /// How long one may work on a render. The time in which it waits for answers does not count.
    pub deadline: Duration,
    /// How much memory one may have, in bytes. Behind a socket the server's own limit holds.
    pub memory_bytes: u64,
    /// After how many renders one is replaced.
    pub renders_max: u32,
    /// How long one without work is kept.
    pub idle: Duration,
}

// === impl WorkersConfig ===

impl WorkersConfig {
    /// The usual limits.
    pub fn new(program: Program) -> Self {
        Self {
            program,
            count: COUNT,
            deadline: DEADLINE,
            memory_bytes: MEMORY_BYTES,
            renders_max: RENDERS_MAX,
            idle: IDLE,
        }
    }
}
