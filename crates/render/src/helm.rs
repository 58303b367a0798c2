//! Charts.
//!
//! Entry point: [`Chart::render`].

use serde::Serialize;
use trueup_api::source::{HelmParameter, HelmSource};

use crate::environment::Environment;
use crate::renderer::Outcome;
use crate::value_files::{Texts, ValueFile};
use crate::view::View;
use crate::workers::{self, FileParameter, HelmJob, Job, Parameter, ValuesFile};
use crate::{RenderError, Request, Tool, Trees, answers};

/// What values are called that stand in the Application.
const VALUES: &str = "spec.source.helm.values";
const VALUES_OBJECT: &str = "spec.source.helm.valuesObject";
const FILE_PARAMETERS: &str = "spec.source.helm.fileParameters";

/// A chart with what the application says of it, variables replaced.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "options of upstream")]
pub(crate) struct Chart {
    release_name: String,
    namespace: String,
    value_files: Vec<ValueFile>,
    ignore_missing: bool,
    /// The field and the text of values in the Application.
    values: Option<(&'static str, String)>,
    parameters: Vec<HelmParameter>,
    file_parameters: Vec<(String, ValueFile)>,
    skip_crds: bool,
    skip_tests: bool,
    skip_schema_validation: bool,
    kube_version: String,
    api_versions: Vec<String>,
    #[serde(skip)]
    why: String,
}

// === impl Chart ===

impl Chart {
    /// What an application says of the chart at `top`.
    pub(crate) fn new(
        request: &Request,
        trees: &Trees,
        top: &str,
        options: HelmSource,
        environment: &Environment,
        why: String,
    ) -> Result<Self, RenderError> {
        let place = |field, written: &str| {
            ValueFile::of(field, written, top, trees, environment, &request.settings.helm_values_schemes)
        };
        let value_files = options.value_files.iter().map(|file| place("spec.source.helm.valueFiles", file));
        let file_parameters =
            options.file_parameters.iter().map(|it| Ok((it.name.clone(), place(FILE_PARAMETERS, &it.path)?)));
        Ok(Self {
            release_name: or(&options.release_name, request.release_name()),
            namespace: or(&options.namespace, &request.destination_namespace),
            value_files: value_files.collect::<Result<_, _>>()?,
            file_parameters: file_parameters.collect::<Result<_, RenderError>>()?,
            ignore_missing: options.ignore_missing_value_files,
            values: match &options.values_object {
                Some(object) if !object.is_null() => Some((VALUES_OBJECT, object.to_string())),
                _ => Some((VALUES, options.values)).filter(|(_, text)| !text.is_empty()),
            },
            parameters: parameters(options.parameters, environment),
            skip_crds: options.skip_crds,
            skip_tests: options.skip_tests,
            skip_schema_validation: options.skip_schema_validation,
            kube_version: options.kube_version,
            api_versions: options.api_versions,
            why,
        })
    }

    pub(crate) fn render(&self, view: &mut View, top: &str) -> Result<Outcome, RenderError> {
        let mut texts = Texts::new(view, self.ignore_missing);
        texts.value_files(&self.value_files)?;
        let mut set_file = Vec::new();
        for (name, file) in &self.file_parameters {
            if let Some(text) = texts.one(file)? {
                set_file.push(FileParameter { name: name.clone(), text });
            }
        }
        let (mut values, needs) = texts.into_parts();
        // Whatever the chart itself needs is asked for when it can be rendered.
        if !needs.is_empty() {
            return Ok(Outcome::Needs(needs));
        }
        if let Some((field, text)) = &self.values {
            values.push(ValuesFile { name: (*field).to_owned(), text: text.clone() });
        }
        let set = self.parameters.iter().map(|it| Parameter {
            name: it.name.clone(),
            value: it.value.clone(),
            force_string: it.force_string,
        });
        let job = Job::Helm(HelmJob {
            chart: workers::Chart { root: String::new(), path: top.to_owned() },
            release_name: self.release_name.clone(),
            namespace: self.namespace.clone(),
            values,
            set: set.collect(),
            set_file,
            include_crds: !self.skip_crds,
            skip_tests: self.skip_tests,
            skip_schema_validation: self.skip_schema_validation,
            kube_version: self.kube_version.clone(),
            api_versions: self.api_versions.clone(),
            fetched: answers::fetched(view),
        });
        let done = answers::ask(view, &job, Tool::Helm.name(), &self.why)?;
        answers::outcome(view, Tool::Helm, done)
    }
}

/// As Argo CD has it: of parameters of one name and kind the last one counts.
fn parameters(written: Vec<HelmParameter>, environment: &Environment) -> Vec<HelmParameter> {
    let mut parameters: Vec<HelmParameter> = Vec::with_capacity(written.len());
    for mut parameter in written {
        parameter.value = environment.substitute(&parameter.value);
        parameters.retain(|it| it.name != parameter.name || it.force_string != parameter.force_string);
        parameters.push(parameter);
    }
    parameters
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.to_owned()
}
