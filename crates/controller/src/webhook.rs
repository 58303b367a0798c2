//! Webhooks: a server of Git says that something was pushed, and the repository is listed at once instead of at its next turn.
//!
//! An event only says "look there now": what is true is asked of the repository itself, with our own login. So a replayed, late or
//! lost event costs at most one listing or one interval, and no event can bring anything into the cluster. Invariants: who does
//! not prove that it knows the secret of its kind causes nothing; nothing of a body or a header gets into a log; what all senders
//! together take is bounded; only the active controller listens. Entry points: [`Webhooks`] and [`start`].

mod bodies;
mod check;
mod keys;
mod listener;
mod provider;
mod push;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

pub(crate) use listener::Webhooks;
pub(crate) use push::{Push, place};

use crate::webhook::listener::Desk;
use crate::world::World;

/// Begins to take webhooks, if an address was reserved for them; an error names it. The tasks end with `tasks`.
pub(crate) fn start(world: &Arc<World>, tasks: &mut JoinSet<()>) -> Result<(), (SocketAddr, std::io::Error)> {
    if let Some(listener) = world.webhooks.listener()? {
        tasks.spawn(keys::watch(Arc::clone(world)));
        let desk: Arc<dyn Desk> = Arc::<World>::clone(world);
        tasks.spawn(Webhooks::listen(listener, desk));
    }
    Ok(())
}

impl Desk for World {
    fn is_open(&self) -> bool {
        self.leadership.leads()
    }

    fn pushed(&self, push: &Push) {
        for repository in self.repositories.pushed(push) {
            self.webhooks.pushed_into(repository);
        }
    }

    fn webhooks(&self) -> &Webhooks {
        &self.webhooks
    }
}
