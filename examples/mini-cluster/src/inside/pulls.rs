//! Images that nodes need: found in the store, or asked for from the outside half, each once at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use crate::error::Result;
use crate::link::{Sender, ToOutside};

/// Requests that wait for their answer.
#[derive(Debug)]
pub(crate) struct Pulls {
    outside: Arc<Sender>,
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, mpsc::Sender<Option<String>>>>,
}

impl Pulls {
    /// Asks through `outside`.
    pub(super) fn new(outside: Arc<Sender>) -> Self {
        Self { outside, next: AtomicU64::new(1), waiting: Mutex::default() }
    }

    /// Has the image brought into the store and waits; the error is a line for the pod's status.
    pub(crate) fn pull(&self, image: &str) -> std::result::Result<(), String> {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = mpsc::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(ticket, sender);
        let asked: Result<()> = self.outside.send(&ToOutside::Pull { ticket, image: image.to_owned() });
        asked.map_err(|error| error.report())?;
        match answer.recv() {
            Ok(None) => Ok(()),
            Ok(Some(error)) => Err(error),
            Err(_) => Err("the cluster is ending".to_owned()),
        }
    }

    /// Takes an answer of the outside half.
    pub(super) fn answer(&self, ticket: u64, error: Option<String>) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&ticket);
        if let Some(waiting) = waiting {
            let _ = waiting.send(error);
        }
    }
}
