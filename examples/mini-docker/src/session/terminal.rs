//! This process's own terminal: raw while a session lasts, its size.

use std::io::IsTerminal;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::error::{Error, Result};

/// Tells whether somebody sits at our standard input.
#[must_use]
pub fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Lines and characters of our terminal.
#[must_use]
pub fn size_of_terminal() -> Option<(u16, u16)> {
    let of_output = rustix::termios::tcgetwinsize(std::io::stdout());
    let size = of_output.or_else(|_| rustix::termios::tcgetwinsize(std::io::stdin())).ok()?;
    (size.ws_row > 0).then_some((size.ws_row, size.ws_col))
}

/// The terminal passes every key on, until this is dropped.
#[derive(Debug)]
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Enters raw mode.
    ///
    /// # Errors
    /// `Io` when standard input is no terminal.
    pub fn enter() -> Result<Self> {
        let stdin = std::io::stdin();
        let failed = |errno: nix::errno::Errno| Error::io("set up", "the terminal")(errno.into());
        let before = tcgetattr(&stdin).map_err(failed)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&stdin, SetArg::TCSANOW, &raw).map_err(failed)?;
        Ok(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that vanished.
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.before);
    }
}
