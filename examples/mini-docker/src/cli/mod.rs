//! The command line: what may be said, in Docker's words. Meaning is given to it elsewhere.

mod containers;
mod images;
mod run;

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

pub use containers::{
    AttachArgs, ContainerNames, CpArgs, ExecArgs, InspectArgs, KillArgs, LogsArgs, PortArgs, PsArgs, RenameArgs,
    RestartArgs, RmArgs, StartArgs, StopArgs, TopArgs,
};
pub use images::{ImagesArgs, LoginArgs, LogoutArgs, PullArgs, PushArgs, RmiArgs, TagArgs};
pub use run::{CreateArgs, CreateFlags, PullWhen, RunArgs};

/// Docker's sentences without a daemon.
#[derive(Debug, Parser)]
#[command(
    name = "mini-docker",
    version,
    disable_help_flag = true,
    disable_help_subcommand = true,
    propagate_version = false,
    after_help = "Examples:\n  mini-docker run --rm -it base sh\n  mini-docker run -d -p 8080:80 --name web my-app:1.0.0\n  \
                  mini-docker logs -f web\n  mini-docker exec -it web sh\n  mini-docker rm -f web"
)]
pub struct Cli {
    /// Folder of all state: containers, images, networks
    #[arg(long, env = "MINI_DOCKER_ROOT", value_name = "DIR", global = true)]
    pub root: Option<PathBuf>,
    /// Print usage
    #[arg(long, action = ArgAction::Help, global = true)]
    pub help: Option<bool>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[command(disable_help_flag = true)]
pub enum Command {
    /// Create and run a new container from an image
    Run(Box<RunArgs>),
    /// Create a new container
    Create(Box<CreateArgs>),
    /// Execute a command in a running container
    Exec(ExecArgs),
    /// List containers
    #[command(visible_alias = "ls")]
    Ps(PsArgs),
    /// Fetch the logs of a container
    Logs(LogsArgs),
    /// Attach local standard input, output, and error streams to a running container
    Attach(AttachArgs),
    /// Start one or more stopped containers
    Start(StartArgs),
    /// Stop one or more running containers
    Stop(StopArgs),
    /// Restart one or more containers
    Restart(RestartArgs),
    /// Kill one or more running containers
    Kill(KillArgs),
    /// Remove one or more containers
    Rm(RmArgs),
    /// Pause all processes within one or more containers
    Pause(ContainerNames),
    /// Unpause all processes within one or more containers
    Unpause(ContainerNames),
    /// Block until one or more containers stop, then print their exit codes
    Wait(ContainerNames),
    /// Rename a container
    Rename(RenameArgs),
    /// Return low-level information on containers and images
    Inspect(InspectArgs),
    /// List port mappings or a specific mapping for the container
    Port(PortArgs),
    /// Display the running processes of a container
    Top(TopArgs),
    /// Copy files/folders between a container and the local filesystem
    Cp(CpArgs),
    /// List images
    Images(ImagesArgs),
    /// Download an image from a registry
    Pull(PullArgs),
    /// Upload an image to a registry
    Push(PushArgs),
    /// Create a tag that refers to an image
    Tag(TagArgs),
    /// Remove one or more images
    Rmi(RmiArgs),
    /// Authenticate to a registry
    Login(LoginArgs),
    /// Log out from a registry
    Logout(LogoutArgs),
    /// Manage volumes
    #[command(subcommand)]
    Volume(VolumeCommand),
    /// Show the version information
    Version,
    /// Display system-wide information
    Info,
    /// Watch one container (how the program starts itself for a detached container)
    #[command(hide = true)]
    Supervise {
        /// The container's id.
        id: String,
    },
}

/// What can be done to volumes.
#[derive(Debug, Subcommand)]
#[command(disable_help_flag = true)]
pub enum VolumeCommand {
    /// Create a volume
    Create {
        /// Its name
        name: String,
    },
    /// List volumes
    Ls {
        /// Only display volume names
        #[arg(short, long)]
        quiet: bool,
    },
    /// Remove one or more volumes
    Rm {
        /// Their names
        #[arg(value_name = "VOLUME", required = true)]
        names: Vec<String>,
    },
}
