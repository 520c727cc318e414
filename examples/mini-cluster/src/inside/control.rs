//! The control loop under the wall clock: the pure control plane steps whenever something changed or is due.
//!
//! Also the one desk where node agents hand in what they have to say: events, and the statuses of their pods.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use apiserver::Request;
use apiserver::control::ControlPlane;
use orchestrate_core::action::Note;
use orchestrate_core::controllers::Policy;
use orchestrate_core::objects::{Pod, PodStatus};
use orchestrate_core::{Object, Resource as _, World};
use serde_json::{Value, json};

use super::hub::Hub;
use crate::node::clock;

/// The control plane and what wakes it.
pub(crate) struct Control {
    hub: Hub,
    plane: Mutex<ControlPlane>,
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Control {
    /// Starts the loop.
    pub(crate) fn start(hub: &Hub, policy: Policy) -> std::io::Result<Arc<Self>> {
        let this = Arc::new(Self {
            hub: hub.clone(),
            plane: Mutex::new(ControlPlane::new(policy)),
            rung: Mutex::new(true),
            bell: Condvar::new(),
        });
        let ringer = Arc::clone(&this);
        hub.on_change(move || {
            *lock(&ringer.rung) = true;
            ringer.bell.notify_one();
            true
        });
        let control = Arc::clone(&this);
        std::thread::Builder::new().name("control".into()).spawn(move || control.run())?;
        Ok(this)
    }

    fn run(&self) {
        loop {
            *lock(&self.rung) = false;
            let wake = {
                let mut plane = lock(&self.plane);
                self.hub.api().with(|api, now| plane.step(api, now)).wake
            };
            let rung = lock(&self.rung);
            let pause =
                wake.map_or(std::time::Duration::from_secs(3600), |at| clock::until(orchestrate_core::Time(at)));
            // What changed during the step rang the bell again, perhaps for our own changes: one more step finds out.
            let _unused = self.bell.wait_timeout_while(rung, pause, |rung| !*rung);
        }
    }

    /// Looks at the world of this moment.
    pub(crate) fn world<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        let mut plane = lock(&self.plane);
        self.hub.api().with(|api, _| plane.observe(api));
        look(plane.world())
    }

    /// Makes an Event of a note, or counts up the one that says the same.
    pub(crate) fn record(&self, note: &Note) {
        let mut plane = lock(&self.plane);
        // An event about something that is gone is nobody's loss.
        let _ = self.hub.api().with(|api, now| plane.record(api, now, note));
    }

    /// Replaces a pod's status, if the pod is still the same one; `pod` is then as the API has it.
    pub(crate) fn report(&self, pod: &mut Pod, status: &PodStatus) {
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        let Some(resource) = apiserver::of_kind("v1", "Pod") else { return };
        let answer = self.hub.api().with(|api, now| {
            let current = api.object(resource, namespace, name)?;
            let mut body = Value::clone(&*current);
            body["metadata"]["uid"] = json!(pod.metadata.uid);
            body["status"] = serde_json::to_value(status).ok()?;
            let request = Request::put(format!("{}/status", resource.object(namespace, name)), body);
            api.handle(now, &request).into_result().ok()
        });
        if let Some(stored) = answer.and_then(|stored| Object::from_json(stored).ok()).and_then(Pod::from_object) {
            *pod = stored;
        }
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
