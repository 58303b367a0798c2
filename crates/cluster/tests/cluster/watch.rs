//! What is seen of the cluster, and who is told.

use trueup_cluster::Change;
use trueup_cluster::Verb;
use trueup_cluster::WatchState;
use trueup_object::ObjectKey;

use crate::bench::Bench;
use crate::bench::state;
use crate::bench::told;

#[tokio::test]
async fn one_list_and_one_watch_bring_everything_that_is_claimed() {
    let bench = Bench::new("watched").await;
    let kind = bench.config_maps().await;
    bench.apply(&kind, &bench.claimed("watched", "a", "1")).await.unwrap();
    bench.kubectl(&["create", "configmap", "foreign"]).await;
    let requests = |verb| bench.cluster.counters().requests.iter().find(|(other, _)| *other == verb).unwrap().1;
    // Definitions are watched from the beginning.
    let before = (requests(Verb::List), requests(Verb::Watch));
    bench.watch(&kind).await;
    bench.cluster.watch(&kind);
    bench.see(&kind, "a", |live| live.is_some()).await;
    assert!(requests(Verb::List) <= before.0 + 3 && requests(Verb::Watch) <= before.1 + 3);
    assert_eq!(bench.cluster.tracked("watched"), [(kind.gvk.clone(), bench.key(&kind, "a"))]);
    assert!(bench.cluster.knows_foreign(&kind.gvk, &bench.key(&kind, "foreign")));
    assert!(bench.cluster.live(&kind.gvk, &bench.key(&kind, "foreign")).is_none());
    assert!(!bench.cluster.knows_foreign(&kind.gvk, &bench.key(&kind, "nowhere")));
}

#[tokio::test]
async fn somebody_elses_change_is_told_and_our_own_is_not() {
    let bench = Bench::new("echo").await;
    let kind = bench.config_maps().await;
    bench.cluster.want("echo", []);
    bench.watch(&kind).await;
    let mut changes = bench.cluster.changes();
    let a = Change::Object { app: "echo".into(), key: bench.key(&kind, "a") };
    let b = Change::Object { app: "echo".into(), key: bench.key(&kind, "b") };
    for value in ["1", "2", "3"] {
        let live = bench.apply(&kind, &bench.claimed("echo", "a", value)).await.unwrap();
        let seen = bench.cluster.live(&kind.gvk, &live.key).unwrap();
        assert_eq!(seen.resource_version, live.resource_version, "the answer is in the index at once");
    }
    // A later change by somebody else comes after all echoes, because a watch keeps the order.
    bench.control_plane.apply(&bench.claimed("echo", "b", "1").to_string()).await.unwrap();
    assert!(!told(&mut changes, &b).await.contains(&a), "our own echo was told");
    bench.kubectl(&["annotate", "configmap", "a", "x=y"]).await;
    told(&mut changes, &a).await;
    bench.kubectl(&["delete", "configmap", "a"]).await;
    told(&mut changes, &a).await;
    bench.see(&kind, "a", |live| live.is_none()).await;
}

#[tokio::test]
async fn a_wanted_foreign_object_is_fetched_once_and_followed() {
    let bench = Bench::new("wanted").await;
    let kind = bench.config_maps().await;
    bench.kubectl(&["create", "configmap", "a", "--from-literal=value=1"]).await;
    bench.watch(&kind).await;
    let mut changes = bench.cluster.changes();
    let key = bench.key(&kind, "a");
    bench.cluster.want("wanted", [(kind.gvk.clone(), key.clone())]);
    assert!(bench.cluster.knows_foreign(&kind.gvk, &key) && bench.cluster.live(&kind.gvk, &key).is_none());
    let fetched = bench.cluster.fetch(&kind, &key).await.unwrap().unwrap();
    let live = bench.cluster.live(&kind.gvk, &key).unwrap();
    assert_eq!((&live.resource_version, &live.app), (&fetched.resource_version, &None));
    assert_eq!(live.node().str_at(&["kind"]), Some("ConfigMap"));
    assert!(!bench.cluster.knows_foreign(&kind.gvk, &key));

    bench.kubectl(&["annotate", "configmap", "a", "x=y"]).await;
    told(&mut changes, &Change::Object { app: "wanted".into(), key: key.clone() }).await;
    bench
        .see(&kind, "a", |live| live.is_some_and(|live| live.str_at(&["metadata", "annotations", "x"]).is_some()))
        .await;
    bench.cluster.forget("wanted");
    assert!(bench.cluster.live(&kind.gvk, &key).is_none() && bench.cluster.knows_foreign(&kind.gvk, &key));
}

#[tokio::test]
async fn a_kind_that_may_not_be_listed_fails_alone() {
    let bench = Bench::of("eve", "alone").await;
    let secrets = bench.kind("v1", "Secret").await;
    let config_maps = bench.config_maps().await;
    bench.cluster.watch(&secrets);
    bench.watch(&config_maps).await;
    let failed = state(&bench.cluster, &secrets.gvk, |state| matches!(state, WatchState::Failed { .. })).await;
    assert!(matches!(&failed, WatchState::Failed { message, .. } if message.contains("secrets")), "{failed:?}");
    assert_eq!(bench.cluster.watch_state(&config_maps.gvk), WatchState::Ready);
    assert!(bench.cluster.reachable());
}

#[tokio::test]
async fn large_lists_come_in_pages() {
    let bench = Bench::new("pages").await;
    let kind = bench.config_maps().await;
    let names: Vec<String> = (0..120).map(|i| format!("c{i}")).collect();
    let applies =
        names.iter().map(|name| async { bench.apply(&kind, &bench.claimed("pages", name, "1")).await.unwrap() });
    futures::future::join_all(applies).await;
    bench.watch(&kind).await;
    let mut tracked: Vec<ObjectKey> = bench.cluster.tracked("pages").into_iter().map(|(_, key)| key).collect();
    tracked.sort();
    let mut expected: Vec<ObjectKey> = names.iter().map(|name| bench.key(&kind, name)).collect();
    expected.sort();
    assert_eq!(tracked, expected);
    let counters = bench.cluster.counters();
    assert!(counters.objects >= 120 && counters.under_way == 0 && counters.limit >= 16, "{counters:?}");
}
