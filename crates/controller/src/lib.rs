//! Queue, reconcile, operations, status.
