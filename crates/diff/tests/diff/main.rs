//! Comparisons as data: tables, objects that a real API server wrote, and laws.

mod laws;
mod recorded;
mod support;
mod tables;
