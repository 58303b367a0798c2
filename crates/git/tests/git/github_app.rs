//! A repository that is read by the tokens of a GitHub App. What the App says to GitHub is tested in the crate itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use trueup_git::{Access, GitError, GitHubApp, Login, Secret};

use crate::bench::{Bench, resolve, text, url};

/// An API that issues `token-1`, `token-2` and so on; answers its URL and how many it has issued.
async fn api() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}/api/v3", listener.local_addr().unwrap());
    let issued = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&issued);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 4096];
                let length = stream.read(&mut piece).await.unwrap();
                assert!(length > 0, "the request breaks off");
                heard.extend_from_slice(&piece[..length]);
            }
            let number = counted.fetch_add(1, Ordering::AcqRel) + 1;
            let body = format!(r#"{{"token":"token-{number}","expires_at":"2999-01-01T00:00:00Z"}}"#);
            let head = format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    (at, issued)
}

#[tokio::test]
async fn its_token_is_the_password_and_is_replaced_when_it_is_refused() {
    let bench = Bench::new().await;
    let first = bench.commit(&[("a", Some("1"))]);
    bench.repository.require_login("x-access-token", "token-1");
    let (at, issued) = api().await;
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    let app = GitHubApp { id: 1, installation: Some(2), key: Secret::new(key), enterprise_url: Some(at) };
    let access = Access { login: Login::GitHubApp(app), ..Access::default() };
    let store = bench.stores.store(&url(bench.repository.url()), &access).unwrap();

    // In this process and in the one that fetches, with one token.
    assert_eq!(resolve(&store, "main").await, Ok(first));
    store.fetch(&[first]).await.unwrap();
    assert_eq!(text(&store, first, "a").unwrap(), "1");
    assert_eq!(issued.load(Ordering::Acquire), 1);

    // Revoked before its time.
    bench.repository.require_login("x-access-token", "token-2");
    assert!(matches!(resolve(&store, "main").await, Err(GitError::Unauthorized { .. })));
    assert_eq!(resolve(&store, "main").await, Ok(first));
    assert_eq!(issued.load(Ordering::Acquire), 2);
}
