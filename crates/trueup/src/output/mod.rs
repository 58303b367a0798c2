//! What a person or a script sees: data on stdout, talk on stderr.
//!
//! [`Output`] is stdout. Who reads it may stop reading (`| head`): then the rest is nobody's, no error, and the exit code is
//! still the command's. Any other failure to write is an error, told by [`Output::finish`].

pub(crate) mod progress;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod talk;
pub(crate) mod unified;

use std::io;
use std::io::{BufWriter, ErrorKind, Stdout, Write};

use serde::Serialize;
use trueup_object::{Node, yaml};

use crate::command_error::{CommandError, internal_error_with_message};
use crate::output::style::Palette;

/// How machine-readable data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DataFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ListFormat {
    /// A table.
    Table,
    /// A table with more columns.
    Wide,
    /// A JSON array of the whole objects.
    Json,
    /// A YAML list of the whole objects.
    Yaml,
}

/// Stdout.
#[derive(Debug)]
pub(crate) struct Output {
    to: BufWriter<Stdout>,
    /// Nobody reads any more.
    closed: bool,
    /// Colours, if stdout takes them.
    pub(crate) palette: Palette,
}

// === impl Output ===

impl Output {
    /// Stdout, in colour where that is wanted.
    pub(crate) fn stdout() -> Self {
        Self { to: BufWriter::new(io::stdout()), closed: false, palette: Palette::stdout() }
    }

    /// Prints one line.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), CommandError> {
        self.text(text)?;
        self.text("\n")
    }

    /// Prints text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), CommandError> {
        if self.closed {
            return Ok(());
        }
        let written = self.to.write_all(text.as_bytes());
        self.judge(written)
    }

    /// Prints one value.
    pub(crate) fn data<T: Serialize>(&mut self, value: &T, format: DataFormat) -> Result<(), CommandError> {
        let failed = |error: serde_json::Error| internal_error_with_message("cannot print the result", error);
        match format {
            DataFormat::Json => self.line(&serde_json::to_string_pretty(value).map_err(failed)?),
            DataFormat::Yaml => {
                let json = serde_json::to_vec(value).map_err(failed)?;
                let node = Node::from_json(&json)
                    .map_err(|error| internal_error_with_message("cannot print the result", error))?;
                self.yaml(&node)
            }
        }
    }

    /// Prints one value as YAML.
    pub(crate) fn yaml(&mut self, node: &Node) -> Result<(), CommandError> {
        let text = yaml::print(node);
        self.line(text.strip_suffix('\n').unwrap_or(&text))
    }

    /// Writes what is left; the last thing to do.
    pub(crate) fn finish(&mut self) -> Result<(), CommandError> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.to.flush();
        self.judge(flushed)
    }

    fn judge(&mut self, written: io::Result<()>) -> Result<(), CommandError> {
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(internal_error_with_message("cannot write to stdout", error)),
        }
    }
}
