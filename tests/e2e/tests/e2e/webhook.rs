//! A push that is told is live at once, although nobody looks at the repository for an hour.

use std::fmt::Write as _;
use std::time::Duration;
use std::time::Instant;

use aws_lc_rs::hmac;
use futures::StreamExt as _;
use futures::stream;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use trueup_bed::Asked;
use trueup_bed::Audit;
use trueup_bed::Controller;
use trueup_bed::ControllerOptions;
use trueup_bed::Deadline;
use trueup_bed::free_port;
use trueup_bed::until;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::controller_options;
use trueup_e2e::manifests::config_map;
use trueup_e2e::objects;

/// Within no test does a repository get its turn.
const NEVER: Duration = Duration::from_hours(1);

/// Headers of a request.
type Headers<'a> = &'a [(&'a str, &'a str)];
/// Between two listings that pushes bring.
const PAUSE: Duration = Duration::from_millis(500);

/// What GitHub signs with.
const GITHUB: &str = "hunter2";

/// A port for webhooks, and the options of a controller that listens there.
fn options(resync: Duration) -> (u16, ControllerOptions) {
    let port = free_port().unwrap();
    let arguments = vec![format!("--webhook-listen=127.0.0.1:{port}")];
    let environment = vec![("TRUEUP_UNTOUCHED_REVISIONS".to_owned(), "never".to_owned())];
    (port, ControllerOptions { resync: Some(resync), arguments, environment, ..controller_options(NAMESPACE) })
}

async fn set_secrets(scene: &Scene<'_>) {
    let secret = json!({"metadata": {"name": "argocd-secret"}, "stringData": {
        "webhook.github.secret": GITHUB,
        "webhook.gitlab.secret": "gitlab",
        "webhook.gogs.secret": "$elsewhere",
        "elsewhere": "gitea",
        "webhook.bitbucket.uuid": "{0ab1}",
        "webhook.bitbucketserver.secret": "$hooks:server",
        "webhook.azuredevops.username": "azure",
        "webhook.azuredevops.password": "devops",
        "webhook.trueup.secret": "own",
    }});
    scene.admin.create(&objects("secrets", NAMESPACE), &secret).await;
    let other = json!({
        "metadata": {"name": "hooks", "labels": {"app.kubernetes.io/part-of": "argocd"}}, "stringData": {"server": "server"},
    });
    scene.admin.create(&objects("secrets", NAMESPACE), &other).await;
}

/// Waits until the listener knows the secrets: until then nobody is believed.
async fn believed(controller: &Controller, port: u16) {
    until("the secrets to be known", Deadline::LONG, async || {
        let body = json!({"zen": "a"}).to_string();
        match post(port, &[("X-GitHub-Event", "ping"), ("X-Hub-Signature-256", &signed(GITHUB, &body))], &body).await {
            200 => Ok(()),
            other => Err((other, controller.log())),
        }
    })
    .await
    .unwrap();
}

fn hex(secret: &str, body: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
    tag.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn signed(secret: &str, body: &str) -> String {
    format!("sha256={}", hex(secret, body))
}

/// Sends a webhook, and answers the status; 0 if there is no connection.
async fn post(port: u16, headers: &[(&str, &str)], body: &str) -> u16 {
    let length = body.len().to_string();
    let headers = [headers, &[("Content-Type", "application/json"), ("Content-Length", &length)]].concat();
    send(port, &headers, body.as_bytes()).await
}

async fn send(port: u16, headers: &[(&str, &str)], body: &[u8]) -> u16 {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return 0 };
    let mut head = "POST /api/webhook HTTP/1.1\r\nHost: h\r\nConnection: close\r\n".to_owned();
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    // The answer may come before all is sent.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer}"))
}

/// GitHub's words for a push.
fn github(url: &str, name: &str) -> String {
    let web = url.trim_end_matches(".git");
    json!({
        "ref": name, "before": "1", "after": "2", "commits": [],
        "repository": {"full_name": "a/b", "html_url": web, "clone_url": url, "ssh_url": "git@h:a/b.git", "default_branch": "main"},
    })
    .to_string()
}

