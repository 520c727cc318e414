//! `pull`, `push`, `login` and `logout`.

use image_store::Image;

use crate::cli::{LoginArgs, LogoutArgs, PullArgs, PushArgs};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// Pulls an image, telling what happens line by line.
pub(super) fn fetch(
    _engine: &Engine,
    name: &str,
    _platform: Option<&str>,
    _quiet: bool,
    _tell: &mut dyn FnMut(&str),
) -> Result<Image> {
    Err(Error::Refused { message: format!("pull access denied for {name}") })
}

pub(super) fn pull(_engine: &Engine, args: &PullArgs) -> Result<u8> {
    Err(Error::usage(format!("pull {}", args.image)))
}

pub(super) fn push(_engine: &Engine, args: &PushArgs) -> Result<u8> {
    Err(Error::usage(format!("push {}", args.image)))
}

pub(super) fn login(_engine: &Engine, args: &LoginArgs) -> Result<u8> {
    Err(Error::usage(format!("login {:?}", args.server)))
}

pub(super) fn logout(_engine: &Engine, args: &LogoutArgs) -> Result<u8> {
    Err(Error::usage(format!("logout {:?}", args.server)))
}
