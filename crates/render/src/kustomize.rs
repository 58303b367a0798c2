//! Overlays.

use serde::Serialize;
use trueup_api::source::KustomizeSource;

use crate::environment::Environment;
use crate::renderer::Outcome;
use crate::view::View;
use crate::{RenderError, Request};

/// An overlay with what the application says of it.
#[derive(Serialize)]
pub(crate) struct Overlay {
    options: KustomizeSource,
    #[serde(skip)]
    why: String,
}

impl Overlay {
    pub(crate) fn new(_request: &Request, options: KustomizeSource, _environment: &Environment, why: String) -> Self {
        Self { options, why }
    }
}

pub(crate) fn render(it: &Overlay, _view: &mut View, _top: &str) -> Result<Outcome, RenderError> {
    Err(RenderError::NoRenderer { tool: "Kustomize", why: it.why.clone() })
}
