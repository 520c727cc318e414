//! Calls that end in a real container: the engine checks them, its owner carries them out.

use crate::path::Target;
use crate::request::{Method, Reply, Request};
use crate::server::ApiServer;
use crate::status::Status;
use crate::value::{at, list, text};

/// What is wanted of a pod's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodVerb {
    /// Its output.
    Log(LogOptions),
    /// A further process in it.
    Exec(ExecOptions),
    /// The streams of its own process.
    Attach(ExecOptions),
    /// A connection to one of its ports.
    PortForward(Vec<u16>),
}

/// Which part of a log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Keep sending what is added.
    pub follow: bool,
    /// The container's life before this one.
    pub previous: bool,
    /// Put the time before each line.
    pub timestamps: bool,
    /// Only so many lines from the end.
    pub tail_lines: Option<u64>,
    /// Nothing older than so many seconds.
    pub since_seconds: Option<i64>,
    /// At most so many bytes.
    pub limit_bytes: Option<u64>,
}

/// A process to start, or to attach to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// Program and arguments; empty for attach.
    pub command: Vec<String>,
    /// The client sends input.
    pub stdin: bool,
    /// The client wants output.
    pub stdout: bool,
    /// The client wants error output.
    pub stderr: bool,
    /// Through a terminal.
    pub tty: bool,
}

/// A checked call: pod and container exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodCall {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// The pod's uid.
    pub uid: String,
    /// Node that runs it.
    pub node: String,
    /// The container meant; empty for port forwarding.
    pub container: String,
    /// What is wanted.
    pub verb: PodVerb,
}

impl ApiServer {
    pub(crate) fn pod_call(&self, target: &Target, request: &Request) -> Result<Reply, Status> {
        if !matches!(request.method, Method::Get | Method::Post) {
            return Err(Status::method_not_allowed());
        }
        let pod = self.find(target)?;
        let verb = verb(target, request)?;
        let container = match verb {
            PodVerb::PortForward(_) => String::new(),
            _ => choose(pod, &target.name, request.param("container"))?,
        };
        let node = text(pod, &["spec", "nodeName"]);
        if node.is_empty() {
            let why = match verb {
                PodVerb::Log(_) => {
                    format!(
                        "container \"{container}\" in pod \"{}\" is waiting to start: ContainerCreating",
                        target.name
                    )
                }
                _ => format!("pod {} does not have a host assigned", target.name),
            };
            return Err(Status::bad_request(why));
        }
        // Said here, and not only by the node: kubectl shows the refusal of its second try, which is no WebSocket.
        if matches!(verb, PodVerb::Exec(_) | PodVerb::Attach(_)) && !is_running(pod, &container) {
            return Err(Status::bad_request(format!("container not found (\"{container}\")")));
        }
        Ok(Reply::Pod(Box::new(PodCall {
            namespace: target.namespace.clone(),
            pod: target.name.clone(),
            uid: text(pod, &["metadata", "uid"]).to_owned(),
            node: node.to_owned(),
            container,
            verb,
        })))
    }
}

fn is_running(pod: &serde_json::Value, container: &str) -> bool {
    let statuses = ["containerStatuses", "initContainerStatuses"].into_iter();
    let mut statuses = statuses.flat_map(|field| list(pod, &["status", field]));
    statuses.any(|status| text(status, &["name"]) == container && at(status, &["state", "running"]).is_some())
}

fn verb(target: &Target, request: &Request) -> Result<PodVerb, Status> {
    let streams = || ExecOptions {
        command: request.query.iter().filter(|(k, _)| k == "command").map(|(_, v)| v.clone()).collect(),
        stdin: request.is_set("stdin"),
        stdout: request.is_set("stdout"),
        stderr: request.is_set("stderr"),
        tty: request.is_set("tty"),
    };
    let unsigned = |key: &str| request.number(key).and_then(|n| u64::try_from(n).ok());
    Ok(match target.subresource.as_str() {
        "log" => PodVerb::Log(LogOptions {
            follow: request.is_set("follow"),
            previous: request.is_set("previous"),
            timestamps: request.is_set("timestamps"),
            tail_lines: unsigned("tailLines"),
            since_seconds: request.number("sinceSeconds"),
            limit_bytes: unsigned("limitBytes"),
        }),
        "exec" if streams().command.is_empty() => {
            return Err(Status::bad_request("you must specify at least one command for the container"));
        }
        "exec" => PodVerb::Exec(streams()),
        "attach" => PodVerb::Attach(streams()),
        _ => PodVerb::PortForward(
            request.query.iter().filter(|(k, _)| k == "ports").filter_map(|(_, v)| v.parse().ok()).collect(),
        ),
    })
}

/// The container that is meant when the client names one, or none.
fn choose(pod: &serde_json::Value, name: &str, wanted: &str) -> Result<String, Status> {
    let names = |field: &str| -> Vec<String> {
        list(pod, &["spec", field]).iter().map(|c| text(c, &["name"]).to_owned()).collect()
    };
    let (own, init) = (names("containers"), names("initContainers"));
    if !wanted.is_empty() {
        return match own.iter().chain(&init).find(|c| *c == wanted) {
            Some(found) => Ok(found.clone()),
            None => Err(Status::bad_request(format!("container {wanted} is not valid for pod {name}"))),
        };
    }
    let annotated = text(pod, &["metadata", "annotations", "kubectl.kubernetes.io/default-container"]);
    if own.iter().any(|c| c == annotated) {
        return Ok(annotated.to_owned());
    }
    match (own.as_slice(), init.is_empty()) {
        ([only], true) => Ok(only.clone()),
        (all, none) => {
            let mut why =
                format!("a container name must be specified for pod {name}, choose one of: [{}]", all.join(" "));
            if !none {
                why.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
            }
            Err(Status::bad_request(why))
        }
    }
}
