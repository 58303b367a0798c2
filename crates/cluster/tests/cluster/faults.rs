//! What an API server does on a bad day costs another question, never an object.

use trueup_bed::Deadline;
use trueup_bed::until;
use trueup_cluster::Change;
use trueup_cluster::ClusterError;
use trueup_cluster::Verb;
use trueup_cluster::WatchState;

use crate::bench::PLAIN;
use crate::bench::node;
use crate::bench::ready;
use crate::bench::state;
use crate::bench::told;
use crate::script::Ask;
use crate::script::Script;
use crate::script::hold;
use crate::script::ok;
use crate::script::refuse;

const EXPIRED: &str = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}
"#;

fn object(name: &str, version: u64) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"n","uid":"{name}","resourceVersion":"{version}","annotations":{{"argocd.argoproj.io/tracking-id":"app:/ConfigMap:n/{name}"}}}}}}"#
    )
}

fn list(version: u64, next: &str, objects: &[String]) -> String {
    let items = objects.join(",");
    format!(r#"{{"metadata":{{"resourceVersion":"{version}","continue":"{next}"}},"items":[{items}]}}"#)
}

fn event(what: &str, object: &str) -> String {
    format!("{{\"type\":\"{what}\",\"object\":{object}}}\n")
}

fn tracked(script: &Script) -> Vec<String> {
    let mut names: Vec<String> =
        script.cluster.tracked("app").into_iter().map(|(_, key)| key.name.to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_expired_watch_lists_again_and_drops_what_vanished() {
    let script = Script::new(&[
        (Ask::List, &[ok(&list(10, "", &[object("a", 1), object("b", 2)])), ok(&list(20, "", &[object("a", 1)]))]),
        (Ask::Watch, &[ok(EXPIRED), hold("")]),
    ])
    .await;
    script.cluster.want("app", []);
    let mut changes = script.cluster.changes();
    script.cluster.watch(&script.kind);
    ready(&script.cluster, &script.kind.gvk).await;
    let gone = Change::Object { app: "app".into(), key: script.kind.key("n", "b") };
    told(&mut changes, &gone).await;
    told(&mut changes, &gone).await;
    assert_eq!(tracked(&script), ["a"]);
    until("the second watch", Deadline::SHORT, async || {
        let asked = script.asked(Ask::Watch);
        if asked.len() == 2 { Ok(()) } else { Err(asked) }
    })
    .await
    .unwrap();
    assert_eq!(script.asked(Ask::List).len(), 2);
    assert!(script.asked(Ask::Watch)[1].contains("resourceVersion=20"));
}

#[tokio::test]
async fn a_watch_that_breaks_off_goes_on_where_it_was_without_a_list() {
    let half = format!("{}{{\"type\":\"ADDED\",\"obj", event("ADDED", &object("b", 11)));
    let script = Script::new(&[
        (Ask::List, &[ok(&list(10, "", &[object("a", 1)]))]),
        (Ask::Watch, &[ok(&half), ok(&event("BOOKMARK", r#"{"metadata":{"resourceVersion":"15"}}"#)), hold("")]),
    ])
    .await;
    script.cluster.watch(&script.kind);
    until("the third watch", Deadline::SHORT, async || {
        let asked = script.asked(Ask::Watch);
        if asked.len() == 3 { Ok(()) } else { Err(asked) }
    })
    .await
    .unwrap();
    let asked = script.asked(Ask::Watch);
    for (address, version) in asked.iter().zip([10, 11, 15]) {
        assert!(address.ends_with(&format!("resourceVersion={version}")), "{asked:?}");
    }
    assert_eq!((script.asked(Ask::List).len(), tracked(&script)), (1, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(script.cluster.watch_state(&script.kind.gvk), WatchState::Ready);
}

#[tokio::test]
async fn a_list_that_expires_between_its_pages_begins_anew() {
    let script = Script::new(&[
        (
            Ask::List,
            &[
                ok(&list(10, "t/1", &[object("a", 1)])),
                refuse(410, ""),
                ok(&list(20, "t/2", &[object("b", 15)])),
                ok(&list(20, "", &[object("c", 16)])),
            ],
        ),
        (Ask::Watch, &[hold("")]),
    ])
    .await;
    script.cluster.watch(&script.kind);
    ready(&script.cluster, &script.kind.gvk).await;
    assert_eq!(tracked(&script), ["b", "c"]);
    let asked = script.asked(Ask::List);
    assert!(asked[1].contains("limit=500&continue=t%2F1") && !asked[2].contains("continue"), "{asked:?}");
}

#[tokio::test]
async fn a_listing_with_an_object_without_a_name_is_not_complete() {
    let script = Script::new(&[
        (Ask::List, &[ok(&list(10, "", &[object("a", 1), "{}".to_owned()])), ok(&list(20, "", &[object("b", 15)]))]),
        (Ask::Watch, &[hold("")]),
    ])
    .await;
    script.cluster.watch(&script.kind);
    let failed =
        |state: &WatchState| matches!(state, WatchState::Failed { message, .. } if message.contains("no name"));
    state(&script.cluster, &script.kind.gvk, failed).await;
    ready(&script.cluster, &script.kind.gvk).await;
    assert_eq!(tracked(&script), ["b"]);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_after_the_time_it_asks_for() {
    let script = Script::new(&[
        (Ask::List, &[refuse(429, "Retry-After: 1\r\n"), ok(&list(10, "", &[]))]),
        (Ask::Watch, &[hold("")]),
        (Ask::Apply, &[refuse(429, "Retry-After: 1\r\n"), ok(&object("a", 11)), refuse(503, "")]),
    ])
    .await;
    script.cluster.watch(&script.kind);
    ready(&script.cluster, &script.kind.gvk).await;
    let body = node(&serde_json::json!({"metadata": {"name": "a", "namespace": "n"}}));
    let begun = std::time::Instant::now();
    let live = script.cluster.apply(&script.kind, &body, PLAIN).await.unwrap();
    assert!(begun.elapsed().as_millis() >= 990, "{:?}", begun.elapsed());
    assert_eq!((live.resource_version.as_str(), tracked(&script)), ("11", vec!["a".to_owned()]));
    let counters = script.cluster.counters();
    assert!(counters.requests.contains(&(Verb::Apply, 2)) && counters.throttled == 2, "{counters:?}");
    assert_eq!(counters.limit, 8, "halved");
    let error = script.cluster.apply(&script.kind, &body, PLAIN).await.unwrap_err();
    assert!(matches!(&error, ClusterError::Unavailable { message } if message == "as told"), "{error:?}");
    assert_eq!(script.asked(Ask::Apply).len(), 3, "only what was refused unseen is sent again");
}

#[tokio::test]
async fn a_group_that_cannot_be_read_is_named_each_time() {
    let script = Script::new(&[]).await;
    for _ in 0..2 {
        let kinds = script.cluster.kinds().await.unwrap();
        assert_eq!(kinds.served, std::slice::from_ref(&script.kind));
        assert_eq!(kinds.unread.keys().collect::<Vec<_>>(), ["broken.example.com"]);
    }
}
