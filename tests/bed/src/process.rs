//! What a process of ours has used, read from `/proc`.

use std::fs;

use crate::Error;
use crate::Result;

/// Clock ticks per second in `/proc/*/stat`: Linux fixes them at 100 on every platform that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Memory that is resident now.
    pub rss_bytes: u64,
    /// The most that ever was.
    pub peak_rss_bytes: u64,
    /// Processor time, of user and system together.
    pub cpu_seconds: f64,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// Reads what the process has used.
    pub fn of(pid: u32) -> Result<Self> {
        let status_path = format!("/proc/{pid}/status");
        let stat_path = format!("/proc/{pid}/stat");
        let status = fs::read_to_string(&status_path).map_err(Error::file(&status_path))?;
        let stat = fs::read_to_string(&stat_path).map_err(Error::file(&stat_path))?;
        Ok(Self {
            rss_bytes: field(&status, "VmRSS:") * 1024,
            peak_rss_bytes: field(&status, "VmHWM:") * 1024,
            cpu_seconds: cpu_seconds(&stat),
            threads: field(&status, "Threads:"),
        })
    }
}

/// The number after a name; a zombie has no memory, and the lines are missing then.
fn field(status: &str, name: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Fields 14 and 15, counted behind the program's name, which may contain anything.
fn cpu_seconds(stat: &str) -> f64 {
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_processor_time_behind_an_odd_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 9 9 20 0";
        assert!((cpu_seconds(stat) - 3.0).abs() < f64::EPSILON);
    }

    #[test]
    fn reads_this_process() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss_bytes > 0 && usage.peak_rss_bytes >= usage.rss_bytes, "{usage:?}");
    }
}
