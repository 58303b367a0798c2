//! Applications that somebody paused: compared and told, and nothing of them is synced.
//!
//! Keeps nothing: the annotations say it, and the time. Entry points: [`pause`] and, when a look begins, [`wake_at_its_end`].

use jiff::Timestamp;
use tokio::time::Instant;
use trueup_api::{Meta, Pause, condition};

use crate::observe::Notice;
use crate::queue::Queue;
use crate::windows::left;

/// The pause that is on now.
pub(crate) fn pause(meta: &Meta) -> Option<Pause> {
    Pause::read(meta).filter(|pause| pause.holds(Timestamp::now()))
}

/// An application whose pause ends by itself is looked at then.
pub(crate) fn wake_at_its_end(queue: &Queue, meta: &Meta) {
    let Some(until) = pause(meta).and_then(|pause| pause.until) else { return };
    queue.wake_at(&meta.instance, Instant::now() + left(until, Timestamp::now()));
}

/// What an operation says that waits because of it.
pub(crate) fn held(meta: &Meta) -> Option<String> {
    pause(meta).map(|pause| format!("the application is {pause}"))
}

/// What is said of it.
pub(crate) fn notice(meta: &Meta) -> Option<Notice> {
    let message = format!("{}: compared, and nothing is synced", pause(meta)?);
    Some(Notice { kind: condition::PAUSED_INFO, message })
}

/// What is said to who asks for a sync nevertheless.
pub(crate) fn refused(meta: &Meta) -> String {
    let pause = pause(meta).map_or_else(|| "paused".to_owned(), |pause| pause.to_string());
    format!(
        "the application is {pause}: nothing is synced; let it go on first (trueup app resume {}/{})",
        meta.namespace, meta.name
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use trueup_api::annotations::{PAUSE, PAUSE_UNTIL};

    use super::*;
    use crate::clock;

    fn meta(until: Option<&str>) -> Meta {
        let until = until.map(|until| (PAUSE_UNTIL.to_owned(), until.to_owned()));
        let annotations: BTreeMap<String, String> =
            std::iter::once((PAUSE.to_owned(), "freeze".to_owned())).chain(until).collect();
        Meta { name: "web".into(), namespace: "argocd".into(), instance: "web".into(), annotations, ..Meta::default() }
    }

    #[test]
    fn what_pauses_is_what_the_controller_does_not_undo() {
        assert_eq!([PAUSE, PAUSE_UNTIL], trueup_diff::PAUSE_ANNOTATIONS);
    }

    #[test]
    fn a_pause_is_told_until_it_is_over() {
        assert_eq!(notice(&Meta::default()), None);
        let told = notice(&meta(None)).unwrap().message;
        assert_eq!(told, "paused: freeze (annotation trueup.dev/pause): compared, and nothing is synced");
        assert!(refused(&meta(None)).ends_with("(trueup app resume argocd/web)"));
        assert!(notice(&meta(Some("9999-01-01T00:00:00Z"))).is_some());
        assert_eq!(notice(&meta(Some("2000-01-01T00:00:00Z"))), None);
    }

    #[tokio::test(start_paused = true)]
    async fn its_end_wakes_the_application() {
        let queue = Queue::new();
        wake_at_its_end(&queue, &meta(Some("2000-01-01T00:00:00Z")));
        wake_at_its_end(&queue, &meta(None));
        wake_at_its_end(&queue, &Meta::default());
        let start = Instant::now();
        wake_at_its_end(&queue, &meta(Some(&clock::after(Duration::from_mins(10)))));
        assert_eq!(queue.next().await.name(), "web");
        let waited = start.elapsed();
        assert!(Duration::from_secs(595) < waited && waited < Duration::from_secs(605), "{waited:?}");
    }
}
