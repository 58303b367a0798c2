//! Against a small server of its own that checks what it is asked, as GitHub does.

use std::sync::{Arc, Mutex as Lock};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const APP: u64 = 4711;
const APP_TEXT: &str = "4711";

/// What the server does with whoever asks for a token.
#[derive(Clone)]
enum Manner {
    /// Issues tokens that live so long.
    Issue(Duration),
    /// Answers with a status line and headers.
    Answer(&'static str),
    /// Never answers.
    Hang,
}

struct GitHub {
    url: String,
    asked: Arc<Lock<Vec<String>>>,
    key: Secret,
}

impl GitHub {
    async fn start(manner: Manner) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
        let public = pair.public_key().as_ref().to_vec();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v3/", listener.local_addr().unwrap());
        let asked = Arc::<Lock<Vec<String>>>::default();
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut heard = Vec::new();
                while !heard.ends_with(b"\r\n\r\n") {
                    let mut piece = [0; 4096];
                    match stream.read(&mut piece).await {
                        Ok(length) if length > 0 => heard.extend_from_slice(&piece[..length]),
                        _ => break,
                    }
                }
                let heard = String::from_utf8(heard).unwrap();
                let line = heard.lines().next().unwrap_or_default().to_owned();
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(line.clone());
                    seen.len()
                };
                let signed = authorised(&heard, &public);
                let answer = match &manner {
                    _ if !signed => "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_owned(),
                    Manner::Hang => {
                        tokio::spawn(async move {
                            let _kept = stream;
                            std::future::pending::<()>().await;
                        });
                        continue;
                    }
                    Manner::Answer(head) => format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n"),
                    Manner::Issue(_) if line.starts_with("GET /api/v3/repos/org/repo/installation ") => {
                        body("200 OK", r#"{"id":42,"account":{}}"#)
                    }
                    Manner::Issue(life) if line.starts_with("POST /api/v3/app/installations/42/access_tokens ") => {
                        let ends = jiff::Timestamp::now() + *life;
                        body("201 Created", &format!(r#"{{"token":"ghs_{number}","expires_at":"{ends}"}}"#))
                    }
                    Manner::Issue(_) => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
                };
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, asked, key: Secret::new(pem) }
    }

    fn app(&self, installation: Option<u64>) -> GitHubApp {
        GitHubApp { id: APP, installation, key: self.key.clone(), enterprise_url: Some(self.url.clone()) }
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|line| line.trim_end_matches(" HTTP/1.1").to_owned()).collect()
    }
}

fn body(status: &str, text: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
}

/// Whether the claim is signed by the App, and is one that GitHub takes.
fn authorised(request: &str, public: &[u8]) -> bool {
    let header = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap_or_default();
    let Some((signed, signature)) = header.rsplit_once('.') else { return false };
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    if public.verify(signed.as_bytes(), &signature).is_err() {
        return false;
    }
    let (head, claims) = signed.split_once('.').unwrap();
    let read = |part| serde_json::from_slice::<serde_json::Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (head, claims) = (read(head), read(claims));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (from, to) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    head["alg"] == "RS256" && claims["iss"] == APP_TEXT && from <= now && now < to && to - from <= 600
}

fn url() -> RepoUrl {
    RepoUrl::parse("https://git.example.com/org/repo.git").unwrap()
}

fn client() -> Client {
    Settings::default().client(&crate::Proxies::default(), &crate::Limits::default()).unwrap()
}

