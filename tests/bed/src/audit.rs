//! The API server's audit log: who asked what, counted from outside.

use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use kube::Client;

use crate::ControlPlane;
use crate::Deadline;
use crate::Error;
use crate::Request;
use crate::Requests;
use crate::Result;
use crate::until;

/// Numbers the markers of this process.
static MARKERS: AtomicU64 = AtomicU64::new(0);

/// Reads the audit log of one control plane.
pub struct Audit {
    path: PathBuf,
    client: Client,
}

/// A place in the audit log: everything asked before it is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Audit {
    /// Opens the audit log of a control plane.
    pub async fn of(control_plane: &ControlPlane) -> Result<Self> {
        Ok(Self { path: control_plane.audit_log().to_owned(), client: control_plane.client("admin").await? })
    }

    /// The place behind everything that has been answered by now.
    pub async fn mark(&self) -> Result<Mark> {
        self.settle().await
    }

    /// Everything that has been asked and answered since the mark. The markers of [`Self::settle`] are left out.
    pub async fn since(&self, mark: Mark) -> Result<Requests> {
        self.settle().await?;
        self.read(mark)
    }

    /// Waits until the log tells everything that has been answered by now, and answers its end.
    pub async fn settle(&self) -> Result<Mark> {
        // A request is logged just after its answer has gone out, so the first marker may overtake the line of another;
        // by the time of the second, which is asked for only then, that line is written.
        self.send_marker().await?;
        self.send_marker().await
    }

    async fn send_marker(&self) -> Result<Mark> {
        let number = MARKERS.fetch_add(1, Ordering::Relaxed);
        let marker = format!("/healthz?marker={}-{number}", std::process::id());
        let before = self.len()?;
        let request = http::Request::get(&marker).body(Vec::new()).map_err(kube::Error::HttpError)?;
        self.client.request_text(request).await?;
        let quoted = format!("\"{marker}\"");
        until("the marker in the audit log", Deadline::SHORT, async || {
            let text = self.text(before).map_err(|error| error.to_string())?;
            let at = text.find(&quoted).ok_or("not yet written")?;
            let end = text[at..].find('\n').ok_or("half written")?;
            Ok::<_, String>(Mark(before + (at + end + 1) as u64))
        })
        .await
    }

    fn read(&self, mark: Mark) -> Result<Requests> {
        let text = self.text(mark.0)?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        Ok(whole
            .lines()
            .filter_map(Request::parse)
            .filter(|request| !request.uri.starts_with("/healthz?marker="))
            .collect())
    }

    fn text(&self, from: u64) -> Result<String> {
        let mut bytes = Vec::new();
        let mut file = File::open(&self.path).map_err(Error::file(&self.path))?;
        file.seek(SeekFrom::Start(from)).map_err(Error::file(&self.path))?;
        file.read_to_end(&mut bytes).map_err(Error::file(&self.path))?;
        // The last line may be half written, in the middle of a character even.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.path.metadata().map_err(Error::file(&self.path))?.len())
    }
}
