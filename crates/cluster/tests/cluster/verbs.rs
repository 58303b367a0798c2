//! What is written, and what the API server refuses.

use serde_json::json;
use trueup_cluster::Absent;
use trueup_cluster::Apply;
use trueup_cluster::ClusterError;
use trueup_cluster::Merge;
use trueup_cluster::Propagation;
use trueup_cluster::Verb;
use trueup_object::Node;

use crate::bench::Bench;
use crate::bench::PLAIN;
use crate::bench::node;

#[tokio::test]
async fn an_apply_without_change_keeps_the_version_and_a_dry_run_writes_nothing() {
    let bench = Bench::new("apply").await;
    let kind = bench.config_maps().await;
    let dry = Apply { dry_run: true, ..PLAIN };
    let body = bench.claimed("shop", "a", "1");
    let promised = bench.cluster.apply(&kind, &body, dry.clone()).await.unwrap();
    assert_eq!(promised.node().str_at(&["data", "value"]), Some("1"));
    assert!(bench.cluster.fetch(&kind, &bench.key(&kind, "a")).await.unwrap().is_none());

    let first = bench.apply(&kind, &body).await.unwrap();
    let second = bench.apply(&kind, &body).await.unwrap();
    assert_eq!((&first.uid, &first.resource_version), (&second.uid, &second.resource_version));
    let third = bench.apply(&kind, &bench.claimed("shop", "a", "2")).await.unwrap();
    assert_ne!(second.resource_version, third.resource_version);
    assert_eq!(third.claimed_by(""), Some("shop"));
    let manager = third.node().list_at(&["metadata", "managedFields"])[0].str_at(&["manager"]).map(str::to_owned);
    assert_eq!(manager.as_deref(), Some("trueup"));

    let count = |verb: Verb| {
        let counters = bench.cluster.counters();
        counters.requests.iter().find(|(other, _)| *other == verb).unwrap().1
    };
    assert_eq!((count(Verb::Apply), count(Verb::DryRun), count(Verb::Get)), (3, 1, 1));
}

#[tokio::test]
async fn a_stale_version_is_a_conflict_for_every_verb() {
    let bench = Bench::new("stale").await;
    let kind = bench.config_maps().await;
    let key = bench.key(&kind, "a");
    let old = bench.apply(&kind, &bench.claimed("shop", "a", "1")).await.unwrap();
    let new = bench.apply(&kind, &bench.claimed("shop", "a", "2")).await.unwrap();

    let stale = Apply { resource_version: Some(old.resource_version.clone()), ..PLAIN };
    let body = bench.claimed("shop", "a", "3");
    assert_eq!(bench.cluster.apply(&kind, &body, stale).await.unwrap_err(), ClusterError::Conflict);
    let delete =
        async |uid: &str, version: &str| bench.cluster.delete(&kind, &key, uid, version, Propagation::Background).await;
    assert_eq!(delete(&new.uid, &old.resource_version).await, Err(ClusterError::Conflict));
    assert_eq!(
        delete("11111111-1111-1111-1111-111111111111", &new.resource_version).await,
        Err(ClusterError::Conflict)
    );
    let fields = Node::List(Vec::new());
    let patched = bench.cluster.patch_managed_fields(&kind, &key, &old.resource_version, &fields).await;
    assert_eq!(patched.unwrap_err(), ClusterError::Conflict);

    assert_eq!(delete(&new.uid, &new.resource_version).await, Ok(()));
    assert!(bench.cluster.fetch(&kind, &key).await.unwrap().is_none());
    assert_eq!(delete(&new.uid, &new.resource_version).await, Err(ClusterError::NotFound(Absent::Object)));
}

