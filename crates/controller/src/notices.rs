//! What of a look is worth a condition. Entry point: [`View::note`].

use trueup_api::{condition, object_unsupported};

use crate::judge::Verdict;
use crate::memory::{Base, Memory};
use crate::observe::{Notice, View};
use crate::world::World;

use std::sync::Arc;

impl View {
    /// What is worth a condition.
    pub(crate) fn note(&mut self, world: &World, name: &str, memory: &Memory) {
        self.stops.truncate(self.own_stops);
        let mut notices = Vec::new();
        let mut warn = |kind: &'static str, message: String| notices.push(Notice { kind, message });
        let written = self.spec.unsupported.iter().chain(self.project.unsupported());
        for unsupported in written.filter(|unsupported| !unsupported.stops) {
            warn(condition::COMPARISON_WARNING, format!("{}: {}", unsupported.field, unsupported.message));
        }
        for target in &self.targets.objects {
            for unsupported in object_unsupported(&target.manifest) {
                if unsupported.stops {
                    self.stops.push(format!("{}: {}: {}", target.key, unsupported.field, unsupported.message));
                } else {
                    warn(
                        condition::COMPARISON_WARNING,
                        format!("{}: {}: {}", target.key, unsupported.field, unsupported.message),
                    );
                }
            }
        }
        for target in &self.targets.objects {
            let applied = memory.warnings.get(&target.key).filter(|(of, _)| *of == target.digest);
            for warning in applied.into_iter().flat_map(|(_, warnings)| warnings) {
                warn(condition::COMPARISON_WARNING, warning.clone());
            }
        }
        for warning in &self.targets.warnings {
            warn(condition::COMPARISON_WARNING, warning.clone());
        }
        for key in &self.targets.duplicates {
            warn(
                condition::REPEATED_RESOURCE_WARNING,
                format!(
                    "Resource {}/{}/{}/{} appeared more than once among application resources.",
                    key.group, key.kind, key.namespace, key.name
                ),
            );
        }
        for judged in &self.objects {
            let other = match &judged.verdict {
                Verdict::HeldBy(holder) => Some(Arc::clone(holder)),
                _ => world.holders.other(name, &judged.key),
            };
            if let Some(other) = other {
                // The same words on both sides.
                let (first, second) = if *other < *name { (&*other, name) } else { (name, &*other) };
                let message = format!("{} is part of applications {first} and {second}", judged.key);
                warn(condition::SHARED_RESOURCE_WARNING, message);
            }
            if let Verdict::Unreadable(why) = &judged.verdict {
                warn(condition::COMPARISON_ERROR, why.clone());
            }
            for warning in &judged.warnings {
                warn(condition::COMPARISON_WARNING, warning.clone());
            }
        }
        for invalid in &self.targets.invalid {
            self.stops.push(invalid.clone());
        }
        if self.never_synced {
            let message = "nothing was synced yet, so no inventory is stored: what an earlier controller may have left in the cluster for this application is not known";
            warn(condition::ORPHANED_RESOURCE_WARNING, message.to_owned());
        }
        if let Base::Lost(why) = &memory.base {
            warn(
                condition::COMPARISON_WARNING,
                format!(
                    "what Git said at the last sync cannot be had any more ({why}): fields that were removed from Git since may stay until the next successful sync"
                ),
            );
        }
        if !self.stops.is_empty() {
            warn(condition::SYNC_ERROR, format!("nothing is synced: {}", self.stops.join("; ")));
        }
        notices.sort_by(|a, b| (a.kind, &a.message).cmp(&(b.kind, &b.message)));
        notices.dedup();
        self.notices = notices;
    }
}
