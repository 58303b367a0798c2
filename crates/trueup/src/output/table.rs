//! Tables as `kubectl` and `argocd` print them: columns by spaces, nothing else, so that `awk` and people can read them.

use crate::output::style::{self, Paint, Palette};

/// Spaces between two columns.
const GAP: usize = 2;

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// One field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    /// Further lines, in the last column only: they stand under the first.
    more: Vec<String>,
    paint: Option<Paint>,
}

// === impl Cell ===

impl Cell {
    /// Text in a given colour.
    pub(crate) fn painted(text: &str, paint: Paint) -> Self {
        Self { text: style::one_line(text), more: Vec::new(), paint: Some(paint) }
    }

    /// One of the words of a status, in its own colour.
    pub(crate) fn word(text: &str) -> Self {
        Self { text: style::one_line(text), more: Vec::new(), paint: style::of_word(text) }
    }

    /// Text of several lines, for the last column.
    pub(crate) fn lines(text: &str) -> Self {
        let mut lines = style::lines(text).into_iter();
        Self { text: lines.next().unwrap_or_default(), more: lines.collect(), paint: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self { text: style::one_line(text), more: Vec::new(), paint: None }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

// === impl Table ===

impl Table {
    /// A table without rows.
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { heading: heading.iter().map(|&text| text.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row; fields that it lacks are empty.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether there is nothing under the heading.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table, ended by a line break. No line has spaces at its end.
    pub(crate) fn print(&self, palette: Palette) -> String {
        let heading: Vec<Cell> = self.heading.iter().map(|text| Cell::painted(text, Paint::Heading)).collect();
        let rows = || std::iter::once(&heading).chain(&self.rows);
        let columns = rows().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| rows().filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in rows() {
            // Spaces wait until something follows them.
            let mut spaces = 0;
            for (cell, width) in row.iter().zip(&widths) {
                if !cell.text.is_empty() {
                    text.extend(std::iter::repeat_n(' ', spaces));
                    spaces = 0;
                    match cell.paint {
                        Some(paint) => text.push_str(&palette.paint(paint, &cell.text)),
                        None => text.push_str(&cell.text),
                    }
                }
                spaces += width - cell.width() + GAP;
            }
            text.push('\n');
            if let Some((last, before)) = row.split_last() {
                let place: usize = widths.iter().take(before.len()).map(|width| width + GAP).sum();
                for line in &last.more {
                    let line = format!("{}{line}", " ".repeat(place));
                    text.push_str(line.trim_end());
                    text.push('\n');
                }
            }
        }
        text
    }
}

impl Cell {
    /// In characters. Names and words are ASCII; a message, the only text that may be wider, stands in the last column.
    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["NAME", "STATUS", "MESSAGE"]);
        table.row(vec!["web".into(), Cell::word("Synced"), "".into()]);
        table.row(vec!["checkout".into(), Cell::word("OutOfSync"), "two\nlines".into()]);
        table.row(vec!["".into(), "".into(), "alone".into()]);
        table.row(vec!["short".into()]);
        table
    }

    #[test]
    fn columns_stand_under_each_other() {
        let expected = "\
NAME      STATUS     MESSAGE
web       Synced
checkout  OutOfSync  two lines
                     alone
short
";
        assert_eq!(sample().print(Palette::PLAIN), expected);
    }

    #[test]
    fn colours_do_not_move_columns() {
        let coloured = sample().print(Palette::COLOURED);
        assert!(coloured.contains("\u{1b}[33mOutOfSync\u{1b}[0m  two lines\n"), "{coloured:?}");
        let mut plain = String::new();
        for (at, part) in coloured.split('\u{1b}').enumerate() {
            plain.push_str(if at == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        assert_eq!(plain, sample().print(Palette::PLAIN));
    }

    #[test]
    fn further_lines_stand_under_the_first() {
        let mut table = Table::new(&["NAME", "MESSAGE"]);
        table.row(vec!["web".into(), Cell::lines("add:\n  - group: apps\n\n    kind: x\n")]);
        table.row(vec!["a".into(), Cell::lines("one")]);
        let expected = "\
NAME  MESSAGE
web   add:
        - group: apps

          kind: x
a     one
";
        assert_eq!(table.print(Palette::PLAIN), expected);
    }

    #[test]
    fn a_table_without_rows_is_its_heading() {
        let table = Table::new(&["NAME", "STATUS"]);
        assert!(table.is_empty());
        assert_eq!(table.print(Palette::PLAIN), "NAME  STATUS\n");
    }
}
