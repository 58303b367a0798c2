//! What it costs to keep a value, in bytes of memory. Entry point: [`Cost::cost`].

use std::sync::Arc;

/// Something that is kept.
pub(crate) trait Cost {
    /// Bytes of memory, roughly.
    fn cost(&self) -> u64;
}

impl<T: Cost> Cost for Arc<T> {
    fn cost(&self) -> u64 {
        (**self).cost()
    }
}

impl Cost for Arc<[String]> {
    fn cost(&self) -> u64 {
        self.iter().map(|text| text.len() as u64 + size_of::<String>() as u64).sum()
    }
}
