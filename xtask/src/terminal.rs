//! What people see: lines, colour on a terminal only, and one line that is rewritten while something is waited for.
//!
//! The story goes to standard output; progress and errors go to standard error.

use std::env;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::time::Duration;

/// Columns. Where the seconds of a step end: fits a terminal of 100 columns.
const SECONDS_COLUMN: usize = 88;
/// Characters of the line that is rewritten: one that wraps could not be rewritten.
const WAITING_WIDTH: usize = 78;

/// Characters of a detail: what the API server says can be long.
const DETAIL_WIDTH: usize = 110;

/// Where the lines go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    colour: bool,
    /// Standard error can be rewritten.
    live: bool,
}

/// How a word looks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Look {
    Bold,
    Dim,
    Good,
    Bad,
}

// === impl Terminal ===

impl Terminal {
    pub(crate) fn new() -> Self {
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: std::io::stdout().is_terminal() && !plain, live: std::io::stderr().is_terminal() }
    }

    /// Dresses a word.
    pub(crate) fn dress(self, look: Look, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match look {
            Look::Bold => "1",
            Look::Dim => "2",
            Look::Good => "32",
            Look::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Tells a line of the story.
    pub(crate) fn line(self, text: &str) {
        self.clear();
        println!("{text}");
        // Whoever reads along through a pipe wants the line now.
        let _ = std::io::stdout().flush();
    }

    /// Opens a chapter.
    pub(crate) fn title(self, text: &str) {
        self.line("");
        self.line(&self.dress(Look::Bold, text));
    }

    /// Tells something that belongs to the step before.
    pub(crate) fn detail(self, text: &str) {
        let mut short: String = text.chars().take(DETAIL_WIDTH).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        self.line(&format!("    {}", self.dress(Look::Dim, &short)));
    }

    /// Tells that a step held, and how long it took.
    pub(crate) fn held(self, what: &str, took: Duration) {
        let seconds = seconds(took);
        let room = SECONDS_COLUMN.saturating_sub(4 + what.chars().count() + seconds.len()).max(1);
        let tick = self.dress(Look::Good, "✓");
        self.line(&format!("  {tick} {what}{}{}", " ".repeat(room), self.dress(Look::Dim, &seconds)));
    }

    /// Tells that a step failed.
    pub(crate) fn failed(self, what: &str, took: Duration) {
        let cross = self.dress(Look::Bad, "✗");
        self.line(&format!("  {cross} {what}   {}", self.dress(Look::Dim, &seconds(took))));
    }

    /// Shows what is waited for, until the next line.
    pub(crate) fn waiting(self, what: &str) {
        if self.live {
            let short: String = what.chars().take(WAITING_WIDTH).collect();
            eprint!("\r\x1b[K  … {short}");
            let _ = std::io::stderr().flush();
        }
    }

    /// Tells progress that is no part of the story.
    pub(crate) fn progress(self, text: &str) {
        self.clear();
        eprintln!("{text}");
    }

    /// Tells why a task failed.
    pub(crate) fn error(self, text: &str) {
        self.clear();
        eprintln!("error: {text}");
    }

    /// Whether [`Self::waiting`] shows anything.
    pub(crate) fn is_live(self) -> bool {
        self.live
    }

    fn clear(self) {
        if self.live {
            eprint!("\r\x1b[K");
            let _ = std::io::stderr().flush();
        }
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}
