//! What a worker writes to stderr during a render: how it begins, and how it ends.
//!
//! The reason of a crash is its first line where a trace follows, and its last where a log precedes. Invariant: bounded.

use std::collections::VecDeque;

/// How much is kept of the beginning, and of the end, in bytes: some ten lines each.
const KEPT_BYTES: usize = 1024;

/// What a worker has written to stderr.
#[derive(Debug, Default)]
pub(crate) struct Words {
    first: Vec<u8>,
    last: VecDeque<u8>,
    left_out: bool,
}

// === impl Words ===

impl Words {
    /// Takes up what was written.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(KEPT_BYTES - self.first.len()));
        self.first.extend_from_slice(first);
        self.last.extend(&rest[rest.len().saturating_sub(KEPT_BYTES)..]);
        let surplus = self.last.len().saturating_sub(KEPT_BYTES);
        self.left_out |= surplus > 0 || rest.len() > KEPT_BYTES;
        self.last.drain(..surplus);
    }

    /// Forgets it.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// As text, without what a terminal would obey.
    pub(crate) fn text(&self) -> String {
        let last: Vec<u8> = self.last.iter().copied().collect();
        let text = if self.left_out {
            format!("{}\n…\n{}", String::from_utf8_lossy(&self.first), String::from_utf8_lossy(&last))
        } else {
            String::from_utf8_lossy(&[self.first.as_slice(), &last].concat()).into_owned()
        };
        let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        text.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_one_is_whole_and_cannot_be_obeyed() {
        let mut words = Words::default();
        words.push(b"panic: \x1b[2Jno\xff\n");
        words.push(b"goroutine 1\r\n");
        assert_eq!(words.text(), "panic: [2Jno\u{fffd}\ngoroutine 1");
        words.clear();
        assert_eq!(words.text(), "");
    }

    proptest! {
        #[test]
        fn beginning_and_end_stay_and_it_is_bounded(parts in vec("[a-z]{0,900}", 0..20)) {
            let mut words = Words::default();
            for part in &parts {
                words.push(part.as_bytes());
            }
            let (all, text) = (parts.concat(), words.text());
            prop_assert!(text.len() <= 2 * KEPT_BYTES + 5);
            if all.len() <= 2 * KEPT_BYTES {
                prop_assert_eq!(text, all);
            } else {
                prop_assert!(text.starts_with(&all[..KEPT_BYTES]) && text.ends_with(&all[all.len() - KEPT_BYTES..]));
            }
        }
    }
}
