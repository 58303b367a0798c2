//! The finalizers of an Application that are ours: what each asks for at the deletion, and which ones it is to have.
//!
//! Pure. Entry points: [`Stage::of`] for a deletion, [`changes`] before that.

use trueup_api::{Cascade, HookPhase, Meta, annotations};

/// What a deletion does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The hooks of a phase run.
    Hooks(HookPhase),
    /// They have ended well: they are let go, or deleted if they say so.
    Cleanup(HookPhase),
    /// The objects are deleted.
    Objects(Cascade),
}

/// What is behind the finalizer of a phase in the one that asks for its hooks to be cleared away.
const CLEANUP: &str = "/cleanup";
/// The phases of a deletion.
const PHASES: [HookPhase; 2] = [HookPhase::PreDelete, HookPhase::PostDelete];

// === impl Stage ===

impl Stage {
    /// What is next, as the finalizers that are left tell.
    pub(crate) fn of(meta: &Meta) -> Option<Self> {
        let hooks = |phase| has(meta, &of_hooks(phase)).then_some(Self::Hooks(phase));
        let cleanup = |phase| has(meta, &of_cleanup(phase)).then_some(Self::Cleanup(phase));
        let [before, after] = PHASES;
        hooks(before)
            .or_else(|| cleanup(before))
            .or_else(|| meta.cascade().map(Self::Objects))
            .or_else(|| hooks(after))
            .or_else(|| cleanup(after))
    }

    /// The finalizers that ask for it.
    pub(crate) fn finalizers(self) -> Vec<String> {
        match self {
            Self::Hooks(phase) => vec![of_hooks(phase)],
            Self::Cleanup(phase) => vec![of_cleanup(phase)],
            Self::Objects(_) => {
                [annotations::RESOURCES_FINALIZER, annotations::FOREGROUND_FINALIZER, annotations::BACKGROUND_FINALIZER]
                    .map(str::to_owned)
                    .to_vec()
            }
        }
    }
}

/// The finalizer that asks for the hooks of a phase.
pub(crate) fn of_hooks(phase: HookPhase) -> String {
    match phase {
        HookPhase::PreDelete => annotations::PRE_DELETE_FINALIZER,
        _ => annotations::POST_DELETE_FINALIZER,
    }
    .to_owned()
}

fn of_cleanup(phase: HookPhase) -> String {
    of_hooks(phase) + CLEANUP
}

fn has(meta: &Meta, finalizer: &str) -> bool {
    meta.finalizers.iter().any(|had| had == finalizer)
}

/// Which finalizers are given to an Application and which are taken from it, so that it has those for the phases of its hooks,
/// as upstream.
pub(crate) fn changes(meta: &Meta, phases: &[HookPhase]) -> (Vec<String>, Vec<String>) {
    let (mut given, mut taken) = (Vec::new(), Vec::new());
    for phase in PHASES {
        for finalizer in [of_hooks(phase), of_cleanup(phase)] {
            match (phases.contains(&phase), has(meta, &finalizer)) {
                (true, false) => given.push(finalizer),
                (false, true) => taken.push(finalizer),
                _ => {}
            }
        }
    }
    (given, taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRE: &str = "pre-delete-finalizer.argocd.argoproj.io";
    const PRE_CLEANUP: &str = "pre-delete-finalizer.argocd.argoproj.io/cleanup";
    const POST: &str = "post-delete-finalizer.argocd.argoproj.io";
    const POST_CLEANUP: &str = "post-delete-finalizer.argocd.argoproj.io/cleanup";
    const CASCADE: &str = "resources-finalizer.argocd.argoproj.io";

    fn with(finalizers: &[&str]) -> Meta {
        Meta { finalizers: finalizers.iter().map(|finalizer| (*finalizer).to_owned()).collect(), ..Meta::default() }
    }

    #[test]
    fn a_deletion_goes_from_stage_to_stage_whatever_the_order_of_the_finalizers() {
        let mut left = vec![POST_CLEANUP, CASCADE, "example.org/other", POST, PRE_CLEANUP, PRE];
        let mut stages = Vec::new();
        while let Some(stage) = Stage::of(&with(&left)) {
            stages.push(stage);
            let taken = stage.finalizers();
            left.retain(|finalizer| !taken.iter().any(|taken| taken == finalizer));
        }
        let expected = [
            Stage::Hooks(HookPhase::PreDelete),
            Stage::Cleanup(HookPhase::PreDelete),
            Stage::Objects(Cascade::Foreground),
            Stage::Hooks(HookPhase::PostDelete),
            Stage::Cleanup(HookPhase::PostDelete),
        ];
        assert_eq!(stages, expected);
        assert_eq!(left, ["example.org/other"]);
        let background = format!("{CASCADE}/background");
        assert_eq!(Stage::of(&with(&[&background])), Some(Stage::Objects(Cascade::Background)));
        assert_eq!(
            Stage::of(&with(&["post-delete-finalizer.argocd.argoproj.io/else"])),
            None,
            "nobody knows what it is"
        );
    }

    #[test]
    fn finalizers_follow_the_hooks() {
        use HookPhase::{PostDelete, PreDelete, PreSync};
        type Row = (&'static [&'static str], &'static [HookPhase], &'static [&'static str], &'static [&'static str]);
        let table: [Row; 6] = [
            (&[CASCADE], &[], &[], &[]),
            (&[], &[PreSync], &[], &[]),
            (&[CASCADE], &[PreDelete], &[PRE, PRE_CLEANUP], &[]),
            (&[PRE], &[PreSync, PreDelete, PostDelete], &[PRE_CLEANUP, POST, POST_CLEANUP], &[]),
            (&[PRE, PRE_CLEANUP, CASCADE, "a/b"], &[], &[], &[PRE, PRE_CLEANUP]),
            (&[POST, POST_CLEANUP], &[PostDelete], &[], &[]),
        ];
        for (had, phases, given, taken) in table {
            let words = |finalizers: &[&str]| finalizers.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
            assert_eq!(changes(&with(had), phases), (words(given), words(taken)), "{had:?} {phases:?}");
        }
    }
}
