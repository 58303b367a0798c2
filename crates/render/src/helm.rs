//! Charts.

use serde::Serialize;
use trueup_api::source::HelmSource;

use crate::environment::Environment;
use crate::renderer::Outcome;
use crate::view::View;
use crate::{RenderError, Request};

/// A chart with what the application says of it.
#[derive(Serialize)]
pub(crate) struct Chart {
    options: HelmSource,
    #[serde(skip)]
    why: String,
}

impl Chart {
    pub(crate) fn new(_request: &Request, options: HelmSource, _environment: &Environment, why: String) -> Self {
        Self { options, why }
    }
}

pub(crate) fn render(it: &Chart, _view: &mut View, _top: &str) -> Result<Outcome, RenderError> {
    Err(RenderError::NoRenderer { tool: "Helm", why: it.why.clone() })
}
