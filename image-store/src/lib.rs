//! OCI images: registries, content store, layers, snapshots.
