//! How long a sync, one of its waves and one of its hooks may take: annotations of an Application, and of a hook.
//!
//! There is none unless somebody sets it. What is no duration, or is 0, counts as absent, with a warning. Entry points:
//! [`Meta::deadlines`], and [`hook_deadline`] for what a hook says itself.

use std::time::Duration;

use trueup_object::Node;

use crate::annotations::{HOOK_DEADLINE, SYNC_DEADLINE, WAVE_DEADLINE};
use crate::application::Meta;
use crate::duration;
use crate::unsupported::Unsupported;

/// How long what an Application does may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// An operation, from its start to its end, without the waits between its retries.
    pub sync: Option<Duration>,
    /// One wave, until all of it is healthy.
    pub wave: Option<Duration>,
    /// One hook, until it has ended; [`hook_deadline`] wins.
    pub hook: Option<Duration>,
}

/// How long a hook may take, as it says itself.
pub fn hook_deadline(node: &Node) -> Option<Duration> {
    node.str_at(&["metadata", "annotations", HOOK_DEADLINE]).and_then(read)
}

fn read(text: &str) -> Option<Duration> {
    duration::parse(text.trim()).filter(|deadline| !deadline.is_zero())
}

/// What is said of an annotation that is no deadline.
pub(crate) fn warning(annotation: &'static str, text: &str) -> Option<Unsupported> {
    let message = "not a duration such as 90s, 30m or 1h30m, so it has no effect";
    read(text).is_none().then(|| Unsupported::new(annotation, false, message.to_owned()))
}

// === impl Deadlines ===

impl Deadlines {
    /// The deadlines that an Application's annotations say.
    pub(crate) fn read(meta: &Meta) -> Self {
        let deadline = |annotation: &str| meta.annotations.get(annotation).and_then(|text| read(text));
        Self { sync: deadline(SYNC_DEADLINE), wave: deadline(WAVE_DEADLINE), hook: deadline(HOOK_DEADLINE) }
    }

    /// What of the annotations has no effect.
    pub(crate) fn warnings(meta: &Meta) -> impl Iterator<Item = Unsupported> {
        let names = [SYNC_DEADLINE, WAVE_DEADLINE, HOOK_DEADLINE];
        names.into_iter().filter_map(|annotation| warning(annotation, meta.annotations.get(annotation)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_set() {
        assert_eq!(Deadlines::read(&Meta::annotated(&[("a", "b")])), Deadlines::default());
        let all = Meta::annotated(&[(SYNC_DEADLINE, "1h30m"), (WAVE_DEADLINE, " 90s "), (HOOK_DEADLINE, "45")]);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(Deadlines::read(&all), Deadlines { sync: seconds(5400), wave: seconds(90), hook: seconds(45) });
        assert_eq!(Deadlines::warnings(&all).count(), 0);
    }

    #[test]
    fn what_is_no_deadline_counts_as_absent_and_is_told() {
        for text in ["", "soon", "-5s", "0", "0s", "1d"] {
            for annotation in [SYNC_DEADLINE, WAVE_DEADLINE, HOOK_DEADLINE] {
                let meta = Meta::annotated(&[(annotation, text)]);
                assert_eq!(Deadlines::read(&meta), Deadlines::default(), "{text}");
                let warnings: Vec<Unsupported> = Deadlines::warnings(&meta).collect();
                assert_eq!((warnings.len(), warnings[0].field.as_str()), (1, annotation), "{text}");
                assert!(!warnings[0].stops);
            }
        }
    }

    #[test]
    fn a_hook_says_it_itself() {
        let hook = |text: &str| {
            let mut node = Node::map();
            node.set_at(&["metadata", "annotations", HOOK_DEADLINE], text.into());
            hook_deadline(&node)
        };
        assert_eq!(hook("10m"), Some(Duration::from_mins(10)));
        assert_eq!(hook("later"), None);
        assert_eq!(hook_deadline(&Node::map()), None);
    }
}
