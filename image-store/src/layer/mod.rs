//! Layers: reading a tar stream that nobody vouches for, writing one that is the same each time, and turning one into a
//! folder that overlay can stack.
//!
//! `decompress` → `tar` (entries) → `path` (safe names) → `apply` (files). Absent on purpose: any knowledge of images.

pub(crate) mod apply;
mod attributes;
mod decompress;
mod header;
mod path;
mod pax;
mod remove;
mod root;
mod tar;
mod write;

pub(crate) use apply::{Applied, Markers, apply};
pub(crate) use decompress::Decompressor;
pub(crate) use path::SafePath;
pub(crate) use remove::remove_tree;
pub(crate) use root::Root;
pub(crate) use write::{Content, Node, TarWriter};

#[cfg(test)]
mod tests;
