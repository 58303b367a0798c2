//! The formats that SOPS has. Entry points: [`Format::of`], and for one file in turn `read`, `take_metadata` and `print`.

use zeroize::Zeroizing;

use crate::error::Problem;
use crate::metadata::Metadata;
use crate::text::{dotenv, flat, ini, json, yaml};
use crate::value::{Entries, Value};

/// What kind of text was encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One or more YAML documents.
    Yaml,
    /// A JSON object.
    Json,
    /// Lines of `NAME=value`.
    Dotenv,
    /// Sections of `name = value`.
    Ini,
    /// Anything: SOPS puts it as one text into a JSON object.
    Binary,
}

// === impl Format ===

impl Format {
    /// The format that SOPS takes for a file of this name.
    pub fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            Some("env") => Self::Dotenv,
            Some("ini") => Self::Ini,
            _ => Self::Binary,
        }
    }

    pub(crate) fn read(self, text: &[u8]) -> Result<Vec<Entries>, Problem> {
        match self {
            Self::Yaml => yaml::read(text),
            Self::Json | Self::Binary => Ok(vec![json::read(text)?]),
            Self::Dotenv => Ok(vec![dotenv::read(text)?]),
            Self::Ini => Ok(vec![ini::read(text)?]),
        }
    }

    /// Takes out of the documents what SOPS added to them.
    pub(crate) fn take_metadata(self, documents: &mut [Entries]) -> Result<Metadata, Problem> {
        const KEY: &str = "sops";
        let mut fields = None;
        for (at, document) in documents.iter_mut().enumerate() {
            let taken: Entries = match self {
                Self::Dotenv => flat::take_prefixed(document, "sops_"),
                _ => document.extract_if(.., |(key, _)| key == KEY).collect(),
            };
            if at == 0 && !taken.is_empty() {
                fields = Some(taken);
            }
        }
        let taken = fields.ok_or(Problem::NoMetadata)?;
        if self == Self::Dotenv {
            return Metadata::read(&flat::unflatten(taken)?);
        }
        match taken.into_iter().next() {
            Some((_, Value::Map(fields))) if self == Self::Ini => Metadata::read(&flat::unflatten(fields)?),
            Some((_, Value::Map(fields))) => Metadata::read(&fields),
            _ => Err(Problem::metadata("it is no map")),
        }
    }

    pub(crate) fn print(self, documents: &[Entries]) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let first = || documents.first().map(Vec::as_slice).unwrap_or_default();
        match self {
            Self::Yaml => yaml::print(documents),
            Self::Json => json::print(first()),
            Self::Dotenv => dotenv::print(first()),
            Self::Ini => ini::print(first()),
            Self::Binary => match first().iter().find(|(key, _)| key == "data") {
                Some((_, Value::Text(text))) => Ok(text.clone()),
                _ => Err(Problem::Unprintable {
                    path: "data".to_owned(),
                    message: "a file of unknown format has its content there. SOPS goes by the extension of the name: .yaml, .yml, .json, .env or .ini",
                }),
            },
        }
    }
}