async fn push(port: u16, secret: &str, body: &str) -> u16 {
    post(port, &[("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &signed(secret, body))], body).await
}

#[tokio::test]
async fn a_push_is_live_at_once_and_touches_only_what_it_changes() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "hooked", NAMESPACE).await;
    set_secrets(&scene).await;
    let first = scene.commit(&[
        ("one/config.yaml", Some(&config_map("one", &[("a", "1")]))),
        ("two/config.yaml", Some(&config_map("two", &[("a", "1")]))),
    ]);
    for name in ["one", "two"] {
        scene.create(scene.application_named(name).path(name).automated(true, true)).await;
    }
    let (port, options) = options(NEVER);
    let controller = world.controller(&options).await;
    for name in ["one", "two"] {
        scene.app(name).healthy(&first).await;
    }
    believed(&controller, port).await;
    let audit = Audit::of(&world.control_plane).await.unwrap();
    let (mark, listings) = (audit.mark().await.unwrap(), scene.repository.asked(Asked::LsRefs));
    let second = scene.put("one/config.yaml", &config_map("one", &[("a", "2")]));

    // None of these brings a listing.
    let body = github(scene.repository.url(), "refs/heads/main");
    assert_eq!(push(port, "guessed", &body).await, 403);
    assert_eq!(post(port, &[("X-GitHub-Event", "push")], &body).await, 403);
    assert_eq!(push(port, GITHUB, &github("http://127.0.0.1:1/somebody/else.git", "refs/heads/main")).await, 202);
    assert_eq!(push(port, GITHUB, &github(scene.repository.url(), "refs/tags/of-nobody")).await, 202);
    assert_eq!(push(port, GITHUB, "{").await, 400);
    // This one does.
    let began = Instant::now();
    assert_eq!(push(port, GITHUB, &body).await, 202);
    scene.until_value("configmaps", "one", "/data/a", "2").await;
    println!("live {} ms after its webhook", began.elapsed().as_millis());
    scene.app("one").healthy(&second).await;
    assert_eq!(scene.repository.asked(Asked::LsRefs), listings + 1);
    assert_eq!(controller.metric("argocd_webhook_requests_total").await.unwrap(), Some(2.0));

    // Said again it costs one more listing at most, and nothing is written of what it says nothing new about.
    assert_eq!(push(port, GITHUB, &body).await, 202);
    scene.listed(listings + 2).await;
    let third = scene.put("one/config.yaml", &config_map("one", &[("a", "3")]));
    assert_eq!(push(port, GITHUB, &body).await, 202);
    scene.app("one").healthy(&third).await;
    assert_eq!(scene.repository.asked(Asked::LsRefs), listings + 3);
    let writes = audit.since(mark).await.unwrap().by("trueup").filtered(|request| request.name == "two").writes();
    assert!(writes.is_empty(), "{:?}", writes.counts());
    let log = controller.log();
    assert!(!log.contains(GITHUB) && !log.contains("sha256="), "a secret in the log");
}

#[tokio::test]
async fn every_kind_of_server_brings_its_push_in() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "kinds", NAMESPACE).await;
    set_secrets(&scene).await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "0")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    let (port, options) = options(NEVER);
    let controller = world.controller(&options).await;
    app.healthy(&first).await;
    believed(&controller, port).await;
    let url = scene.repository.url();
    let main = "refs/heads/main";
    let gitlab = json!({"object_kind": "push", "ref": main, "project": {"git_http_url": url}}).to_string();
    let gitea = json!({"ref": main, "repository": {"clone_url": url}}).to_string();
    let cloud = json!({
        "push": {"changes": [{"new": {"type": "branch", "name": "other"}}, {"new": {"type": "branch", "name": "main"}}]},
        "repository": {"links": {"html": {"href": url}}},
    })
    .to_string();
    let server = json!({
        "changes": [{"refId": "refs/heads/other"}, {"refId": main}],
        "repository": {"links": {"clone": [{"href": url, "name": "http"}]}},
    })
    .to_string();
    let azure = json!({
        "eventType": "git.push",
        "resource": {"refUpdates": [{"name": "refs/heads/other"}, {"name": main}], "repository": {"remoteUrl": url}},
    })
    .to_string();
    let own = json!({"repository": url, "ref": main}).to_string();
    let (gitea_tag, server_tag, own_tag) = (hex("gitea", &gitea), signed("server", &server), signed("own", &own));
    let rows: [(&str, &str, Headers<'_>); 6] = [
        ("gitlab", &gitlab, &[("X-Gitlab-Event", "Push Hook"), ("X-Gitlab-Token", "gitlab")]),
        ("gitea", &gitea, &[("X-GitHub-Event", "push"), ("X-Gitea-Event", "push"), ("X-Gitea-Signature", &gitea_tag)]),
        ("bitbucket", &cloud, &[("X-Event-Key", "repo:push"), ("X-Hook-UUID", "0ab1")]),
        ("bitbucket-server", &server, &[("X-Event-Key", "repo:refs_changed"), ("X-Hub-Signature", &server_tag)]),
        ("azure-devops", &azure, &[("X-Vss-ActivityId", "1"), ("Authorization", "Basic YXp1cmU6ZGV2b3Bz")]),
        ("trueup", &own, &[("X-Trueup-Signature-256", &own_tag)]),
    ];
    for (kind, body, headers) in rows {
        let commit = scene.put("app/config.yaml", &config_map("config", &[("a", kind)]));
        assert_eq!(post(port, headers, body).await, 202, "{kind}");
        scene.until_value("configmaps", "config", "/data/a", kind).await;
        app.healthy(&commit).await;
    }
    let counted = controller.metrics().await.unwrap();
    for (kind, _, _) in rows {
        let line = format!("trueup_webhook_requests_total{{provider=\"{kind}\",outcome=\"taken\"}} 1");
        assert!(counted.contains(&line), "{line} is not in {counted}");
    }
}

