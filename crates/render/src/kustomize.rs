//! Overlays.
//!
//! Entry point: [`Overlay::render`].

use serde::Serialize;
use trueup_api::source::KustomizeSource;

use crate::environment::Environment;
use crate::renderer::Outcome;
use crate::view::View;
use crate::workers::{Job, KustomizeJob};
use crate::{RenderError, Request, Tool, answers};

/// An overlay with what the application says of it.
#[derive(Serialize)]
pub(crate) struct Overlay {
    options: KustomizeSource,
    build_options: Vec<String>,
    release_name: String,
    #[serde(skip)]
    why: String,
}

// === impl Overlay ===

impl Overlay {
    /// The options with their variables replaced, where Argo CD does it too.
    pub(crate) fn new(request: &Request, mut options: KustomizeSource, environment: &Environment, why: String) -> Self {
        for image in &mut options.images {
            *image = environment.substitute(image);
        }
        for value in options.common_labels.values_mut() {
            *value = environment.substitute(value);
        }
        if options.common_annotations_envsubst {
            for value in options.common_annotations.values_mut() {
                *value = environment.substitute(value);
            }
        }
        Self {
            options,
            build_options: request.settings.kustomize_build_options.clone(),
            release_name: request.release_name().to_owned(),
            why,
        }
    }

    pub(crate) fn render(&self, view: &mut View, top: &str) -> Result<Outcome, RenderError> {
        let options = &self.options;
        let job = Job::Kustomize(KustomizeJob {
            root: String::new(),
            path: top.to_owned(),
            options: options.clone(),
            build_options: self.build_options.clone(),
            namespace: String::new(),
            kube_version: options.kube_version.clone(),
            api_versions: options.api_versions.clone(),
            release_name: self.release_name.clone(),
            fetched: answers::fetched(view),
        });
        let done = answers::ask(view, &job, Tool::Kustomize.name(), &self.why)?;
        answers::outcome(view, Tool::Kustomize, done)
    }
}
