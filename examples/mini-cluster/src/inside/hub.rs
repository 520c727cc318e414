//! The API engine as the threads of the inside half share it: requests in, changes out, a bell for those who wait for
//! more than changes.
//!
//! Nobody in here polls: who wants to know of changes hangs up a bell and reads the change log from where it was.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apiserver::listener::SharedApi;
use apiserver::{ApiServer, ChangeKind, Event, Request, Status};
use orchestrate_core::Object;
use serde_json::Value;

use crate::node::clock;

type Bell = Box<dyn Fn() -> bool + Send>;

/// The shared engine.
#[derive(Clone)]
pub(crate) struct Hub {
    api: SharedApi,
    bells: Arc<Mutex<Vec<Bell>>>,
}

/// What became of an object.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// It is new or different.
    Is(Box<Object>),
    /// It is gone; its last state.
    Gone(Box<Object>),
}

impl Hub {
    /// Shares an engine under the wall clock and starts the thread that rings the bells.
    pub(crate) fn new(api: ApiServer) -> Self {
        let hub = Self { api: SharedApi::new(api, || clock::now().0), bells: Arc::default() };
        let (api, bells) = (hub.api.clone(), Arc::clone(&hub.bells));
        std::thread::spawn(move || {
            let mut seen = 0;
            loop {
                let revision = api.wait(seen, Duration::from_secs(3600));
                if revision > seen {
                    seen = revision;
                    bells.lock().unwrap_or_else(PoisonError::into_inner).retain(|bell| bell());
                }
            }
        });
        hub
    }

    /// The engine itself, for the listener and the control loop.
    pub(crate) fn api(&self) -> &SharedApi {
        &self.api
    }

    /// Sends a request.
    pub(crate) fn call(&self, request: &Request) -> Result<Value, Status> {
        self.api.handle(request).into_result()
    }

    /// Hangs up a bell, which is taken down once it answers false. It must be quick and must not call the engine.
    pub(crate) fn on_change(&self, bell: impl Fn() -> bool + Send + 'static) {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(bell));
    }

    /// What changed among the wanted kinds since the cursor, which moves on. The first call gives all objects.
    pub(crate) fn changes(&self, cursor: &mut Option<u64>, kinds: &[&str]) -> Vec<Seen> {
        self.api.with(|api, _| {
            let from = cursor.replace(api.revision());
            if let Some(events) = from.and_then(|from| api.changes_since(from)) {
                return events.iter().filter(|event| kinds.contains(&event.resource.kind)).filter_map(seen).collect();
            }
            let wanted = apiserver::RESOURCES.iter().filter(|resource| kinds.contains(&resource.kind));
            let objects = wanted.flat_map(|resource| api.objects(resource, ""));
            objects.filter_map(|object| Some(Seen::Is(Box::new(decode(&object)?)))).collect()
        })
    }
}

fn seen(event: &Event) -> Option<Seen> {
    let object = Box::new(decode(&event.object)?);
    Some(if event.kind == ChangeKind::Deleted { Seen::Gone(object) } else { Seen::Is(object) })
}

/// Objects are stored whole; what orchestrate-core does not know is carried along or left out.
fn decode(object: &Value) -> Option<Object> {
    Object::from_json(object.clone()).ok()
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}
