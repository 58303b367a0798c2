//! The line to a running `controlplane up`: orders go in, one line of JSON answers each.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::Error;
use crate::Result;

/// The line to a running control plane. Dropping it closes the pipe, which ends the control plane.
pub(crate) struct Orders {
    to: ChildStdin,
    /// Fed by a thread, so that whoever waits can do so in any runtime.
    answers: mpsc::UnboundedReceiver<String>,
}

impl Orders {
    pub(crate) fn new(to: ChildStdin, from: ChildStdout) -> Self {
        let (sender, answers) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(std::result::Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { to, answers }
    }

    /// Gives an order and waits for its answer, which must name the key.
    pub(crate) async fn give(&mut self, order: &str, key: &str, deadline: Duration) -> Result<()> {
        writeln!(self.to, "{order}").map_err(|error| Error::ControlPlane(format!("takes no orders: {error}")))?;
        let answer = self.answer(deadline).await?;
        if answer.get(key).is_some() {
            Ok(())
        } else {
            Err(Error::ControlPlane(format!("answered {order} with {answer}")))
        }
    }

    /// Waits for the next line.
    pub(crate) async fn answer(&mut self, deadline: Duration) -> Result<Value> {
        let line = tokio::time::timeout(deadline, self.answers.recv())
            .await
            .map_err(|_| Error::ControlPlane(format!("did not answer within {deadline:?}")))?
            .ok_or_else(|| Error::ControlPlane("ended; its log says why".to_owned()))?;
        serde_json::from_str(&line).map_err(|_| Error::ControlPlane(format!("answered '{line}'")))
    }
}
