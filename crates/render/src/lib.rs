//! Files at a revision become manifests, through a content-addressed cache.
