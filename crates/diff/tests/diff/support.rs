//! What the tests share: how a comparison is told in words.

use trueup_diff::{Comparison, Input, Note, Schema, What};
use trueup_object::{Node, yaml};

/// One value from YAML.
pub(crate) fn yaml(text: &str) -> Node {
    yaml::documents(text.as_bytes()).unwrap().remove(0).node
}

/// An input with nothing beside the two objects.
pub(crate) fn input<'a>(desired: &'a Node, live: &'a Node, schema: &'a Schema) -> Input<'a> {
    Input { built_in: true, ..Input::plain(desired, live, schema) }
}

/// The comparison in words: one line per difference and note.
pub(crate) fn told(comparison: &Comparison) -> Vec<String> {
    let differences = comparison.differences.iter().map(|it| {
        let what = match it.what {
            What::Changed => "changed",
            What::Missing => "missing",
            What::Extra => "extra",
        };
        let owner = it.owner.as_ref().map(|owner| format!(" by {}", owner.manager)).unwrap_or_default();
        assert_eq!(it.doubtful, it.what != What::Extra, "only removals need no word of the server");
        format!("{what} {}{owner}", it.path)
    });
    let notes = comparison.notes.iter().map(|note| match note {
        Note::Shared { path, manager } => format!("shared {path} with {manager}"),
        Note::GivenUp { path, manager } => format!("given up {path} to {manager}"),
        Note::Scaled { manager } => format!("scaled by {manager}"),
        Note::Duplicate { path } => format!("twice {path}"),
        Note::Aggregated => "aggregated".to_owned(),
    });
    let schema = comparison.needs_schema.then(|| "needs schema".to_owned());
    differences.chain(notes).chain(schema).collect()
}
