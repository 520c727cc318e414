//! The command line as it is typed: flags and words, no meaning yet.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  mini-cluster demo                                   the whole story, observed and summed up
  mini-cluster up -d --nodes 3                        a cluster in the background
  mini-cluster apply -f examples/mini-cluster/manifests/web.yaml
  mini-cluster get pods -o wide -w
  mini-cluster set image deployment/web app=my-app:1.1.0
  mini-cluster rollout status deployment/web
  mini-cluster exec -it web-5d4f8c7b9-x2x7q -- sh
  mini-cluster down";

/// A Kubernetes cluster of real containers in one process.
#[derive(Debug, Parser)]
#[command(name = "mini-cluster", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// Folder for all state (default: /var/lib/mini-cluster, or ~/.local/state/mini-cluster).
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Namespace of the objects.
    #[arg(short, long, global = true, default_value = "default")]
    pub(crate) namespace: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts a cluster and stays in the foreground until Ctrl-C.
    Up(Up),
    /// Ends the running cluster and everything in it.
    Down,
    /// Shows the classic examples with real containers, ends with a summary of what was observed.
    Demo(Demo),
    /// Creates or changes the objects of a manifest (YAML or JSON, several documents).
    Apply(FileArgs),
    /// Lists objects: pods, deployments, replicasets, services, endpointslices, nodes, events, ...
    Get(Get),
    /// Shows one or more objects with their events.
    Describe(Named),
    /// Prints what a container wrote.
    Logs(Logs),
    /// Runs a command in a container.
    Exec(Exec),
    /// Deletes objects by name or by manifest.
    Delete(Delete),
    /// Sets the number of replicas.
    Scale(Scale),
    /// Changes a field of an object.
    #[command(subcommand)]
    Set(Set),
    /// Follows or reverts the rollout of a deployment.
    #[command(subcommand)]
    Rollout(Rollout),
    /// Switches a node off or on, as its power button would.
    Power(Power),
    /// The demo application; runs inside containers.
    #[command(name = "__app", hide = true)]
    App(crate::app::Options),
    /// Half-way into the namespaces.
    #[command(name = "__enter", hide = true)]
    Enter(Inner),
    /// The inside half, process 1 of its namespaces.
    #[command(name = "__inside", hide = true)]
    Inside(Inner),
}

/// Arguments of `up`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Up {
    /// Goes to the background once the cluster is ready.
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Number of nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) nodes: u16,
    /// Says "ready" on standard output once it is; used by --detach.
    #[arg(long, hide = true)]
    pub(crate) announce: bool,
}

/// Arguments of `demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Demo {
    /// Leaves the cluster running in the foreground and prints what to try next.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Shows only the first steps.
    #[arg(long, hide = true)]
    pub(crate) quick: bool,
}

/// What the two inner processes are told by their parent.
#[derive(Debug, Clone, Args)]
pub(crate) struct Inner {
    #[arg(long)]
    pub(crate) nodes: u16,
    /// The host's port that leads to the guarded API socket.
    #[arg(long)]
    pub(crate) api_port: u16,
    /// The demo's node grace period, in milliseconds.
    #[arg(long)]
    pub(crate) grace_ms: Option<u64>,
    /// The process that must be the parent.
    #[arg(long)]
    pub(crate) parent: Option<i32>,
}

/// A manifest.
#[derive(Debug, Clone, Args)]
pub(crate) struct FileArgs {
    /// Manifest file, or - for standard input.
    #[arg(short, long, value_name = "FILE", required = true)]
    pub(crate) filename: Vec<PathBuf>,
}

/// Output formats of `get`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// More columns.
    Wide,
    /// The objects as JSON.
    Json,
    /// The objects as YAML.
    Yaml,
    /// Only kind and name.
    Name,
}

/// Arguments of `get`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Get {
    /// Kinds, separated by commas, then names; or kind/name.
    #[arg(required = true)]
    pub(crate) what: Vec<String>,
    /// Output format.
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<Output>,
    /// Goes on printing changes.
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Label selector, as `app=web`.
    #[arg(short = 'l', long)]
    pub(crate) selector: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
}

/// A kind and names.
#[derive(Debug, Clone, Args)]
pub(crate) struct Named {
    /// A kind and names, or kind/name.
    #[arg(required = true)]
    pub(crate) what: Vec<String>,
}

/// Arguments of `logs`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Logs {
    /// Pod, as NAME or pod/NAME.
    pub(crate) pod: String,
    /// Container.
    #[arg(short, long)]
    pub(crate) container: Option<String>,
    /// Goes on printing what is written.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The run before the present one.
    #[arg(short, long)]
    pub(crate) previous: bool,
    /// Only the last lines.
    #[arg(long)]
    pub(crate) tail: Option<u64>,
}

/// Arguments of `exec`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Exec {
    /// Pod, as NAME or pod/NAME.
    pub(crate) pod: String,
    /// Container.
    #[arg(short, long)]
    pub(crate) container: Option<String>,
    /// Passes standard input.
    #[arg(short = 'i', long)]
    pub(crate) stdin: bool,
    /// Makes it a terminal.
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Command and arguments, after --.
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}

/// Arguments of `delete`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Delete {
    /// A kind and names, or kind/name.
    #[arg(required_unless_present = "filename", conflicts_with = "filename")]
    pub(crate) what: Vec<String>,
    /// Manifest file, or - for standard input.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) filename: Vec<PathBuf>,
    /// Seconds that containers get to end.
    #[arg(long)]
    pub(crate) grace_period: Option<u64>,
    /// Returns without waiting for the objects to be gone.
    #[arg(long, num_args = 0..=1, default_value_t = true, default_missing_value = "true")]
    pub(crate) wait: bool,
}

/// Arguments of `scale`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Scale {
    /// As deployment/NAME.
    #[arg(required = true)]
    pub(crate) what: Vec<String>,
    /// The new number.
    #[arg(long)]
    pub(crate) replicas: u32,
}

/// What `set` sets.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Set {
    /// Changes images of a deployment's containers.
    Image {
        /// As deployment/NAME.
        what: String,
        /// As CONTAINER=IMAGE.
        #[arg(required = true)]
        images: Vec<String>,
    },
}

/// What `rollout` does.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Rollout {
    /// Waits until the rollout is done or has failed.
    Status {
        /// As deployment/NAME.
        what: String,
        /// Gives up after this many seconds.
        #[arg(long)]
        timeout: Option<u64>,
    },
    /// Goes back to the revision before.
    Undo {
        /// As deployment/NAME.
        what: String,
        /// The revision to go back to.
        #[arg(long)]
        to_revision: Option<u64>,
    },
    /// Lists the revisions.
    History {
        /// As deployment/NAME.
        what: String,
    },
    /// Replaces all pods, step by step.
    Restart {
        /// As deployment/NAME.
        what: String,
    },
}

/// Arguments of `power`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Power {
    /// Which way.
    pub(crate) switch: Switch,
    /// The node.
    pub(crate) node: String,
}

/// A power button's two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// Containers are killed and links cut at once; the agent falls silent.
    Off,
    /// The agent starts again, with nothing running.
    On,
}
