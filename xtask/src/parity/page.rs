//! The page for readers.
//!
//! Keeps nothing. Entry point: [`of`].

use std::fmt::Write as _;

use crate::parity::code::Code;
use crate::parity::{Group, Row, Rows, State};

const HEAD: &str = "# Argo CD's API, row by row

<!-- Written by 'cargo xtask parity' from docs/parity.yaml. -->

For whoever wants to know what becomes of one field, option or annotation. Each row that claims something names tests that
show it; a check fails where a test is gone, where something of the API has no row, and where the code refuses what a row does not.
The reasons are told at length in [how it decides](how-it-decides.md), the way over in [coming from Argo CD](coming-from-argo-cd.md).
The user interface, the server and its logins, ApplicationSets and notifications are not in it: [known shortcomings](shortcomings.md).

";

/// The page.
pub(super) fn of(rows: &Rows, code: &Code) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| here | means | rows |\n|---|---|---|\n");
    for state in State::ALL {
        let count = rows.groups.iter().flat_map(|group| &group.rows).filter(|row| row.here == state).count();
        if count > 0 {
            let _ = writeln!(page, "| {} | {} | {count} |", state.name(), state.means());
        }
    }
    page.push('\n');
    for group in &rows.groups {
        let _ = writeln!(page, "- [{}](#{})", group.title, anchor(&group.title));
    }
    for group in &rows.groups {
        table(&mut page, group, code);
    }
    page
}

fn table(page: &mut String, group: &Group, code: &Code) {
    let _ = write!(page, "\n## {}\n\n", group.title);
    if !group.about.is_empty() {
        let _ = write!(page, "{}\n\n", group.about.trim());
    }
    page.push_str("| what | here | how it differs, and why | covered by |\n|---|---|---|---|\n");
    for row in &group.rows {
        line(page, row, code);
    }
}

fn line(page: &mut String, row: &Row, code: &Code) {
    let tests: Vec<String> = row.tests.iter().map(|test| linked(test, code)).collect();
    let (what, note) = (cell(&row.what), cell(&row.note));
    let _ = writeln!(page, "| {what} | {} | {note} | {} |", row.here.name(), tests.join("; "));
}

/// A test as the sentence that its name is, linked to its file.
fn linked(test: &str, code: &Code) -> String {
    let name = test.rsplit("::").next().unwrap_or(test).replace('_', " ");
    code.tests.get(test).map_or_else(|| name.clone(), |file| format!("[{name}](../{file})"))
}

/// A text within a table.
fn cell(text: &str) -> String {
    text.trim().replace('\n', " ").replace('|', "\\|")
}

/// What a heading is linked by.
fn anchor(title: &str) -> String {
    let kept = title.to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stays_one_line() {
        let rows = "groups: [{title: 'A, b (c)', about: Words., rows: [{what: '`a|b`', here: not-yet, note: \"one\\ntwo\", tests: ['m::it_is_so']}]}]";
        let code = Code { tests: [("m::it_is_so".to_owned(), "m.rs".to_owned())].into(), ..Code::default() };
        let page = of(&yaml_serde::from_str(rows).unwrap(), &code);
        assert!(page.contains("- [A, b (c)](#a-b-c)\n"), "{page}");
        assert!(page.ends_with("|---|---|---|---|\n| `a\\|b` | not yet | one two | [it is so](../m.rs) |\n"), "{page}");
        assert!(
            page.contains("| not yet | it is not there, and nothing says so: the row says what happens instead | 1 |")
        );
        assert!(!page.contains("| refused |"));
    }
}
