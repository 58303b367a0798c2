//! Colours: only on a terminal, never where `NO_COLOR` is set, and never the only carrier of a meaning.

use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;

use clap::builder::styling::{AnsiColor, Style};

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Also into a pipe or file.
    Always,
    /// Not at all.
    Never,
}

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// As it should be; a line that comes.
    Good,
    /// Broken; a line that goes.
    Bad,
    /// Wants attention.
    Warning,
    /// On its way; a place in a text.
    Moving,
    /// A heading.
    Heading,
    /// Beside the point.
    Faint,
}

/// Whether one stream takes colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Palette {
    on: bool,
}

static CHOICE: OnceLock<ColorChoice> = OnceLock::new();

/// Fixes the choice for the whole program. The first call counts.
pub(crate) fn choose(choice: ColorChoice) {
    CHOICE.get_or_init(|| choice);
}

// === impl Palette ===

impl Palette {
    /// For stdout.
    pub(crate) fn stdout() -> Self {
        Self::of(io::stdout().is_terminal())
    }

    /// For stderr.
    pub(crate) fn stderr() -> Self {
        Self::of(io::stderr().is_terminal())
    }

    /// No colours.
    pub(crate) const PLAIN: Self = Self { on: false };
    /// Colours.
    #[cfg(test)]
    pub(crate) const COLOURED: Self = Self { on: true };

    fn of(terminal: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let on = match CHOICE.get().copied().unwrap_or_default() {
            ColorChoice::Auto => terminal && !dumb && !set("NO_COLOR"),
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        };
        Self { on }
    }

    /// Whether colours are used.
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    /// The text in its colour, or as it is.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        let style = paint.style();
        format!("{style}{text}{style:#}")
    }
}

// === impl Paint ===

impl Paint {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Good => colour(AnsiColor::Green),
            Self::Bad => colour(AnsiColor::Red),
            Self::Warning => colour(AnsiColor::Yellow),
            Self::Moving => colour(AnsiColor::Cyan),
            Self::Heading => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
        }
    }
}

/// The colour of one of the words of a status: of sync, health, operation, phase.
pub(crate) fn of_word(word: &str) -> Option<Paint> {
    match word {
        "Synced" | "Healthy" | "Succeeded" | "Pruned" => Some(Paint::Good),
        "Degraded" | "Failed" | "Error" | "SyncFailed" => Some(Paint::Bad),
        "OutOfSync" | "Missing" | "Unknown" | "Terminating" | "PruneSkipped" => Some(Paint::Warning),
        "Progressing" | "Running" | "Suspended" => Some(Paint::Moving),
        _ => None,
    }
}

/// Text from a cluster or a repository, safe on one line of a terminal: what could move the cursor or break the line is replaced.
pub(crate) fn one_line(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.extend(word.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }));
    }
    clean
}

/// The same for a log, where nothing is to be lost: such characters are written as Rust escapes them.
pub(crate) fn escaped(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        // The last two end a line for some who read logs.
        if c.is_control() || turns(c) || matches!(c, '\u{2028}' | '\u{2029}') {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// The same for words that may be several lines: only these break.
pub(crate) fn printable(text: &str) -> String {
    text.trim_end().lines().map(escaped).collect::<Vec<_>>().join("\n")
}

/// Whether a character changes the direction of what follows, by which a text can be shown as another.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The same for a text whose lines and indentation mean something, as YAML's: one line each.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let clean = |line: &str| {
        let indent = line.chars().take_while(|c| *c == ' ').count();
        format!("{}{}", " ".repeat(indent), one_line(line))
    };
    text.trim_end().lines().map(|line| clean(line).trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_coloured_only_where_that_is_wanted() {
        assert_eq!(Palette::PLAIN.paint(Paint::Bad, "Degraded"), "Degraded");
        assert_eq!(Palette::COLOURED.paint(Paint::Bad, "Degraded"), "\u{1b}[31mDegraded\u{1b}[0m");
        assert_eq!(Palette::COLOURED.paint(Paint::Bad, ""), "");
    }

    #[test]
    fn nothing_from_outside_moves_the_cursor() {
        assert_eq!(one_line("a\n  b\tc\r\n"), "a b c");
        assert_eq!(one_line("a\u{202e}b\u{2066}"), "a\u{fffd}b\u{fffd}");
        assert_eq!(one_line("\u{1b}[2Jgone\u{7}"), "\u{fffd}[2Jgone\u{fffd}");
        assert_eq!(lines("add:\n  - a:  b\u{1b}\r\n\n    c\n"), ["add:", "  - a: b\u{fffd}", "", "    c"]);
        assert_eq!(lines(""), Vec::<String>::new());
        assert_eq!(printable("a\u{1b}[2J\r\n  b\u{202e}\n"), "a\\u{1b}[2J\n  b\\u{202e}");
    }
}
