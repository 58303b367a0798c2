//! One run from beginning to end. Entry point: [`run`].

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use fastrand::Rng;
use serde_json::Value;
use tokio::time::MissedTickBehavior;
use trueup_bed::ApplicationBuilder;
use trueup_bed::Mark;

use super::act::Act;
use super::act::Weather;
use super::field::Field;
use super::field::USER;
use super::judge;
use super::kind::KINDS;
use super::memory::Growth;
use super::report;
use super::report::Report;
use super::wanted::Key;
use super::wanted::Wanted;
use crate::terminal::Terminal;

/// Between two acts: two cores serve the API server, the controller and us, and everything should come through.
const ACT_PAUSE: Duration = Duration::from_millis(400);
/// How long coming to rest may take. Healing the same leaves again backs off up to 300 s; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_mins(8);
/// Between two looks at everything while it comes to rest: each lists thousands of objects.
const LOOK_PAUSE: Duration = Duration::from_secs(3);
/// How long no request may come until the controller is at rest.
const QUIET: Duration = Duration::from_secs(5);
/// For so long it must then ask for nothing.
const REST: Duration = Duration::from_secs(20);
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(15);

/// What is to be run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// For how long things happen.
    pub(super) length: Duration,
    pub(super) applications: usize,
    pub(super) seed: u64,
    /// The directory stays.
    pub(super) keep: bool,
}

/// A run under way.
struct Run {
    field: Field,
    wanted: Wanted,
    random: Rng,
    counts: BTreeMap<&'static str, usize>,
    number: usize,
    terminal: Terminal,
}

/// Runs it all.
pub(super) async fn run(plan: &Plan, binary: PathBuf, terminal: Terminal) -> anyhow::Result<Report> {
    let wanted = Wanted::new(plan.applications);
    terminal.progress(&format!("{} applications, seed {}: the first sync", plan.applications, plan.seed));
    let field = Field::start(&wanted, binary, plan.keep).await?;
    terminal.progress(&format!("logs in {}", field.dir().display()));
    let random = Rng::with_seed(plan.seed);
    let mut run = Run { field, wanted, random, counts: BTreeMap::new(), number: 0, terminal };
    let mut report = Report::new(plan.seed, plan.applications);
    if !run.come_to_rest("first sync", &mut report).await? {
        return Ok(run.end(report));
    }
    run.act_for(plan.length / 2, Weather::Rough).await?;
    if !run.come_to_rest("rest after the rough half", &mut report).await? {
        return Ok(run.end(report));
    }
    run.quiet().await?;
    let before = run.field.usage()?;
    run.act_for(plan.length / 2, Weather::Calm).await?;
    if !run.come_to_rest("rest after the calm half", &mut report).await? {
        return Ok(run.end(report));
    }
    run.quiet().await?;
    let growth = Growth { before, after: run.field.usage()? };
    report.findings.extend(growth.verdict());
    report.growth = Some(growth);
    let recorder = run.field.recorder().await?;
    report.findings.extend(judge::identities(&run.wanted, &run.field.deleted, &recorder.sightings()));
    run.rest(&mut report).await?;
    Ok(run.end(report))
}

// === impl Run ===

impl Run {
    /// Lets things happen for so long.
    async fn act_for(&mut self, length: Duration, weather: Weather) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut told = Instant::now();
        let mut pace = tokio::time::interval(ACT_PAUSE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while begun.elapsed() < length {
            pace.tick().await;
            let act = Act::next(&mut self.wanted, &mut self.random, weather, self.number);
            self.number += 1;
            *self.counts.entry(act.name()).or_default() += 1;
            self.field.perform(act).await?;
            self.field.alive()?;
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                let counts: Vec<String> = self.counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
                let left = length.saturating_sub(begun.elapsed()).as_secs();
                self.terminal.progress(&format!("{weather:?}, {left} s left: {}", counts.join(", ")));
            }
        }
        self.field.ready().await
    }

    /// Waits until everything is as Git says; tells what is not, if that does not come.
    async fn come_to_rest(&mut self, what: &'static str, report: &mut Report) -> anyhow::Result<bool> {
        let begun = Instant::now();
        let mut told = Instant::now();
        loop {
            self.field.alive()?;
            let findings = self.look().await;
            let findings = match findings {
                Ok(findings) if findings.is_empty() => {
                    report.rests.push((what, begun.elapsed()));
                    self.terminal.progress(&format!("{what}: in line after {:.1} s", begun.elapsed().as_secs_f64()));
                    return Ok(true);
                }
                Ok(findings) => findings,
                // A connection to an API server that was just restarted.
                Err(error) => vec![format!("{error:#}")],
            };
            if begun.elapsed() > PATIENCE {
                report.findings.push(format!("{what}: not in line after {} s", PATIENCE.as_secs()));
                report.findings.extend(findings);
                return Ok(false);
            }
            self.terminal.waiting(&format!("{what}: {} differences", findings.len()));
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                let first = findings.first().map(String::as_str).unwrap_or_default();
                self.terminal.progress(&format!("{what}: {} differences, the first: {first}", findings.len()));
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Everything that is not as it should be.
    async fn look(&self) -> anyhow::Result<Vec<String>> {
        let mut live = HashMap::new();
        for kind in KINDS {
            for mut object in self.field.list(&kind.resource()).await? {
                // Items of a list do not say what they are.
                object["apiVersion"] = kind.api_version().into();
                object["kind"] = kind.name.into();
                let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
                live.insert(Key { kind: kind.name, namespace: text("namespace"), name: text("name") }, object);
            }
        }
        let applications: Vec<Value> = self.field.list(&ApplicationBuilder::resource()).await?;
        let heads: anyhow::Result<Vec<String>> =
            (0..self.wanted.repositories()).map(|repository| self.field.head(repository)).collect();
        let heads = heads?;
        let mut found = judge::differences(&self.wanted, &live);
        found.extend(judge::applications(&self.wanted, &applications, |repository| heads[repository].clone()));
        Ok(found)
    }

    /// Waits until the controller asks for nothing more.
    async fn quiet(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let audit = self.field.audit().await?;
        let mut mark = audit.mark().await?;
        while begun.elapsed() < PATIENCE {
            tokio::time::sleep(QUIET).await;
            let next = audit.mark().await?;
            if self.asked_since(mark).await?.is_empty() {
                return Ok(());
            }
            mark = next;
        }
        // The rest that follows says what is still asked for.
        Ok(())
    }

    /// At rest nothing is asked for.
    async fn rest(&self, report: &mut Report) -> anyhow::Result<()> {
        let mark = self.field.audit().await?.mark().await?;
        tokio::time::sleep(REST).await;
        let asked = self.asked_since(mark).await?;
        report.at_rest = Some(asked.values().sum());
        for ((verb, resource), count) in asked {
            report.findings.push(format!("at rest the controller asked for {verb} {resource} {count} times"));
        }
        Ok(())
    }

    /// What the controller asked for since then, its watches left out: they are renewed every half hour.
    async fn asked_since(&self, mark: Mark) -> anyhow::Result<BTreeMap<(String, String), usize>> {
        let requests = self.field.audit().await?.since(mark).await?.by(USER);
        Ok(requests.filtered(|request| request.verb != "watch").counts())
    }

    fn end(self, mut report: Report) -> Report {
        report.counts = self.counts;
        report.acts = self.number;
        report.warnings = report::warnings(&self.field.log());
        report
    }
}
