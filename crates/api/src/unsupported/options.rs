//! Sync options: which there are, and where they may stand. All of them are honoured; a wrong one has no effect, and a warning.
//!
//! Entry point: [`option_unsupported`].

use super::Unsupported;

/// How much of an option is repeated in a message, in characters: nobody's options are longer, and a status stays small.
const OPTION_SHOWN: usize = 64;

/// Where an option may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// On an Application, and in an operation.
    Application,
    /// On an object.
    Object,
}

/// One option: its name, where it may stand, and the values that it may have.
struct OptionRow {
    name: &'static str,
    on_applications: bool,
    on_objects: bool,
    values: &'static [&'static str],
}

const BOOLEAN: &[&str] = &["true", "false"];
const CONSENT: &[&str] = &["true", "false", "confirm"];

/// The sync options that there are.
const OPTIONS: &[OptionRow] = &[
    OptionRow { name: "Replace", on_applications: true, on_objects: true, values: BOOLEAN },
    OptionRow { name: "Force", on_applications: false, on_objects: true, values: BOOLEAN },
    OptionRow { name: "RespectIgnoreDifferences", on_applications: true, on_objects: false, values: BOOLEAN },
    OptionRow {
        name: "PrunePropagationPolicy",
        on_applications: true,
        on_objects: false,
        values: &["foreground", "background", "orphan"],
    },
    OptionRow { name: "PruneLast", on_applications: true, on_objects: true, values: BOOLEAN },
    OptionRow { name: "ApplyOutOfSyncOnly", on_applications: true, on_objects: false, values: BOOLEAN },
    OptionRow { name: "ServerSideApply", on_applications: true, on_objects: true, values: BOOLEAN },
    OptionRow { name: "ClientSideApplyMigration", on_applications: true, on_objects: false, values: BOOLEAN },
    OptionRow { name: "FailOnSharedResource", on_applications: true, on_objects: false, values: BOOLEAN },
    OptionRow { name: "Recreate", on_applications: true, on_objects: true, values: BOOLEAN },
    OptionRow { name: "CreateNamespace", on_applications: true, on_objects: false, values: BOOLEAN },
    OptionRow { name: "SkipDryRunOnMissingResource", on_applications: true, on_objects: true, values: BOOLEAN },
    OptionRow { name: "Validate", on_applications: true, on_objects: true, values: BOOLEAN },
    OptionRow { name: "Prune", on_applications: true, on_objects: true, values: CONSENT },
    OptionRow { name: "Delete", on_applications: true, on_objects: true, values: CONSENT },
];

/// What is wrong with one option that stands in `field`, if anything is.
pub(super) fn option_unsupported(option: &str, field: &str, level: Level) -> Option<Unsupported> {
    let shown = shown(option);
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let Some(row) = OPTIONS.iter().find(|row| row.name == name) else {
        return Some(Unsupported::new(field, false, format!("{shown}: there is no such option, it has no effect")));
    };
    if !row.values.contains(&value) {
        let values = row.values.join(", ");
        return Some(Unsupported::new(
            field,
            false,
            format!("{shown}: this value has no effect, it may be one of {values}"),
        ));
    }
    if level == Level::Object && !row.on_objects {
        return Some(Unsupported::new(
            field,
            false,
            format!("{shown}: has no effect on one object, only on an Application"),
        ));
    }
    if level == Level::Application && !row.on_applications {
        return Some(Unsupported::new(
            field,
            false,
            format!(
                "{shown}: has no effect on an Application, only on one object; for one sync its strategy has `force`"
            ),
        ));
    }
    None
}

/// An option, or a word of another annotation, cut where it is longer than any.
pub(super) fn shown(option: &str) -> String {
    let mut shown: String = option.chars().take(OPTION_SHOWN).collect();
    if shown.len() < option.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option() {
        let of_application =
            |option: &str| option_unsupported(option, "f", Level::Application).map(|found| found.stops);
        let on_object = |option: &str| option_unsupported(option, "f", Level::Object).map(|found| found.stops);
        for (option, application, object) in [
            ("Replace=true", None, None),
            ("Force=true", Some(false), None),
            ("RespectIgnoreDifferences=true", None, Some(false)),
            ("PrunePropagationPolicy=background", None, Some(false)),
            ("PrunePropagationPolicy=orphan", None, Some(false)),
            ("PrunePropagationPolicy=foreground", None, Some(false)),
            ("PruneLast=true", None, None),
            ("ApplyOutOfSyncOnly=true", None, Some(false)),
            ("ServerSideApply=true", None, None),
            ("ServerSideApply=false", None, None),
            ("ClientSideApplyMigration=false", None, Some(false)),
            ("FailOnSharedResource=true", None, Some(false)),
            ("Recreate=true", None, None),
            ("Recreate=false", None, None),
            ("CreateNamespace=true", None, Some(false)),
            ("SkipDryRunOnMissingResource=true", None, None),
            ("Validate=false", None, None),
            ("Prune=false", None, None),
            ("Prune=confirm", None, None),
            ("Delete=false", None, None),
            ("Delete=confirm", None, None),
            ("Prune=flase", Some(false), Some(false)),
            ("Prune", Some(false), Some(false)),
            ("prune=false", Some(false), Some(false)),
            ("Nonsense=true", Some(false), Some(false)),
            ("", Some(false), Some(false)),
        ] {
            assert_eq!((of_application(option), on_object(option)), (application, object), "{option}");
        }
        let tried = [
            "Replace",
            "Force",
            "RespectIgnoreDifferences",
            "PrunePropagationPolicy",
            "PruneLast",
            "ApplyOutOfSyncOnly",
            "ServerSideApply",
            "ClientSideApplyMigration",
            "FailOnSharedResource",
            "Recreate",
            "CreateNamespace",
            "SkipDryRunOnMissingResource",
            "Validate",
            "Prune",
            "Delete",
        ];
        assert!(OPTIONS.iter().all(|row| tried.contains(&row.name)));
        let long = option_unsupported(&"é".repeat(500), "f", Level::Application).unwrap();
        assert!(long.message.len() < 300);
    }
}
