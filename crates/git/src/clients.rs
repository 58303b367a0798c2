//! The HTTP clients of a process: one for all repositories that are reached in the same way.
//!
//! A client has the connections, and the system's authorities, which take milliseconds to read: it is made once, and not on a
//! thread that others wait for. Entry point: [`Clients::client`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use reqwest::Client;
use tokio::sync::OnceCell;

use crate::http_client::Settings;
use crate::remote::Remote;
use crate::store::lock;
use crate::{GitError, Limits, Proxies};

/// All clients.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<HashMap<Settings, Arc<OnceCell<Client>>>>);

impl Clients {
    /// The client for these settings. Cheap to clone, connections are shared.
    pub(crate) async fn client(
        &self,
        settings: Settings,
        remote: &Remote,
        proxies: &Proxies,
        limits: &Limits,
    ) -> Result<Client, GitError> {
        let cell = Arc::clone(lock(&self.0).entry(settings.clone()).or_default());
        let made = cell.get_or_try_init(async || {
            let (proxies, limits) = (proxies.clone(), *limits);
            let made = tokio::task::spawn_blocking(move || settings.client(&proxies, &limits)).await;
            let detail = made.map_err(|error| error.to_string()).flatten();
            detail.map_err(|detail| Settings::unusable(remote, &detail))
        });
        made.await.cloned()
    }

    /// Lets go of all. Whoever has one keeps it; who asks next gets a new one.
    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }
}
