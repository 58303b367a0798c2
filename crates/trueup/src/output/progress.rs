//! What a command that waits is waiting for: on a terminal one line that is rewritten, elsewhere a line per change.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Instant;

use crate::output::style::one_line;

/// Where a terminal's width is not known, in characters.
const WIDTH: usize = 80;

/// The state of a wait, shown on stderr.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    /// Whether anything is said where there is no terminal.
    elsewhere: bool,
    since: Instant,
    last: String,
    drawn: bool,
}

// === impl Progress ===

impl Progress {
    /// Begins now.
    pub(crate) fn start() -> Self {
        let terminal = io::stderr().is_terminal();
        Self { terminal, elsewhere: true, since: Instant::now(), last: String::new(), drawn: false }
    }

    /// Begins now, for what takes so little time that only somebody who looks on wants to know.
    pub(crate) fn start_on_terminal() -> Self {
        let mut progress = Self::start();
        progress.elsewhere = false;
        progress
    }

    /// Shows the state, if it is another than before.
    pub(crate) fn show(&mut self, state: &str) {
        let state = one_line(state);
        if state == self.last {
            return;
        }
        self.last = state;
        if self.terminal {
            self.draw();
        } else if self.elsewhere {
            let _ = writeln!(io::stderr(), "{}", self.last);
        }
    }

    /// Shows how long it has lasted; called once a second. Only a terminal wants to know.
    pub(crate) fn tick(&mut self) {
        if self.terminal && !self.last.is_empty() {
            self.draw();
        }
    }

    /// Says something that stays, above the state.
    pub(crate) fn say(&mut self, say: impl FnOnce()) {
        self.clear();
        say();
    }

    /// Ends: takes the line back. What came of it is for others to say.
    pub(crate) fn end(&mut self) {
        self.clear();
        self.last.clear();
    }

    fn draw(&mut self) {
        let line = fit(&self.last, self.since.elapsed().as_secs(), width());
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "\r\u{1b}[K{line}").and_then(|()| stderr.flush());
        self.drawn = true;
    }

    fn clear(&mut self) {
        if self.drawn {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "\r\u{1b}[K").and_then(|()| stderr.flush());
            self.drawn = false;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(WIDTH)
}

/// One line that does not wrap: a wrapped one could not be taken back.
fn fit(state: &str, seconds: u64, width: usize) -> String {
    let time = match seconds {
        0 => String::new(),
        1..60 => format!(" ({seconds}s)"),
        _ => format!(" ({}m{:02}s)", seconds / 60, seconds % 60),
    };
    let room = width.saturating_sub(time.len() + 1);
    if state.chars().count() <= room {
        return format!("{state}{time}");
    }
    let cut: String = state.chars().take(room.saturating_sub(1)).collect();
    format!("{cut}…{time}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_fits_the_line_with_its_time() {
        assert_eq!(fit("waiting", 0, 80), "waiting");
        assert_eq!(fit("waiting", 7, 80), "waiting (7s)");
        assert_eq!(fit("waiting", 187, 80), "waiting (3m07s)");
        assert_eq!(fit("waiting for health", 7, 16), "waiting f… (7s)");
        assert_eq!(fit("waiting", 7, 2), "… (7s)");
    }
}
