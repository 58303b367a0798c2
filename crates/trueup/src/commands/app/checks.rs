//! Whether an Application that somebody writes can be followed. Entry points: [`valid`] for what can be told from it alone,
//! [`permitted`] for what its project says.

use trueup_api::{App, Application};
use trueup_object::Node;

use crate::command_error::{CommandError, user_error, user_error_with_message};
use crate::commands::app::client::Client;
use crate::commands::app::diff::project::{self, told};
use crate::output::talk;

/// How an error of this kind is overruled.
const OVERRULE: &str = "write it nevertheless, and correct it later: --validate=false";

/// Reads an Application as the controller will, and tells what of it has no effect.
pub(crate) fn valid(node: &Node) -> Result<App, CommandError> {
    let application =
        Application::read(&node.to_json()).map_err(|error| user_error_with_message("this is no Application", error))?;
    let app = application.spec.map_err(|errors| {
        user_error(format!("the specification is not valid: {errors}")).hinted("see what can be said: --help")
    })?;
    for unsupported in &app.unsupported {
        talk::warning(&told(unsupported));
    }
    Ok(app)
}

/// Whether the project, which is governed from `namespace`, permits source and destination.
pub(crate) async fn permitted(client: &Client, namespace: &str, app: &App) -> Result<(), CommandError> {
    let project = client.project(namespace, &app.project).await.map_err(|why| user_error(why).hinted(OVERRULE))?;
    match project::of_application(&project, app).as_slice() {
        [] => Ok(()),
        problems => Err(user_error(problems.join("; ")).hinted(OVERRULE)),
    }
}
