//! What users may write, and we do not honour yet: the one table of it, in a file for each noun.
//!
//! A field whose neglect could delete, overwrite or permit something stops the sync of its Application: it is compared,
//! nothing is written, and a condition names the field. A field whose neglect only costs order or comfort warns. The tables
//! shrink as work lands; each row has an example among the tests. Entry points: [`operation_unsupported`],
//! [`object_unsupported`]; for Applications and projects the rows that apply are read with them.

mod application;
mod object;
mod operation;
mod options;
mod project;

pub(crate) use application::application_unsupported;
pub use object::object_unsupported;
pub use operation::operation_unsupported;
pub(crate) use project::project_unsupported;

/// A field, option or annotation that is not honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Where it stands: a field of the Application or project, or an annotation.
    pub field: String,
    /// It stops the sync; otherwise it is only worth a warning.
    pub stops: bool,
    /// Why, and what to do.
    pub message: String,
}

/// One row: a field, whether it stops, why, and how it is found.
struct Row<T> {
    field: &'static str,
    stops: bool,
    message: &'static str,
    found: fn(&T) -> bool,
}

/// The rows that apply.
fn apply<T>(rows: &'static [Row<T>], value: &T) -> impl Iterator<Item = Unsupported> {
    let found = rows.iter().filter(|row| (row.found)(value));
    found.map(|row| Unsupported::new(row.field, row.stops, row.message.to_owned())).collect::<Vec<_>>().into_iter()
}

// === impl Unsupported ===

impl Unsupported {
    pub(crate) fn new(field: &str, stops: bool, message: String) -> Self {
        Self { field: field.to_owned(), stops, message }
    }
}

#[cfg(test)]
mod examples {
    use serde::de::DeserializeOwned;

    use super::*;

    pub(super) fn read<T: DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).unwrap()
    }

    /// The fields of what was found, with an `!` where it stops.
    pub(super) fn fields(found: &[Unsupported]) -> Vec<String> {
        found.iter().map(|found| format!("{}{}", if found.stops { "!" } else { "" }, found.field)).collect()
    }

    /// Every row has an example that finds it and nothing else.
    pub(super) fn check<T>(rows: &[Row<T>], examples: &[(&str, &str)], found: impl Fn(&str) -> Vec<Unsupported>) {
        let named: Vec<&str> = examples.iter().map(|(field, _)| *field).collect();
        for row in rows {
            assert!(named.contains(&row.field), "{} has no example", row.field);
        }
        for (field, example) in examples {
            let row = rows.iter().find(|row| row.field == *field).unwrap();
            let found = found(example);
            assert_eq!(fields(&found), [format!("{}{field}", if row.stops { "!" } else { "" })], "{example}");
            assert!(!found[0].message.is_empty());
        }
    }
}
