//! Whether an Application that somebody writes can be followed. Entry points: [`valid`] for what can be told from it alone,
//! [`Rules::of`] for what its project says.

use std::fmt::Display;

use trueup_api::{App, Application, Project};
use trueup_object::Node;
use trueup_render::check_directory;

use crate::command_error::{CommandError, user_error, user_error_with_message};
use crate::commands::app::client::Client;
use crate::commands::app::diff::project::{self, Seat, told};
use crate::commands::app::view::View;
use crate::output::talk;

/// How an error of this kind is overruled.
const OVERRULE: &str = "write it nevertheless, and correct it later: --validate=false";

/// What the controller permits an Application by.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) project: Project,
    /// Where the project is, and the controller that governs the Application.
    pub(crate) controller_namespace: String,
}

/// Reads an Application as the controller will, and tells what of it has no effect.
pub(crate) fn valid(node: &Node) -> Result<App, CommandError> {
    let app = read(node)?;
    for unsupported in &app.unsupported {
        talk::warning(&told(unsupported));
    }
    Ok(app)
}

/// Reads an Application as the controller will.
pub(crate) fn read(node: &Node) -> Result<App, CommandError> {
    let application =
        Application::read(&node.to_json()).map_err(|error| user_error_with_message("this is no Application", error))?;
    let invalid = |why: &dyn Display| {
        user_error(format!("the specification is not valid: {why}")).hinted("see what can be said: --help")
    };
    let app = application.spec.map_err(|errors| invalid(&errors))?;
    for directory in app.sources.iter().filter_map(|source| source.written.directory.as_ref()) {
        check_directory(directory).map_err(|error| invalid(&error))?;
    }
    Ok(app)
}

// === impl Rules ===

impl Rules {
    /// Reads the project that the Application is to be in.
    pub(crate) async fn of(client: &Client, app: View<'_>, project: &str) -> Result<Self, CommandError> {
        let controller_namespace = client.governed_from(app);
        let project = client.project(controller_namespace, project).await.map_err(|error| error.hinted(OVERRULE))?;
        Ok(Self { project, controller_namespace: controller_namespace.to_owned() })
    }

    /// Whether the project permits the Application as it is to be.
    pub(crate) fn permit(&self, app: View<'_>, checked: &App) -> Result<(), CommandError> {
        if checked.project != self.project.name {
            let name = app.qualified_name();
            return Err(user_error(format!("{name} was moved to project '{}' meanwhile", checked.project))
                .hinted("try again: that project has not been asked"));
        }
        let namespace = app.text(&["metadata", "namespace"]);
        let seat = Seat { namespace, controller_namespace: &self.controller_namespace };
        match project::of_application(&self.project, checked, seat).as_slice() {
            [] => Ok(()),
            problems => Err(user_error(problems.join("; ")).hinted(OVERRULE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_that_cannot_be_read_is_refused() {
        let read = |directory: &str| {
            let text = format!(
                r#"{{"metadata":{{"name":"a","namespace":"n"}},"spec":{{"project":"p","destination":{{"name":"in-cluster"}},
                    "source":{{"repoURL":"https://h/a","path":".","directory":{directory}}}}}}}"#
            );
            read(&Node::from_json(text.as_bytes()).unwrap()).map(drop).map_err(|error| error.error.to_string())
        };
        assert_eq!(read(r#"{"include":"*.{yaml,yml}","exclude":"x"}"#), Ok(()));
        for field in ["include", "exclude"] {
            let error = read(&format!(r#"{{"{field}":"{{"}}"#)).unwrap_err();
            let words =
                format!("the specification is not valid: spec.source.directory.{field} '{{' is not a valid glob");
            assert!(error.starts_with(&words), "{error}");
        }
    }
}
