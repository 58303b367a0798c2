//! The revisions that somebody asks for instead of an Application's own, in the words of `argocd app sync`. Entry point:
//! [`RevisionArgs::asked`], which answers one revision for each source or says why that makes no sense.

use clap::Args;

use crate::command_error::{CommandError, user_error};
use crate::commands::app::view::View;

/// Which revisions are meant.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct RevisionArgs {
    /// This branch, tag, commit or version of a chart instead of the Application's own.
    #[arg(long, value_name = "REVISION", conflicts_with = "revisions")]
    revision: Option<String>,
    /// The same for one of several sources, which --source-positions or --source-names tell; the others keep their own. May be
    /// repeated.
    #[arg(long, value_name = "REVISION")]
    revisions: Vec<String>,
    /// Of which source each of --revisions is; the first is 1. May be repeated.
    #[arg(long, value_name = "NUMBER", value_delimiter = ',', requires = "revisions", conflicts_with = "source_names",
        value_parser = clap::value_parser!(u16).range(1..))]
    source_positions: Vec<u16>,
    /// Of which source each of --revisions is, by its 'name'. May be repeated.
    #[arg(long, value_name = "NAME", requires = "revisions")]
    source_names: Vec<String>,
}

// === impl RevisionArgs ===

impl RevisionArgs {
    /// Whether no revision is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.revision.is_none() && self.revisions.is_empty()
    }

    /// One revision for each source of the Application; none if its own are meant. A shortened id of a commit that it knows is
    /// written out.
    pub(crate) fn asked(&self, app: View<'_>) -> Result<Option<Vec<String>>, CommandError> {
        let full = |revision: &str| app.full_commit(revision).unwrap_or(revision).to_owned();
        let (name, mut parts) = (app.qualified_name(), app.targets());
        if let Some(revision) = &self.revision {
            if parts.len() > 1 {
                return Err(user_error(format!("--revision is of one source, and {name} has {}", parts.len()))
                    .hinted(format!("say of which: --revisions {revision} --source-positions NUMBER")));
            }
            return Ok(Some(vec![full(revision)]));
        }
        if self.revisions.is_empty() {
            return Ok(None);
        }
        if !app.is_several() {
            return Err(user_error(format!("--revisions is of several sources, and {name} has one"))
                .hinted("name its revision: --revision REVISION"));
        }
        let positions = self.positions(app)?;
        if positions.len() != self.revisions.len() {
            return Err(user_error(format!(
                "{} revisions and {} sources are named: each revision needs the source that it is of",
                self.revisions.len(),
                positions.len()
            ))
            .hinted("give them in pairs: --revisions REVISION --source-positions NUMBER"));
        }
        for (at, (position, revision)) in positions.iter().zip(&self.revisions).enumerate() {
            if positions[..at].contains(position) {
                return Err(user_error(format!("source {position} is named twice: it can have one revision")));
            }
            let count = parts.len();
            let part = position.checked_sub(1).and_then(|index| parts.get_mut(index));
            *part.ok_or_else(|| {
                user_error(format!("{name} has no source {position}, it has {count}")).hinted(see(&name))
            })? = full(revision);
        }
        Ok(Some(parts))
    }

    /// Where the sources are that are named; the first is 1.
    fn positions(&self, app: View<'_>) -> Result<Vec<usize>, CommandError> {
        let sources = app.sources();
        let place = |wanted: &String| {
            let at = sources.iter().position(|source| source.str_at(&["name"]) == Some(wanted));
            at.map(|at| at + 1).ok_or_else(|| {
                let name = app.qualified_name();
                user_error(format!("{name} has no source with the name '{wanted}'")).hinted(see(&name))
            })
        };
        if self.source_names.is_empty() {
            return Ok(self.source_positions.iter().copied().map(usize::from).collect());
        }
        self.source_names.iter().map(place).collect()
    }
}

fn see(name: &str) -> String {
    format!("see its sources: trueup app get {name}")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use trueup_object::Node;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: RevisionArgs,
    }

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn asked(spec: &str, line: &str) -> Result<Option<Vec<String>>, String> {
        let args = Line::parse_from(std::iter::once("sync").chain(line.split_whitespace())).args;
        let text = format!(
            r#"{{"metadata":{{"name":"shop","namespace":"argocd"}},"spec":{spec},"status":{{"history":[{{"revisions":["1.0.0","{COMMIT}"]}}]}}}}"#
        );
        args.asked(View(&Node::from_json(text.as_bytes()).unwrap())).map_err(|error| error.error.to_string())
    }

    const TWO: &str = r#"{"sources":[{"chart":"shop","targetRevision":"1.x","name":"chart"},{"path":"p"}]}"#;

    fn parts(all: [&str; 2]) -> Vec<String> {
        all.map(str::to_owned).to_vec()
    }

    #[test]
    fn what_is_not_named_keeps_its_target() {
        assert_eq!(asked(TWO, ""), Ok(None));
        assert_eq!(asked(TWO, "--revisions v1 --source-positions 2"), Ok(Some(parts(["1.x", "v1"]))));
        assert_eq!(asked(TWO, "--revisions 1.0.0 --source-names chart"), Ok(Some(parts(["1.0.0", "HEAD"]))));
        assert_eq!(
            asked(TWO, "--revisions v1 --revisions 1.1.0 --source-positions 2,1"),
            Ok(Some(parts(["1.1.0", "v1"])))
        );
        assert_eq!(asked(TWO, "--revisions 0123456 --source-positions 2"), Ok(Some(parts(["1.x", COMMIT]))));
        assert_eq!(asked(r#"{"source":{"path":"p"}}"#, "--revision v1"), Ok(Some(vec!["v1".to_owned()])));
        assert_eq!(asked(r#"{"sources":[{"path":"p"}]}"#, "--revision v1"), Ok(Some(vec!["v1".to_owned()])));
    }

    #[test]
    fn what_names_no_source_is_refused() {
        for (spec, line, why) in [
            (TWO, "--revision v1", "--revision is of one source, and argocd/shop has 2"),
            (r#"{"source":{"path":"p"}}"#, "--revisions v1 --source-positions 1", "argocd/shop has one"),
            (TWO, "--revisions v1", "1 revisions and 0 sources are named"),
            (TWO, "--revisions v1 --source-positions 1,2", "1 revisions and 2 sources are named"),
            (TWO, "--revisions v1 --source-positions 3", "has no source 3, it has 2"),
            (TWO, "--revisions v1 --source-names values", "no source with the name 'values'"),
            (TWO, "--revisions v1 --revisions v2 --source-positions 2,2", "source 2 is named twice"),
        ] {
            let refused = asked(spec, line).unwrap_err();
            assert!(refused.contains(why), "{line}: {refused}");
        }
        for wrong in [
            "--revision a --revisions b --source-positions 1",
            "--source-positions 1",
            "--revisions a --source-positions 0",
            "--revisions a --source-positions 1 --source-names b",
        ] {
            assert!(Line::try_parse_from(std::iter::once("sync").chain(wrong.split(' '))).is_err(), "{wrong}");
        }
    }
}
