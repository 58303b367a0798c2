//! Sync options: of an Application (`spec.syncPolicy.syncOptions`), of an operation, and of one object (its annotations).
//!
//! Options are texts such as `Prune=false`, compared exactly. What an object says of itself wins over its Application, and where
//! one list contradicts itself, whatever keeps an object from being deleted wins: any value of `Prune` and `Delete` other than
//! `true`. What is not honoured is in [`crate::unsupported`]. Entry points: [`SyncOptions::read`], [`object_options`] and
//! [`ObjectOptions::within`].

use trueup_object::Node;

use crate::annotations;
use crate::hook::is_skipped;

/// Whether something may be deleted. They are ordered: the later keeps more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consent {
    /// It may be.
    #[default]
    Yes,
    /// Only after somebody has approved.
    Confirm,
    /// Never.
    No,
}

/// What becomes of an object's dependents when it is pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrunePropagation {
    /// They go first.
    #[default]
    Foreground,
    /// They go later.
    Background,
    /// They stay.
    Orphan,
}

/// The options of an Application or an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct SyncOptions {
    /// The destination namespace is made if it is not there (`CreateNamespace=true`).
    pub create_namespace: bool,
    /// Fields that the server does not know are refused; false with `Validate=false`.
    pub validate: bool,
    /// Whether objects that Git no longer has may be deleted.
    pub prune: Consent,
    /// Objects are pruned after everything else is healthy (`PruneLast=true`).
    pub prune_last: bool,
    /// What becomes of the dependents of objects that are pruned.
    pub prune_propagation: PrunePropagation,
    /// Whether objects may be deleted with their Application.
    pub delete: Consent,
    /// Objects that are in line are not applied (`ApplyOutOfSyncOnly=true`).
    pub apply_out_of_sync_only: bool,
    /// Objects are replaced instead of applied (`Replace=true`).
    pub replace: bool,
    /// Whether the server applies; none if nothing is said of it.
    pub server_side_apply: Option<bool>,
    /// Fields of kubectl's client-side apply are taken over; false with `ClientSideApplyMigration=false`.
    pub client_side_apply_migration: bool,
    /// A sync fails if another Application holds an object (`FailOnSharedResource=true`).
    pub fail_on_shared_resource: bool,
    /// Fields whose differences do not count are not applied either (`RespectIgnoreDifferences=true`).
    pub respect_ignore_differences: bool,
    /// A kind that the server does not know yet is no reason not to begin (`SkipDryRunOnMissingResource=true`).
    pub skip_dry_run_on_missing_resource: bool,
    /// An object of a kind that can be made anew safely is deleted and made anew when a field cannot be changed
    /// (`Recreate=true`). Ours.
    pub recreate: bool,
    /// Objects are deleted and made anew if they cannot be changed. No option: the strategy of an operation asks for it.
    pub force: bool,
}

/// The options of one object, from its annotations. None is what it says nothing of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct ObjectOptions {
    /// It is neither applied nor compared (`hook: Skip`).
    pub skip: bool,
    /// Its health does not count for the Application.
    pub ignore_healthcheck: bool,
    /// It is never deleted (`helm.sh/resource-policy: keep`).
    pub keep: bool,
    /// Without it in Git the Application is in line all the same.
    pub ignore_extraneous: bool,
    /// Whether it may be deleted when Git no longer has it.
    pub prune: Option<Consent>,
    /// Whether it may be deleted with its Application.
    pub delete: Option<Consent>,
    /// Whether fields that the server does not know are refused.
    pub validate: Option<bool>,
    /// Whether it is replaced instead of applied.
    pub replace: Option<bool>,
    /// It is deleted and made anew if it cannot be changed (`Force=true`).
    pub force: bool,
    /// Whether the server applies it.
    pub server_side_apply: Option<bool>,
    /// It is pruned after everything else is healthy.
    pub prune_last: bool,
    /// That the server does not know its kind yet is no reason not to begin.
    pub skip_dry_run_on_missing_resource: bool,
    /// Whether it is deleted and made anew when a field cannot be changed, if it is of a kind that can be made anew safely.
    pub recreate: Option<bool>,
}

