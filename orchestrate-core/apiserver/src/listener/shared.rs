//! One engine for many threads: a lock, a clock from outside, and a bell that rings on change.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::time::Millis;
use crate::{ApiServer, Reply, Request};

/// The clock of an embedder: wall time in a real cluster.
pub type Clock = dyn Fn() -> Millis + Send + Sync;

/// An engine that several threads use.
#[derive(Clone)]
pub struct SharedApi(Arc<Inner>);

struct Inner {
    api: Mutex<ApiServer>,
    clock: Box<Clock>,
    bell: watch::Sender<u64>,
    rung: Condvar,
}

impl std::fmt::Debug for SharedApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedApi").field("revision", &*self.0.bell.borrow()).finish_non_exhaustive()
    }
}

impl SharedApi {
    /// Shares `api`, which from now on lives by `clock`.
    #[must_use]
    pub fn new(api: ApiServer, clock: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        let (bell, _) = watch::channel(api.revision());
        Self(Arc::new(Inner { api: Mutex::new(api), clock: Box::new(clock), bell, rung: Condvar::new() }))
    }

    /// What the clock says.
    #[must_use]
    pub fn now(&self) -> Millis {
        (self.0.clock)()
    }

    fn lock(&self) -> MutexGuard<'_, ApiServer> {
        // A panic inside a request leaves the store between two writes, each of which is whole.
        self.0.api.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the engine at the present moment, and rings the bell if it changed something.
    pub fn with<T>(&self, work: impl FnOnce(&mut ApiServer, Millis) -> T) -> T {
        let now = self.now();
        let mut api = self.lock();
        let before = api.revision();
        let result = work(&mut api, now);
        let after = api.revision();
        if after != before {
            self.0.bell.send_replace(after);
            self.0.rung.notify_all();
        }
        drop(api);
        result
    }

    /// Answers one request.
    #[must_use]
    pub fn handle(&self, request: &Request) -> Reply {
        self.with(|api, now| api.handle(now, request))
    }

    /// Hears the bell: the value is the newest revision.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.bell.subscribe()
    }

    /// Blocks until the revision is above `seen`, or `timeout` is over; returns the revision.
    #[must_use]
    pub fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let api = self.lock();
        let waited = self.0.rung.wait_timeout_while(api, timeout, |api| api.revision() <= seen);
        let (api, _) = waited.unwrap_or_else(PoisonError::into_inner);
        api.revision()
    }
}
