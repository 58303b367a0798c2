//! What is said beside the data: on stderr, whoever listens. That nobody does is no error.

use std::io::{self, Write as _};

use crate::command_error::CommandError;
use crate::logging;
use crate::output::style::{Paint, Palette, one_line, printable};

/// Something that the user should do something about.
pub(crate) fn warning(text: &str) {
    say(&format!("{} {}", Palette::stderr().paint(Paint::Warning, "warning:"), one_line(text)));
}

/// What to do next.
pub(crate) fn hint(text: &str) {
    say(&format!("{} {}", Palette::stderr().paint(Paint::Moving, "hint:"), printable(text)));
}

/// What happens.
pub(crate) fn note(text: &str) {
    say(&one_line(text));
}

/// Why the command ends without success.
pub(crate) fn error(error: &CommandError) {
    let lines = error.lines();
    if logging::is_json() {
        return tracing::error!(error = %lines.join(": "), hint = %error.hints.join("; "), "the program ends");
    }
    let (first, causes) = lines.split_first().map_or(("", &lines[..]), |(first, causes)| (first.as_str(), causes));
    say(&format!("{} {}", Palette::stderr().paint(Paint::Bad, "error:"), printable(first)));
    for cause in causes {
        say(&format!("  caused by: {}", printable(cause)));
    }
    for text in &error.hints {
        hint(text);
    }
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