/// The options that hold for one object of an Application: the object's own word, else the Application's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Effective {
    /// Whether it may be deleted when Git no longer has it. [`ObjectOptions::keep`] is not in it.
    pub prune: Consent,
    /// Whether it may be deleted with its Application. [`ObjectOptions::keep`] is not in it.
    pub delete: Consent,
    /// Fields that the server does not know are refused.
    pub validate: bool,
    /// It is replaced instead of applied.
    pub replace: bool,
    /// It is deleted and made anew if it cannot be changed: it says so itself, or the operation.
    pub force: bool,
    /// Whether the server applies it; none if nothing is said of it.
    pub server_side_apply: Option<bool>,
    /// It is pruned after everything else is healthy.
    pub prune_last: bool,
    /// That the server does not know its kind yet is no reason not to begin.
    pub skip_dry_run_on_missing_resource: bool,
    /// It is deleted and made anew when a field cannot be changed, if it is of a kind that can be made anew safely.
    pub recreate: bool,
}

/// The options of one list.
struct Words<'a>(Vec<&'a str>);

// === impl SyncOptions ===

impl Default for SyncOptions {
    fn default() -> Self {
        Self::read(&[])
    }
}

impl SyncOptions {
    /// Reads options as a specification or an operation lists them.
    pub fn read(options: &[String]) -> Self {
        let words = Words(options.iter().map(String::as_str).collect());
        Self {
            create_namespace: words.has("CreateNamespace=true"),
            validate: !words.has("Validate=false"),
            prune: words.consent("Prune").unwrap_or_default(),
            prune_last: words.has("PruneLast=true"),
            prune_propagation: words.prune_propagation(),
            delete: words.consent("Delete").unwrap_or_default(),
            apply_out_of_sync_only: words.has("ApplyOutOfSyncOnly=true"),
            replace: words.has("Replace=true"),
            // As upstream: of an Application `true` wins, of an object `false`.
            server_side_apply: words.boolean("ServerSideApply", true),
            client_side_apply_migration: !words.has("ClientSideApplyMigration=false"),
            fail_on_shared_resource: words.has("FailOnSharedResource=true"),
            respect_ignore_differences: words.has("RespectIgnoreDifferences=true"),
            skip_dry_run_on_missing_resource: words.has("SkipDryRunOnMissingResource=true"),
            recreate: words.boolean("Recreate", false).unwrap_or_default(),
            force: false,
        }
    }
}

// === impl ObjectOptions ===

/// The options of a desired or live object.
pub fn object_options(node: &Node) -> ObjectOptions {
    let Some(found) = node.at(&["metadata", "annotations"]).and_then(Node::as_map) else {
        return ObjectOptions::default();
    };
    let text = |key: &str| found.get(key).and_then(Node::as_str).unwrap_or_default();
    let words = Words(parts(text(annotations::SYNC_OPTIONS)).collect());
    ObjectOptions {
        skip: is_skipped(node),
        ignore_healthcheck: text(annotations::IGNORE_HEALTHCHECK) == "true",
        keep: parts(text(annotations::HELM_RESOURCE_POLICY)).any(|policy| policy == "keep"),
        ignore_extraneous: parts(text(annotations::COMPARE_OPTIONS)).any(|option| option == "IgnoreExtraneous"),
        prune: words.consent("Prune"),
        delete: words.consent("Delete"),
        validate: words.boolean("Validate", false),
        replace: words.boolean("Replace", true),
        force: words.has("Force=true"),
        server_side_apply: words.boolean("ServerSideApply", false),
        prune_last: words.has("PruneLast=true"),
        skip_dry_run_on_missing_resource: words.has("SkipDryRunOnMissingResource=true"),
        recreate: words.boolean("Recreate", false),
    }
}

impl ObjectOptions {
    /// What holds for the object in an Application or operation of these options.
    pub fn within(&self, app: &SyncOptions) -> Effective {
        Effective {
            prune: self.prune.unwrap_or(app.prune),
            delete: self.delete.unwrap_or(app.delete),
            validate: self.validate.unwrap_or(app.validate),
            replace: self.replace.unwrap_or(app.replace),
            force: self.force || app.force,
            server_side_apply: self.server_side_apply.or(app.server_side_apply),
            prune_last: self.prune_last || app.prune_last,
            skip_dry_run_on_missing_resource: self.skip_dry_run_on_missing_resource
                || app.skip_dry_run_on_missing_resource,
            recreate: self.recreate.unwrap_or(app.recreate),
        }
    }
}

