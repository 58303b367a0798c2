//! Jsonnet files among the files of a directory.
//!
//! Entry point: [`evaluate`].

use trueup_api::source::{DirectorySource, JsonnetSource, JsonnetVariable};

use crate::RenderError;
use crate::answers;
use crate::environment::Environment;
use crate::tree::clean;
use crate::view::View;
use crate::workers::{Document, Job, JsonnetJob, Variable};

const TOOL: &str = "Jsonnet";

/// The options with their variables replaced.
pub(crate) fn substituted(mut directory: DirectorySource, environment: &Environment) -> DirectorySource {
    let jsonnet = &mut directory.jsonnet;
    for variable in jsonnet.ext_vars.iter_mut().chain(&mut jsonnet.tlas) {
        variable.value = environment.substitute(&variable.value);
    }
    directory
}

/// What a file evaluates to: JSON, an object each. `name` is the file's name for people.
pub(crate) fn evaluate(
    options: &JsonnetSource,
    view: &mut View,
    top: &str,
    file: &str,
    name: &str,
) -> Result<(Vec<Document>, Vec<String>), RenderError> {
    // As Argo CD has it: the application's directory is a library too, and libraries are named from the root.
    let mut libs = vec![top.to_owned()];
    for lib in &options.libs {
        libs.push(
            clean(lib).ok_or_else(|| RenderError::Outside {
                field: "spec.source.directory.jsonnet.libs",
                path: lib.clone(),
            })?,
        );
    }
    let job = Job::Jsonnet(JsonnetJob {
        root: String::new(),
        file: file.to_owned(),
        ext_vars: variables(&options.ext_vars),
        tlas: variables(&options.tlas),
        libs,
    });
    match answers::ask(view, &job, TOOL, &format!("'{name}'"))? {
        Ok(done) => {
            let warnings = answers::warnings(view, &done);
            Ok((done.documents, warnings))
        }
        Err(needs) => Err(RenderError::NotFetched { needs }),
    }
}

fn variables(variables: &[JsonnetVariable]) -> Vec<Variable> {
    let variable = |it: &JsonnetVariable| Variable { name: it.name.clone(), value: it.value.clone(), code: it.code };
    variables.iter().map(variable).collect()
}
