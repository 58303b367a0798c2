//! What the rows lack, and what they claim wrongly.
//!
//! Keeps nothing. Entry point: [`missing`].

use std::collections::HashSet;

use crate::parity::code::{Code, Refusal};
use crate::parity::{Group, Kind, ROWS, Row, Rows, State};

/// What a path ends with that means everything below it.
const BELOW: &str = ".*";
/// What the paths of fields begin with that the definitions list one by one; those of a status are kept whatever they are.
const TOPS: [&str; 2] = ["spec", "operation"];
/// Tests that show no more than that a table says so.
const TABLES: &str = "trueup_api::unsupported::";

/// What is to be mended, a line for each.
pub(super) fn missing(rows: &Rows, code: &Code) -> Vec<String> {
    let mut found = Vec::new();
    for group in &rows.groups {
        let mut seen = HashSet::new();
        for row in &group.rows {
            let twice = (!seen.insert(&row.what)).then(|| "stands twice in its group".to_owned());
            let lines = of_row(row, code).chain(unknown_fields(group, row, code)).chain(twice);
            found.extend(lines.map(|line| format!("'{}' ({}): {line}", row.what, group.title)));
        }
    }
    found.extend(code.refusals.iter().filter_map(|refusal| without_row(refusal, rows)));
    found.extend(unnamed(rows, code));
    found
}

/// What a row lacks by itself.
fn of_row<'a>(row: &'a Row, code: &'a Code) -> impl Iterator<Item = String> + 'a {
    let unknown = row.tests.iter().filter(|test| !code.tests.contains_key(*test));
    let unknown = unknown.map(|test| match near(test, code) {
        Some(near) => format!("there is no test '{test}': is it '{near}' now?"),
        None => format!("there is no test '{test}': name another, or say that it is not there yet"),
    });
    let state = row.here.name();
    let untested =
        (row.here.needs_a_test() && row.tests.is_empty()).then(|| format!("'{state}' needs a test that shows it"));
    let unsaid = (row.here != State::AsUpstream && row.note.is_empty()).then(|| format!("'{state}' needs a note"));
    // What only a table refused is honoured when its row goes.
    let stale = matches!(row.here, State::Refused | State::Warned)
        && row.tests.iter().all(|test| test.starts_with(TABLES))
        && !row.names().any(|name| code.refusals.iter().any(|refusal| refusal.name == name));
    let stale = stale.then(|| format!("'{state}', and no table in crates/api/src/unsupported has it any more"));
    unknown.chain(untested).chain(unsaid).chain(stale)
}

/// A test of the same name that stands elsewhere.
fn near<'a>(test: &str, code: &'a Code) -> Option<&'a str> {
    let (_, name) = test.rsplit_once("::")?;
    code.tests.keys().map(String::as_str).find(|there| there.rsplit("::").next() == Some(name))
}

/// Fields that a row names and the definitions do not have.
fn unknown_fields<'a>(group: &'a Group, row: &'a Row, code: &'a Code) -> impl Iterator<Item = String> + 'a {
    let names = row.names().filter(|name| group.kind.is_some() && is_path(name));
    let unknown = names.filter(|name| {
        let path = name.strip_suffix(BELOW).unwrap_or(name);
        let mut fields = code.leaves.iter().chain(&code.inner);
        !fields.any(|(kind, there)| group.kind == Some(*kind) && there == path)
    });
    unknown.map(|name| format!("crds/ has no field '{name}'"))
}

fn is_path(name: &str) -> bool {
    TOPS.iter().any(|top| name.strip_prefix(top).is_some_and(|rest| rest.starts_with('.')))
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '.' || letter == '*')
}

/// What is refused or warned of, and no row says so.
fn without_row(refusal: &Refusal, rows: &Rows) -> Option<String> {
    let state = if refusal.stops { State::Refused } else { State::Warned };
    let of_kind = |group: &&Group| (group.kind == Some(Kind::AppProject)) == (refusal.kind == Kind::AppProject);
    let mut candidates = rows.groups.iter().filter(of_kind).flat_map(|group| &group.rows);
    let has = |row: &Row| row.here == state && row.names().any(|name| name == refusal.name);
    (!candidates.any(has)).then(|| {
        format!("'{}' is {} by the code (crates/api/src/unsupported), and no row says so", refusal.name, state.name())
    })
}

