//! An API server that misbehaves as told: what a real one does only on a bad day.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use trueup_cluster::Cluster;
use trueup_cluster::Config;
use trueup_cluster::Kind;
use trueup_object::Gvk;

/// What is asked of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    List,
    Watch,
    Apply,
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: &'static str,
    pub(crate) body: String,
    /// Keeps the connection open and silent behind the body.
    pub(crate) hold: bool,
}

/// A server that knows ConfigMaps alone, and has a group that cannot be read.
pub(crate) struct Script {
    state: Arc<Mutex<State>>,
    pub(crate) cluster: Cluster,
    pub(crate) kind: Kind,
    _dir: tempfile::TempDir,
}

#[derive(Default)]
struct State {
    /// The last answer of each queue is given for ever.
    replies: HashMap<Ask, VecDeque<Reply>>,
    asked: Vec<(Ask, String)>,
}

pub(crate) fn ok(body: &str) -> Reply {
    Reply { status: 200, headers: "", body: body.to_owned(), hold: false }
}

/// An answer of a watch that then stays open.
pub(crate) fn hold(body: &str) -> Reply {
    Reply { hold: true, ..ok(body) }
}

pub(crate) fn refuse(status: u16, headers: &'static str) -> Reply {
    Reply { status, headers, ..ok(r#"{"kind":"Status","message":"as told"}"#) }
}

impl Script {
    pub(crate) async fn new(replies: &[(Ask, &[Reply])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let replies = replies.iter().map(|(ask, replies)| (*ask, replies.iter().cloned().collect())).collect();
        let state = Arc::new(Mutex::new(State { replies, asked: Vec::new() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = dir.path().join("kubeconfig");
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: {{server: '{server}'}}}}], \
             users: [{{name: u, user: {{}}}}], contexts: [{{name: c, context: {{cluster: c, user: u}}}}]}}"
        );
        std::fs::write(&kubeconfig, text).unwrap();
        let config = Config { kubeconfig: Some(kubeconfig), context: None, user_agent: "test".to_owned() };
        let cluster = Cluster::connect(config).await.unwrap();
        let kind = cluster.kind(&Gvk::from_api_version("v1", "ConfigMap")).await.unwrap();
        Self { state, cluster, kind, _dir: dir }
    }

    /// The addresses that were asked for.
    pub(crate) fn asked(&self, ask: Ask) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.asked.iter().filter(|(other, _)| *other == ask).map(|(_, address)| address.clone()).collect()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut request = Vec::new();
    // The body too: a connection that is closed with something unread is reset, and the answer may be lost.
    while !complete(&request) {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request);
    let mut words = request.split(' ');
    let (method, address) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let reply = reply(method, address, &state);
    let head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n{}\r\n", reply.status, reply.headers);
    let _ = stream.write_all(format!("{head}{}", reply.body).as_bytes()).await;
    if reply.hold {
        // Until the client goes.
        let _ = stream.read_buf(&mut Vec::new()).await;
    }
}

/// Whether the head and as much of a body as it announces are there.
fn complete(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn reply(method: &str, address: &str, state: &Mutex<State>) -> Reply {
    let ask = match address {
        "/api" => return ok("{}"),
        "/apis" => return ok(r#"{"groups":[{"name":"broken.example.com","versions":[{"version":"v1"}]}]}"#),
        "/apis/broken.example.com" => return refuse(500, ""),
        "/api/v1" => {
            return ok(
                r#"{"resources":[{"name":"configmaps","namespaced":true,"kind":"ConfigMap","verbs":["list","watch"]}]}"#,
            );
        }
        _ if !address.contains("/configmaps") => return refuse(404, ""),
        _ if method == "PATCH" => Ask::Apply,
        _ if address.contains("watch=true") => Ask::Watch,
        _ => Ask::List,
    };
    let mut state = state.lock().unwrap();
    state.asked.push((ask, address.to_owned()));
    let replies = state.replies.get_mut(&ask).unwrap();
    if replies.len() > 1 { replies.pop_front().unwrap() } else { replies[0].clone() }
}
