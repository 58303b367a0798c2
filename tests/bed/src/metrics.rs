//! One plain HTTP request on loopback: enough for `/metrics` and `/health/…`.

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::Error;
use crate::Result;

/// Asks for a path and answers the body, if the status is 200. HTTP/1.0 spares us chunks and idle connections.
pub(crate) async fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(Error::Socket)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(Error::Socket)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(Error::Socket)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
        _ => {
            let answer = answer.lines().next().unwrap_or_default().to_owned();
            Err(Error::Answer { path: path.to_owned(), answer })
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn takes_the_body_of_a_good_answer_only() {
        for (answer, good) in [("200 OK", true), ("503 Service Unavailable", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 256];
                let read = stream.read(&mut request).await.unwrap();
                let answer = format!("HTTP/1.0 {answer}\r\nA: b\r\n\r\nup 1\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                String::from_utf8_lossy(&request[..read]).into_owned()
            });
            let body = get(port, "/metrics").await;
            assert!(server.await.unwrap().starts_with("GET /metrics HTTP/1.0\r\n"));
            assert_eq!(body.ok(), good.then(|| "up 1\n".to_owned()));
        }
    }
}
