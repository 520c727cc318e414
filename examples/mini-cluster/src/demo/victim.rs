//! Finds the process of a pod among the descendants of the cluster, as anyone on the machine could, and kills it.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Error, Result};

/// Sends SIGKILL to the application of a pod; returns its process id.
pub(super) fn kill_nine(cluster: u32, pod: &str) -> Result<i32> {
    let wanted = format!("POD_NAME={pod}");
    let mut todo = vec![i32::try_from(cluster).unwrap_or(i32::MAX)];
    while let Some(pid) = todo.pop() {
        if environment(pid).contains(&wanted) {
            kill(Pid::from_raw(pid), Signal::SIGKILL)
                .map_err(|errno| Error::system(format!("kill process {pid} of pod {pod}"), errno))?;
            return Ok(pid);
        }
        todo.extend(children(pid));
    }
    Err(Error::Demo { what: format!("no process of pod {pod} was found") })
}

fn environment(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect()
}

fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}
