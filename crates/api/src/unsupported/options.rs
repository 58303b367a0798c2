//! Sync options: which there are, where they may stand, and which are not honoured.
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

/// One option: its name, where it may stand, the values that it may have, and the values that are not honoured.
struct OptionRow {
    name: &'static str,
    on_applications: bool,
    on_objects: bool,
    values: &'static [&'static str],
    refused: &'static [&'static str],
    stops: bool,
    message: &'static str,
}

const BOOLEAN: &[&str] = &["true", "false"];

/// Sync options. Without refused values they are honoured, or neglecting them changes nothing.
const OPTIONS: &[OptionRow] = &[
    OptionRow {
        name: "Replace",
        on_applications: true,
        on_objects: true,
        values: BOOLEAN,
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "Force",
        on_applications: false,
        on_objects: true,
        values: BOOLEAN,
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "RespectIgnoreDifferences",
        on_applications: true,
        on_objects: false,
        values: BOOLEAN,
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "PrunePropagationPolicy",
        on_applications: true,
        on_objects: false,
        values: &["foreground", "background", "orphan"],
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "PruneLast",
        on_applications: true,
        on_objects: true,
        values: BOOLEAN,
        refused: &["true"],
        stops: false,
        message: "has no effect of its own yet: objects are deleted after all others are applied, without waiting for their health",
    },
    OptionRow {
        name: "ApplyOutOfSyncOnly",
        on_applications: true,
        on_objects: false,
        values: BOOLEAN,
        refused: &["true"],
        stops: false,
        message: "has no effect yet: a sync looks at all objects",
    },
    OptionRow {
        name: "ServerSideApply",
        on_applications: true,
        on_objects: true,
        values: BOOLEAN,
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "ClientSideApplyMigration",
        on_applications: true,
        on_objects: false,
        values: BOOLEAN,
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "FailOnSharedResource",
        on_applications: true,
        on_objects: false,
        values: BOOLEAN,
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "Recreate",
        on_applications: true,
        on_objects: true,
        values: BOOLEAN,
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "CreateNamespace",
        on_applications: true,
        on_objects: false,
        values: BOOLEAN,
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "SkipDryRunOnMissingResource",
        on_applications: true,
        on_objects: true,
        values: BOOLEAN,
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "Validate",
        on_applications: true,
        on_objects: true,
        values: BOOLEAN,
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "Prune",
        on_applications: true,
        on_objects: true,
        values: &["true", "false", "confirm"],
        refused: &[],
        stops: false,
        message: "",
    },
    OptionRow {
        name: "Delete",
        on_applications: true,
        on_objects: true,
        values: &["true", "false", "confirm"],
        refused: &[],
        stops: false,
        message: "",
    },
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
    row.refused.contains(&value).then(|| Unsupported::new(field, row.stops, format!("{shown}: {}", row.message)))
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
            ("PruneLast=true", Some(false), Some(false)),
            ("ApplyOutOfSyncOnly=true", Some(false), Some(false)),
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