#[tokio::test]
async fn an_object_is_replaced_or_merged_into_at_the_version_that_was_judged() {
    let bench = Bench::new("replace").await;
    let (cluster, kind) = (&bench.cluster, bench.config_maps().await);
    let key = bench.key(&kind, "a");
    let body = bench.claimed("shop", "a", "1");
    cluster.would_create(&kind, &body).await.unwrap();
    assert!(cluster.fetch(&kind, &key).await.unwrap().is_none());
    let first = cluster.create_validated(&kind, &body, true).await.unwrap();
    assert_eq!(cluster.create_validated(&kind, &body, true).await.unwrap_err(), ClusterError::AlreadyExists);
    // That there is one of this name is no reason not to take it.
    cluster.would_create(&kind, &body).await.unwrap();
    let mut wrong = body.clone();
    wrong.set_at(&["metadata", "labels", "no label"], "x".into());
    assert!(matches!(cluster.would_create(&kind, &wrong).await, Err(ClusterError::Refused { code: 422, .. })));

    let patch = node(&json!({"data": {"more": "1"}, "metadata": {"labels": {"a": "b"}}}));
    let merged = cluster.merge(&kind, &key, &patch, Merge::Strategic, &first.resource_version, true).await.unwrap();
    assert_eq!(merged.node().str_at(&["data", "value"]), Some("1"));
    assert_eq!(merged.node().str_at(&["data", "more"]), Some("1"));
    let stale = cluster.merge(&kind, &key, &patch, Merge::Json, &first.resource_version, true).await;
    assert_eq!(stale.unwrap_err(), ClusterError::Conflict);

    let body = bench.claimed("shop", "a", "2");
    assert_eq!(cluster.replace(&kind, &body, &first.resource_version, true).await.unwrap_err(), ClusterError::Conflict);
    let replaced = cluster.replace(&kind, &body, &merged.resource_version, true).await.unwrap();
    assert_eq!((replaced.node().str_at(&["data", "value"]), replaced.node().at(&["data", "more"])), (Some("2"), None));
    assert_eq!((replaced.node().at(&["metadata", "labels"]), &replaced.uid), (None, &first.uid));

    // Labels under a manager of their own come and go, and nothing else.
    let labelled = |labels: serde_json::Value| {
        let metadata = json!({"name": "a", "namespace": key.namespace.as_str(), "labels": labels});
        node(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
    };
    let with = cluster.apply_metadata(&kind, &labelled(json!({"team": "blue"})), "labels of a/b").await.unwrap();
    assert_eq!(with.node().str_at(&["metadata", "labels", "team"]), Some("blue"));
    assert_eq!(with.node().str_at(&["data", "value"]), Some("2"));
    let without = cluster.apply_metadata(&kind, &labelled(json!({})), "labels of a/b").await.unwrap();
    assert_eq!(without.node().at(&["metadata", "labels", "team"]), None);
    assert_eq!(without.node().str_at(&["data", "value"]), Some("2"));
}

#[tokio::test]
async fn ownership_can_be_rewritten() {
    let bench = Bench::new("ownership").await;
    let kind = bench.config_maps().await;
    let live = bench.apply(&kind, &bench.claimed("shop", "a", "1")).await.unwrap();
    let mut fields = live.node().list_at(&["metadata", "managedFields"]).to_vec();
    fields[0].set_at(&["manager"], Node::from("somebody"));
    let key = bench.key(&kind, "a");
    let fields = Node::List(fields);
    let patched = bench.cluster.patch_managed_fields(&kind, &key, &live.resource_version, &fields).await.unwrap();
    let owners: Vec<String> = patched
        .node()
        .list_at(&["metadata", "managedFields"])
        .iter()
        .filter_map(|entry| entry.str_at(&["manager"]).map(str::to_owned))
        .collect();
    assert_eq!(owners, ["somebody"]);
}

#[tokio::test]
async fn what_the_schema_does_not_know_is_refused_with_its_path() {
    let bench = Bench::new("refused").await;
    let kind = bench.kind("apps/v1", "Deployment").await;
    let body = node(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "refused"},
        "spec": {"replcas": 1},
    }));
    let error = bench.apply(&kind, &body).await.unwrap_err();
    let ClusterError::Refused { code: 500, message, fields } = &error else { panic!("{error:?}") };
    assert!(message.contains("field not declared in schema"), "{message}");
    assert_eq!(fields, &[".spec.replcas"]);

    let invalid = node(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "refused"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "c"}}}},
    }));
    let error = bench.apply(&kind, &invalid).await.unwrap_err();
    let ClusterError::Refused { code: 422, fields, .. } = &error else { panic!("{error:?}") };
    assert!(fields.contains(&".spec.template.spec.containers".to_owned()), "{fields:?}");
}