/// What nobody has named yet: fields, annotations, labels, finalizers, conditions, options.
fn unnamed(rows: &Rows, code: &Code) -> impl Iterator<Item = String> {
    let fields = code.leaves.iter().filter(|(kind, path)| {
        let mut groups = rows.groups.iter().filter(|group| group.kind == Some(*kind));
        !groups.any(|group| {
            let names = group.names();
            let below = format!("{path}.");
            names.iter().any(|name| *name == path || name.starts_with(&below))
                || parents(path).any(|above| names.contains(format!("{above}{BELOW}").as_str()))
        })
    });
    let fields = fields.map(|(kind, path)| format!("{ROWS} has no row for the field '{path}' of {kind:?}"));
    let names: HashSet<&str> = rows.groups.iter().flat_map(Group::names).collect();
    let words = code.names.iter().filter(|word| {
        let is_option = word.ends_with('=');
        !names.iter().any(|name| if is_option { name.starts_with(word.as_str()) } else { name == word })
    });
    let words = words.map(|word| format!("{ROWS} has no row that names '{word}'"));
    fields.chain(words).collect::<Vec<_>>().into_iter()
}

/// The paths above a path, and itself.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('.').map(|(at, _)| &path[..at]).chain([path])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(yaml: &str) -> Rows {
        yaml_serde::from_str(yaml).unwrap()
    }

    fn code() -> Code {
        Code {
            tests: [("e2e::a::shows_it", "a.rs"), ("trueup_api::unsupported::every_row", "u.rs")]
                .map(|(test, file)| (test.to_owned(), file.to_owned()))
                .into(),
            ..Code::default()
        }
    }

    fn one(row: &str) -> Vec<String> {
        missing(&rows(&format!("groups: [{{title: T, kind: Application, rows: [{row}]}}]")), &code())
    }

    #[test]
    fn a_claim_needs_a_test_that_is_there() {
        assert_eq!(one("{what: '`a`', here: as-upstream, tests: ['e2e::a::shows_it']}"), [""; 0]);
        assert_eq!(one("{what: '`a`', here: ignored, note: n}"), [""; 0]);
        for (row, says) in [
            ("{what: a, here: as-upstream}", "'as upstream' needs a test that shows it"),
            ("{what: a, here: differs, note: n}", "'differs' needs a test"),
            ("{what: a, here: not-yet}", "needs a note"),
            ("{what: a, here: as-upstream, tests: ['e2e::b::shows_it']}", "is it 'e2e::a::shows_it' now?"),
            ("{what: a, here: as-upstream, tests: ['e2e::a::other']}", "there is no test 'e2e::a::other'"),
            ("{what: a, here: ignored, note: n}, {what: a, here: ignored, note: n}", "stands twice"),
            ("{what: '`spec.a`', here: ignored, note: n}", "crds/ has no field 'spec.a'"),
            (
                "{what: '`spec`', here: refused, note: n, tests: ['trueup_api::unsupported::every_row']}",
                "no table in crates/api/src/unsupported has it any more",
            ),
        ] {
            let found = one(row);
            assert!(found.len() == 1 && found[0].contains(says), "{row}: {found:?}");
        }
    }

    #[test]
    fn what_is_refused_has_a_row_of_its_kind() {
        let mut code = code();
        code.refusals.push(Refusal { kind: Kind::AppProject, name: "spec".to_owned(), stops: true });
        let row = "{what: '`spec`', here: refused, note: n, tests: ['trueup_api::unsupported::every_row']}";
        let of = |kind: &str| rows(&format!("groups: [{{title: T, kind: {kind}, rows: [{row}]}}]"));
        assert_eq!(missing(&of("AppProject"), &code), [""; 0]);
        let found = missing(&of("Application"), &code);
        assert!(found.len() == 1 && found[0].contains("'spec' is refused by the code"), "{found:?}");
        code.refusals[0].stops = false;
        let found = missing(&of("AppProject"), &code);
        assert!(found.len() == 1 && found[0].contains("'spec' is warned by the code"), "{found:?}");
    }

    #[test]
    fn nothing_is_forgotten() {
        let mut code = code();
        for path in ["spec.a.b", "spec.a.c", "spec.d"] {
            code.leaves.push((Kind::Application, path.to_owned()));
        }
        code.inner.push((Kind::Application, "spec.a".to_owned()));
        code.names.extend(["x/annotation".to_owned(), "Prune=".to_owned()]);
        let of = |what: &str| {
            rows(&format!(
                "groups: [{{title: T, kind: Application, rows: [{{what: '{what}', here: ignored, note: n}}]}}]"
            ))
        };
        assert_eq!(missing(&of("`spec.a.*`, `spec.d`, `x/annotation`, `Prune=false`"), &code), [""; 0]);
        let found = missing(&of("`spec.a.b`, `spec.a`"), &code);
        for says in ["'spec.a.c' of Application", "'spec.d' of Application", "'x/annotation'", "'Prune='"] {
            assert!(found.iter().any(|line| line.contains(says)), "{says}: {found:?}");
        }
        assert_eq!(found.len(), 4, "{found:?}");
    }
}
