//! What servers have said, and one question at a time for each thing: who comes while it is being asked shares the answer.
//!
//! Invariant: an answer is given only to whom it is fresh enough for; a failed question is answered with its error to all who
//! waited for it, and not asked once more by each of them. Entry point: [`Flights::get`].

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::RegistryError;
use crate::cost::Cost;
use crate::lru::Lru;

/// Answers by what was asked.
#[derive(Debug)]
pub(crate) struct Flights<K, V> {
    slots: Mutex<Lru<K, Arc<tokio::sync::Mutex<Slot<V>>>>>,
}

/// How old an answer may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Age {
    /// What is asked for never changes.
    Any,
    /// The question must have been put at this time or later.
    Since(Instant),
}

#[derive(Debug)]
struct Slot<V> {
    last: Option<Last<V>>,
    /// The last answer that was none of failure.
    good: Option<V>,
}

#[derive(Debug)]
struct Last<V> {
    asked: Instant,
    answered: Instant,
    answer: Result<V, RegistryError>,
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        Self { last: None, good: None }
    }
}

impl<K: Hash + Eq + Clone, V: Clone + Cost> Flights<K, V> {
    pub(crate) fn new(count_max: usize, bytes_max: u64) -> Self {
        Self { slots: Mutex::new(Lru::new(count_max, bytes_max)) }
    }

    /// The answer, if there is one that is fresh enough; else what asking yields, which is given the last good answer.
    pub(crate) async fn get<F>(&self, key: &K, age: Age, ask: impl FnOnce(Option<V>) -> F) -> Result<V, RegistryError>
    where
        F: Future<Output = Result<V, RegistryError>>,
    {
        let arrived = Instant::now();
        let slot = self.slots().entry(key);
        let mut slot = slot.lock().await;
        if let Some(answer) = slot.last.as_ref().and_then(|last| last.for_whom(age, arrived)) {
            return answer;
        }
        let asked = Instant::now();
        let answer = ask(slot.good.clone()).await;
        if let Ok(good) = &answer {
            slot.good = Some(good.clone());
            self.slots().weigh(key, good.cost());
        }
        slot.last = Some(Last { asked, answered: Instant::now(), answer: answer.clone() });
        answer
    }

    /// Lets go of what is not kept. Who waits for an answer still gets it.
    pub(crate) fn retain(&self, keep: impl Fn(&K) -> bool) {
        self.slots().retain(keep);
    }

    fn slots(&self) -> MutexGuard<'_, Lru<K, Arc<tokio::sync::Mutex<Slot<V>>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone> Last<V> {
    fn for_whom(&self, age: Age, arrived: Instant) -> Option<Result<V, RegistryError>> {
        let fits = match age {
            Age::Since(since) => self.asked >= since,
            // A failure counts for those who waited for it.
            Age::Any => self.answer.is_ok() || self.answered >= arrived,
        };
        fits.then(|| self.answer.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    impl Cost for u64 {
        fn cost(&self) -> u64 {
            1
        }
    }

    fn failed() -> RegistryError {
        RegistryError::NoIndex { repository: "x".to_owned() }
    }

    #[tokio::test]
    async fn all_who_wait_share_one_answer_or_one_failure() {
        for fails in [false, true] {
            for age in [Age::Any, Age::Since(Instant::now())] {
                let (flights, asked) = (Flights::<u8, u64>::new(8, 100), AtomicU64::new(0));
                let (flights, asked) = (&flights, &asked);
                let ask = async || {
                    let work = async |_| {
                        tokio::task::yield_now().await;
                        let count = asked.fetch_add(1, Ordering::SeqCst);
                        if fails { Err(failed()) } else { Ok(count) }
                    };
                    flights.get(&1, age, work).await
                };
                let answers = futures::future::join_all((0..10).map(|_| ask())).await;
                let expected = if fails { Err(failed()) } else { Ok(0) };
                assert!(answers.iter().all(|answer| *answer == expected), "{answers:?}");
                assert_eq!(asked.load(Ordering::SeqCst), 1);
            }
        }
    }

    #[tokio::test]
    async fn an_answer_serves_those_that_it_is_fresh_enough_for() {
        let flights = Flights::<u8, u64>::new(8, 100);
        let before = Instant::now();
        let get = async |age, says: u64| flights.get(&1, age, async |_| Ok(says)).await.unwrap();
        assert_eq!(get(Age::Since(before), 1).await, 1);
        assert_eq!(get(Age::Since(before), 2).await, 1);
        assert_eq!(get(Age::Any, 3).await, 1);
        assert_eq!(get(Age::Since(Instant::now()), 4).await, 4);
        let seen = flights.get(&1, Age::Since(Instant::now()), async |good| {
            Err::<u64, _>(
                good.map_or(failed(), |_| RegistryError::Replaced { package: String::new(), version: String::new() }),
            )
        });
        assert!(matches!(seen.await, Err(RegistryError::Replaced { .. })), "the last good one is at hand");
        assert_eq!(get(Age::Any, 5).await, 5, "a failure before does not count");
        flights.retain(|_| false);
        assert_eq!(get(Age::Any, 6).await, 6);
    }
}
