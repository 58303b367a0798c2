//! Jsonnet files among the files of a directory.

use trueup_api::source::{DirectorySource, JsonnetSource};

use crate::RenderError;
use crate::environment::Environment;
use crate::view::View;
use crate::workers::Document;

/// The options with their variables replaced.
pub(crate) fn substituted(mut directory: DirectorySource, environment: &Environment) -> DirectorySource {
    let jsonnet = &mut directory.jsonnet;
    for variable in jsonnet.ext_vars.iter_mut().chain(&mut jsonnet.tlas) {
        variable.value = environment.substitute(&variable.value);
    }
    directory
}

/// What a file evaluates to.
pub(crate) fn evaluate(
    _options: &JsonnetSource,
    _view: &mut View,
    _top: &str,
    file: &str,
) -> Result<Vec<Document>, RenderError> {
    Err(RenderError::NoRenderer { tool: "Jsonnet", why: format!("'{file}'") })
}
