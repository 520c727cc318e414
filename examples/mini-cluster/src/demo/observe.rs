//! What the demo sees of the cluster: objects read through the API, as small plain values.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::state::Root;

/// How often an effect is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// One pod of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) node: String,
    pub(super) ip: String,
    pub(super) ready: bool,
    pub(super) deleting: bool,
    pub(super) restarts: i64,
    /// Image of the first container, as the spec has it.
    pub(super) image: String,
    /// Why a container waits, such as `ImagePullBackOff`.
    pub(super) waiting: String,
}

impl Pod {
    fn read(object: &Value) -> Self {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let statuses = object.pointer("/status/containerStatuses").and_then(Value::as_array);
        let restarts = statuses.into_iter().flatten().filter_map(|status| status.get("restartCount")?.as_i64()).sum();
        Self {
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
            node: text("/spec/nodeName"),
            ip: text("/status/podIP"),
            ready: condition(object, "Ready"),
            deleting: object.pointer("/metadata/deletionTimestamp").is_some(),
            restarts,
            image: text("/spec/containers/0/image"),
            waiting: text("/status/containerStatuses/0/state/waiting/reason"),
        }
    }

    /// Ready and not about to go.
    pub(super) fn serves(&self) -> bool {
        self.ready && !self.deleting
    }
}

/// Whether a condition of this type is `True`.
pub(super) fn condition(object: &Value, kind: &str) -> bool {
    condition_of(object, kind).is_some_and(|condition| condition.get("status").and_then(Value::as_str) == Some("True"))
}

/// A condition by its type.
pub(super) fn condition_of<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
}

/// Reads the cluster.
#[derive(Debug)]
pub(super) struct Observer {
    pub(super) client: Client,
}

impl Observer {
    pub(super) fn new(root: &Root) -> Result<Self> {
        Ok(Self { client: Client::new(root)? })
    }

    /// The pods with the label `app`, by name.
    pub(super) fn pods(&self, app: &str) -> Result<Vec<Pod>> {
        let list = self.client.get(&format!("/api/v1/namespaces/default/pods?labelSelector=app%3D{app}"))?;
        let mut pods: Vec<Pod> = items(&list).iter().map(Pod::read).collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pods)
    }

    /// A deployment.
    pub(super) fn deployment(&self, name: &str) -> Result<Value> {
        self.client.get(&format!("/apis/apps/v1/namespaces/default/deployments/{name}"))
    }

    /// Names of the nodes that are `Ready`.
    pub(super) fn ready_nodes(&self) -> Result<BTreeSet<String>> {
        let list = self.client.get("/api/v1/nodes")?;
        let ready = items(&list).iter().filter(|node| condition(node, "Ready"));
        Ok(ready.filter_map(|node| Some(node.pointer("/metadata/name")?.as_str()?.to_owned())).collect())
    }

    /// Looks again and again until `see` finds what it wants.
    pub(super) fn eventually<T>(
        &self,
        what: &str,
        limit: Duration,
        mut see: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(seen) = see(self)? {
                return Ok(seen);
            }
            if Instant::now() > deadline {
                let pods = self.pods("web").unwrap_or_default();
                let seen: Vec<String> = pods.iter().map(Pod::to_string).collect();
                let what = format!("{what} within {} s; pods: {}", limit.as_secs(), seen.join(", "));
                return Err(Error::Demo { what });
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until exactly `count` pods of `web` serve and no other is left.
    pub(super) fn settled(&self, count: usize, limit: Duration) -> Result<Vec<Pod>> {
        self.eventually(&format!("{count} pods ready and no other"), limit, |this| {
            let pods = this.pods("web")?;
            Ok((pods.len() == count && pods.iter().all(Pod::serves)).then_some(pods))
        })
    }
}

impl std::fmt::Display for Pod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, node, ready, deleting, waiting, .. } = self;
        write!(
            f,
            "{name} on {node} (ready: {ready}, deleting: {deleting}{}{waiting})",
            if waiting.is_empty() { "" } else { ", " }
        )
    }
}

/// The items of a list.
pub(super) fn items(list: &Value) -> &[Value] {
    list.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

const WEB_PODS: &str = "/api/v1/namespaces/default/pods?labelSelector=app%3Dweb";

/// Follows all pods of `web` while something else happens and keeps the least number that served at any moment.
#[derive(Debug)]
pub(super) struct LeastServing {
    least: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl LeastServing {
    /// Starts from the pods of this moment; every later change counts.
    pub(super) fn follow(root: &Root) -> Result<Self> {
        let client = Client::new(root)?;
        let list = client.get(WEB_PODS)?;
        let pods = items(&list).iter().map(Pod::read);
        let mut serving: BTreeMap<String, bool> = pods.map(|pod| (pod.name.clone(), pod.serves())).collect();
        let count = |serving: &BTreeMap<String, bool>| serving.values().filter(|serves| **serves).count();
        let this = Self { least: Arc::new(AtomicUsize::new(count(&serving))), stop: Arc::default() };
        let (least, stop) = (Arc::clone(&this.least), Arc::clone(&this.stop));
        let version = list.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or("0");
        let path = format!("{WEB_PODS}&watch=true&resourceVersion={version}");
        // The thread ends with the first change after `end`, or with the cluster.
        std::thread::spawn(move || {
            client.watch(&path, "application/json", |event| {
                let pod = Pod::read(&event["object"]);
                serving.insert(pod.name.clone(), event["type"] != "DELETED" && pod.serves());
                if stop.load(Ordering::SeqCst) {
                    return ControlFlow::Break(());
                }
                least.fetch_min(count(&serving), Ordering::SeqCst);
                ControlFlow::Continue(())
            })
        });
        Ok(this)
    }

    /// Ends it; the least number.
    pub(super) fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.least.load(Ordering::SeqCst)
    }
}
