use std::sync::atomic::AtomicBool;

use aws_lc_rs::hmac;
use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trueup_git::Secret;

use super::*;
use crate::webhook::push::place;

const BODY: &str = r#"{"repository":"https://git.example.com/org/repo","ref":"refs/heads/main"}"#;

struct Own {
    webhooks: Webhooks,
    open: AtomicBool,
    pushed: Mutex<Vec<Push>>,
}

impl Desk for Own {
    fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    fn pushed(&self, push: &Push) {
        lock(&self.pushed).push(push.clone());
    }

    fn webhooks(&self) -> &Webhooks {
        &self.webhooks
    }
}

/// A listener of its own, which knows one secret.
struct Bench {
    desk: Arc<Own>,
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl Bench {
    async fn new() -> Self {
        let desk = Arc::new(Own { webhooks: Webhooks::new(), open: AtomicBool::new(true), pushed: Mutex::default() });
        desk.webhooks.set_keys(Keys::of_settings(|key| {
            ["webhook.trueup.secret", "webhook.azuredevops.password"].contains(&key).then(|| Secret::new("hunter2"))
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(Webhooks::listen(listener, Arc::clone(&desk) as Arc<dyn Desk>));
        Self { desk, address, server }
    }

    /// Sends a head and a body, and answers what comes back until the end.
    async fn send(&self, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"Host: h\r\nConnection: close\r\n\r\n").await.unwrap();
        // The answer may come, and the connection end, before all is sent.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn post(&self, headers: &str, body: &str) -> String {
        self.send(&format!("POST {PATH} HTTP/1.1\r\nContent-Length: {}\r\n{headers}", body.len()), body.as_bytes())
            .await
    }

    fn pushes(&self) -> usize {
        lock(&self.desk.pushed).len()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn signed(body: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"hunter2"), body.as_bytes());
    let hex: Vec<String> = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("Content-Type: application/json\r\nX-Trueup-Signature-256: sha256={}\r\n", hex.concat())
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("no answer")
}

#[tokio::test]
async fn a_push_is_handed_on() {
    let bench = Bench::new().await;
    let answer = bench.post(&signed(BODY), BODY).await;
    assert_eq!(status(&answer), "202", "{answer}");
    let pushed = lock(&bench.desk.pushed).clone();
    assert!(matches!(&pushed[..], [push] if push.is_at(&place("git@git.example.com:org/repo").unwrap())), "{pushed:?}");
}

#[tokio::test]
async fn everything_else_is_refused_with_a_short_text() {
    let bench = Bench::new().await;
    let own = signed(BODY);
    let form = own.replace("application/json", "application/x-www-form-urlencoded");
    let odd = r#"{"repository":7}"#;
    for (answer, code, words) in [
        (bench.send(&format!("GET {PATH} HTTP/1.1\r\n"), b"").await, "405", "allow: POST"),
        (bench.send("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n", b"").await, "404", PATH),
        (bench.send("nonsense\r\n", b"").await, "400", ""),
        (bench.post("", BODY).await, "400", "no header says"),
        (bench.post("X-GitHub-Event: push\r\n", BODY).await, "403", "webhook.github.secret"),
        (bench.post(&signed("another body"), BODY).await, "403", "webhook.trueup.secret"),
        (bench.post("X-Trueup-Signature-256: x\r\n", BODY).await, "403", "X-Trueup-Signature-256"),
        (bench.post("X-Vss-ActivityId: a\r\n", BODY).await, "401", "www-authenticate: Basic"),
        (bench.post(&form, BODY).await, "415", "application/json"),
        (bench.post(&signed(odd), odd).await, "400", "JSON"),
        (bench.send(&format!("POST {PATH} HTTP/1.1\r\nX: {}\r\n", "x".repeat(HEAD_BYTES_MAX)), b"").await, "431", ""),
    ] {
        assert_eq!(status(&answer), code, "{answer}");
        assert!(answer.contains(words), "{answer}");
        assert!(!answer.contains("hunter2") && answer.len() < 1000, "{answer}");
    }
    assert_eq!(bench.pushes(), 0);
}

#[tokio::test]
async fn who_is_not_the_active_one_or_knows_no_secret_yet_takes_nothing() {
    let bench = Bench::new().await;
    bench.desk.open.store(false, Ordering::Relaxed);
    assert_eq!(status(&bench.post(&signed(BODY), BODY).await), "503");
    bench.desk.open.store(true, Ordering::Relaxed);
    *bench.desk.webhooks.keys.write().unwrap() = None;
    assert_eq!(status(&bench.post(&signed(BODY), BODY).await), "503");
    assert_eq!(bench.pushes(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let bench = Bench::new().await;
    let announced = format!("POST {PATH} HTTP/1.1\r\nContent-Length: {}\r\n{}", 50 * MIB + 1, signed(BODY));
    assert_eq!(status(&bench.send(&announced, b"").await), "413");
    bench.desk.webhooks.set_settings(&BTreeMap::from([(BODY_MAX_SETTING.to_owned(), "1".to_owned())]));
    let chunked = format!("POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{}", signed(BODY));
    let mut body = format!("{:x}\r\n", MIB + 1).into_bytes();
    body.resize(body.len() + MIB + 1, b' ');
    body.extend(b"\r\n0\r\n\r\n");
    let answer = bench.send(&chunked, &body).await;
    // The end of the connection may overtake the answer, while the rest of the body is still being sent.
    assert!(["413", "no answer"].contains(&status(&answer)), "{answer}");
    assert_eq!(bench.pushes(), 0);
    let counted = &bench.desk.webhooks.requests;
    let large = vec![("provider", "trueup".to_owned()), ("outcome", "too_large".to_owned())];
    assert_eq!(counted.get_or_create(&large).get(), 2);
}

#[test]
fn the_size_of_bodies_is_set_within_bounds() {
    let webhooks = Webhooks::new();
    for (value, mebibytes) in [("1", 1), (" 20 ", 20), ("0", 50), ("-1", 50), ("lots", 50), ("1000", 64), ("64", 64)] {
        webhooks.set_settings(&BTreeMap::from([(BODY_MAX_SETTING.to_owned(), value.to_owned())]));
        assert_eq!(webhooks.body_bytes_max.load(Ordering::Relaxed), mebibytes * MIB, "{value}");
    }
    webhooks.set_settings(&BTreeMap::new());
    assert_eq!(webhooks.body_bytes_max.load(Ordering::Relaxed), BODY_BYTES_DEFAULT);
}

#[tokio::test]
async fn all_bodies_together_have_a_bound() {
    let webhooks = Webhooks::new();
    let half = || Full::new(Bytes::from(vec![b' '; 40 * MIB]));
    let first = whole(&webhooks, &HeaderMap::new(), half()).await.unwrap();
    let second = whole(&webhooks, &HeaderMap::new(), half()).await.unwrap_err();
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
    let small = whole(&webhooks, &HeaderMap::new(), Full::new(Bytes::from_static(b"{}"))).await.unwrap();
    assert_eq!(&small.0[..], b"{}");
    drop((first, small));
    assert!(whole(&webhooks, &HeaderMap::new(), half()).await.is_ok());
    assert_eq!(webhooks.bodies.available_permits(), BODIES_BYTES_MAX / UNIT, "nothing is held for ever");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let webhooks = Webhooks::new();
    let never =
        http_body_util::StreamBody::new(futures::stream::pending::<Result<hyper::body::Frame<Bytes>, Infallible>>());
    let began = Instant::now();
    let reply = whole(&webhooks, &HeaderMap::new(), never).await.unwrap_err();
    assert_eq!((reply.status, began.elapsed()), (StatusCode::REQUEST_TIMEOUT, BODY_DEADLINE));
}

#[tokio::test]
async fn many_senders_are_all_answered() {
    let bench = Bench::new().await;
    let head = signed(BODY);
    // No more at once than any kernel keeps until they are accepted.
    let senders = futures::stream::iter(0..2 * CONNECTIONS_MAX).map(|_| bench.post(&head, BODY));
    let answers: Vec<String> = senders.buffer_unordered(64).collect().await;
    assert!(answers.iter().all(|answer| status(answer) == "202"), "{answers:?}");
    assert_eq!(bench.pushes(), 2 * CONNECTIONS_MAX);
    assert_eq!(bench.desk.webhooks.in_flight.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_sender_too_many_is_answered_when_another_goes() {
    let bench = Arc::new(Bench::new().await);
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        idle.push(TcpStream::connect(bench.address).await.unwrap());
    }
    let sender = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { bench.post(&signed(BODY), BODY).await }
    });
    idle.pop();
    assert_eq!(status(&sender.await.unwrap()), "202");
}
