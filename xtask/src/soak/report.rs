//! What came of a run. Entry point: [`Report::table`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::memory::Growth;
use crate::bench::mib;

/// How many findings are printed: the first tell what the others are about.
const FINDINGS_SHOWN: usize = 30;
/// How many kinds of warnings of the controller's log are printed.
const WARNINGS_SHOWN: usize = 12;
/// Characters of a warning.
const WARNING_WIDTH: usize = 150;
/// Where the values begin.
const VALUES_AT: usize = 34;

/// What came of a run.
#[derive(Debug)]
pub(super) struct Report {
    seed: u64,
    applications: usize,
    pub(super) acts: usize,
    pub(super) counts: BTreeMap<&'static str, usize>,
    /// How long coming to rest took, in order.
    pub(super) rests: Vec<(&'static str, Duration)>,
    pub(super) growth: Option<Growth>,
    /// Requests at rest.
    pub(super) at_rest: Option<usize>,
    /// What is not as it should be: empty is good.
    pub(super) findings: Vec<String>,
    /// What the controller warned of, and how often; not wrong in itself.
    pub(super) warnings: Vec<(String, usize)>,
}

// === impl Report ===

impl Report {
    pub(super) fn new(seed: u64, applications: usize) -> Self {
        Self {
            seed,
            applications,
            acts: 0,
            counts: BTreeMap::new(),
            rests: Vec::new(),
            growth: None,
            at_rest: None,
            findings: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The whole report.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<VALUES_AT$}{value}");
        };
        line("applications", self.applications.to_string());
        line("seed", self.seed.to_string());
        line("acts", self.acts.to_string());
        for (name, count) in &self.counts {
            line(&format!("  {name}"), count.to_string());
        }
        for (what, took) in &self.rests {
            line(what, format!("{:.1} s", took.as_secs_f64()));
        }
        if let Some(growth) = &self.growth {
            let (before, after) = (mib(growth.before.rss_bytes), mib(growth.after.rss_bytes));
            let (bound, peak) = (mib(growth.bound()), mib(growth.after.peak_rss_bytes));
            line(
                "memory at rest, before and after",
                format!("{before:.1} and {after:.1} MiB (bound {bound:.1}, peak {peak:.1})"),
            );
            let seconds = growth.after.cpu_seconds - growth.before.cpu_seconds;
            line("processor time of the calm half", format!("{seconds:.1} s"));
        }
        if let Some(requests) = self.at_rest {
            line("requests at rest", requests.to_string());
        }
        if !self.warnings.is_empty() {
            text.push_str("\nWhat the controller warned of\n");
            for (warning, count) in self.warnings.iter().take(WARNINGS_SHOWN) {
                let _ = writeln!(text, "  {count:>5} × {warning}");
            }
        }
        match self.findings.as_slice() {
            [] => {
                text.push_str(
                    "\nIn line with Git, nothing wrongly deleted, memory flat, at rest nothing is asked for.",
                );
            }
            findings => {
                let _ = writeln!(text, "\n{} things are not as they should be", findings.len());
                for finding in findings.iter().take(FINDINGS_SHOWN) {
                    let _ = writeln!(text, "  {finding}");
                }
            }
        }
        text.trim_end().to_owned()
    }
}

/// The warnings and errors of a log, those that differ in names and numbers only counted as one, most frequent first.
pub(super) fn warnings(log: &str) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in log.lines() {
        let Some(at) = [" WARN ", "ERROR "].iter().find_map(|level| line.find(level)) else { continue };
        let plain: String = line[at..].trim().chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        let short: String = plain.chars().take(WARNING_WIDTH).collect();
        *counts.entry(collapsed(&short)).or_default() += 1;
    }
    let mut sorted: Vec<(String, usize)> = counts.into_iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    sorted
}

/// A run of digits is one.
fn collapsed(text: &str) -> String {
    let mut short = String::new();
    for c in text.chars() {
        if c != '#' || !short.ends_with('#') {
            short.push(c);
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use trueup_bed::Usage;

    use super::*;

    #[test]
    fn the_table_tells_what_was_measured_and_found() {
        let mut report = Report::new(7, 300);
        let usage = |mib: u64| Usage { rss_bytes: mib << 20, peak_rss_bytes: mib << 20, cpu_seconds: 0.0, threads: 1 };
        report.counts.insert("pushes", 12);
        report.rests.push(("first sync", Duration::from_secs(9)));
        report.growth = Some(Growth { before: usage(40), after: usage(44) });
        report.at_rest = Some(0);
        let text = report.table();
        for expected in ["  pushes                          12\n", "40.0 and 44.0 MiB (bound 66.0", "In line with Git"]
        {
            assert!(text.contains(expected), "'{expected}' is not in\n{text}");
        }
        report.findings.push("ConfigMap a/b is not there".to_owned());
        let text = report.table();
        assert!(text.contains("1 things are not") && !text.contains("In line"), "{text}");
    }

    #[test]
    fn warnings_that_differ_in_numbers_are_one() {
        let log = "t1  WARN a: app-0001 failed\nt2  INFO b\nt3  WARN a: app-0023 failed\nt4 ERROR c\n";
        assert_eq!(warnings(log), [("WARN a: app-# failed".to_owned(), 2), ("ERROR c".to_owned(), 1)]);
    }
}
