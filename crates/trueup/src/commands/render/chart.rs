//! What flags say of a chart, in Helm's words.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use trueup_api::source::{ApplicationSource, HelmParameter};
use trueup_object::Digest;
use trueup_render::{ArchiveTree, Trees};

use crate::command_error::{CommandError, user_error};
use crate::input;

/// Bytes of a file of values that are read: what people keep in one has some kilobytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The name under which the files of the flags stand beside the sources of an Application.
const REFERENCE: &str = "command-line";

/// The flags of charts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Charts")]
pub(super) struct ChartArgs {
    /// The name of the release.
    #[arg(long, value_name = "NAME")]
    release_name: Option<String>,
    /// A file of values, stronger than those before it and those of the Application.
    #[arg(long, value_name = "FILE")]
    values: Vec<PathBuf>,
    /// One value, as a.b=c; stronger than all files.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Leave out the definitions of the chart's crds directory.
    #[arg(long)]
    skip_crds: bool,
}

// === impl ChartArgs ===

impl ChartArgs {
    /// Puts what the flags say over what the source says of its chart. Any of them asks for Helm.
    pub(super) fn edit(&self, source: &mut ApplicationSource, trees: &mut Trees) -> Result<(), CommandError> {
        if self.release_name.is_none() && self.values.is_empty() && self.set.is_empty() && !self.skip_crds {
            return Ok(());
        }
        let helm = source.helm.get_or_insert_default();
        helm.skip_crds |= self.skip_crds;
        if let Some(name) = &self.release_name {
            helm.release_name.clone_from(name);
        }
        for set in &self.set {
            let Some((name, value)) = set.split_once('=') else {
                return Err(
                    user_error(format!("--set '{set}': a value is missing")).hinted("as in --set image.tag=1.2")
                );
            };
            let (name, value) = (name.to_owned(), value.replace('$', "$$"));
            helm.parameters.push(HelmParameter { name, value, force_string: false });
        }
        if self.values.is_empty() {
            return Ok(());
        }
        // What stands in the Application is stronger than its files, and weaker than those of the flags.
        let inline = match helm.values_object.take() {
            Some(object) => object.to_string(),
            None => std::mem::take(&mut helm.values),
        };
        let mut files = BTreeMap::new();
        if !inline.is_empty() {
            files.insert("application.yaml".to_owned(), inline.into_bytes());
        }
        helm.value_files.extend(files.keys().map(|name: &String| format!("${REFERENCE}/{name}")));
        for (at, path) in self.values.iter().enumerate() {
            let (_, text) = input::read(path, FILE_BYTES_MAX)?;
            let name = path
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().replace(['$', '*', '?', '['], "_"));
            let name = format!("{at}/{name}");
            helm.value_files.push(format!("${REFERENCE}/{name}"));
            files.insert(name, text);
        }
        let digest = Digest::of_parts(files.values()).to_string();
        trees.referenced.insert(REFERENCE.to_owned(), Arc::new(ArchiveTree::new(files, digest)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edited(args: &ChartArgs, source: serde_json::Value) -> Result<(serde_json::Value, Trees), CommandError> {
        let mut source: ApplicationSource = serde_json::from_value(source).unwrap();
        let mut trees = Trees::new(Arc::new(ArchiveTree::new(BTreeMap::new(), String::new())));
        args.edit(&mut source, &mut trees)?;
        Ok((serde_json::to_value(&source.helm).unwrap(), trees))
    }

    fn args() -> ChartArgs {
        ChartArgs { release_name: None, values: Vec::new(), set: Vec::new(), skip_crds: false }
    }

    #[test]
    fn flags_are_stronger_than_the_application() {
        let (helm, _) = edited(&args(), json!({"repoURL": "u"})).unwrap();
        assert_eq!(helm, json!(null));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev.yaml");
        std::fs::write(&path, "a: 2").unwrap();
        let flags = ChartArgs {
            release_name: Some("s".to_owned()),
            values: vec![path],
            set: vec!["a=$x=1".to_owned()],
            skip_crds: true,
        };
        let source =
            json!({"helm": {"releaseName": "r", "valueFiles": ["v.yaml"], "valuesObject": {"a": 1}, "values": "a: 0"}});
        let (helm, trees) = edited(&flags, source).unwrap();
        assert_eq!(
            helm,
            json!({
                "releaseName": "s", "skipCrds": true, "values": "a: 0",
                "valueFiles": ["v.yaml", "$command-line/application.yaml", "$command-line/0/dev.yaml"],
                "parameters": [{"name": "a", "value": "$$x=1"}],
            })
        );
        let tree = &trees.referenced["command-line"];
        assert_eq!(tree.read("application.yaml", 100).unwrap(), br#"{"a":1}"#);
        assert_eq!(tree.read("0/dev.yaml", 100).unwrap(), b"a: 2");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let flags = ChartArgs { set: vec!["a".to_owned()], ..args() };
        assert!(edited(&flags, json!({})).is_err());
        let flags = ChartArgs { values: vec!["/nonexistent.yaml".into()], ..args() };
        assert!(edited(&flags, json!({})).is_err());
    }
}
