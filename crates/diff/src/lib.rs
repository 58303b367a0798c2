//! Desired against live: what differs, field by field, and who did it.
