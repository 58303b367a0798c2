//! What of a look is worth a condition. Entry point: [`View::note`].

use trueup_api::{condition, object_unsupported};
use trueup_object::ObjectKey;

use crate::extras::Fate;
use crate::judge::Verdict;
use crate::memory::{Base, Memory};
use crate::observe::{Notice, View};
use crate::permission::namespace_forbidden;
use crate::sweep::{FIRST, TRIED_AGAIN};
use crate::world::World;

use std::collections::BTreeMap;
use std::sync::Arc;

/// How many objects one condition names.
const NAMED_MAX: usize = 5;
/// What ends the doubt about who holds an object.
pub(crate) const WAY_OUT: &str = "the controller's log and its readiness name the Role that is missing";

impl View {
    /// What is worth a condition.
    pub(crate) fn note(&mut self, world: &World, name: &str, memory: &Memory) {
        self.stops.truncate(self.own_stops);
        let mut notices = self.of_what_is_written();
        notices.extend(self.of_targets(memory));
        notices.extend(self.of_objects(world, name));
        self.stops.extend(self.targets.invalid.iter().cloned());
        notices.extend(self.unproven().map(warning));
        notices.extend(self.doubtful().into_iter().map(warning));
        if self.never_synced
            && let Some(message) = not_searched(world, name)
        {
            notices.push(Notice { kind: condition::ORPHANED_RESOURCE_WARNING, message });
        }
        notices.extend(self.no_target.clone());
        if let Base::Lost(why) = &memory.base {
            notices.push(warning(format!(
                "what Git said at the last sync cannot be had any more ({why}): fields that were removed from Git since may stay until the next successful sync"
            )));
        }
        if let Some(difference) = &self.namespace {
            notices.push(warning(format!(
                "namespace '{}' is not as spec.syncPolicy.managedNamespaceMetadata says: {}{}",
                self.spec.destination.namespace,
                difference.paths.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", "),
                namespace_forbidden(&self.project, &self.spec).map(|why| format!("; {why}")).unwrap_or_default()
            )));
        }
        if !self.stops.is_empty() {
            let message = format!("nothing is synced: {}", self.stops.join("; "));
            notices.push(Notice { kind: condition::SYNC_ERROR, message });
        }
        notices.sort_by(|a, b| (a.kind, &a.message).cmp(&(b.kind, &b.message)));
        notices.dedup();
        self.notices = notices;
    }

    /// Of what people wrote, what is not honoured: what stops a sync of an object joins the stops.
    fn of_what_is_written(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        let written = self.spec.unsupported.iter().chain(self.project.unsupported());
        for unsupported in written.filter(|unsupported| !unsupported.stops) {
            notices.push(warning(format!("{}: {}", unsupported.field, unsupported.message)));
        }
        for target in &self.targets.objects {
            for unsupported in object_unsupported(&target.manifest) {
                let message = format!("{}: {}: {}", target.key, unsupported.field, unsupported.message);
                if unsupported.stops {
                    self.stops.push(message);
                } else {
                    notices.push(warning(message));
                }
            }
        }
        notices
    }

    /// Of the render, and of what was applied of it.
    fn of_targets(&self, memory: &Memory) -> Vec<Notice> {
        let mut notices = Vec::new();
        for target in &self.targets.objects {
            let applied = memory.warnings.get(&target.key).filter(|(of, _)| *of == target.digest);
            notices.extend(applied.into_iter().flat_map(|(_, warnings)| warnings).cloned().map(warning));
        }
        notices.extend(self.targets.warnings.iter().cloned().map(warning));
        for key in &self.targets.duplicates {
            let message = format!(
                "Resource {}/{}/{}/{} appeared more than once among application resources.",
                key.group, key.kind, key.namespace, key.name
            );
            notices.push(Notice { kind: condition::REPEATED_RESOURCE_WARNING, message });
        }
        notices
    }

    /// Of the live objects.
    fn of_objects(&self, world: &World, name: &str) -> Vec<Notice> {
        let mut notices = Vec::new();
        for judged in &self.objects {
            let other = match &judged.verdict {
                Verdict::HeldBy(holder) => Some(Arc::clone(holder)),
                _ => world.holders.other(name, &judged.key),
            };
            if let Some(other) = other {
                // The same words on both sides.
                let (first, second) = if *other < *name { (&*other, name) } else { (name, &*other) };
                let message = format!("{} is part of applications {first} and {second}", judged.key);
                notices.push(Notice { kind: condition::SHARED_RESOURCE_WARNING, message });
            }
            if let Verdict::Unreadable(why) = &judged.verdict {
                notices.push(Notice { kind: condition::COMPARISON_ERROR, message: why.clone() });
            }
            notices.extend(judged.warnings.iter().cloned().map(warning));
        }
        notices
    }

    /// What is to be said of objects that only their annotation calls ours.
    fn unproven(&self) -> Option<String> {
        let unproven = self.extras.iter().filter(|extra| extra.fate == Fate::Ask);
        let keys: Vec<&ObjectKey> = unproven.map(|extra| &extra.key).collect();
        (!keys.is_empty()).then(|| {
            format!(
                "no inventory lists {}, and Trueup never applied them here: that they belong to this application is said by \
                 their tracking id alone, and they may be another installation's. They are pruned only by a sync with prune \
                 that somebody asks for; to keep installations apart give each an installationID in argocd-cm",
                named(&keys)
            )
        })
    }

    /// What is to be said of objects that an application may hold that nobody can list.
    fn doubtful(&self) -> Vec<String> {
        let mut doubtful: BTreeMap<&str, Vec<&ObjectKey>> = BTreeMap::new();
        for extra in &self.extras {
            if let Fate::Doubt(why) = &extra.fate {
                doubtful.entry(why).or_default().push(&extra.key);
            }
        }
        let said = |(why, keys): (&str, Vec<&ObjectKey>)| {
            format!("not pruned until it is known who holds it: {}: {why}; {WAY_OUT}", named(&keys))
        };
        doubtful.into_iter().map(said).collect()
    }
}

/// Why it is not known what an earlier controller left in the cluster for an application without an inventory.
fn not_searched(world: &World, name: &str) -> Option<String> {
    const BEGIN: &str = "nothing was synced yet, so no inventory is stored";
    if !world.sweep.has_ended(FIRST, name) {
        return Some(format!(
            "{BEGIN}: the cluster is still being searched for what an earlier controller may have left for this application"
        ));
    }
    let kinds = world.sweep.tell_unlisted(name)?;
    Some(format!(
        "{BEGIN}, and {kinds} cannot be listed: what an earlier controller may have left of them for this application is not known; {TRIED_AGAIN}"
    ))
}

/// The first of several objects, and how many more there are.
fn named(keys: &[&ObjectKey]) -> String {
    let mut named: Vec<String> = keys.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if keys.len() > NAMED_MAX {
        named.push(format!("{} more objects", keys.len() - NAMED_MAX));
    }
    named.join(", ")
}

fn warning(message: String) -> Notice {
    Notice { kind: condition::COMPARISON_WARNING, message }
}
