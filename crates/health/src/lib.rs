//! The health of one live object.
