//! The controller as its Pod runs it: arguments, environment, user, volumes and permissions of `deploy/`, and its probes.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::chown;
use std::path::Path;

use serde_json::Value;
use serde_json::json;
use trueup_bed::Audit;
use trueup_bed::Request;
use trueup_bed::Requests;
use trueup_bed::trueup_binary;
use trueup_bed::until;
use trueup_e2e::NAMESPACE;
use trueup_e2e::Rest;
use trueup_e2e::SLOW;
use trueup_e2e::Scene;
use trueup_e2e::World;
use trueup_e2e::kubectl;
use trueup_e2e::manifests::config_map;
use trueup_e2e::manifests::deployment;
use trueup_e2e::objects;

use crate::container::Container;
use crate::container::USER;
use crate::container::Volume;
use crate::container::own_directory;
use crate::container::possible;
use crate::kustomize::built;
use crate::kustomize::one;

const OVERLAY: &str = "deploy/overlays/dev";
const NAME: &str = "trueup-controller";
/// Where a kubelet puts what a Pod needs to reach the API server.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The answer of a probe, as a kubelet judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Good,
    Bad,
    None,
}

/// The three probes of the Deployment, asked on a port.
struct Probes {
    port: u16,
    paths: [String; 3],
}

impl Probes {
    fn of(container: &Value, port: u16) -> Self {
        let path = |probe: &str| {
            assert_eq!(container[probe]["httpGet"]["port"], container["ports"][0]["name"], "{probe}");
            container[probe]["httpGet"]["path"].as_str().unwrap().to_owned()
        };
        Self { port, paths: ["startupProbe", "livenessProbe", "readinessProbe"].map(path) }
    }

    /// What startup, liveness and readiness answer now.
    async fn ask(&self, container: &Container) -> [Answer; 3] {
        let [startup, liveness, readiness] = &self.paths;
        [self.get(container, startup).await, self.get(container, liveness).await, self.get(container, readiness).await]
    }

    async fn get(&self, container: &Container, path: &str) -> Answer {
        match container.get(self.port, path).await {
            Some(200..=399) => Answer::Good,
            Some(_) => Answer::Bad,
            None => Answer::None,
        }
    }

    async fn until(&self, container: &mut Container, wanted: [Answer; 3]) {
        let waited = until(format!("startup, liveness and readiness to be {wanted:?}"), SLOW, async || {
            let answers = self.ask(container).await;
            if answers == wanted { Ok(()) } else { Err(answers) }
        });
        if let Err(error) = waited.await {
            panic!("{error}; ended: {:?}; its log:\n{}", container.ended(), container.log());
        }
    }
}

/// A token of the account, as a kubelet asks for one, and what lies beside it.
async fn account(admin: &Rest, world: &World, dir: &Path) {
    let path = format!("{}/{NAME}/token", objects("serviceaccounts", NAMESPACE));
    let request =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}});
    let token = admin.create(&path, &request).await["status"]["token"].as_str().unwrap().to_owned();
    let authority = fs::read_to_string(world.control_plane.dir().join("ca.crt")).unwrap();
    fs::create_dir_all(dir).unwrap();
    for (name, content) in [("token", token), ("ca.crt", authority), ("namespace", NAMESPACE.to_owned())] {
        let path = dir.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        chown(&path, Some(0), Some(USER)).unwrap();
    }
}

/// The environment that the kubelet would give: the ConfigMap, what is set beside it, where the API server is.
fn environment(objects: &[Value], container: &Value, server: &str, port: u16) -> Vec<(String, String)> {
    let name = container["envFrom"][0]["configMapRef"]["name"].as_str().unwrap();
    let data = one(objects, "ConfigMap", name)["data"].as_object().unwrap();
    let mut environment: Vec<(String, String)> =
        data.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    assert_eq!(container["env"][0]["valueFrom"]["fieldRef"]["fieldPath"], "metadata.namespace");
    environment.push((container["env"][0]["name"].as_str().unwrap().to_owned(), NAMESPACE.to_owned()));
    let (host, server_port) = server.trim_start_matches("https://").rsplit_once(':').unwrap();
    environment.push(("KUBERNETES_SERVICE_HOST".to_owned(), host.to_owned()));
    environment.push(("KUBERNETES_SERVICE_PORT".to_owned(), server_port.to_owned()));
    environment.push(("HOSTNAME".to_owned(), format!("{NAME}-0")));
    // Only here: many share this machine's ports, and nobody wants to wait for the next look at Git.
    for (name, value) in [("TRUEUP_LISTEN", format!("127.0.0.1:{port}")), ("TRUEUP_RESYNC", "2s".to_owned())] {
        let set = environment.iter_mut().find(|(known, _)| known == name);
        set.unwrap_or_else(|| panic!("{name} is not in the ConfigMap")).1 = value;
    }
    environment
}

/// That the kernel sees a process that may do nothing.
fn confined(container: &Container) {
    let status = container.proc("status");
    let field = |name: &str| -> Vec<String> {
        let line = status.lines().find(|line| line.starts_with(&format!("{name}:")));
        let line = line.unwrap_or_else(|| panic!("{name} is not in {status}"));
        line.split_whitespace().skip(1).map(str::to_owned).collect()
    };
    for name in ["Uid", "Gid"] {
        assert_eq!(field(name), vec![USER.to_string(); 4], "{name}");
    }
    assert!(field("Groups").is_empty());
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(name), ["0000000000000000"], "{name}");
    }
    assert_eq!(field("NoNewPrivs"), ["1"]);
    let mounts = container.proc("mountinfo");
    let root = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{root}");
}

