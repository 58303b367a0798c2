//! How a source is rendered: by which tool, with which options.
//!
//! Invariant: two plans of one digest make the same of the same files, as long as all that they read is the same. Entry
//! point: [`Plan::of`].

use trueup_api::source::{ApplicationSource, DirectorySource, HelmSource, KustomizeSource};
use trueup_object::Digest;

use crate::environment::Environment;
use crate::helm::Chart;
use crate::kustomize::Overlay;
use crate::request::Trees;
use crate::tree::{Entry, EntryKind};
use crate::{RenderError, Request, Settings, Tool, jsonnet, overrides};

/// The version of the rules by which files become objects. Raised with every change of them, so that a cache that is older
/// than the program answers nothing.
const RULES: &str = concat!(env!("CARGO_PKG_VERSION"), "+2");
/// What makes a directory a chart. Argo CD takes every name that ends so, which nobody means.
const CHART_FILE: &str = "Chart.yaml";
/// What makes a directory an overlay.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// How a source is rendered.
pub(crate) enum Plan {
    Directory(DirectorySource),
    Helm(Chart),
    Kustomize(Overlay),
}

/// The tool of a source, and why it is that one.
struct Choice {
    tool: Tool,
    why: String,
}

// === impl Plan ===

impl Plan {
    /// The plan for a directory with these entries.
    pub(crate) fn of(request: &Request, trees: &Trees, top: &str, entries: &[Entry]) -> Result<Self, RenderError> {
        let source = overrides::apply(request, without_nothing(&request.source), trees.own.as_ref(), top, entries)?;
        let Choice { tool, why } = choose(&source, &request.settings, entries)?;
        let environment = Environment::of(request);
        Ok(match tool {
            Tool::Directory => {
                let directory = source.directory.unwrap_or_default();
                Self::Directory(jsonnet::substituted(directory, &environment))
            }
            Tool::Helm => {
                let options = source.helm.unwrap_or_default();
                Self::Helm(Chart::new(request, trees, top, options, &environment, why)?)
            }
            Tool::Kustomize => {
                Self::Kustomize(Overlay::new(request, source.kustomize.unwrap_or_default(), &environment, why))
            }
            Tool::Plugin => return Err(RenderError::Plugin),
        })
    }

    /// The digest of what is declared. Files are read at `top`.
    pub(crate) fn declared(&self, request: &Request, trees: &Trees, top: &str) -> Digest {
        let decryptor = trees.decryptor.as_ref().map(|decryptor| decryptor.identity().to_string()).unwrap_or_default();
        let (tool, options) = match self {
            Self::Directory(directory) => {
                (Tool::Directory, serde_json::to_vec(&(directory, request.settings.jsonnet_enabled)))
            }
            Self::Helm(chart) => (Tool::Helm, serde_json::to_vec(chart)),
            Self::Kustomize(overlay) => (Tool::Kustomize, serde_json::to_vec(overlay)),
        };
        // Plain values: writing them does not fail.
        let options = options.unwrap_or_default();
        Digest::of_parts([RULES.as_bytes(), tool.name().as_bytes(), top.as_bytes(), decryptor.as_bytes(), &options])
    }
}

/// What a directory gives that has neither the files of a tool nor such as override its source: its content and the options
/// alone say it. `None` if the source asks for anything else.
pub(crate) fn plain(request: &Request, trees: &Trees, content: Digest) -> Option<Digest> {
    let source = without_nothing(&request.source);
    if source.helm.is_some() || source.kustomize.is_some() || source.plugin.is_some() {
        return None;
    }
    let directory = source.directory.unwrap_or_default();
    if !directory.jsonnet.is_empty() {
        return None;
    }
    let settings = &request.settings;
    let decryptor = trees.decryptor.as_ref().map(|decryptor| decryptor.identity().to_string()).unwrap_or_default();
    let flags = [
        settings.helm_enabled,
        settings.kustomize_enabled,
        settings.jsonnet_enabled,
        directory.recurse,
        directory.disable_extension_filter,
    ];
    Some(Digest::of_parts([
        RULES.as_bytes(),
        b"plain",
        decryptor.as_bytes(),
        &flags.map(u8::from),
        directory.include.as_bytes(),
        directory.exclude.as_bytes(),
        content.to_string().as_bytes(),
    ]))
}

/// The source without options that say nothing: `helm: {}` asks for no tool.
fn without_nothing(source: &ApplicationSource) -> ApplicationSource {
    let mut source = source.clone();
    source.helm = source.helm.filter(|helm| *helm != HelmSource::default());
    source.kustomize = source.kustomize.filter(|kustomize| *kustomize != KustomizeSource::default());
    source.directory = source.directory.filter(|directory| *directory != DirectorySource::default());
    source
}

/// The tool that somebody asked for, else the one whose file is there. One that is switched off leaves a plain directory.
fn choose(source: &ApplicationSource, settings: &Settings, entries: &[Entry]) -> Result<Choice, RenderError> {
    let named = [
        (Tool::Kustomize, source.kustomize.is_some()),
        (Tool::Helm, source.helm.is_some()),
        (Tool::Directory, source.directory.is_some()),
        (Tool::Plugin, source.plugin.is_some()),
    ];
    let named: Vec<Tool> = named.into_iter().filter(|(_, named)| *named).map(|(tool, _)| tool).collect();
    let choice = match named.as_slice() {
        [] => found(settings, entries),
        [tool] => Choice { tool: *tool, why: format!("spec.source.{}", tool.name().to_lowercase()) },
        several => {
            let tools: Vec<&str> = several.iter().map(|tool| tool.name()).collect();
            return Err(RenderError::SeveralTools { tools: tools.join(", ") });
        }
    };
    let is_on = match choice.tool {
        Tool::Helm => settings.helm_enabled,
        Tool::Kustomize => settings.kustomize_enabled,
        Tool::Directory | Tool::Plugin => true,
    };
    Ok(if is_on { choice } else { Choice { tool: Tool::Directory, ..choice } })
}

/// Where a chart is an overlay as well, it is an overlay.
fn found(settings: &Settings, entries: &[Entry]) -> Choice {
    // A directory of that name is nobody's chart.
    let is_file = |entry: &&Entry| matches!(entry.kind, EntryKind::File { .. } | EntryKind::Link { .. });
    let find = |names: &[&str]| entries.iter().filter(is_file).find(|entry| names.contains(&entry.name.as_str()));
    let why = |entry: &Entry| format!("'{}'", entry.name);
    if settings.kustomize_enabled
        && let Some(entry) = find(&KUSTOMIZATIONS)
    {
        return Choice { tool: Tool::Kustomize, why: why(entry) };
    }
    if settings.helm_enabled
        && let Some(entry) = find(&[CHART_FILE])
    {
        return Choice { tool: Tool::Helm, why: why(entry) };
    }
    Choice { tool: Tool::Directory, why: String::new() }
}