#[tokio::test]
async fn a_flood_costs_few_listings_and_a_huge_body_none() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "flood", NAMESPACE).await;
    set_secrets(&scene).await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    let (port, options) = options(NEVER);
    let controller = world.controller(&options).await;
    app.healthy(&first).await;
    believed(&controller, port).await;
    let listings = scene.repository.asked(Asked::LsRefs);

    // One byte more than is taken, and it is not waited for.
    let body = github(scene.repository.url(), "refs/heads/main");
    let length = (50 * 1024 * 1024 + 1).to_string();
    let tag = signed("github", &body);
    let headers = [("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &*tag), ("Content-Length", &*length)];
    assert_eq!(send(port, &headers, b"").await, 413);
    assert_eq!(scene.repository.asked(Asked::LsRefs), listings);

    let (began, second) = (Instant::now(), scene.put("app/config.yaml", &config_map("config", &[("a", "2")])));
    let answers: Vec<u16> =
        stream::iter(0..1000).map(|_| push(port, GITHUB, &body)).buffer_unordered(100).collect().await;
    assert!(answers.iter().all(|status| *status == 202), "{answers:?}");
    app.healthy(&second).await;
    let most = listings + 2 + usize::try_from(began.elapsed().as_millis() / PAUSE.as_millis()).unwrap();
    let asked = scene.repository.asked(Asked::LsRefs);
    assert!(asked <= most, "{} listings in {:?}", asked - listings, began.elapsed());
    let metrics = controller.metrics().await.unwrap();
    assert!(metrics.contains("argocd_webhook_handlers_in_flight 0"), "{metrics}");
}

#[tokio::test]
async fn only_the_active_controller_listens() {
    let world: &'static World = World::start().await.kept();
    let scene = Scene::new(world, "standby", NAMESPACE).await;
    set_secrets(&scene).await;
    let first = scene.put("app/config.yaml", &config_map("config", &[("a", "1")]));
    let app = scene.create(scene.application().automated(true, true)).await;
    let (active_port, active) = options(NEVER);
    let mut active = world.controller(&ControllerOptions { lease: true, ..active }).await;
    app.healthy(&first).await;
    believed(&active, active_port).await;
    let (port, standby) = options(NEVER);
    let standby = world.controller(&ControllerOptions { lease: true, ..standby }).await;
    assert_eq!(push(port, GITHUB, &github(scene.repository.url(), "refs/heads/main")).await, 0, "nobody listens");
    active.terminate().await.unwrap();
    believed(&standby, port).await;
    let second = scene.put("app/config.yaml", &config_map("config", &[("a", "2")]));
    assert_eq!(push(port, GITHUB, &github(scene.repository.url(), "refs/heads/main")).await, 202);
    app.healthy(&second).await;
    let seen: Value = scene.expect("configmaps", "config").await;
    assert_eq!(seen["data"]["a"], "2");
}
