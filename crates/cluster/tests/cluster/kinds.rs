//! Which kinds there are, and their schemas.

use trueup_cluster::KindError;
use trueup_cluster::Verb;
use trueup_object::Gvk;

use crate::bench::Bench;

#[tokio::test]
async fn kinds_are_read_once_and_tell_their_nature() {
    let bench = Bench::new("kinds").await;
    let deployment = bench.kind("apps/v1", "Deployment").await;
    assert!(deployment.namespaced && deployment.scale && deployment.status && deployment.watchable);
    let namespace = bench.kind("v1", "Namespace").await;
    assert!(!namespace.namespaced && !namespace.scale);
    let review = bench.kind("authorization.k8s.io/v1", "SubjectAccessReview").await;
    assert!(!review.watchable);
    let requests = bench.cluster.counters().requests.iter().find(|(verb, _)| *verb == Verb::Discover).unwrap().1;
    assert_eq!(requests, 2);
    assert_eq!(bench.cluster.known_kind(&deployment.gvk), Some(deployment));
    assert!(bench.cluster.kinds().await.unwrap().served.len() > 50);
}

#[tokio::test]
async fn a_miss_asks_again_but_not_every_time() {
    let bench = Bench::new("miss").await;
    bench.config_maps().await;
    let nowhere = Gvk::from_api_version("apps/v1", "Nowhere");
    let requests = || bench.cluster.counters().requests.iter().find(|(verb, _)| *verb == Verb::Discover).unwrap().1;
    let before = requests();
    for _ in 0..5 {
        assert_eq!(bench.cluster.kind(&nowhere).await, Err(KindError::NotServed(nowhere.clone())));
    }
    // The group and its one version.
    assert_eq!(requests(), before + 2);
    let no_group = Gvk::from_api_version("nowhere.example/v1", "Nowhere");
    assert_eq!(bench.cluster.kind(&no_group).await, Err(KindError::NotServed(no_group.clone())));
}

#[tokio::test]
async fn a_schema_is_read_once_for_all_kinds_of_its_document_that_are_watched() {
    let bench = Bench::new("schemas").await;
    let deployment = bench.kind("apps/v1", "Deployment").await;
    let stateful_set = bench.kind("apps/v1", "StatefulSet").await;
    bench.cluster.watch(&stateful_set);
    let requests = || bench.cluster.counters().requests.iter().find(|(verb, _)| *verb == Verb::Discover).unwrap().1;
    let before = requests();
    assert!(bench.cluster.openapi(&deployment.gvk).await.unwrap().is_known());
    assert_eq!(requests(), before + 2);
    assert!(bench.cluster.openapi(&deployment.gvk).await.unwrap().is_known());
    assert!(bench.cluster.openapi(&stateful_set.gvk).await.unwrap().is_known());
    assert_eq!(requests(), before + 2);
    bench.cluster.forget_schemas().await;
    assert!(bench.cluster.openapi(&deployment.gvk).await.unwrap().is_known());
    assert_eq!(requests(), before + 4);
}

#[tokio::test]
async fn the_server_tells_its_version() {
    let bench = Bench::new("version").await;
    let version = bench.cluster.version().await.unwrap();
    assert_eq!((version.git_version.as_str(), version.major.as_str()), ("v1.36.3", "1"));
    assert_eq!(bench.cluster.server(), bench.control_plane.server());
}
