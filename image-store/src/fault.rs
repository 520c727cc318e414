//! Places where a write can fail. In tests a thread can ask for the n-th of them to fail, as a full disk or a dying
//! disk would; everywhere else this is nothing.

use crate::Result;

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "the test build of this function can fail")]
#[inline]
pub(crate) fn point(_step: &'static str) -> Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use injected::{arm, point};

#[cfg(test)]
mod injected {
    use std::cell::Cell;

    use super::Result;
    use crate::Error;

    thread_local! {
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// The step number `count` (from 0) of this thread fails; `None` ends the trouble. Returns whether it was reached.
    pub(crate) fn arm(count: Option<u32>) -> bool {
        LEFT.replace(count).is_none()
    }

    pub(crate) fn point(step: &'static str) -> Result<()> {
        let Some(left) = LEFT.get() else { return Ok(()) };
        LEFT.set(left.checked_sub(1));
        if left > 0 {
            return Ok(());
        }
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(Error::Io { doing: step, path: "injected".into(), source })
    }
}
