//! A real registry on loopback: the reference implementation, with its own ways to let people in.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use tempfile::TempDir;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::process::Command;

use crate::Certified;
use crate::Error;
use crate::Result;
use crate::tools::registry_binary;

/// What the archive of a chart is called.
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// What the description of a chart is called.
const CHART_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// What the content of any other artifact is called.
const CONTENT: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// How a registry lets people in.
#[derive(Clone, Default)]
pub enum OciLogin {
    /// Everybody.
    #[default]
    None,
    /// One user, by the password.
    Basic(String, String),
    /// One user, by tokens that the password buys; everybody to what is below `public/`.
    Token(String, String),
}

/// How a registry is reached.
#[derive(Clone, Default)]
pub struct OciRegistryOptions {
    /// Who gets in.
    pub login: OciLogin,
    /// Its certificate; without one it speaks plain HTTP.
    pub tls: Option<Certified>,
}

/// A registry. It ends with this value, or with our process.
pub struct OciRegistry {
    _dir: TempDir,
    _child: Child,
    host: String,
    back: SocketAddr,
}

impl OciRegistry {
    /// Starts an empty registry.
    pub async fn start(options: OciRegistryOptions) -> Result<Self> {
        let binary = tokio::task::spawn_blocking(registry_binary).await;
        let binary = binary.unwrap_or_else(|error| Err(Error::Registry(error.to_string())))?;
        let dir = tempfile::Builder::new().prefix("trueup-registry-").tempdir().map_err(Error::file("/tmp"))?;
        let mut command = Command::new(&binary);
        command.arg("--dir").arg(dir.path());
        match &options.login {
            OciLogin::None => {}
            OciLogin::Basic(user, password) => {
                command.args(["--auth", "basic", "--user", user, "--password", password]);
            }
            OciLogin::Token(user, password) => {
                command.args(["--auth", "token", "--user", user, "--password", password]);
            }
        }
        if let Some(own) = &options.tls {
            for (name, content) in [("certificate", &own.certificate), ("key", &own.key)] {
                let path = dir.path().join(name);
                fs::write(&path, content).map_err(Error::file(&path))?;
                command.arg(format!("--{name}")).arg(path);
            }
        }
        // It ends when the pipe does.
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::spawn(&binary))?;
        let stdout = child.stdout.take().ok_or_else(|| Error::Registry("has no stdout".to_owned()))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await.map_err(Error::Socket)?;
        let places: Vec<SocketAddr> = line.split_whitespace().filter_map(|place| place.parse().ok()).collect();
        let [front, back] = places[..] else {
            return Err(Error::Registry(format!("does not say where it listens, but '{}'", line.trim())));
        };
        let host = if options.tls.is_some() { format!("localhost:{}", front.port()) } else { front.to_string() };
        Ok(Self { _dir: dir, _child: child, host, back })
    }

    /// Host and port. Without TLS it is to be asked by plain HTTP.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Pushes a chart as `helm push` does. Answers the digest of its manifest.
    pub async fn push_chart(&self, name: &str, tag: &str, archive: &[u8]) -> Result<String> {
        self.push(name, tag, CHART_CONFIG, &[(CHART, archive)]).await
    }

    /// Pushes an artifact as `oras push` does. Answers the digest of its manifest.
    pub async fn push_artifact(&self, name: &str, tag: &str, archive: &[u8]) -> Result<String> {
        self.push(name, tag, "application/vnd.oci.empty.v1+json", &[(CONTENT, archive)]).await
    }

    /// Pushes layers with their types. Answers the digest of the manifest.
    pub async fn push(&self, name: &str, tag: &str, config: &str, layers: &[(&str, &[u8])]) -> Result<String> {
        let mut described = Vec::new();
        for (kind, bytes) in layers.iter().copied().chain([(config, &b"{}"[..])]) {
            described.push(json!({"mediaType": kind, "digest": self.blob(name, bytes).await?, "size": bytes.len()}));
        }
        let config = described.pop();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described});
        let manifest = manifest.to_string().into_bytes();
        self.ask("PUT", &format!("/v2/{name}/manifests/{tag}"), MANIFEST, &manifest).await?;
        Ok(sha256(&manifest))
    }

    async fn blob(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let kind = "application/octet-stream";
        let head = self.ask("POST", &format!("/v2/{name}/blobs/uploads/"), kind, b"").await?;
        let location = head.lines().find_map(|line| {
            let (header, value) = line.split_once(": ")?;
            header.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
        });
        let location = location.unwrap_or_default();
        let path = location.find("/v2/").map_or("", |at| &location[at..]);
        let digest = sha256(bytes);
        self.ask("PUT", &format!("{path}&digest={digest}"), kind, bytes).await?;
        Ok(digest)
    }

    /// One request to where no login is asked for. Answers the head of the answer.
    async fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<String> {
        let mut stream = TcpStream::connect(self.back).await.map_err(Error::Socket)?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.back,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await.map_err(Error::Socket)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map_err(Error::Socket)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        match answer.split(' ').nth(1) {
            Some(status) if status.starts_with('2') => Ok(answer),
            _ => Err(Error::Registry(format!("answers {method} {path} with: {answer}"))),
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
