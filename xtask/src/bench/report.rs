//! The result, as a table and as JSON, on the terminal and in `docs/performance.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;
use trueup_bed::workspace;

use super::measure::Measure;
use super::step::Steps;

/// Between these lines of `docs/performance.md` stands the table.
const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// What was measured, and on what.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    cores: usize,
    results: Vec<Round>,
    wave_steps: Steps,
}

/// Both sides of one size; the median round if there were several.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Round {
    pub(crate) applications: usize,
    pub(crate) objects: usize,
    pub(crate) rounds: usize,
    pub(crate) floor: Measure,
    pub(crate) trueup: Measure,
}

// === impl Round ===

impl Round {
    /// How many times the floor's time it took.
    fn ratio(&self) -> f64 {
        self.trueup.wall_seconds / self.floor.wall_seconds
    }
}

/// The round whose ratio is in the middle.
pub(crate) fn median(mut rounds: Vec<Round>) -> Option<Round> {
    rounds.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
    let middle = rounds.len() / 2;
    rounds.into_iter().nth(middle)
}

// === impl Report ===

impl Report {
    pub(crate) fn new(results: Vec<Round>, wave_steps: Steps) -> Self {
        Self { cores: std::thread::available_parallelism().map_or(0, usize::from), results, wave_steps }
    }

    pub(crate) fn json(&self) -> anyhow::Result<String> {
        serde_json::to_string_pretty(self).context("the report cannot be written as JSON")
    }

    /// The table, in Markdown that reads well on a terminal too.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for round in &self.results {
            let _ = writeln!(
                text,
                "First sync of {} applications × {} objects on {} cores, control plane included{}:\n",
                round.applications,
                round.objects,
                self.cores,
                if round.rounds > 1 { format!(" (median of {} rounds)", round.rounds) } else { String::new() }
            );
            text.push_str(&aligned(&rows(round)));
            text.push('\n');
        }
        let steps = &self.wave_steps;
        let _ = write!(
            text,
            "From the health of one wave to the apply of the next: {:.0} ms (median of {} steps; the slowest {:.0} ms).",
            steps.median_milliseconds, steps.count, steps.slowest_milliseconds
        );
        text
    }

    /// Writes the table into the page about performance, and answers its path.
    pub(crate) fn write(&self) -> anyhow::Result<PathBuf> {
        let path = workspace().join("docs/performance.md");
        let page = fs::read_to_string(&path).with_context(|| format!("cannot read '{}'", path.display()))?;
        let page = with_table(&page, &self.table())
            .with_context(|| format!("'{}' has no lines '{BEGIN}' and '{END}'", path.display()))?;
        fs::write(&path, page).with_context(|| format!("cannot write '{}'", path.display()))?;
        Ok(path)
    }
}

/// The page with this table between the two marks; nothing if it has none.
fn with_table(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

/// The cells of the table, the first row its head.
fn rows(round: &Round) -> Vec<[String; 4]> {
    let (floor, ours) = (&round.floor, &round.trueup);
    let ratio = |ours: f64, floor: f64| if floor > 0.0 { format!("{:.2} ×", ours / floor) } else { String::new() };
    let row = |name: &str, floor: String, ours: String, ratio: String| [name.to_owned(), floor, ours, ratio];
    let mut rows = vec![
        row("", "floor".into(), "trueup".into(), "ratio".into()),
        row(
            "wall, s",
            format!("{:.2}", floor.wall_seconds),
            format!("{:.2}", ours.wall_seconds),
            ratio(ours.wall_seconds, floor.wall_seconds),
        ),
        row(
            "CPU of the process, s",
            format!("{:.2}", floor.cpu_seconds),
            format!("{:.2}", ours.cpu_seconds),
            ratio(ours.cpu_seconds, floor.cpu_seconds),
        ),
        row(
            "peak memory, MiB",
            String::new(),
            ours.peak_mib.map_or_else(String::new, |mib| format!("{mib:.1}")),
            String::new(),
        ),
        row("requests", floor.total().to_string(), ours.total().to_string(), times(ours.total(), floor.total())),
    ];
    let names: BTreeSet<&String> = floor.requests.keys().chain(ours.requests.keys()).collect();
    for name in names {
        let count = |side: &Measure| side.requests.get(name).copied().unwrap_or(0).to_string();
        rows.push(row(&format!("– {name}"), count(floor), count(ours), String::new()));
    }
    rows
}

#[expect(clippy::cast_precision_loss, reason = "no run sends 2^53 requests")]
fn times(ours: usize, floor: usize) -> String {
    if floor == 0 { String::new() } else { format!("{:.2} ×", ours as f64 / floor as f64) }
}

/// A Markdown table with columns of even width, numbers to the right.
fn aligned(rows: &[[String; 4]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let [name, numbers @ ..] = row;
        let _ = write!(text, "| {name:<width$} |", width = widths[0]);
        for (number, width) in numbers.iter().zip(&widths[1..]) {
            let _ = write!(text, " {number:>width$} |");
        }
        text.push('\n');
        if index == 0 {
            let _ = write!(text, "|{}|", "-".repeat(widths[0] + 2));
            for width in &widths[1..] {
                let _ = write!(text, "{}:|", "-".repeat(width + 1));
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn round(floor: f64, ours: f64) -> Round {
        let measure = |wall_seconds, requests: &[(&str, usize)]| Measure {
            wall_seconds,
            cpu_seconds: 0.5,
            peak_mib: None,
            requests: requests.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<BTreeMap<_, _>>(),
        };
        Round {
            applications: 2,
            objects: 3,
            rounds: 1,
            floor: measure(floor, &[("patch configmaps", 4)]),
            trueup: measure(ours, &[("create events", 2), ("patch configmaps", 4)]),
        }
    }

    #[test]
    fn the_median_goes_by_the_ratio() {
        let rounds = vec![round(1.0, 3.0), round(2.0, 2.0), round(1.0, 2.0)];
        assert_eq!(median(rounds), Some(round(1.0, 2.0)));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn the_table_names_what_only_one_side_asks() {
        let wave_steps = Steps { count: 20, median_milliseconds: 41.6, slowest_milliseconds: 90.0 };
        let report = Report { cores: 2, results: vec![round(1.0, 1.5)], wave_steps };
        let expected = "\
First sync of 2 applications × 3 objects on 2 cores, control plane included:

|                       | floor | trueup |  ratio |
|-----------------------|------:|-------:|-------:|
| wall, s               |  1.00 |   1.50 | 1.50 × |
| CPU of the process, s |  0.50 |   0.50 | 1.00 × |
| peak memory, MiB      |       |        |        |
| requests              |     4 |      6 | 1.50 × |
| – create events       |     0 |      2 |        |
| – patch configmaps    |     4 |      4 |        |

From the health of one wave to the apply of the next: 42 ms (median of 20 steps; the slowest 90 ms).";
        assert_eq!(report.table(), expected);
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nz\n");
        assert_eq!(with_table(&page, "new").as_deref(), Some(&*format!("a\n{BEGIN}\nnew\n{END}\nz\n")));
        assert_eq!(with_table("nothing here", "new"), None);
    }
}
