//! A preview as the comment of a pull request. Entry point: [`comment`].
//!
//! Invariants: never longer than [`COMMENT_BYTES_MAX`], and what was left out is said; nothing that a file of the repository says
//! becomes markup.

use std::fmt::Write as _;

use crate::commands::preview::changes::{Becomes, Change};
use crate::commands::preview::report::{Previewed, Report};
use crate::output::style::{Palette, one_line};

/// GitHub takes 65,536 characters, the least of all; something may be put around it.
const COMMENT_BYTES_MAX: usize = 60_000;
/// Bytes of one object's difference: a whole CRD must not push out everything else.
const DIFF_BYTES_MAX: usize = 12_000;
/// Applications in the table: nobody reads on, and each may take half a kilobyte.
const ROWS_MAX: usize = 50;
/// Bytes of names, paths and messages; what is longer is cut.
const TEXT_BYTES_MAX: usize = 300;
/// Room for the words about what was left out.
const NOTE_BYTES: usize = 300;

/// The comment.
pub(super) fn comment(report: &Report) -> String {
    let told: Vec<&Previewed> =
        report.applications.iter().filter(|one| one.outcome.is_err() || !one.changes().is_empty()).collect();
    let mut text = format!("### Trueup preview: {} → {}\n\n", code(&report.base.title()), code(&report.head.title()));
    if told.is_empty() {
        let _ = writeln!(text, "No object of {} Applications changes.", report.applications.len());
        return text;
    }
    text.push_str("| Application | File | Added | Changed | Removed |\n| --- | --- | ---: | ---: | ---: |\n");
    for application in told.iter().take(ROWS_MAX) {
        text.push_str(&row(application));
    }
    if told.len() > ROWS_MAX {
        let _ = writeln!(text, "\n{} more Applications are not in the table.", told.len() - ROWS_MAX);
    }
    text.push('\n');
    let parts = told.iter().flat_map(|application| {
        let remarks =
            application.remarks.iter().map(|remark| format!("- {}: {}\n", code(&application.title()), code(remark)));
        let error = application.outcome.as_ref().err();
        let error = error.map(|error| format!("- **Failed**: {}: {}\n", code(&application.title()), code(error)));
        remarks.chain(error).chain(application.changes().iter().map(|change| details(report, application, change)))
    });
    let mut left_out = 0;
    for part in parts {
        if text.len() + part.len() + NOTE_BYTES <= COMMENT_BYTES_MAX {
            text.push_str(&part);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let _ = writeln!(
            text,
            "\n**Not everything is shown**: {left_out} more differences or messages would make this comment too long. \
             `trueup preview` without `-o markdown` prints them."
        );
    }
    text
}

fn row(application: &Previewed) -> String {
    let [name, file] = [&application.title(), &application.file].map(|text| code(text).replace('|', "\\|"));
    if application.outcome.is_err() {
        return format!("| {name} | {file} | failed | failed | failed |\n");
    }
    let [added, changed, removed] =
        [Becomes::Added, Becomes::Changed, Becomes::Removed].map(|becomes| application.count(becomes));
    format!("| {name} | {file} | {added} | {changed} | {removed} |\n")
}

fn details(report: &Report, application: &Previewed, change: &Change) -> String {
    let title = format!("{}: {} {}", application.title(), change.object, change.becomes.word());
    let (diff, cut) = cut(&report.diff(change, Palette::PLAIN), DIFF_BYTES_MAX);
    // Longer than any in the text, which would end it.
    let longest = diff.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let end = if diff.ends_with('\n') { "" } else { "\n" };
    let note = if cut > 0 { format!("\n{cut} more lines of this object are not shown.\n") } else { String::new() };
    format!("<details><summary>{}</summary>\n\n{fence}diff\n{diff}{end}{fence}\n{note}\n</details>\n\n", html(&title))
}

/// Whole lines up to so many bytes, and how many lines are left.
fn cut(text: &str, bytes_max: usize) -> (String, usize) {
    let mut kept = 0;
    let mut lines = text.split_inclusive('\n');
    for line in lines.by_ref() {
        if kept + line.len() > bytes_max {
            return (text[..kept].to_owned(), 1 + lines.count());
        }
        kept += line.len();
    }
    (text.to_owned(), 0)
}

/// Text of others in a line, as it is.
fn code(text: &str) -> String {
    format!("`{}`", short(&one_line(text)).replace('`', "'"))
}

fn html(text: &str) -> String {
    short(&one_line(text)).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn short(text: &str) -> String {
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use trueup_object::ObjectKey;

    use super::*;
    use crate::commands::preview::report::Revision;

    fn change(name: &str, head: &str) -> Change {
        let object = ObjectKey::new("", "ConfigMap", "", name);
        Change { becomes: Becomes::Added, object, base: String::new(), head: head.to_owned() }
    }

    fn report(outcomes: Vec<(&str, Result<Vec<Change>, String>)>) -> Report {
        let revision = |name: &str| Revision { name: name.to_owned(), commit: "0123456789".to_owned() };
        let applications = outcomes.into_iter().map(|(name, outcome)| Previewed {
            namespace: String::new(),
            name: name.to_owned(),
            file: format!("apps/{name}.yaml"),
            remarks: Vec::new(),
            outcome,
        });
        Report { base: revision("main"), head: revision("HEAD"), applications: applications.collect() }
    }

    #[test]
    fn a_comment_has_a_table_and_details() {
        let comment = comment(&report(vec![
            ("shop", Ok(vec![change("web", "a: 1\n")])),
            ("same", Ok(Vec::new())),
            ("bad", Err("no chart".to_owned())),
        ]));
        let expected = "\
### Trueup preview: `main (0123456)` → `HEAD (0123456)`

| Application | File | Added | Changed | Removed |
| --- | --- | ---: | ---: | ---: |
| `shop` | `apps/shop.yaml` | 1 | 0 | 0 |
| `bad` | `apps/bad.yaml` | failed | failed | failed |

<details><summary>shop: ConfigMap web added</summary>

```diff
--- main (0123456)
+++ HEAD (0123456)
@@ -0,0 +1 @@
+a: 1
```

</details>

- **Failed**: `bad`: `no chart`
";
        assert_eq!(comment, expected);
    }

    #[test]
    fn a_comment_is_bounded_and_says_what_is_missing() {
        let long = "a line of some length\n".repeat(2000);
        let many: Vec<Change> = (0..40).map(|at| change(&format!("c{at}"), &long)).collect();
        let comment = comment(&report(vec![("shop", Ok(many))]));
        assert!(comment.len() <= COMMENT_BYTES_MAX, "{}", comment.len());
        assert!(comment.contains("more lines of this object are not shown"), "{comment}");
        assert!(comment.contains("**Not everything is shown**"), "{comment}");
    }

    #[test]
    fn many_applications_are_bounded_too() {
        let names: Vec<String> = (0..1000).map(|at| format!("{}{at}", "n".repeat(1000))).collect();
        let comment = comment(&report(names.iter().map(|name| (name.as_str(), Err("why".repeat(1000)))).collect()));
        assert!(comment.len() <= COMMENT_BYTES_MAX, "{}", comment.len());
    }

    #[test]
    fn what_files_say_becomes_no_markup() {
        let comment =
            comment(&report(vec![("a`|<b>", Ok(vec![change("</summary>", "x: |\n  ````\n  </details>\n")]))]));
        assert!(comment.contains("\n`````diff\n") && comment.contains("\n`````\n"), "{comment}");
        assert!(comment.contains("&lt;/summary&gt;") && comment.contains("| `a'\\|<b>` |"), "{comment}");
    }
}
