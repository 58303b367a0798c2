//! Who of several controllers works: what is to be done about the Lease, decided from what was seen of it.
//!
//! Invariants: nobody's clock is compared with ours. A holder has lost the Lease when we have not seen it change for as long
//! as it says that it lasts, by our own monotonic clock, whether it is still there or was deleted meanwhile; and we hold it
//! for so long as [`working_time`] says, from before we sent the renewal. Every write of the Lease is of the version that was
//! judged, so of two who take it one gets it. Pure; `election` carries it out. Entry point: [`next`].

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// A holder that dies is waited for at least this long: a second for each renewal, two of which may be lost.
pub const DURATION_MIN: Duration = Duration::from_secs(5);
/// The longest: for so long nobody works after a crash.
pub const DURATION_MAX: Duration = Duration::from_mins(10);
/// Of one duration: renewed after so many parts of it.
const RENEWALS: u32 = 3;

/// What a Lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Who holds it; empty if nobody does.
    pub(crate) holder: String,
    /// How long it lasts after a renewal, if it says so.
    pub(crate) lasts: Option<Duration>,
    /// When it was renewed, as the holder writes it: to be shown and to be told from others, never to be compared.
    pub(crate) renewed: String,
    acquired: String,
    transitions: i64,
}

/// What was seen of the Lease last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sight {
    /// Nothing that can be relied on but what was there last, if something was.
    Nothing(Option<Seen>),
    /// It is not there. What was there last, if something was: whoever holds it works on, and makes it anew.
    Absent(Option<Seen>),
    Lease(Seen),
}

/// A Lease as it was seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) record: Record,
    /// When this record was seen first. It was written before that.
    pub(crate) since: Instant,
    /// The whole object, which is written back with what is not ours in it.
    object: Value,
}

/// Who we are, and what we ask for.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// No other living process has the same.
    pub(crate) identity: String,
    pub(crate) duration: Duration,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Read the Lease.
    Read,
    /// Take or renew it.
    Write,
    /// Nothing before then, unless it changes.
    Wait(Instant),
    /// We held it, and it went to this one, or to nobody.
    Lost(String),
}

/// How long we may work after a renewal, counted from before it was sent. The rest of the duration is for what the API
/// server has still in hand of us, and for clocks that do not run quite alike.
pub(crate) fn working_time(duration: Duration) -> Duration {
    duration * 2 / RENEWALS
}

/// Decides. `renewed` is when we sent the last write of the Lease that was done, if there was one.
pub(crate) fn next(candidate: &Candidate, sight: &Sight, renewed: Option<Instant>, now: Instant) -> Step {
    let seen = match (sight, renewed) {
        (Sight::Nothing(_), _) => return Step::Read,
        // Who else may have had it since, and has let it go, nobody can tell.
        (Sight::Absent(_), Some(renewed)) if now >= renewed + working_time(candidate.duration) => {
            return Step::Lost(String::new());
        }
        (Sight::Absent(_), Some(_)) | (Sight::Absent(None), None) => return Step::Write,
        (Sight::Absent(Some(seen)) | Sight::Lease(seen), _) => seen,
    };
    let (holder, due) = (&seen.record.holder, |at: Instant| if now >= at { Step::Write } else { Step::Wait(at) });
    match renewed {
        Some(renewed) if *holder == candidate.identity => due(renewed + candidate.duration / RENEWALS),
        // Somebody else wrote it: whatever we know may be old. Even one who gave it back may have worked meanwhile.
        Some(_) => Step::Lost(holder.clone()),
        None if holder.is_empty() || *holder == candidate.identity => Step::Write,
        None => match seen.ends(candidate) {
            Some(at) => due(at),
            // Longer than a clock counts.
            None => Step::Wait(now + DURATION_MAX),
        },
    }
}

// === impl Record ===

impl Record {
    /// Reads what a Lease says; what is not as it should be says nothing.
    fn read(lease: &Value) -> Self {
        let text = |name: &str| lease["spec"][name].as_str().unwrap_or_default().to_owned();
        let lasts = lease["spec"]["leaseDurationSeconds"].as_u64().filter(|seconds| *seconds > 0);
        Self {
            holder: text("holderIdentity"),
            lasts: lasts.map(Duration::from_secs),
            renewed: text("renewTime"),
            acquired: text("acquireTime"),
            transitions: lease["spec"]["leaseTransitions"].as_i64().unwrap_or_default(),
        }
    }
}

// === impl Seen ===

