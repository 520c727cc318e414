//! Notes become Events; a note that is said again only counts up.

use std::collections::BTreeMap;

use orchestrate_core::action::Note;
use orchestrate_core::controllers::fnv32a;
use serde_json::{Value, json};

use crate::resource::kind;
use crate::time::{Millis, rfc3339};
use crate::value::int;
use crate::{ApiServer, PatchKind, Request, Status};

/// How long an event is kept after it was last seen, as upstream.
const KEPT: Millis = 3_600_000;

/// Remembers which Event says what.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    /// Hash of what is said → namespace, name and when it was last said.
    said: BTreeMap<String, (String, String, Millis)>,
}

impl Recorder {
    pub(super) fn record(&mut self, api: &mut ApiServer, now: Millis, note: &Note) -> Result<(), Status> {
        self.expire(api, now);
        let about = &note.about;
        let text = format!("{}/{}/{}/{}", about.uid, note.component, note.reason, note.message);
        let namespace = if about.namespace.is_empty() { "default" } else { &about.namespace };
        let events = kind("Event");
        if let Some((namespace, name, last)) = self.said.get_mut(&text)
            && let Some(event) = api.object(events, namespace, name)
        {
            *last = now;
            let patch = json!({ "count": int(&event, &["count"]) + 1, "lastTimestamp": rfc3339(now) });
            let request = Request::patch(events.object(namespace, name), PatchKind::Merge, patch);
            return api.handle(now, &request).into_result().map(drop);
        }
        let name = format!("{}.{:08x}{:08x}", about.name, now & 0xffff_ffff, fnv32a(text.as_bytes()));
        let request = Request::post(events.collection(namespace), event(note, namespace, &name, now));
        api.handle(now, &request).into_result()?;
        self.said.insert(text, (namespace.to_owned(), name, now));
        Ok(())
    }

    /// Deletes events that nobody repeated for an hour.
    fn expire(&mut self, api: &mut ApiServer, now: Millis) {
        let old = self.said.iter().filter(|(_, (_, _, last))| now - last > KEPT);
        let old: Vec<String> = old.map(|(text, _)| text.clone()).collect();
        for text in old {
            if let Some((namespace, name, _)) = self.said.remove(&text) {
                // Gone already is as good.
                let _ = api.handle(now, &Request::delete(kind("Event").object(&namespace, &name)));
            }
        }
    }
}

fn event(note: &Note, namespace: &str, name: &str, now: Millis) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": { "name": name, "namespace": namespace },
        "involvedObject": note.about,
        "reason": note.reason,
        "message": note.message,
        "type": if note.warning { "Warning" } else { "Normal" },
        "count": 1,
        "firstTimestamp": rfc3339(now),
        "lastTimestamp": rfc3339(now),
        "source": { "component": note.component },
        "reportingComponent": note.component,
        "reportingInstance": "",
    })
}
