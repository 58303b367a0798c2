//! Whether an Application is paused, why, and until when: the annotations `trueup.dev/pause` and `trueup.dev/pause-until`.
//!
//! Either of them pauses, and what is no time counts as absent: a pause that nobody can read the end of has none. Entry
//! points: [`Pause::read`] and [`Pause::holds`].

use std::fmt;

use jiff::Timestamp;

use crate::annotations::{PAUSE, PAUSE_UNTIL};
use crate::application::Meta;
use crate::unsupported::Unsupported;

/// How much of a reason is kept, in characters: it stands in the status, which stays small.
const REASON_SHOWN: usize = 256;

/// A pause: nothing of the Application is synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Why; may be empty.
    pub reason: String,
    /// When it ends; none if somebody has to end it.
    pub until: Option<Timestamp>,
}

// === impl Pause ===

impl Pause {
    /// The pause that an Application's annotations say, over or not.
    pub fn read(meta: &Meta) -> Option<Self> {
        let (reason, until) = (meta.annotations.get(PAUSE), meta.annotations.get(PAUSE_UNTIL));
        if reason.is_none() && until.is_none() {
            return None;
        }
        let reason = reason.map(|reason| reason.trim()).unwrap_or_default();
        Some(Self { reason: reason.chars().take(REASON_SHOWN).collect(), until: until.and_then(|text| time(text)) })
    }

    /// Whether it is still on.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// What of the annotations has no effect.
    pub(crate) fn warning(meta: &Meta) -> Option<Unsupported> {
        let text = meta.annotations.get(PAUSE_UNTIL)?;
        let message = "not a time such as 2026-11-24T10:00:00Z, so the pause lasts until the annotations are removed";
        time(text).is_none().then(|| Unsupported::new(PAUSE_UNTIL, false, message.to_owned()))
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.trim().parse().ok()
}

/// In the words of a condition.
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("paused")?;
        if let Some(until) = self.until {
            write!(f, " until {until}")?;
        }
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        let annotations = if self.until.is_some() { PAUSE_UNTIL } else { PAUSE };
        write!(f, " (annotation {annotations})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_has_a_reason_and_an_end_or_not() {
        let ten = "2026-11-24T10:00:00Z";
        for (annotations, said, warned) in [
            (&[][..], None, false),
            (&[("a", "b")][..], None, false),
            (&[(PAUSE, "")][..], Some("paused (annotation trueup.dev/pause)"), false),
            (&[(PAUSE, " freeze ")][..], Some("paused: freeze (annotation trueup.dev/pause)"), false),
            (
                &[(PAUSE, "freeze"), (PAUSE_UNTIL, ten)][..],
                Some("paused until 2026-11-24T10:00:00Z: freeze (annotation trueup.dev/pause-until)"),
                false,
            ),
            (
                &[(PAUSE_UNTIL, "2026-11-24T11:00:00+01:00")][..],
                Some("paused until 2026-11-24T10:00:00Z (annotation trueup.dev/pause-until)"),
                false,
            ),
            (
                &[(PAUSE, "freeze"), (PAUSE_UNTIL, "tomorrow")][..],
                Some("paused: freeze (annotation trueup.dev/pause)"),
                true,
            ),
            (&[(PAUSE_UNTIL, "")][..], Some("paused (annotation trueup.dev/pause)"), true),
        ] {
            let meta = Meta::annotated(annotations);
            assert_eq!(Pause::read(&meta).map(|pause| pause.to_string()).as_deref(), said, "{annotations:?}");
            assert_eq!(Pause::warning(&meta).is_some(), warned, "{annotations:?}");
        }
        assert_eq!(
            Pause::read(&Meta::annotated(&[(PAUSE, &"é".repeat(9000))])).unwrap().reason.chars().count(),
            REASON_SHOWN
        );
    }

    #[test]
    fn it_holds_until_its_end() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let pause = |until: Option<&str>| Pause { reason: String::new(), until: until.map(at) };
        let now = at("2026-11-24T10:00:00Z");
        assert!(pause(None).holds(now));
        assert!(pause(Some("2026-11-24T10:00:01Z")).holds(now));
        assert!(!pause(Some("2026-11-24T10:00:00Z")).holds(now));
    }
}
