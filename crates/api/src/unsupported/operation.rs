//! What an operation may ask for that is not honoured.
//!
//! Entry point: [`operation_unsupported`].

use super::options::{Level, option_unsupported};
use super::{Row, Unsupported, apply};
use crate::condition;
use crate::operation::{Operation, SyncOperation};

/// Fields of an operation.
const OPERATION: &[Row<SyncOperation>] = &[Row {
    field: "operation.sync.manifests",
    stops: true,
    message: "are larger than 600 KiB, more than the status can repeat: commit them to Git",
    found: SyncOperation::is_too_large,
}];

/// What of an operation is not honoured.
pub fn operation_unsupported(operation: &Operation) -> Vec<Unsupported> {
    if let Some(why) = &operation.unreadable {
        return vec![Unsupported::new("operation", true, format!("cannot be read: {why}"))];
    }
    let Some(sync) = &operation.sync else {
        return vec![Unsupported::new("operation", true, condition::NO_OPERATION.to_owned())];
    };
    let options = sync.sync_options.iter();
    let options =
        options.filter_map(|option| option_unsupported(option, "operation.sync.syncOptions", Level::Application));
    apply(OPERATION, sync).chain(options).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unsupported::examples::{check, fields, read};

    #[test]
    fn every_row_of_operations() {
        let large = format!(r#"{{"manifests": ["{}"]}}"#, "x".repeat(601 * 1024));
        let examples = [("operation.sync.manifests", large.as_str())];
        check(OPERATION, &examples, |sync| {
            operation_unsupported(&Operation { sync: Some(read(sync)), ..Operation::default() })
        });
        let plain = r#"{"sync": {"revision": "^1", "prune": true, "syncStrategy": {"hook": {"force": true}, "apply": {"force": true}}, "syncOptions": ["CreateNamespace=true"], "autoHealAttemptsCount": 1}, "initiatedBy": {"username": "u"}, "retry": {"limit": 2}}"#;
        assert_eq!(operation_unsupported(&read(plain)), []);
    }

    #[test]
    fn an_operation_that_asks_for_nothing_or_cannot_be_read_stops() {
        let found = operation_unsupported(&read("{}"));
        assert_eq!(
            (fields(&found), found[0].message.as_str()),
            (vec!["!operation".to_owned()], condition::NO_OPERATION)
        );
        let found = operation_unsupported(&Operation {
            unreadable: Some("sync: must be a map".into()),
            ..Operation::default()
        });
        assert_eq!(fields(&found), ["!operation"]);
        assert!(found[0].message.contains("must be a map"));
    }

    #[test]
    fn options_are_looked_at() {
        let operation: Operation = read(r#"{"sync": {"syncOptions": ["Replace=yes"]}}"#);
        assert_eq!(fields(&operation_unsupported(&operation)), ["operation.sync.syncOptions"]);
    }
}
