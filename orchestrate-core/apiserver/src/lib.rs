//! The Kubernetes API as a function in your process.
