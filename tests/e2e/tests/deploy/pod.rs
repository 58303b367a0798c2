//! A Pod of `deploy/` as a process: its arguments, environment, user, volumes and account, and its probes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::chown;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;
use trueup_bed::Request;
use trueup_bed::Requests;
use trueup_bed::free_port;
use trueup_bed::renderer_binary;
use trueup_bed::trueup_binary;
use trueup_bed::until;
use trueup_e2e::Rest;
use trueup_e2e::SLOW;
use trueup_e2e::World;
use trueup_e2e::objects;

use crate::container::Container;
use crate::container::USER;
use crate::container::Volume;
use crate::container::own_directory;
use crate::kustomize::one;

/// The name of everything that the controller has.
const NAME: &str = "trueup-controller";
/// Where a kubelet puts what a Pod needs to reach the API server.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What runs in a Pod of the Deployment, ready to be started.
pub(crate) struct Pod {
    namespace: String,
    dir: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    volumes: Vec<Volume>,
    /// The command of the renderer, and what is mounted there.
    renderer: (Vec<String>, Vec<Volume>),
    /// Its probes.
    pub(crate) probes: Probes,
    /// Its cache, seen from outside.
    pub(crate) cache: PathBuf,
}

impl Pod {
    /// The Pod of the Deployment among these objects, which have been applied. What it needs on disk lies below `dir`.
    pub(crate) async fn of(built: &[Value], namespace: &str, world: &World, dir: &Path) -> Self {
        let token = dir.join("account");
        account(&world.rest("admin").await, world, namespace, &token).await;
        let spec = &one(built, "Deployment", NAME)["spec"]["template"]["spec"];
        assert_eq!(spec["securityContext"]["runAsUser"], USER);
        let template = &spec["containers"][0];
        let port = free_port().unwrap();
        let cache = dir.join("cache");
        own_directory(&cache);
        let socket = dir.join("socket");
        own_directory(&socket);
        let sources = [("cache", &cache), ("renderer", &socket), ("account", &token)];
        let mounted = |container: &Value| -> Vec<Volume> {
            let mount = |mount: &Value| Volume {
                source: sources.iter().find(|(name, _)| mount["name"] == *name).unwrap().1.clone(),
                target: mount["mountPath"].as_str().unwrap().to_owned(),
                writable: mount["readOnly"] != true,
            };
            container["volumeMounts"].as_array().unwrap().iter().map(mount).collect()
        };
        let volumes = mounted(template);
        assert!(volumes.iter().any(|volume| volume.target == ACCOUNT && !volume.writable));
        let renderer = &spec["containers"][1];
        let [program, flags @ ..] = &words(&renderer["command"])[..] else { panic!("{renderer}") };
        assert_eq!(program, "trueup-renderer");
        let flags = [flags, &words(&renderer["args"])].concat();
        Self {
            namespace: namespace.to_owned(),
            dir: dir.to_owned(),
            arguments: words(&template["args"]),
            environment: environment(built, template, namespace, world.control_plane.server(), port),
            volumes,
            renderer: (flags, mounted(renderer)),
            probes: Probes::of(template, port),
            cache,
        }
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Container {
        let binary = trueup_binary().unwrap();
        Container::run(&self.dir, "trueup", &binary, &self.arguments, &self.environment, &self.volumes)
    }

    /// Starts its renderer, for the `turn`th time, which has no environment.
    pub(crate) fn start_renderer(&self, turn: u32) -> Container {
        let dir = self.dir.join(format!("renderer-{turn}"));
        fs::create_dir_all(&dir).unwrap();
        let (flags, volumes) = &self.renderer;
        Container::run(&dir, "trueup-renderer", &renderer_binary().unwrap(), flags, &[], volumes)
    }

    /// What it asked for and was never granted, as verb, group and resource, among these requests. An API server that has
    /// just started refuses everything for a moment.
    pub(crate) fn refused(&self, requests: &Requests) -> BTreeSet<(String, String, String)> {
        self.answered(requests, |code| code == 403).difference(&self.granted(requests)).cloned().collect()
    }

    /// What it asked for and was granted, as verb, group and resource.
    pub(crate) fn granted(&self, requests: &Requests) -> BTreeSet<(String, String, String)> {
        self.answered(requests, |code| code < 400)
    }

    fn answered(&self, requests: &Requests, how: impl Fn(u16) -> bool) -> BTreeSet<(String, String, String)> {
        let ours = format!("system:serviceaccount:{}:{NAME}", self.namespace);
        let about = |request: &Request| (request.verb.clone(), request.group.clone(), request.resource.clone());
        requests.iter().filter(|request| request.user == ours && how(request.code)).map(about).collect()
    }
}

/// The answer of a probe, as a kubelet judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Good,
    Bad,
    None,
}

