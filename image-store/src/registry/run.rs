//! A small runtime on a thread of its own for each blocking call; progress is reported on the caller's thread.

use std::future::Future;
use std::sync::mpsc::{Sender, channel};

use super::Progress;
use crate::Result;
use crate::error::At as _;

/// Where a transfer reports what happens.
pub(super) type Events = Sender<Progress>;

pub(super) fn run<T, F, Fut>(progress: Option<&dyn Fn(Progress)>, work: F) -> Result<T>
where
    T: Send,
    F: FnOnce(Events) -> Fut + Send,
    Fut: Future<Output = Result<T>>,
{
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().at("start the runtime for", "")?;
            runtime.block_on(work(sender))
        });
        for event in receiver {
            if let Some(report) = progress {
                report(event);
            }
        }
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
