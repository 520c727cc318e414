//! A stream of real HTTP requests to the Service's stable address, counted while the cluster changes underneath.
//!
//! Two threads send one request after another, each on a connection of its own. Every answer is judged: a failure is
//! a request without an answer, a wrong answer is one that is not the application's. [`Traffic::mark`] starts a new
//! chapter, so that each step of the demo is judged by its own requests.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::dial;

/// Between two requests of one thread: a steady stream, not a benchmark.
const PAUSE: Duration = Duration::from_millis(4);
/// When a request counts as failed.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What was seen since the last mark.
#[derive(Debug, Clone, Default)]
pub(super) struct Chapter {
    /// Requests that were answered as they should be.
    pub(super) good: u64,
    /// Answers per pod.
    pub(super) by_pod: BTreeMap<String, u64>,
    /// Answers per version.
    pub(super) by_version: BTreeMap<String, u64>,
    /// Requests without an answer: when (since the mark) and why.
    pub(super) failed: Vec<(Duration, String)>,
    /// Answers that are not the application's.
    pub(super) wrong: Vec<String>,
    /// The longest time a good answer took.
    pub(super) slowest: Duration,
}

#[derive(Debug)]
struct Shared {
    chapter: Mutex<(Instant, Chapter)>,
    stop: AtomicBool,
}

/// The running stream.
#[derive(Debug)]
pub(super) struct Traffic {
    shared: Arc<Shared>,
    senders: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Starts the stream.
    pub(super) fn start(dial: &Path, service: SocketAddrV4) -> Self {
        let chapter = Mutex::new((Instant::now(), Chapter::default()));
        let shared = Arc::new(Shared { chapter, stop: AtomicBool::new(false) });
        let senders = (0..2).map(|_| {
            let (shared, dial) = (Arc::clone(&shared), dial.to_owned());
            std::thread::spawn(move || send_until_stopped(&shared, &dial, service))
        });
        Self { senders: senders.collect(), shared }
    }

    /// Ends a chapter and begins the next one.
    pub(super) fn mark(&self) -> Chapter {
        let mut chapter = lock(&self.shared.chapter);
        std::mem::replace(&mut *chapter, (Instant::now(), Chapter::default())).1
    }

    /// Looks at the present chapter.
    pub(super) fn look(&self) -> Chapter {
        lock(&self.shared.chapter).1.clone()
    }

    /// Ends the stream.
    pub(super) fn stop(self) -> Chapter {
        self.shared.stop.store(true, Ordering::Relaxed);
        for sender in self.senders {
            let _ = sender.join();
        }
        lock(&self.shared.chapter).1.clone()
    }
}

fn send_until_stopped(shared: &Shared, dial: &Path, service: SocketAddrV4) {
    while !shared.stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let answer = dial::request(dial, service, "GET", "/", TIMEOUT);
        let mut chapter = lock(&shared.chapter);
        let at = begun.saturating_duration_since(chapter.0);
        match answer {
            Err(error) => chapter.1.failed.push((at, error.to_string())),
            Ok(answer) => match identity(answer.status, &answer.body) {
                None => chapter.1.wrong.push(format!("{} {}", answer.status, answer.text().trim())),
                Some((pod, version)) => {
                    chapter.1.good += 1;
                    *chapter.1.by_pod.entry(pod).or_default() += 1;
                    *chapter.1.by_version.entry(version).or_default() += 1;
                    chapter.1.slowest = chapter.1.slowest.max(begun.elapsed());
                }
            },
        }
        drop(chapter);
        std::thread::sleep(PAUSE);
    }
}

/// Who answered, if the answer is the application's.
pub(super) fn identity(status: u16, body: &[u8]) -> Option<(String, String)> {
    let value: serde_json::Value = serde_json::from_slice(body).ok().filter(|_| status == 200)?;
    let text = |name: &str| value.get(name).and_then(|field| field.as_str()).map(str::to_owned);
    Some((text("pod")?, text("version")?))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_applications_own_answer_is_good() {
        let good = br#"{"pod":"web-1","version":"1.0.0"}"#;
        assert_eq!(identity(200, good), Some(("web-1".to_owned(), "1.0.0".to_owned())));
        assert_eq!(identity(503, good), None);
        assert_eq!(identity(200, b"hello"), None);
        assert_eq!(identity(200, br#"{"pod":"web-1"}"#), None);
    }
}
