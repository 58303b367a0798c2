//! Values that are kept as long as there is room; the one that was not asked for longest goes first.
//!
//! Invariant: as many as it may be, and together no dearer than they may be. Entry points: [`Lru::entry`] and [`Lru::weigh`].

use std::collections::HashMap;
use std::hash::Hash;

/// Kept values.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    kept: HashMap<K, Kept<V>>,
    clock: u64,
    weight: u64,
    count_max: usize,
    weight_max: u64,
}

#[derive(Debug)]
struct Kept<V> {
    value: V,
    used: u64,
    weight: u64,
}

impl<K: Hash + Eq + Clone, V: Clone + Default> Lru<K, V> {
    pub(crate) fn new(count_max: usize, weight_max: u64) -> Self {
        Self { kept: HashMap::new(), clock: 0, weight: 0, count_max: count_max.max(1), weight_max }
    }

    /// The value, which is made if there is none. It weighs nothing until [`Lru::weigh`] says so.
    pub(crate) fn entry(&mut self, key: &K) -> V {
        self.clock += 1;
        if let Some(kept) = self.kept.get_mut(key) {
            kept.used = self.clock;
            return kept.value.clone();
        }
        if self.kept.len() >= self.count_max {
            self.drop_oldest(None);
        }
        let value = V::default();
        self.kept.insert(key.clone(), Kept { value: value.clone(), used: self.clock, weight: 0 });
        value
    }

    /// Says what a value weighs now. Others go until there is room, and the value itself if there is none at all.
    pub(crate) fn weigh(&mut self, key: &K, weight: u64) {
        let Some(kept) = self.kept.get_mut(key) else { return };
        self.weight = self.weight - kept.weight + weight;
        kept.weight = weight;
        while self.weight > self.weight_max && self.drop_oldest(Some(key)) {}
        if self.weight > self.weight_max {
            self.remove(&key.clone());
        }
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        let gone: Vec<K> = self.kept.keys().filter(|key| !keep(key)).cloned().collect();
        for key in gone {
            self.remove(&key);
        }
    }

    fn drop_oldest(&mut self, but: Option<&K>) -> bool {
        let others = self.kept.iter().filter(|(key, _)| Some(*key) != but);
        let Some(oldest) = others.min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone()) else { return false };
        self.remove(&oldest);
        true
    }

    fn remove(&mut self, key: &K) {
        if let Some(kept) = self.kept.remove(key) {
            self.weight -= kept.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_longest_goes_first() {
        let mut lru: Lru<&str, u8> = Lru::new(3, 10);
        for key in ["a", "b", "c"] {
            lru.entry(&key);
            lru.weigh(&key, 3);
        }
        lru.entry(&"a");
        lru.entry(&"d");
        let mut keys: Vec<_> = lru.kept.keys().copied().collect();
        keys.sort_unstable();
        assert_eq!((keys, lru.weight), (vec!["a", "c", "d"], 6));
        lru.weigh(&"d", 8);
        assert_eq!((lru.kept.keys().copied().collect::<Vec<_>>(), lru.weight), (vec!["d"], 8));
        lru.weigh(&"d", 11);
        assert_eq!((lru.kept.len(), lru.weight), (0, 0), "it alone is too much");
        lru.weigh(&"gone", 1);
        lru.entry(&"a");
        lru.weigh(&"a", 2);
        lru.retain(|key| *key != "a");
        assert_eq!((lru.kept.len(), lru.weight), (0, 0));
    }
}