// === impl Words ===

impl<'a> Words<'a> {
    fn has(&self, option: &str) -> bool {
        self.0.contains(&option)
    }

    /// The values that an option has in this list.
    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(move |option| option.strip_prefix(name)?.strip_prefix('='))
    }

    /// An option of two values; `winner` is the one that counts if both are there. Other values count as absent.
    fn boolean(&self, name: &str, winner: bool) -> Option<bool> {
        let has = |value: bool| self.values(name).any(|text| text == if value { "true" } else { "false" });
        if has(winner) { Some(winner) } else { has(!winner).then_some(!winner) }
    }

    /// Whether something may be deleted: what keeps more counts, and a value that is none keeps.
    fn consent(&self, name: &str) -> Option<Consent> {
        let consents = self.values(name).map(|value| match value {
            "true" => Consent::Yes,
            "confirm" => Consent::Confirm,
            _ => Consent::No,
        });
        consents.max()
    }

    /// As upstream: of several values the first of background, foreground and orphan.
    fn prune_propagation(&self) -> PrunePropagation {
        if self.has("PrunePropagationPolicy=background") {
            PrunePropagation::Background
        } else if self.has("PrunePropagationPolicy=orphan") && !self.has("PrunePropagationPolicy=foreground") {
            PrunePropagation::Orphan
        } else {
            PrunePropagation::Foreground
        }
    }
}

