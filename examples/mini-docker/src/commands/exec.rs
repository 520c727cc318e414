//! `exec`.

use crate::cli::ExecArgs;
use crate::engine::Engine;
use crate::error::{Error, Result};

pub(super) fn exec(_engine: &Engine, args: &ExecArgs) -> Result<u8> {
    Err(Error::usage(format!("exec {:?}", args.container_and_command)))
}
