//! What the hooks of a deletion are made from.
//!
//! Invariant: what is not known is waited for, and never left out. Entry point: [`Round::rendering`].

use std::collections::HashMap;
use std::sync::Arc;

use trueup_cluster::{Kind, WatchState};
use trueup_object::Gvk;
use trueup_render::Targets;

use super::hooks::Round;
use super::{PAUSE, Step, words};
use crate::judge::Verdict;
use crate::kinds::kinds_of;
use crate::loading::Loaded;
use crate::memory::Memory;
use crate::past;
use crate::source;

/// What Git says.
pub(super) struct Rendering {
    pub(super) targets: Arc<Targets>,
    pub(super) kinds: HashMap<Gvk, Result<Kind, Verdict>>,
}

impl Round<'_> {
    /// What the hooks are made from: what Git says at the target revision or, where that cannot be had, at the synced one.
    pub(super) async fn rendering(&self, memory: &mut Memory) -> Result<Arc<Rendering>, Step> {
        let rendering = if let Some(rendering) = &memory.deletion.rendering {
            Arc::clone(rendering)
        } else {
            let loaded = self.load(memory).await?;
            let gvks = loaded.rendered.manifests.iter().map(trueup_object::Manifest::gvk).collect();
            let kinds = kinds_of(self.world, gvks).await;
            let installation = self.world.cluster.installation();
            let targets = past::place(&installation, self.instance(), &self.rules.spec, &loaded, &kinds, memory);
            if let Some(invalid) = targets.invalid.first() {
                return Err(self.cannot(&format!("the render is not complete: {invalid}")));
            }
            self.world.note_kinds(self.instance(), kinds.keys());
            let rendering = Arc::new(Rendering { targets, kinds });
            memory.deletion.rendering = Some(Arc::clone(&rendering));
            rendering
        };
        self.watch(&rendering)?;
        Ok(rendering)
    }

    async fn load(&self, memory: &mut Memory) -> Result<Loaded, Step> {
        let (world, spec) = (self.world, &self.rules.spec);
        let error = match source::at_target(world, &self.application.meta, spec, None, memory).await {
            Ok(loaded) => return Ok(loaded),
            Err((_, error)) => error,
        };
        if let Some(revision) = self.application.status.synced_revision()
            && let Ok(loaded) = source::at(world, &self.application.meta, spec, &revision).await
        {
            tracing::warn!(application = %self.instance(), %revision, %error, "the hooks of the deletion are those of the synced revision: the target revision cannot be had");
            return Ok(loaded);
        }
        Err(self.cannot(&error.to_string()))
    }

    /// The hooks are not known: they are waited for, and never left out.
    fn cannot(&self, why: &str) -> Step {
        let message = format!("the {} hooks are not known: {why}; {}", self.phase, words::without_hooks(self.phase));
        Step::wait(self.world.resync, Some(message))
    }

    /// Has the kinds of the hooks watched. Answers that one has not been listed yet.
    fn watch(&self, rendering: &Rendering) -> Result<(), Step> {
        for (task, _) in self.hooks(&rendering.targets) {
            let Some(Ok(kind)) = rendering.kinds.get(&task.gvk) else { continue };
            self.world.cluster.watch(kind);
            match self.world.cluster.watch_state(&task.gvk) {
                WatchState::Ready => {}
                WatchState::Pending { .. } => return Err(Step::wait(PAUSE, None)),
                WatchState::Failed { message, .. } => {
                    return Err(self.cannot(&format!("{} cannot be listed: {message}", task.gvk)));
                }
            }
        }
        Ok(())
    }
}
