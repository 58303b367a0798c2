//! Sync options: what each does to an object, and what it leaves alone.

use serde_json::Value;
use serde_json::json;
use trueup_e2e::Scene;
use trueup_e2e::kubectl_with_input;
use trueup_e2e::manifests::annotated;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;

const OPTIONS: &str = "argocd.argoproj.io/sync-options";
const NOTE: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn managers(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .map(|entry| format!("{} {}", entry["manager"].as_str().unwrap(), entry["operation"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_replaced_object_has_what_git_says_and_keeps_what_holds_it() {
    let scene = Scene::shared("options-replace").await;
    let with = |name: &str, option: &str, value: &str| {
        annotated(name, &[(OPTIONS, option)]).replace("kept: \"yes\"", &format!("a: \"{value}\""))
    };
    let files =
        |value: &str| [("app/one.yaml", with("one", "Replace=true", value)), ("app/two.yaml", with("two", "", value))];
    let put = |value: &str| {
        let files = files(value);
        scene.commit(&files.iter().map(|(path, text)| (*path, Some(text.as_str()))).collect::<Vec<_>>())
    };
    let first = put("1");
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let uid = scene.uid("configmaps", "one").await;
    let by_hand =
        json!({"data": {"extra": "x"}, "metadata": {"labels": {"extra": "x"}, "finalizers": ["example.com/held"]}});
    for name in ["one", "two"] {
        scene.edit("configmaps", name, &by_hand).await;
    }
    let second = put("2");
    app.synced(&second).await;
    let one = scene.expect("configmaps", "one").await;
    assert_eq!((&one["data"], &one["metadata"]["labels"]), (&json!({"a": "2"}), &Value::Null), "{one:#}");
    assert_eq!(one["metadata"]["finalizers"], json!(["example.com/held"]));
    assert_eq!(one["metadata"]["uid"], uid);
    let two = scene.expect("configmaps", "two").await;
    assert_eq!(two["data"], json!({"a": "2", "extra": "x"}));
    assert_eq!(two["metadata"]["labels"], json!({"extra": "x"}));
    // It stays so, without a further write.
    let seen = app.refresh("hard").await;
    assert_eq!(seen["status"]["sync"]["status"], "Synced");
    assert_eq!(
        scene.expect("configmaps", "one").await["metadata"]["resourceVersion"],
        one["metadata"]["resourceVersion"]
    );
    for name in ["one", "two"] {
        scene.edit("configmaps", name, &json!({"metadata": {"finalizers": null}})).await;
    }
}

/// A Deployment that takes a container away that others put in.
fn without_sidecar(image: &str, label: &str) -> String {
    deployment("web", 1, "blue").replace("metadata:\n  name: web\n", &format!("metadata:\n  name: web\n  labels: {{{label}}}\n")).replace(
        "containers:\n",
        &format!("containers:\n        - name: sidecar\n          $patch: delete\n        - name: {image}\n          image: registry.example/{image}:1\n"),
    )
}

#[tokio::test]
async fn strategic_directives_are_kept_by_client_side_apply() {
    let scene = Scene::shared("options-directives").await;
    let first = scene.put("app/web.yaml", &without_sidecar("main", "mine: \"yes\""));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.healthy(&first).await;
    let live = scene.expect("deployments", "web").await;
    assert!(!live["spec"].to_string().contains('$'), "{:#}", live["spec"]);
    assert!(live["metadata"]["annotations"][NOTE].as_str().unwrap().contains("$patch"), "{live:#}");
    // What others add stays, but for what Git takes away.
    let added = json!({
        "metadata": {"labels": {"theirs": "yes"}},
        "spec": {"template": {"spec": {"containers": [
            {"name": "sidecar", "image": "registry.example/sidecar:1"},
            {"name": "helper", "image": "registry.example/helper:1"},
        ]}}},
    });
    let patch = added.to_string();
    kubectl_with_input(
        &scene.world.control_plane,
        &["patch", "deployment", "web", "-n", &scene.namespace, "--type", "strategic", "-p", &patch],
        "",
    )
    .await;
    let names = |object: &Value| {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap().clone();
        let mut names: Vec<String> = containers.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    trueup_bed::until("the sidecar to go", trueup_e2e::SLOW, async || {
        let names = names(&scene.expect("deployments", "web").await);
        if names.contains(&"sidecar".to_owned()) { Err(names) } else { Ok(()) }
    })
    .await
    .unwrap();
    let live = scene.expect("deployments", "web").await;
    assert!(names(&live).contains(&"helper".to_owned()), "{:?}", names(&live));
    assert_eq!(live["metadata"]["labels"], json!({"mine": "yes", "theirs": "yes"}));
    // What Git drops goes, what is another's stays; the note follows; and then it is in line for good.
    let second = scene.put("app/web.yaml", &without_sidecar("other", "").replace("  labels: {}\n", ""));
    app.healthy(&second).await;
    let live = scene.expect("deployments", "web").await;
    assert_eq!(live["metadata"]["labels"], json!({"theirs": "yes"}));
    assert!(
        names(&live).contains(&"helper".to_owned())
            && names(&live).contains(&"other".to_owned())
            && !names(&live).contains(&"main".to_owned()),
        "{:?}",
        names(&live)
    );
    assert!(live["metadata"]["annotations"][NOTE].as_str().unwrap().contains("registry.example/other"), "{live:#}");
    let generation = live["metadata"]["generation"].clone();
    let seen = app.refresh("hard").await;
    assert_eq!(seen["status"]["sync"]["status"], "Synced");
    assert_eq!(scene.expect("deployments", "web").await["metadata"]["generation"], generation);
}

#[tokio::test]
async fn directives_are_refused_where_the_server_is_to_apply() {
    let scene = Scene::shared("options-directives-refused").await;
    scene.put("app/web.yaml", &without_sidecar("main", "mine: \"yes\""));
    let app = scene.create(scene.application().automated(true, true).sync_option("ServerSideApply=true")).await;
    app.until("a word about the option", |app| {
        app["status"]["operationState"]["message"]
            .as_str()
            .unwrap_or_default()
            .contains("remove the option ServerSideApply=true")
    })
    .await;
    assert!(scene.object("deployments", "web").await.is_none());
}

#[tokio::test]
async fn what_is_applied_by_the_client_is_noted_and_goes_with_git() {
    let scene = Scene::shared("options-client-side").await;
    let first = scene.commit(&[
        ("app/a.yaml", Some(&config_map("a", &[("keep", "1"), ("drop", "1")]))),
        ("app/b.yaml", Some(&annotated("b", &[(OPTIONS, "ServerSideApply=true")]))),
    ]);
    let app = scene.create(scene.application().automated(true, true).sync_option("ServerSideApply=false")).await;
    app.synced(&first).await;
    let a = scene.expect("configmaps", "a").await;
    assert_eq!(managers(&a), ["trueup Update"]);
    assert!(a["metadata"]["annotations"][NOTE].as_str().unwrap().contains("drop"));
    // The object's own word wins.
    let b = scene.expect("configmaps", "b").await;
    assert_eq!((managers(&b), &b["metadata"]["annotations"][NOTE]), (vec!["trueup Apply".to_owned()], &Value::Null));
    scene.edit("configmaps", "a", &json!({"data": {"theirs": "1", "keep": "9"}})).await;
    scene.until_value("configmaps", "a", "/data/keep", "1").await;
    let second = scene.put("app/a.yaml", &config_map("a", &[("keep", "2")]));
    app.synced(&second).await;
    let a = scene.expect("configmaps", "a").await;
    assert_eq!(a["data"], json!({"keep": "2", "theirs": "1"}));
    assert!(!a["metadata"]["annotations"][NOTE].as_str().unwrap().contains("drop"));
}

#[tokio::test]
async fn ignored_fields_are_not_written_where_they_are_to_be_respected() {
    for (name, option) in
        [("options-respect", "RespectIgnoreDifferences=true"), ("options-disrespect", "RespectIgnoreDifferences=false")]
    {
        let scene = Scene::shared(name).await;
        let data = |strict: &str| config_map("a", &[("loose", "1"), ("strict", strict)]);
        let first = scene.put("app/a.yaml", &data("1"));
        let rules = json!([{"kind": "ConfigMap", "jsonPointers": ["/data/loose"]}]);
        let built =
            scene.application().automated(true, true).sync_option(option).set("/spec", "ignoreDifferences", rules);
        let app = scene.create(built).await;
        app.synced(&first).await;
        scene.edit("configmaps", "a", &json!({"data": {"loose": "9"}})).await;
        let second = scene.put("app/a.yaml", &data("2"));
        app.synced(&second).await;
        let left = if option.ends_with("true") { "9" } else { "1" };
        assert_eq!(scene.expect("configmaps", "a").await["data"], json!({"loose": left, "strict": "2"}), "{option}");
    }
}

#[tokio::test]
async fn what_kubectl_holds_is_left_to_it_where_nobody_migrates() {
    for (name, option) in
        [("options-migrate", "ClientSideApplyMigration=true"), ("options-keep", "ClientSideApplyMigration=false")]
    {
        let scene = Scene::shared(name).await;
        let namespace = json!({"metadata": {"name": scene.namespace}});
        scene.admin.create("/api/v1/namespaces", &namespace).await;
        let text = config_map("a", &[("both", "1"), ("kubectls", "1")]);
        kubectl_with_input(&scene.world.control_plane, &["apply", "-n", &scene.namespace, "-f", "-"], &text).await;
        let first = scene.put("app/a.yaml", &config_map("a", &[("both", "1"), ("ours", "1")]));
        let app = scene.create(scene.application().automated(true, true).sync_option(option)).await;
        app.synced(&first).await;
        let live = scene.expect("configmaps", "a").await;
        let kept = option.ends_with("false");
        assert_eq!(
            managers(&live).contains(&"kubectl-client-side-apply Update".to_owned()),
            kept,
            "{option}: {:?}",
            managers(&live)
        );
        // What it holds and Git lacks stays with it, and goes where it was taken over.
        let data =
            if kept { json!({"both": "1", "kubectls": "1", "ours": "1"}) } else { json!({"both": "1", "ours": "1"}) };
        assert_eq!(live["data"], data, "{option}");
        let seen = app.refresh("hard").await;
        assert_eq!(seen["status"]["sync"]["status"], "Synced", "{option}");
    }
}

#[tokio::test]
async fn what_is_pruned_leaves_its_dependents_where_that_is_asked_for() {
    let scene = Scene::shared("options-orphan").await;
    let first = scene.commit(&[
        ("app/web.yaml", Some(&deployment("web", 1, "blue"))),
        ("app/a.yaml", Some(&config_map("a", &[("a", "1")]))),
    ]);
    let app =
        scene.create(scene.application().automated(true, true).sync_option("PrunePropagationPolicy=orphan")).await;
    app.healthy(&first).await;
    let sets = format!("/apis/apps/v1/namespaces/{}/replicasets", scene.namespace);
    let before = scene.admin.list(&sets).await;
    assert_eq!(before.len(), 1);
    let second = scene.commit(&[("app/web.yaml", None)]);
    scene.until_gone("deployments", "web").await;
    app.synced(&second).await;
    let after = scene.admin.list(&sets).await;
    assert_eq!(after.len(), 1, "{after:#?}");
    assert_eq!(after[0]["metadata"]["uid"], before[0]["metadata"]["uid"]);
    assert_eq!(after[0]["metadata"]["ownerReferences"], Value::Null);
}

#[tokio::test]
async fn a_shared_object_fails_the_sync_before_anything_is_written() {
    let scene = Scene::shared("options-shared").await;
    let first = scene.commit(&[
        ("app/shared.yaml", Some(&config_map("shared", &[("a", "1")]))),
        ("other/shared.yaml", Some(&config_map("shared", &[("a", "2")]))),
        ("other/own.yaml", Some(&config_map("own", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let other = scene
        .create(
            scene
                .application_named("options-shared-other")
                .path("other")
                .automated(true, true)
                .sync_option("FailOnSharedResource=true"),
        )
        .await;
    other
        .until("the failure", |app| {
            let message = app["status"]["operationState"]["message"].as_str().unwrap_or_default();
            message.contains("shared: application 'options-shared' holds it (FailOnSharedResource=true)")
        })
        .await;
    assert!(scene.object("configmaps", "own").await.is_none());
    assert_eq!(scene.expect("configmaps", "shared").await["data"], json!({"a": "1"}));
    // Without the option the rest is applied.
    other.patch(&json!({"spec": {"syncPolicy": {"syncOptions": ["CreateNamespace=true"]}}})).await;
    scene.until_value("configmaps", "own", "/data/a", "1").await;
    assert_eq!(scene.expect("configmaps", "shared").await["data"], json!({"a": "1"}));
}

#[tokio::test]
async fn from_one_way_of_writing_to_another_nothing_stays_behind() {
    let scene = Scene::shared("options-switch").await;
    let map = |option: &str, data: &str| annotated("a", &[(OPTIONS, option)]).replace("kept: \"yes\"", data);
    let first = scene.put("app/a.yaml", &map("Replace=true", "keep: \"1\", one: \"1\", two: \"1\", three: \"1\""));
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let uid = scene.uid("configmaps", "a").await;
    // Each step drops a key that the way before it wrote.
    for (option, data, expected) in [
        (
            "ServerSideApply=true",
            "keep: \"2\", two: \"1\", three: \"1\"",
            json!({"keep": "2", "two": "1", "three": "1", "theirs": "1"}),
        ),
        ("ServerSideApply=false", "keep: \"3\", three: \"1\"", json!({"keep": "3", "three": "1", "theirs": "1"})),
        ("", "keep: \"4\"", json!({"keep": "4", "theirs": "1"})),
    ] {
        scene.edit("configmaps", "a", &json!({"data": {"theirs": "1"}})).await;
        let commit = scene.put("app/a.yaml", &map(option, data));
        app.synced(&commit).await;
        assert_eq!(scene.expect("configmaps", "a").await["data"], expected, "{option}");
        let seen = app.refresh("hard").await;
        assert_eq!(seen["status"]["sync"]["status"], "Synced", "{option}");
    }
    assert_eq!(scene.uid("configmaps", "a").await, uid);
}

#[tokio::test]
async fn a_definition_is_replaced_in_place_and_its_objects_by_patches_of_their_own() {
    let scene = Scene::shared("options-definition").await;
    let definition = |description: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: swaps.options.example.com\n  \
             annotations: {{{OPTIONS}: \"Replace=true,Force=true\"}}\nspec:\n  group: options.example.com\n  scope: Namespaced\n  \
             names: {{plural: swaps, singular: swap, kind: Swap}}\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      \
             schema:\n        openAPIV3Schema: {{type: object, description: \"{description}\", properties: {{spec: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}\n"
        )
    };
    let swap = |spec: &str| {
        format!(
            "apiVersion: options.example.com/v1\nkind: Swap\nmetadata: {{name: one, annotations: {{{OPTIONS}: \"ServerSideApply=false\"}}}}\nspec: {{{spec}}}\n"
        )
    };
    let first = scene.commit(&[
        ("app/definition.yaml", Some(&definition("first"))),
        ("app/swap.yaml", Some(&swap("keep: 1, drop: 1, list: [a, b]"))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;
    app.synced(&first).await;
    let plural = "swaps.options.example.com/v1";
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/swaps.options.example.com";
    let (uid, defined) = (scene.uid(plural, "one").await, scene.admin.get(path).await.unwrap());
    scene.edit(plural, "one", &json!({"spec": {"theirs": 1}})).await;
    let second = scene.commit(&[
        ("app/definition.yaml", Some(&definition("second"))),
        ("app/swap.yaml", Some(&swap("keep: 2, list: [a]"))),
    ]);
    app.synced(&second).await;
    let now = scene.admin.get(path).await.unwrap();
    assert_eq!(now["metadata"]["uid"], defined["metadata"]["uid"]);
    assert_eq!(now["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"], "second");
    let one = scene.expect(plural, "one").await;
    assert_eq!((&one["spec"], &one["metadata"]["uid"]), (&json!({"keep": 2, "list": ["a"], "theirs": 1}), &json!(uid)));
    assert!(one["metadata"]["annotations"][NOTE].as_str().unwrap().contains("keep"));
    // What can never be changed of it is refused, whatever is asked for: every object would go with it.
    let third = scene.put("app/definition.yaml", &definition("third").replace("scope: Namespaced", "scope: Cluster"));
    app.until("the refusal", |app| {
        let state = &app["status"]["operationState"];
        state["syncResult"]["revision"] == third.as_str()
            && state["message"].as_str().unwrap_or_default().contains("every object of its kind would go with it")
    })
    .await;
    assert_eq!(scene.uid(plural, "one").await, uid);
}

#[tokio::test]
async fn a_respected_field_is_never_put_back_however_often_it_moves() {
    /// How often it moves against one commit: on a slow machine each write of ours may come too late for ever.
    const MOVES: u32 = 40;
    let scene = Scene::shared("options-race").await;
    let data = |strict: u32| config_map("a", &[("loose", "0"), ("strict", &strict.to_string())]);
    let first = scene.put("app/a.yaml", &data(0));
    let rules = json!([{"kind": "ConfigMap", "jsonPointers": ["/data/loose"]}]);
    let app = scene
        .create(scene.application().automated(true, true).sync_option("RespectIgnoreDifferences=true").set(
            "/spec",
            "ignoreDifferences",
            rules,
        ))
        .await;
    app.synced(&first).await;
    let mut written = 0;
    for strict in 1..=5_u32 {
        scene.put("app/a.yaml", &data(strict));
        app.patch(&json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})).await;
        let most = written + MOVES;
        // Nobody but this loop writes the field: whatever else stands there was put back.
        loop {
            let live = scene.expect("configmaps", "a").await["data"].clone();
            assert_eq!(live["loose"], written.to_string(), "{live}");
            if live["strict"].as_str() == Some(&strict.to_string()) {
                break;
            }
            if written == most {
                scene.until_value("configmaps", "a", "/data/strict", strict.to_string()).await;
                continue;
            }
            written += 1;
            scene.edit("configmaps", "a", &json!({"data": {"loose": written.to_string()}})).await;
        }
    }
    assert!(written > 5, "the field moved {written} times only");
}
