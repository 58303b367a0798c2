//! An HTTP proxy on loopback, as companies put before the internet.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::Error;
use crate::Result;
use crate::repository::base64;

/// Bytes. A longer head is not one of ours.
const HEAD_MAX: usize = 64 << 10;

/// A proxy for `http` and, by `CONNECT`, for everything else. It ends with this value, or with its runtime.
pub struct HttpProxy {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl HttpProxy {
    /// Starts a proxy that serves everybody, or only who shows this user name and password.
    pub async fn start(login: Option<(&str, &str)>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Error::Socket)?;
        let address = listener.local_addr().map_err(Error::Socket)?.to_string();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&heads);
        let demanded = login.map(|(user, password)| base64(format!("{user}:{password}").as_bytes()));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (demanded, seen) = (demanded.clone(), Arc::clone(&seen));
                tokio::spawn(async move { pass(stream, demanded.as_deref(), &seen).await });
            }
        });
        Ok(Self { address, heads, task })
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The heads of the first requests on every connection that there was, as they came.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, demanded: Option<&str>, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(text.clone());
    let shown = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    if demanded.is_some_and(|demanded| shown.is_none_or(|(_, value)| value != format!("Basic {demanded}"))) {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"bed\"\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(refusal.as_bytes()).await;
    }
    let mut words = text.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let host = target.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let mut server = TcpStream::connect(host).await?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    } else {
        // Servers take a whole URL in the request line as well.
        server.write_all(&head).await?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}
