//! Commands about containers that exist.

use clap::Args;

/// One or more containers.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct ContainerNames {
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `exec`
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mini-docker exec -it web sh\n  mini-docker exec -e LEVEL=debug -w /srv web ./report\n  \
                  mini-docker exec -d web touch /tmp/done"
)]
pub struct ExecArgs {
    /// Detached mode: run command in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q", hide_default_value = true)]
    pub detach_keys: String,
    /// Set environment variables
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<std::path::PathBuf>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    pub interactive: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    pub tty: bool,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(short, long)]
    pub user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// The container, then the command and its arguments
    #[arg(value_name = "CONTAINER COMMAND [ARG...]", required = true, num_args = 2.., trailing_var_arg = true)]
    pub container_and_command: Vec<String>,
}

/// `ps`
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mini-docker ps -a\n  mini-docker ps -q --filter status=exited\n  mini-docker ps \
                  --format '{{.Names}}\\t{{.Status}}'"
)]
pub struct PsArgs {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    pub all: bool,
    /// Filter output: id, name, status, label, ancestor, exited
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Format output: table, json or a template such as '{{.Names}}'
    #[arg(long)]
    pub format: Option<String>,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, value_name = "N")]
    pub last: Option<usize>,
    /// Show the latest created container (includes all states)
    #[arg(short, long)]
    pub latest: bool,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    pub quiet: bool,
}

/// `logs`
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mini-docker logs -f --tail 20 web\n  mini-docker logs -t --since 10m web"
)]
pub struct LogsArgs {
    /// Follow log output
    #[arg(short, long)]
    pub follow: bool,
    /// Show logs since timestamp (2013-01-02T13:23:37Z) or relative (42m)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Number of lines to show from the end of the logs
    #[arg(short = 'n', long, value_name = "N", default_value = "all", allow_hyphen_values = true)]
    pub tail: String,
    /// Show timestamps
    #[arg(short, long)]
    pub timestamps: bool,
    /// Show logs before a timestamp (2013-01-02T13:23:37Z) or relative (42m)
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `attach`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct AttachArgs {
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q", hide_default_value = true)]
    pub detach_keys: String,
    /// Do not attach STDIN
    #[arg(long)]
    pub no_stdin: bool,
    /// Proxy received signals to the process
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true",
          require_equals = true, action = clap::ArgAction::Set)]
    pub sig_proxy: bool,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `start`
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mini-docker start web\n  mini-docker start -ai shell\n  mini-docker start \
                  --all-by-policy   (after a reboot: see mini-docker.service)"
)]
pub struct StartArgs {
    /// Start all containers whose restart policy wants them running
    #[arg(long, conflicts_with_all = ["attach", "interactive", "containers"])]
    pub all_by_policy: bool,
    /// Attach STDOUT/STDERR and forward signals
    #[arg(short, long)]
    pub attach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q", hide_default_value = true)]
    pub detach_keys: String,
    /// Attach container's STDIN
    #[arg(short, long)]
    pub interactive: bool,
    /// Names or ids
    #[arg(value_name = "CONTAINER", required_unless_present = "all_by_policy")]
    pub containers: Vec<String>,
}

/// `stop`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct StopArgs {
    /// Signal to send to the container
    #[arg(short, long)]
    pub signal: Option<String>,
    /// Seconds to wait before killing the container
    #[arg(short = 't', long, visible_alias = "time", value_name = "SECONDS", allow_hyphen_values = true)]
    pub timeout: Option<i64>,
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `restart`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct RestartArgs {
    /// As for `stop`.
    #[command(flatten)]
    pub stop: StopArgs,
}

/// `kill`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct KillArgs {
    /// Signal to send to the container
    #[arg(short, long, default_value = "KILL")]
    pub signal: String,
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `rm`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct RmArgs {
    /// Force the removal of a running container (uses SIGKILL)
    #[arg(short, long)]
    pub force: bool,
    /// Remove anonymous volumes associated with the container
    #[arg(short, long)]
    pub volumes: bool,
    /// Names or ids
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// `rename`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct RenameArgs {
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// The new name
    #[arg(value_name = "NEW_NAME")]
    pub name: String,
}

/// `inspect`
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mini-docker inspect web\n  mini-docker inspect -f '{{.NetworkSettings.IPAddress}}' web"
)]
pub struct InspectArgs {
    /// Format output: json or a template such as '{{.State.Status}}'
    #[arg(short, long)]
    pub format: Option<String>,
    /// Only inspect objects of the given type (container or image)
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Names or ids
    #[arg(value_name = "NAME|ID", required = true)]
    pub names: Vec<String>,
}

/// `port`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct PortArgs {
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Only this port of the container
    #[arg(value_name = "PRIVATE_PORT[/PROTO]")]
    pub port: Option<String>,
}

/// `top`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct TopArgs {
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `cp`
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  mini-docker cp ./site web:/srv\n  mini-docker cp web:/var/log/app.log .\n  mini-docker \
                  cp web:/etc - | tar t\n\nUse '-' as the source to read a tar archive from stdin, and as the \
                  destination to write one to stdout."
)]
pub struct CpArgs {
    /// Archive mode (copy all uid/gid information)
    #[arg(short, long)]
    pub archive: bool,
    /// Always follow symbol link in SRC_PATH
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Suppress progress output during copy
    #[arg(short, long)]
    pub quiet: bool,
    /// CONTAINER:PATH, a local path, or -
    #[arg(value_name = "SRC", allow_hyphen_values = true)]
    pub source: String,
    /// A local path, CONTAINER:PATH, or -
    #[arg(value_name = "DEST", allow_hyphen_values = true)]
    pub destination: String,
}