async fn refusal(app: &GitHubApp) -> String {
    Tokens::default().login(app, &url(), &client()).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_token_is_bought_once_and_used_as_a_password() {
    let github = GitHub::start(Manner::Issue(Duration::from_hours(1))).await;
    let (tokens, app) = (Tokens::default(), github.app(Some(42)));
    for _ in 0..3 {
        let login = tokens.login(&app, &url(), &client()).await.unwrap();
        let expected = Login::Basic { username: "x-access-token".to_owned(), password: Secret::new("ghs_1") };
        assert_eq!(login, expected);
    }
    assert_eq!(github.asked(), ["POST /api/v3/app/installations/42/access_tokens"]);
    // One that was replaced since is no reason to buy another.
    tokens.refused(&app, &url(), &Secret::new("ghs_0")).await;
    tokens.login(&app, &url(), &client()).await.unwrap();
    assert_eq!(github.asked().len(), 1);
    tokens.refused(&app, &url(), &Secret::new("ghs_1")).await;
    let login = tokens.login(&app, &url(), &client()).await.unwrap();
    assert!(matches!(login, Login::Basic { password, .. } if password.reveal() == "ghs_2"));
}

#[tokio::test]
async fn repositories_of_one_installation_share_a_token_and_those_of_another_key_do_not() {
    let github = GitHub::start(Manner::Issue(Duration::from_hours(1))).await;
    let tokens = Tokens::default();
    let at = |text: &str| RepoUrl::parse(text).unwrap();
    let (one, two) = (at("https://git.example.com/org/repo"), at("https://git.example.com/Org/other.git"));
    let (app, found, client) = (github.app(Some(42)), github.app(None), client());
    let all = [tokens.login(&app, &one, &client), tokens.login(&app, &two, &client), tokens.login(&app, &one, &client)];
    for login in futures::future::join_all(all).await {
        assert!(matches!(login.unwrap(), Login::Basic { password, .. } if password.reveal() == "ghs_1"));
    }
    assert_eq!(github.asked().len(), 1);
    // Looked up by the owner: once for all its repositories.
    tokens.login(&found, &one, &client).await.unwrap();
    tokens.login(&found, &two, &client).await.unwrap();
    assert_eq!(github.asked().len(), 3);
    let stranger = GitHub::start(Manner::Hang).await;
    let other_key = GitHubApp { key: stranger.key.clone(), ..app };
    tokens.login(&other_key, &one, &client).await.unwrap_err();
}

#[test]
fn what_the_repository_is_shown_and_allowed_is_not_githubs() {
    let client = Some(crate::ClientCertificate { certificate: "c".to_owned(), key: Secret::new("k") });
    let tls = Tls { authorities: "pem".into(), client };
    let proxy = Some(Secret::new("http://proxy"));
    let access = Access { tls, proxy: proxy.clone(), no_proxy: "x".to_owned(), insecure: true, ..Access::default() };
    let app = |enterprise_url: Option<&str>| {
        let enterprise_url = enterprise_url.map(str::to_owned);
        GitHubApp { id: APP, installation: None, key: Secret::default(), enterprise_url }
    };
    let of = |enterprise_url| settings(&app(enterprise_url), &url(), &access);
    let expected = Settings { proxy, no_proxy: "x".to_owned(), ..Settings::default() };
    for elsewhere in [None, Some("https://api.example.com/api/v3"), Some("hunter2")] {
        assert_eq!(of(elsewhere), expected);
    }
    let tls = Tls { authorities: "pem".into(), client: None };
    assert_eq!(of(Some("https://git.example.com:8443/api/v3")), Settings { tls, ..expected });
}

#[test]
fn the_claim_goes_over_tls_only() {
    let at = |url: &str| {
        let app =
            GitHubApp { id: APP, installation: None, key: Secret::default(), enterprise_url: Some(url.to_owned()) };
        let said = format!("{app:?} {:?}", api(&app));
        assert!(!said.contains("hunter2"), "{said}");
        api(&app)
    };
    for fine in ["https://ghe.example.com/api/v3", "http://127.0.0.1:8080/api/v3", "http://[::1]/"] {
        at(fine).unwrap();
    }
    for (bad, why) in [
        ("http://ghe.example.com/api/v3", "is not https"),
        ("http://localhost/api/v3", "is not https"),
        ("http://127.0.0.1.example.com/", "is not https"),
        ("ftp://127.0.0.1/", "is not https"),
        ("https://hunter2@ghe.example.com/api/v3", "has a user name or password"),
        ("https://me:hunter2@ghe.example.com/api/v3", "has a user name or password"),
        ("mailto:me", "is not a URL"),
    ] {
        assert!(at(bad).unwrap_err().contains(why), "{bad}");
    }
}

#[tokio::test]
async fn a_token_is_replaced_before_it_ends() {
    let github = GitHub::start(Manner::Issue(RENEW_BEFORE)).await;
    let (tokens, app) = (Tokens::default(), github.app(Some(42)));
    for _ in 0..2 {
        tokens.login(&app, &url(), &client()).await.unwrap();
    }
    assert_eq!(github.asked().len(), 2);
}

#[tokio::test]
async fn the_installation_is_found_by_the_repository() {
    let github = GitHub::start(Manner::Issue(Duration::from_hours(1))).await;
    Tokens::default().login(&github.app(None), &url(), &client()).await.unwrap();
    let expected = ["GET /api/v3/repos/org/repo/installation", "POST /api/v3/app/installations/42/access_tokens"];
    assert_eq!(github.asked(), expected);
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let github = GitHub::start(Manner::Issue(Duration::from_hours(1))).await;
    assert!(refusal(&github.app(Some(43))).await.contains("no installation 43"));
    let stranger = GitHub::start(Manner::Hang).await;
    let other_key = GitHubApp { key: stranger.key.clone(), ..github.app(Some(42)) };
    assert!(refusal(&other_key).await.contains("check githubAppID, githubAppPrivateKey"));
    let redirecting = GitHub::start(Manner::Answer("302 Found\r\nlocation: http://127.0.0.1:1/")).await;
    assert!(refusal(&redirecting.app(Some(42))).await.contains("redirects elsewhere"));
    assert_eq!(redirecting.asked().len(), 1);
    let broken = GitHub::start(Manner::Answer("502 Bad Gateway")).await;
    assert!(refusal(&broken.app(Some(42))).await.contains("502"));
    let page = GitHub::start(Manner::Answer("200 OK")).await;
    assert!(refusal(&page.app(Some(42))).await.contains("ends with /api/v3"));
    let nobody = GitHubApp { enterprise_url: Some("http://127.0.0.1:1".to_owned()), ..github.app(Some(42)) };
    assert!(refusal(&nobody).await.contains("refused"));
    let nowhere = GitHubApp { enterprise_url: Some("ghe.example.com".to_owned()), ..github.app(Some(42)) };
    assert!(refusal(&nowhere).await.contains("is not a URL"));
}

#[tokio::test]
async fn a_key_that_is_none_is_said_to_be_and_not_shown() {
    let github = GitHub::start(Manner::Hang).await;
    let broken = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode("hunter2"));
    for (key, words) in [("hunter2", "is not PEM"), (broken.as_str(), "not a usable RSA key")] {
        let refusal = refusal(&GitHubApp { key: Secret::new(key), ..github.app(Some(42)) }).await;
        assert!(refusal.contains(words) && !refusal.contains("hunter2"), "{refusal}");
    }
    assert!(github.asked().is_empty());
}

#[tokio::test]
async fn an_api_that_hangs_is_given_up() {
    let github = GitHub::start(Manner::Hang).await;
    let asking = tokio::spawn({
        let app = github.app(Some(42));
        async move { refusal(&app).await }
    });
    let heard = async || if github.asked().is_empty() { Err("nobody asks") } else { Ok(()) };
    trueup_bed::until("the API is asked", trueup_bed::Deadline::SHORT, heard).await.unwrap();
    // Now that the answer is all that is waited for, time may run.
    tokio::time::pause();
    assert!(asking.await.unwrap().contains("asking GitHub for a token took more than 15 s"));
}
