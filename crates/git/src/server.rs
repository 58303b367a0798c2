//! The server of a repository, over whichever transport its URL names.
//!
//! Entry point: [`Server::open`].

use bytes::Bytes;
use reqwest::Client;

use crate::http::{Body, Discovered, Http};
use crate::protocol::{Answer, Capabilities, Wire};
use crate::remote::Remote;
use crate::ssh::{Heard, Ssh};
use crate::{GitError, Limits};

/// A wire of either kind.
pub(crate) enum Server<'a> {
    Http(Http<'a>),
    Ssh(Ssh<'a>),
}

/// An answer of either kind.
pub(crate) enum ServerAnswer<'a> {
    Http(Body<'a>),
    Ssh(Box<Heard<'a>>),
}

impl<'a> Server<'a> {
    /// What was found out over HTTP serves every connection; over SSH each one says itself what the server can do.
    pub(crate) async fn open(
        remote: &'a Remote,
        over_http: Option<(Client, &Discovered)>,
        limits: &Limits,
    ) -> Result<(Self, Capabilities), GitError> {
        if let Some((client, discovered)) = over_http {
            let wire = Http::new(client, remote, discovered)?;
            return Ok((Self::Http(wire), discovered.capabilities.clone()));
        }
        let (wire, capabilities) = Ssh::open(remote, limits).await?;
        Ok((Self::Ssh(wire), capabilities))
    }
}

impl<'a> Wire for Server<'a> {
    type Answer = ServerAnswer<'a>;

    async fn send(&self, command: Vec<u8>) -> Result<ServerAnswer<'a>, GitError> {
        match self {
            Self::Http(wire) => wire.send(command).await.map(ServerAnswer::Http),
            Self::Ssh(wire) => wire.send(command).await.map(Box::new).map(ServerAnswer::Ssh),
        }
    }

    fn remote(&self) -> &Remote {
        match self {
            Self::Http(wire) => wire.remote(),
            Self::Ssh(wire) => wire.remote(),
        }
    }
}

impl Answer for ServerAnswer<'_> {
    async fn piece(&mut self) -> Result<Option<Bytes>, GitError> {
        match self {
            Self::Http(answer) => answer.piece().await,
            Self::Ssh(answer) => answer.piece().await,
        }
    }

    fn done(self) {
        match self {
            Self::Http(answer) => answer.done(),
            Self::Ssh(answer) => answer.done(),
        }
    }
}