#[tokio::test]
async fn as_its_pod_it_works_with_nothing_but_what_deploy_grants() {
    use Answer::Bad;
    use Answer::Good;
    if !possible() {
        return;
    }
    let world: &'static World = Box::leak(Box::new(World::start().await));
    let scene = Scene::new(world, "pod", NAMESPACE).await;
    let overlay = trueup_bed::workspace().join(OVERLAY);
    kubectl(&world.control_plane, &format!("apply --server-side --force-conflicts -k {}", overlay.display())).await;
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("account");
    account(&scene.admin, world, &token).await;
    let first = scene.commit(&[
        ("app/config.yaml", Some(&config_map("config", &[("a", "1")]))),
        ("app/web.yaml", Some(&deployment("web", 1, "blue"))),
        ("app/goes.yaml", Some(&config_map("goes", &[("a", "1")]))),
    ]);
    let app = scene.create(scene.application().automated(true, true)).await;

    let objects = built(OVERLAY);
    let pod = &one(&objects, "Deployment", NAME)["spec"]["template"]["spec"];
    let template = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsUser"], USER);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let probes = Probes::of(template, port);
    let arguments: Vec<String> =
        template["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    let environment = environment(&objects, template, world.control_plane.server(), port);
    let cache = dir.path().join("cache");
    own_directory(&cache);
    assert_eq!(template["volumeMounts"].as_array().unwrap().len(), 1, "a volume that this test does not know");
    let mount_path = template["volumeMounts"][0]["mountPath"].as_str().unwrap().to_owned();
    let volumes = [
        Volume { source: cache.clone(), target: mount_path, writable: true },
        Volume { source: token, target: ACCOUNT.to_owned(), writable: false },
    ];

    let audit = Audit::of(&world.control_plane).await.unwrap();
    let begin = audit.mark().await.unwrap();
    // It starts while the API server is away: it lives, and is neither started nor ready.
    world.control_plane.stop_apiserver().await.unwrap();
    let binary = trueup_binary().unwrap();
    let mut container = Container::run(dir.path(), &binary, &arguments, &environment, &volumes);
    probes.until(&mut container, [Bad, Good, Bad]).await;
    confined(&container);
    world.control_plane.start_apiserver().await.unwrap();
    probes.until(&mut container, [Good, Good, Good]).await;
    app.healthy(&first).await;
    let uid = scene.uid("deployments", "web").await;

    // The API server goes: only readiness says so. What Git brings meanwhile is done when it is back.
    world.control_plane.stop_apiserver().await.unwrap();
    probes.until(&mut container, [Good, Good, Bad]).await;
    let second =
        scene.commit(&[("app/config.yaml", Some(&config_map("config", &[("a", "2")]))), ("app/goes.yaml", None)]);
    world.control_plane.start_apiserver().await.unwrap();
    probes.until(&mut container, [Good, Good, Good]).await;
    app.healthy(&second).await;
    scene.until_value("configmaps", "config", "/data/a", "2").await;
    scene.until_gone("configmaps", "goes").await;
    // What somebody changes by hand is seen and brought back: watches and applies work with these permissions, too.
    scene.edit("configmaps", "config", &json!({"data": {"a": "by hand"}})).await;
    scene.until_value("configmaps", "config", "/data/a", "2").await;
    scene.until_event("pod", &["DriftHealed"]).await;
    assert_eq!(scene.uid("deployments", "web").await, uid, "nothing was made twice");

    // It wrote to its cache, and nowhere else; nobody refused it anything.
    confined(&container);
    assert!(cache.join("git").is_dir(), "its cache is not where the Deployment says");
    for empty in ["tmp", "home/nonroot"] {
        assert_eq!(fs::read_dir(container.root().join(empty)).unwrap().count(), 0, "/{empty}");
    }
    let log = container.log();
    for word in ["Read-only file system", "Permission denied", "Operation not permitted"] {
        assert!(!log.contains(word), "'{word}' in its log:\n{log}");
    }
    nothing_stayed_refused(&audit.since(begin).await.unwrap());
}

/// That all that it asked for was answered in the end. An API server that has just started refuses everything for a moment.
fn nothing_stayed_refused(requests: &Requests) {
    let ours = format!("system:serviceaccount:{NAMESPACE}:{NAME}");
    let about = |request: &Request| (request.verb.clone(), request.group.clone(), request.resource.clone());
    let requests: Vec<&Request> = requests.iter().filter(|request| request.user == ours).collect();
    let granted: BTreeSet<_> =
        requests.iter().filter(|request| request.code < 400).map(|request| about(request)).collect();
    let refused: BTreeSet<_> =
        requests.iter().filter(|request| request.code == 403).map(|request| about(request)).collect();
    assert_eq!(refused.difference(&granted).collect::<Vec<_>>(), Vec::<&(String, String, String)>::new());
    for wanted in [("patch", "argoproj.io", "applications"), ("create", "", "events"), ("delete", "", "configmaps")] {
        let (verb, group, resource) = wanted;
        assert!(
            granted.contains(&(verb.to_owned(), group.to_owned(), resource.to_owned())),
            "{wanted:?} in {granted:?}"
        );
    }
}
