//! Logs: text or JSON on stderr, filtered by `RUST_LOG`.

use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Metadata;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{self, FormatFields, Writer};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::command_error::{CommandError, user_error_with_message};
use crate::output::style::{Paint, Palette, escaped};

/// How logs are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// One line of text per event.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

/// The client of the API server: it prints whole bodies, Secrets among them, when it cannot read an answer, and a line for each
/// request that fails, hundreds while a server restarts. All that it fails with comes to us, and we tell it in our own words.
const CLIENT: &str = "kube_client";

/// Whether whoever reads stderr reads JSON: then nothing else may come there.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Whether stderr is JSON.
pub(crate) fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// Starts logging for the whole program. `default` is the filter where `RUST_LOG` is not set.
pub(crate) fn start(format: LogFormat, default: &str) -> Result<(), CommandError> {
    let text = std::env::var("RUST_LOG").unwrap_or_default();
    let text = if text.trim().is_empty() { default } else { &text };
    let filter = EnvFilter::try_new(text)
        .map_err(|error| user_error_with_message(format!("RUST_LOG '{text}' is not a log filter"), error))
        .map_err(|error| {
            error.hinted("write a level ('info', 'debug') or pairs as in 'info,trueup_controller=debug'")
        })?;
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match format {
        LogFormat::Text => {
            let palette = Palette::stderr();
            layer.with_ansi(palette.is_on()).fmt_fields(one_line_fields(palette)).boxed()
        }
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    // The cap stands beside the user's filter, not in it: nothing that the filter says can lift it.
    let started =
        tracing_subscriber::registry().with(layer.with_filter(filter)).with(filter_fn(may_be_logged)).try_init();
    if format == LogFormat::Json {
        IS_JSON.store(true, Ordering::Relaxed);
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(error = panic.payload_as_str().unwrap_or("it does not say why"), place, "a panic");
        }));
    }
    // Another subscriber exists only where this was called twice: the first one stays.
    let _ = started;
    Ok(())
}

/// How the text format writes the message and the fields of an event: whatever a name of the cluster or somebody else's words hold,
/// an event stays one line and cannot write to the terminal. JSON escapes by itself.
fn one_line_fields(palette: Palette) -> impl for<'w> FormatFields<'w> + 'static {
    let write = move |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        let value = escaped(&format!("{value:?}"));
        match field.name() {
            "message" => write!(writer, "{value}"),
            name => write!(writer, "{}{value}", palette.paint(Paint::Faint, &format!("{name}="))),
        }
    };
    format::debug_fn(write).delimited(" ")
}

/// Whether an event may reach the log at all, whatever the filter says.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    is_allowed(metadata.target())
}

fn is_allowed(target: &str) -> bool {
    let client = target.strip_prefix(CLIENT).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    !client
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_its_words() {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = fmt::layer().with_writer(move || writer.clone()).with_ansi(false).without_time();
        let layer = layer.fmt_fields(one_line_fields(Palette::PLAIN));
        let evil = "me\n2026-01-01 ERROR forged\u{1b}[2J\u{202e}\r\u{9b}1m\u{2028}";
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("s", name = %evil);
            let _entered = span.enter();
            tracing::info!(manager = %evil, quoted = evil, debugged = ?evil, count = 7, "drift by {evil}");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.chars().any(|it| it.is_control() || matches!(it, '\u{202e}' | '\u{2028}')), "{line:?}");
        let plain = r"me\n2026-01-01 ERROR forged\u{1b}[2J\u{202e}\r\u{9b}1m\u{2028}";
        assert!(line.contains(&format!("drift by {plain} manager={plain} quoted=\"{plain}\"")), "{line}");
        assert!(line.ends_with("count=7"), "{line}");
    }

    #[test]
    fn the_client_of_the_api_server_says_nothing() {
        let cases = [
            ("kube_client", false),
            ("kube_client::client::builder", false),
            ("kube_clients", true),
            ("trueup_cluster", true),
        ];
        for (target, allowed) in cases {
            assert_eq!(is_allowed(target), allowed, "{target}");
        }
    }
}
