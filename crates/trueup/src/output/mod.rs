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
use trueup_object::{Map, Node, yaml};

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
    /// Kind and name alone, one a line, as kubectl prints them.
    Name,
    /// A JSON array.
    Json,
    /// A YAML list.
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

    /// Prints Kubernetes objects as `kubectl` takes them: YAML documents, or one JSON list.
    pub(crate) fn objects(
        &mut self,
        objects: impl IntoIterator<Item = Node>,
        format: DataFormat,
    ) -> Result<(), CommandError> {
        match format {
            DataFormat::Yaml => {
                for (at, object) in objects.into_iter().enumerate() {
                    if at > 0 {
                        self.line("---")?;
                    }
                    self.yaml(&object)?;
                }
                Ok(())
            }
            DataFormat::Json => {
                let items = Node::List(objects.into_iter().collect());
                let entries = [("apiVersion", Node::from("v1")), ("kind", Node::from("List")), ("items", items)];
                let list: Map = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
                self.data(&Node::Map(list), DataFormat::Json)
            }
        }
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