impl Seen {
    /// Until when its holder may work, if nobody renews it.
    pub(crate) fn ends(&self, candidate: &Candidate) -> Option<Instant> {
        self.since.checked_add(self.record.lasts.unwrap_or(candidate.duration))
    }
}

// === impl Sight ===

impl Sight {
    /// Takes in the Lease as it was read or watched.
    pub(crate) fn see(&mut self, object: Option<Value>, now: Instant) {
        *self = match object {
            None => Self::Absent(self.take()),
            Some(object) => {
                let record = Record::read(&object);
                let same = match self {
                    Self::Lease(seen) if seen.record == record => Some(seen.since),
                    _ => None,
                };
                Self::Lease(Seen { record, since: same.unwrap_or(now), object })
            }
        };
    }

    /// What is known of it may be old.
    pub(crate) fn forget(&mut self) {
        *self = Self::Nothing(self.take());
    }

    fn take(&mut self) -> Option<Seen> {
        match std::mem::replace(self, Self::Nothing(None)) {
            Self::Lease(seen) => Some(seen),
            Self::Nothing(last) | Self::Absent(last) => last,
        }
    }
}

// === impl Candidate ===

impl Candidate {
    /// The Lease as it is written when we take or renew it. `now` is the time of day, for people.
    pub(crate) fn lease(&self, namespace: &str, name: &str, sight: &Sight, now: &str) -> Value {
        let (mut object, before) = match sight {
            Sight::Lease(seen) => (seen.object.clone(), seen.record.clone()),
            Sight::Nothing(_) | Sight::Absent(_) => (
                json!({
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"namespace": namespace, "name": name},
                }),
                Record::default(),
            ),
        };
        let ours = before.holder == self.identity;
        let acquired = if ours && !before.acquired.is_empty() { before.acquired.as_str() } else { now };
        let first = matches!(sight, Sight::Nothing(_) | Sight::Absent(_));
        let transitions = before.transitions.saturating_add(i64::from(!ours && !first)).clamp(0, i32::MAX.into());
        object["spec"] = json!({
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.duration.as_secs(),
            "acquireTime": acquired,
            "renewTime": now,
            "leaseTransitions": transitions,
        });
        object
    }

    /// The Lease as it is given back; nothing if it is not ours.
    pub(crate) fn released(&self, sight: &Sight) -> Option<Value> {
        let Sight::Lease(seen) = sight else { return None };
        (seen.record.holder == self.identity).then(|| {
            let mut object = seen.object.clone();
            object["spec"]["holderIdentity"] = Value::from("");
            object
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn me() -> Candidate {
        Candidate { identity: "me".to_owned(), duration: SECOND * 15 }
    }

    fn lease(holder: &str, seconds: i64, renewed: &str) -> Value {
        json!({
            "metadata": {"resourceVersion": "7", "labels": {"kept": "yes"}},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": renewed,
                     "acquireTime": "then", "leaseTransitions": 4},
        })
    }

    fn seen(object: Value, at: Instant) -> Sight {
        let mut sight = Sight::Nothing(None);
        sight.see(Some(object), at);
        sight
    }

    #[test]
    fn a_table_of_sights() {
        let start = Instant::now();
        let at = |seconds: u32| start + SECOND * seconds;
        let held = |holder: &str, seconds: i64| seen(lease(holder, seconds, "t"), at(0));
        let deleted = |holder: &str, seconds: i64| {
            let mut sight = held(holder, seconds);
            sight.see(None, at(1));
            sight
        };
        // What is read after a failure says again that it is not there.
        let mut read_again = deleted("other", 15);
        read_again.forget();
        read_again.see(None, at(10));
        let rows: [(&str, Sight, Option<Instant>, u32, Step); 24] = [
            ("nothing is known", Sight::Nothing(None), None, 0, Step::Read),
            ("nothing is known any more", Sight::Nothing(None), Some(at(0)), 1, Step::Read),
            ("none is there", Sight::Absent(None), None, 0, Step::Write),
            ("ours was deleted", deleted("me", 15), Some(at(0)), 1, Step::Write),
            ("ours was deleted a moment before we cease", deleted("me", 15), Some(at(0)), 9, Step::Write),
            ("ours was deleted while we slept", deleted("me", 15), Some(at(0)), 10, Step::Lost(String::new())),
            ("ours was deleted before our restart", deleted("me", 15), None, 1, Step::Write),
            ("another's was deleted, who may work on", deleted("other", 15), None, 14, Step::Wait(at(15))),
            ("another's was deleted, and read again", read_again, None, 14, Step::Wait(at(15))),
            ("another's was deleted, and nobody made it anew", deleted("other", 15), None, 15, Step::Write),
            ("another's that lasts an hour was deleted", deleted("other", 3600), None, 15, Step::Wait(at(3600))),
            ("nobody's was deleted", deleted("", 15), None, 1, Step::Write),
            ("nobody holds it", held("", 15), None, 0, Step::Write),
            ("we held it before our restart", held("me", 15), None, 1, Step::Write),
            ("another holds it", held("other", 15), None, 14, Step::Wait(at(15))),
            ("another has not renewed it", held("other", 15), None, 15, Step::Write),
            ("another's lasts an hour", held("other", 3600), None, 15, Step::Wait(at(3600))),
            ("another's lasts less than ours", held("other", 2), None, 2, Step::Write),
            ("another does not say how long", held("other", 0), None, 14, Step::Wait(at(15))),
            ("another says nonsense", held("other", -5), None, 15, Step::Write),
            ("ours is not yet due", held("me", 15), Some(at(0)), 4, Step::Wait(at(5))),
            ("ours is due", held("me", 15), Some(at(0)), 5, Step::Write),
            ("ours went to another", held("other", 15), Some(at(0)), 1, Step::Lost("other".to_owned())),
            ("ours was emptied", held("", 15), Some(at(0)), 1, Step::Lost(String::new())),
        ];
        for (what, sight, renewed, now, step) in rows {
            assert_eq!(next(&me(), &sight, renewed, at(now)), step, "{what}");
        }
    }

    #[test]
    fn a_lease_without_end_is_waited_for_without_harm() {
        let start = Instant::now();
        let endless = json!({"spec": {"holderIdentity": "other", "leaseDurationSeconds": u64::MAX}});
        assert_eq!(next(&me(), &seen(endless, start), None, start), Step::Wait(start + DURATION_MAX));
        for object in [json!(null), json!([]), json!({"spec": {"holderIdentity": 7}}), json!({"spec": "x"})] {
            assert_eq!(next(&me(), &seen(object.clone(), start), None, start), Step::Write, "{object}");
        }
    }

    #[test]
    fn only_a_renewal_is_a_sign_of_life() {
        let start = Instant::now();
        let mut sight = seen(lease("other", 15, "a"), start);
        let mut labelled = lease("other", 15, "a");
        labelled["metadata"]["resourceVersion"] = json!("8");
        sight.see(Some(labelled), start + SECOND * 10);
        assert_eq!(next(&me(), &sight, None, start + SECOND * 15), Step::Write);
        // But it is the version that was seen last that is written over.
        let written = me().lease("argocd", "l", &sight, "now");
        assert_eq!(written["metadata"]["resourceVersion"], "8");
        sight.see(Some(lease("other", 15, "b")), start + SECOND * 14);
        assert_eq!(next(&me(), &sight, None, start + SECOND * 15), Step::Wait(start + SECOND * 29));
    }

    #[test]
    fn we_cease_before_others_may_begin() {
        for seconds in [5, 15, 600] {
            let duration = SECOND * seconds;
            assert!(working_time(duration) > duration / RENEWALS, "one renewal may come late");
            assert!(working_time(duration) + duration / 4 < duration);
        }
    }

    #[test]
    fn what_is_written() {
        let start = Instant::now();
        let made = me().lease("argocd", "trueup-controller", &Sight::Absent(None), "now");
        assert_eq!(made["metadata"], json!({"namespace": "argocd", "name": "trueup-controller"}));
        let spec = |acquired: &str, transitions: i64| {
            json!({"holderIdentity": "me", "leaseDurationSeconds": 15, "acquireTime": acquired, "renewTime": "now",
                   "leaseTransitions": transitions})
        };
        assert_eq!(made["spec"], spec("now", 0));
        let taken = me().lease("argocd", "l", &seen(lease("other", 3600, "t"), start), "now");
        assert_eq!(taken["spec"], spec("now", 5));
        assert_eq!(taken["metadata"]["labels"]["kept"], "yes");
        let renewed = me().lease("argocd", "l", &seen(lease("me", 15, "t"), start), "now");
        assert_eq!(renewed["spec"], spec("then", 4));
        let released = me().released(&seen(lease("me", 15, "t"), start)).unwrap();
        assert_eq!(released["spec"]["holderIdentity"], "");
        assert_eq!(me().released(&seen(lease("other", 15, "t"), start)), None);
        assert_eq!(me().released(&Sight::Absent(None)), None);
    }
}
