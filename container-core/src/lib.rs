//! The life of a Linux container inside any program.

pub mod supervisor;
