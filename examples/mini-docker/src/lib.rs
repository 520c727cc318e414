//! Docker's sentences over container-core and image-store: the wiring as a library.

#![forbid(unsafe_code)]

pub mod flags;
pub mod text;
