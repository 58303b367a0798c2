//! What a preview tells, as text or JSON; as Markdown in [`markdown`](super::markdown). Entry point: [`Report::print`].

use serde_json::{Value, json};

use crate::command_error::CommandError;
use crate::commands::preview::changes::{Becomes, Change};
use crate::commands::preview::markdown;
use crate::output::style::{Paint, Palette};
use crate::output::{DataFormat, Output, unified};

/// Characters of a commit id that people need.
const SHORT: usize = 7;

/// How a preview is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A unified diff per object.
    Text,
    /// A comment for a pull request, of bounded size.
    Markdown,
    /// JSON.
    Json,
}

/// One of the two revisions.
pub(super) struct Revision {
    pub(super) name: String,
    pub(super) commit: String,
}

/// What becomes of one Application's objects.
pub(super) struct Previewed {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) file: String,
    pub(super) remarks: Vec<String>,
    /// Or why that cannot be told.
    pub(super) outcome: Result<Vec<Change>, String>,
}

/// What becomes of all.
pub(super) struct Report {
    pub(super) base: Revision,
    pub(super) head: Revision,
    pub(super) applications: Vec<Previewed>,
}

// === impl Revision ===

impl Revision {
    /// `main (1a2b3c4)`
    pub(super) fn title(&self) -> String {
        format!("{} ({})", self.name, self.commit.get(..SHORT).unwrap_or(&self.commit))
    }
}

// === impl Previewed ===

impl Previewed {
    /// As commands take it.
    pub(super) fn title(&self) -> String {
        if self.namespace.is_empty() { self.name.clone() } else { format!("{}/{}", self.namespace, self.name) }
    }

    pub(super) fn changes(&self) -> &[Change] {
        self.outcome.as_deref().unwrap_or_default()
    }

    pub(super) fn count(&self, becomes: Becomes) -> usize {
        self.changes().iter().filter(|change| change.becomes == becomes).count()
    }
}

// === impl Report ===

impl Report {
    /// Whether nothing differs, as far as that is known.
    pub(super) fn is_empty(&self) -> bool {
        self.applications.iter().all(|application| application.changes().is_empty())
    }

    pub(super) fn print(&self, output: &mut Output, format: Format) -> Result<(), CommandError> {
        match format {
            Format::Text => self.text(output),
            Format::Markdown => output.text(&markdown::comment(self)),
            Format::Json => output.data(&self.json(), DataFormat::Json),
        }
    }

    /// The difference of one object, without colours unless the palette has them.
    pub(super) fn diff(&self, change: &Change, palette: Palette) -> String {
        unified::diff((&self.base.title(), &change.base), (&self.head.title(), &change.head), palette)
    }

    fn text(&self, output: &mut Output) -> Result<(), CommandError> {
        let mut first = true;
        for application in &self.applications {
            for change in application.changes() {
                if !std::mem::take(&mut first) {
                    output.line("")?;
                }
                let heading = format!(
                    "===== {} {} {} ({}) ======",
                    application.title(),
                    change.becomes.word(),
                    change.object,
                    application.file
                );
                let heading = output.palette.paint(Paint::Heading, &heading);
                output.line(&heading)?;
                let text = self.diff(change, output.palette);
                output.text(&text)?;
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let revision = |revision: &Revision| json!({"name": revision.name, "commit": revision.commit});
        let object = |change: &Change| {
            json!({
                "change": change.becomes,
                "group": change.object.group.as_str(),
                "kind": change.object.kind.as_str(),
                "namespace": change.object.namespace.as_str(),
                "name": change.object.name.as_str(),
                "diff": self.diff(change, Palette::PLAIN),
            })
        };
        let application = |application: &Previewed| {
            json!({
                "namespace": application.namespace,
                "name": application.name,
                "file": application.file,
                "remarks": application.remarks,
                "error": application.outcome.as_ref().err(),
                "objects": application.changes().iter().map(object).collect::<Vec<_>>(),
            })
        };
        json!({
            "base": revision(&self.base),
            "head": revision(&self.head),
            "applications": self.applications.iter().map(application).collect::<Vec<_>>(),
        })
    }
}