/// The parts of an annotation that is separated by commas.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(key: &str, value: &str) -> Node {
        let mut node = Node::map();
        node.set_at(&["metadata", "annotations", key], value.into());
        node
    }

    fn of_application(options: &[&str]) -> SyncOptions {
        SyncOptions::read(&options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())
    }

    fn of_object(options: &[&str]) -> ObjectOptions {
        object_options(&annotated(annotations::SYNC_OPTIONS, &options.join(" , ")))
    }

    #[test]
    fn every_option_of_an_application() {
        let nothing = SyncOptions {
            create_namespace: false,
            validate: true,
            prune: Consent::Yes,
            prune_last: false,
            prune_propagation: PrunePropagation::Foreground,
            delete: Consent::Yes,
            apply_out_of_sync_only: false,
            replace: false,
            server_side_apply: None,
            client_side_apply_migration: true,
            fail_on_shared_resource: false,
            respect_ignore_differences: false,
            skip_dry_run_on_missing_resource: false,
            recreate: false,
            force: false,
        };
        assert_eq!(SyncOptions::default(), nothing);
        let with = |change: fn(&mut SyncOptions)| {
            let mut options = nothing.clone();
            change(&mut options);
            options
        };
        for (option, expected) in [
            ("CreateNamespace=true", with(|options| options.create_namespace = true)),
            ("Validate=false", with(|options| options.validate = false)),
            ("SkipDryRunOnMissingResource=true", with(|options| options.skip_dry_run_on_missing_resource = true)),
            ("Prune=false", with(|options| options.prune = Consent::No)),
            ("Prune=confirm", with(|options| options.prune = Consent::Confirm)),
            ("Prune=flase", with(|options| options.prune = Consent::No)),
            ("PruneLast=true", with(|options| options.prune_last = true)),
            ("PrunePropagationPolicy=foreground", nothing.clone()),
            (
                "PrunePropagationPolicy=background",
                with(|options| options.prune_propagation = PrunePropagation::Background),
            ),
            ("PrunePropagationPolicy=orphan", with(|options| options.prune_propagation = PrunePropagation::Orphan)),
            ("PrunePropagationPolicy=nonsense", nothing.clone()),
            ("Delete=false", with(|options| options.delete = Consent::No)),
            ("Delete=confirm", with(|options| options.delete = Consent::Confirm)),
            ("ApplyOutOfSyncOnly=true", with(|options| options.apply_out_of_sync_only = true)),
            ("Replace=true", with(|options| options.replace = true)),
            ("ServerSideApply=true", with(|options| options.server_side_apply = Some(true))),
            ("ServerSideApply=false", with(|options| options.server_side_apply = Some(false))),
            ("ClientSideApplyMigration=false", with(|options| options.client_side_apply_migration = false)),
            ("FailOnSharedResource=true", with(|options| options.fail_on_shared_resource = true)),
            ("RespectIgnoreDifferences=true", with(|options| options.respect_ignore_differences = true)),
            ("Recreate=true", with(|options| options.recreate = true)),
            // The defaults spelt out, wrong values, and what is compared exactly.
            ("CreateNamespace=false", nothing.clone()),
            ("Validate=true", nothing.clone()),
            ("Prune=true", nothing.clone()),
            ("Delete=true", nothing.clone()),
            ("Replace=yes", nothing.clone()),
            ("ServerSideApply=", nothing.clone()),
            ("Force=true", nothing.clone()),
            ("Prune", nothing.clone()),
            ("prune=false", nothing.clone()),
            ("createnamespace=true", nothing.clone()),
            (" Replace=true", nothing.clone()),
            ("", nothing.clone()),
        ] {
            assert_eq!(of_application(&[option]), expected, "{option}");
        }
    }

    #[test]
    fn every_option_of_an_object() {
        let with = |change: fn(&mut ObjectOptions)| {
            let mut options = ObjectOptions::default();
            change(&mut options);
            options
        };
        for (option, expected) in [
            ("Validate=false", with(|options| options.validate = Some(false))),
            ("Validate=true", with(|options| options.validate = Some(true))),
            ("SkipDryRunOnMissingResource=true", with(|options| options.skip_dry_run_on_missing_resource = true)),
            ("Prune=true", with(|options| options.prune = Some(Consent::Yes))),
            ("Prune=false", with(|options| options.prune = Some(Consent::No))),
            ("Prune=confirm", with(|options| options.prune = Some(Consent::Confirm))),
            ("Prune=", with(|options| options.prune = Some(Consent::No))),
            ("PruneLast=true", with(|options| options.prune_last = true)),
            ("Delete=true", with(|options| options.delete = Some(Consent::Yes))),
            ("Delete=false", with(|options| options.delete = Some(Consent::No))),
            ("Delete=confirm", with(|options| options.delete = Some(Consent::Confirm))),
            ("Replace=true", with(|options| options.replace = Some(true))),
            ("Replace=false", with(|options| options.replace = Some(false))),
            ("Force=true", with(|options| options.force = true)),
            ("ServerSideApply=true", with(|options| options.server_side_apply = Some(true))),
            ("ServerSideApply=false", with(|options| options.server_side_apply = Some(false))),
            ("Recreate=true", with(|options| options.recreate = Some(true))),
            ("Recreate=false", with(|options| options.recreate = Some(false))),
            // What has no effect on one object, wrong values, and what is compared exactly.
            ("CreateNamespace=true", ObjectOptions::default()),
            ("ApplyOutOfSyncOnly=true", ObjectOptions::default()),
            ("RespectIgnoreDifferences=true", ObjectOptions::default()),
            ("Replace=yes", ObjectOptions::default()),
            ("replace=true", ObjectOptions::default()),
            ("Prune", ObjectOptions::default()),
            ("", ObjectOptions::default()),
        ] {
            assert_eq!(of_object(&[option]), expected, "{option}");
        }
        let several = of_object(&["Force=true", "Replace=true"]);
        assert_eq!(several, with(|options| (options.force, options.replace) = (true, Some(true))));
    }

    #[test]
    fn of_a_contradiction_the_safer_or_upstreams_counts() {
        let both = |name: &str| [format!("{name}=true"), format!("{name}=false")];
        let application = |name: &str| SyncOptions::read(&both(name));
        let object = |name: &str| of_object(&both(name).iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((application("Prune").prune, object("Prune").prune), (Consent::No, Some(Consent::No)));
        assert_eq!((application("Delete").delete, object("Delete").delete), (Consent::No, Some(Consent::No)));
        assert_eq!((application("Validate").validate, object("Validate").validate), (false, Some(false)));
        assert_eq!((application("Replace").replace, object("Replace").replace), (true, Some(true)));
        assert_eq!((application("Recreate").recreate, object("Recreate").recreate), (false, Some(false)));
        assert_eq!(application("ServerSideApply").server_side_apply, Some(true));
        assert_eq!(object("ServerSideApply").server_side_apply, Some(false));
        assert_eq!(of_application(&["Prune=true", "Prune=confirm"]).prune, Consent::Confirm);
        assert_eq!(of_application(&["Prune=false", "Prune=confirm"]).prune, Consent::No);
        let propagation = |values: &[&str]| {
            let options: Vec<String> = values.iter().map(|value| format!("PrunePropagationPolicy={value}")).collect();
            SyncOptions::read(&options).prune_propagation
        };
        assert_eq!(propagation(&["orphan", "foreground", "background"]), PrunePropagation::Background);
        assert_eq!(propagation(&["orphan", "foreground"]), PrunePropagation::Foreground);
    }

    #[test]
    fn an_objects_own_word_wins() {
        let within = |object: &[&str], app: &[&str]| of_object(object).within(&of_application(app));
        for (object, app, prune) in [
            (&[][..], &[][..], Consent::Yes),
            (&[][..], &["Prune=false"][..], Consent::No),
            (&[][..], &["Prune=confirm"][..], Consent::Confirm),
            (&["Prune=true"][..], &["Prune=false"][..], Consent::Yes),
            (&["Prune=false"][..], &["Prune=true"][..], Consent::No),
            (&["Prune=confirm"][..], &["Prune=false"][..], Consent::Confirm),
            (&["Prune=true", "Prune=confirm"][..], &[][..], Consent::Confirm),
        ] {
            assert_eq!(within(object, app).prune, prune, "{object:?} {app:?}");
            let named = |options: &[&str]| -> Vec<String> {
                options.iter().map(|option| option.replace("Prune", "Delete")).collect()
            };
            let (object, app) = (named(object), named(app));
            let object = of_object(&object.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(object.within(&SyncOptions::read(&app)).delete, prune, "{object:?} {app:?}");
        }
        for (object, app, server_side_apply) in [
            (&[][..], &[][..], None),
            (&[][..], &["ServerSideApply=false"][..], Some(false)),
            (&["ServerSideApply=true"][..], &["ServerSideApply=false"][..], Some(true)),
            (&["ServerSideApply=false"][..], &["ServerSideApply=true"][..], Some(false)),
        ] {
            assert_eq!(within(object, app).server_side_apply, server_side_apply, "{object:?} {app:?}");
        }
        let mine = within(
            &["Validate=true", "Replace=false", "Recreate=false", "Force=true"],
            &["Validate=false", "Replace=true", "Recreate=true"],
        );
        assert_eq!((mine.validate, mine.replace, mine.recreate, mine.force), (true, false, false, true));
        let theirs = within(&[], &["Validate=false", "Replace=true", "Recreate=true"]);
        assert_eq!((theirs.validate, theirs.replace, theirs.recreate, theirs.force), (false, true, true, false));
        let forced = SyncOptions { force: true, ..of_application(&[]) };
        assert!(of_object(&[]).within(&forced).force);
        let neither = within(&[], &[]);
        assert!(!neither.prune_last && !neither.skip_dry_run_on_missing_resource && neither.validate);
        let either = ["PruneLast=true", "SkipDryRunOnMissingResource=true"];
        for found in [within(&either, &[]), within(&[], &either)] {
            assert!(found.prune_last && found.skip_dry_run_on_missing_resource);
        }
    }

    #[test]
    fn reads_the_other_annotations_of_an_object() {
        assert!(object_options(&annotated(annotations::HOOK, "Skip")).skip);
        assert!(object_options(&annotated(annotations::IGNORE_HEALTHCHECK, "true")).ignore_healthcheck);
        assert!(object_options(&annotated(annotations::HELM_RESOURCE_POLICY, "keep")).keep);
        assert!(
            object_options(&annotated(annotations::COMPARE_OPTIONS, "IgnoreExtraneous,ServerSideDiff=true"))
                .ignore_extraneous
        );
        assert_eq!(object_options(&Node::map()), ObjectOptions::default());
        let mut odd = Node::map();
        odd.set_at(&["metadata", "annotations"], "text".into());
        assert_eq!(object_options(&odd), ObjectOptions::default());
    }
}