/// The three probes of the Deployment, asked on a port.
pub(crate) struct Probes {
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

    /// Waits until startup, liveness and readiness answer this.
    pub(crate) async fn until(&self, container: &mut Container, wanted: [Answer; 3]) {
        let waited = until(format!("startup, liveness and readiness to be {wanted:?}"), SLOW, async || {
            let answers = self.ask(container).await;
            if answers == wanted { Ok(()) } else { Err(answers) }
        });
        if let Err(error) = waited.await {
            panic!("{error}; ended: {:?}; its log:\n{}", container.ended(), container.log());
        }
    }
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// A token of the account, as a kubelet asks for one, and what lies beside it.
async fn account(admin: &Rest, world: &World, namespace: &str, dir: &Path) {
    let path = format!("{}/{NAME}/token", objects("serviceaccounts", namespace));
    let request =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}});
    let token = admin.create(&path, &request).await["status"]["token"].as_str().unwrap().to_owned();
    let authority = fs::read_to_string(world.control_plane.dir().join("ca.crt")).unwrap();
    fs::create_dir_all(dir).unwrap();
    for (name, content) in [("token", token), ("ca.crt", authority), ("namespace", namespace.to_owned())] {
        let path = dir.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        chown(&path, Some(0), Some(USER)).unwrap();
    }
}

/// The environment that the kubelet would give: the ConfigMap, what is set beside it, where the API server is.
fn environment(
    objects: &[Value],
    container: &Value,
    namespace: &str,
    server: &str,
    port: u16,
) -> Vec<(String, String)> {
    let name = container["envFrom"][0]["configMapRef"]["name"].as_str().unwrap();
    let data = one(objects, "ConfigMap", name)["data"].as_object().unwrap();
    let mut environment: Vec<(String, String)> =
        data.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    for variable in container["env"].as_array().unwrap() {
        assert_eq!(variable["valueFrom"]["fieldRef"]["fieldPath"], "metadata.namespace", "{variable}");
        environment.push((variable["name"].as_str().unwrap().to_owned(), namespace.to_owned()));
    }
    let (host, server_port) = server.trim_start_matches("https://").rsplit_once(':').unwrap();
    environment.push(("KUBERNETES_SERVICE_HOST".to_owned(), host.to_owned()));
    environment.push(("KUBERNETES_SERVICE_PORT".to_owned(), server_port.to_owned()));
    environment.push(("HOSTNAME".to_owned(), format!("{NAME}-0")));
    // Only here: many share this machine's ports, and nobody wants to wait for the next look at Git.
    let listen = environment.iter_mut().find(|(known, _)| known == "TRUEUP_LISTEN");
    listen.expect("TRUEUP_LISTEN is in the ConfigMap").1 = format!("127.0.0.1:{port}");
    environment.retain(|(known, _)| known != "TRUEUP_RESYNC");
    environment.push(("TRUEUP_RESYNC".to_owned(), "2s".to_owned()));
    environment
}

/// That the kernel sees a process that may do nothing.
pub(crate) fn confined(container: &Container) {
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
