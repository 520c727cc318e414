//! The image that a container is made of: here already, made out of the host's files, or pulled.

use std::io::Write;

use image_store::{Image, Reference};

use super::registry;
use crate::cli::PullWhen;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// The image that is made here when nobody else has made one.
const BASE: &str = "base:latest";

/// Finds the image called `name`, pulling it when `when` says so.
pub(super) fn image(engine: &Engine, name: &str, when: PullWhen, platform: Option<&str>, quiet: bool) -> Result<Image> {
    let store = engine.store();
    let missing = match store.resolve(name) {
        Ok(image) if when != PullWhen::Always || is_base(name) => return Ok(image),
        Ok(_) => None,
        Err(error @ image_store::Error::UnknownImage { .. }) => Some(error),
        Err(error) => return Err(error.into()),
    };
    if is_base(name) {
        return Ok(image_store::base::ensure(store)?);
    }
    if when == PullWhen::Never {
        return Err(Error::Refused { message: format!("No such image: {}", familiar(name)) });
    }
    if missing.is_some() {
        let _ = writeln!(std::io::stderr(), "Unable to find image '{}' locally", familiar(name));
    }
    registry::fetch(engine, name, platform, quiet, &|line| {
        let _ = writeln!(std::io::stderr(), "{line}");
    })
}

fn is_base(name: &str) -> bool {
    matches!((Reference::parse(name), Reference::parse(BASE)), (Ok(name), Ok(base)) if name == base)
}

fn familiar(name: &str) -> String {
    Reference::parse(name).map_or_else(|_| name.to_owned(), |reference| reference.to_string())
}
