//! Reading and printing: one module for each format, and `flat` for metadata where maps cannot nest.

pub(crate) mod dotenv;
pub(crate) mod flat;
pub(crate) mod ini;
pub(crate) mod json;
mod scalar;
pub(crate) mod yaml;