#[tokio::test]
async fn a_refused_secret_is_never_quoted() {
    let bench = Bench::new("secret").await;
    let kind = bench.kind("v1", "Secret").await;
    for (spec, field) in [
        (json!({"stringData": {"p": ["hunter2"]}}), ".stringData.p"),
        (json!({"data": {"p": "hunter2!"}}), ""),
        (json!({"unknown": {"p": "hunter2"}}), ".unknown"),
    ] {
        let mut body = node(&spec);
        body.set_at(&["apiVersion"], Node::from("v1"));
        body.set_at(&["kind"], Node::from("Secret"));
        body.set_at(&["metadata"], node(&json!({"name": "a", "namespace": "secret"})));
        let error = bench.apply(&kind, &body).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        let ClusterError::Refused { message, fields, .. } = &error else { panic!("{error:?}") };
        assert!(field.is_empty() || fields == &[field], "{fields:?}");
        assert!(message.contains(field), "{message}");
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b", "namespace": "secret"},
                        "stringData": {"p": "hunter2"}});
    let live = bench.apply(&kind, &node(&secret)).await.unwrap();
    assert!(!format!("{live:?}").contains("aHVudGVyMg"));
    let broken = json!([{"op": "replace", "path": "/data", "value": "hunter2"}]);
    let error = bench.cluster.patch_json(&kind, "secret", "b", &broken).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
}

#[tokio::test]
async fn what_is_absent_is_told_apart() {
    let bench = Bench::new("absent").await;
    let kind = bench.config_maps().await;
    let mut body = bench.claimed("shop", "a", "1");
    body.set_at(&["metadata", "namespace"], Node::from("nowhere"));
    assert_eq!(bench.apply(&kind, &body).await.unwrap_err(), ClusterError::NotFound(Absent::Namespace));

    let mut gone = kind.clone();
    gone.gvk.version = "v9".into();
    assert_eq!(
        bench.apply(&gone, &bench.claimed("shop", "a", "1")).await.unwrap_err(),
        ClusterError::NotFound(Absent::Kind)
    );

    let created = bench.cluster.create(&kind, &bench.claimed("shop", "b", "1")).await.unwrap();
    assert_eq!(created.key, bench.key(&kind, "b"));
    let again = bench.cluster.create(&kind, &bench.claimed("shop", "b", "1")).await;
    assert_eq!(again.unwrap_err(), ClusterError::AlreadyExists);
}

#[tokio::test]
async fn a_missing_permission_is_told_as_one() {
    let bench = Bench::of("eve", "permission").await;
    let kind = bench.config_maps().await;
    let error = bench.apply(&kind, &bench.claimed("shop", "a", "1")).await.unwrap_err();
    assert!(matches!(&error, ClusterError::Forbidden { message } if message.contains("eve")), "{error:?}");
}

#[tokio::test]
async fn who_acts_as_a_user_writes_with_that_users_permissions_and_reads_with_its_own() {
    let bench = Bench::new("acting").await;
    let kind = bench.config_maps().await;
    let acting = bench.cluster.acting_as("system:serviceaccount:acting:nobody");
    let body = bench.claimed("shop", "a", "1");
    let made = bench.apply(&kind, &body).await.unwrap();
    let key = bench.key(&kind, "a");
    let refusals = [
        acting.apply(&kind, &body, PLAIN).await.unwrap_err(),
        acting.apply(&kind, &body, Apply { dry_run: true, ..PLAIN }).await.unwrap_err(),
        acting.create(&kind, &bench.claimed("shop", "b", "1")).await.unwrap_err(),
        acting.delete(&kind, &key, &made.uid, &made.resource_version, Propagation::Background).await.unwrap_err(),
        acting.patch_json(&kind, "acting", "a", &json!([])).await.unwrap_err(),
    ];
    for error in refusals {
        let named = "system:serviceaccount:acting:nobody";
        assert!(matches!(&error, ClusterError::Forbidden { message } if message.contains(named)), "{error:?}");
    }
    assert_eq!(acting.fetch(&kind, &key).await.unwrap().unwrap().resource_version, made.resource_version);
    assert_eq!((acting.user(), bench.cluster.user()), (Some("system:serviceaccount:acting:nobody"), None));
    bench.cluster.delete(&kind, &key, &made.uid, &made.resource_version, Propagation::Background).await.unwrap();
}
