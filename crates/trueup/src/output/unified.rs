//! Two texts beside each other as a unified diff.

use similar::{ChangeTag, TextDiff};

use crate::output::style::{Paint, Palette};

/// Equal lines around a change.
const CONTEXT_LINES: usize = 3;

/// The unified diff of two texts, or nothing if they are equal.
///
/// The names stand in its first two lines, so that `patch` and `git apply` understand it as well.
pub(crate) fn diff(old: (&str, &str), new: (&str, &str), palette: Palette) -> String {
    let (old_name, old) = old;
    let (new_name, new) = new;
    if old == new {
        return String::new();
    }
    let compared = TextDiff::from_lines(old, new);
    let mut text = String::new();
    let mut line = |paint: Option<Paint>, content: &str| {
        match paint {
            Some(paint) => text.push_str(&palette.paint(paint, content)),
            None => text.push_str(content),
        }
        text.push('\n');
    };
    line(Some(Paint::Heading), &format!("--- {old_name}"));
    line(Some(Paint::Heading), &format!("+++ {new_name}"));
    for hunk in compared.unified_diff().context_radius(CONTEXT_LINES).iter_hunks() {
        line(Some(Paint::Moving), hunk.header().to_string().trim_end());
        for change in hunk.iter_changes() {
            let (mark, paint) = match change.tag() {
                ChangeTag::Delete => ('-', Some(Paint::Bad)),
                ChangeTag::Insert => ('+', Some(Paint::Good)),
                ChangeTag::Equal => (' ', None),
            };
            line(paint, &format!("{mark}{}", change.value().trim_end_matches('\n')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_diff() {
        assert_eq!(diff(("live", "a\n"), ("git", "a\n"), Palette::PLAIN), "");
    }

    #[test]
    fn a_change_is_shown_with_its_context() {
        let lines: Vec<String> = (1..=9).map(|n| format!("line: {n}")).collect();
        let old = lines.join("\n") + "\n";
        let new = old.replace("line: 5", "line: five");
        let expected = "\
--- live
+++ git
@@ -2,7 +2,7 @@
 line: 2
 line: 3
 line: 4
-line: 5
+line: five
 line: 6
 line: 7
 line: 8
";
        assert_eq!(diff(("live", &old), ("git", &new), Palette::PLAIN), expected);
        let coloured = diff(("live", &old), ("git", &new), Palette::COLOURED);
        assert!(coloured.contains("\u{1b}[31m-line: 5\u{1b}[0m\n\u{1b}[32m+line: five\u{1b}[0m\n"), "{coloured:?}");
    }

    #[test]
    fn a_new_text_is_all_additions() {
        assert_eq!(diff(("live", ""), ("git", "a: 1\n"), Palette::PLAIN), "--- live\n+++ git\n@@ -0,0 +1 @@\n+a: 1\n");
    }
}
