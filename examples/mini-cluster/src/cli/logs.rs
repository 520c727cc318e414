//! `logs`: what a container wrote, from the API.

use std::io::Write;
use std::ops::ControlFlow;

use super::args::Logs;
use super::kinds;
use crate::client::Client;
use crate::error::Result;

pub(super) fn logs(client: &Client, namespace: &str, logs: &Logs) -> Result<()> {
    let name = match logs.pod.contains('/') {
        true => kinds::one(&logs.pod)?.name.unwrap_or_default(),
        false => logs.pod.clone(),
    };
    let mut query = Vec::new();
    if let Some(container) = &logs.container {
        query.push(format!("container={}", apiserver::encode(container)));
    }
    for (set, name) in [(logs.follow, "follow"), (logs.previous, "previous")] {
        if set {
            query.push(format!("{name}=true"));
        }
    }
    if let Some(lines) = logs.tail {
        query.push(format!("tailLines={lines}"));
    }
    let path = format!("{}/log?{}", kinds::path(kinds::kind("pods")?, namespace, &name), query.join("&"));
    let mut out = std::io::stdout().lock();
    client.text(&path, |bytes| match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    })
}
