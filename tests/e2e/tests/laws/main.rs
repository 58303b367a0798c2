//! The laws of the comparison, tried on the real API server with valid objects whose leaves are changed at random.
//!
//! For each case an object is made of a seed by changes that the kind's own schema suggests, and applied. Then:
//!
//! 1. what was applied is in line;
//! 2. a leaf that Git sets, changed by somebody, is named, or the atomic value that holds it;
//! 3. a leaf that Git does not set, changed by somebody, leaves the object in line;
//! 4. the verdict is the server's own, which a dry run tells;
//! 5. a leaf that goes from Git is named, goes from the object, and then the object is in line, whoever owned the leaf.
//!
//! What the server refuses is no case: it is counted. `TRUEUP_LAWS_SEED` and `TRUEUP_LAWS_CASES` choose other cases.

// Helper functions of tests are tests too, though clippy does not know.
#![allow(clippy::unwrap_used)]

mod bench;
mod case;
mod change;
mod seeds;
mod shape;

use std::collections::BTreeMap;

use trueup_e2e::Random;

use crate::bench::Bench;
use crate::seeds::SEEDS;

/// How many cases are tried if nobody says otherwise.
const CASES: usize = 300;
/// Where the cases begin if nobody says otherwise.
const SEED: u64 = 20_260_824;

/// How often something happened.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    fn of(&self, prefix: &str) -> usize {
        self.0.iter().filter(|(what, _)| what.starts_with(prefix)).map(|(_, count)| count).sum()
    }
}

fn setting<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test]
async fn the_verdict_is_the_servers() {
    let (seed, cases): (u64, usize) = (setting("TRUEUP_LAWS_SEED", SEED), setting("TRUEUP_LAWS_CASES", CASES));
    println!("{cases} cases from seed {seed}");
    let bench = Bench::start().await;
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    for number in 0..cases {
        // Each case has its own sequence, so that one alone can be tried again.
        let mut random = Random::new(seed.wrapping_add(number as u64));
        let seed = &SEEDS[number % SEEDS.len()];
        if let Err(why) = case::run(&bench, seed, number, &mut random, &mut tally).await {
            println!("case {number} ({}): {why}\n", seed.kind);
            broken.push(number);
        }
    }
    for (what, count) in &tally.0 {
        println!("{count:>6}  {what}");
    }
    assert!(broken.is_empty(), "{} cases break a law: {broken:?}", broken.len());
    // A test whose changes are all refused would hold whatever the verdict is.
    for (law, least) in [("set by Git", cases / 2), ("not set by Git", cases / 2), ("dropped", cases / 3)] {
        let tried = tally.of(law);
        assert!(tried >= least, "only {tried} of {cases} cases tried: {law}");
    }
}
