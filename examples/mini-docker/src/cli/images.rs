//! Commands about images and registries.

use clap::Args;

/// `images`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct ImagesArgs {
    /// Show digests
    #[arg(long)]
    pub digests: bool,
    /// Format output: table, json or a template such as '{{.Repository}}:{{.Tag}}'
    #[arg(long)]
    pub format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    pub quiet: bool,
    /// Only images of this name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub repository: Option<String>,
}

/// `pull`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct PullArgs {
    /// Set platform if the image has several
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    pub quiet: bool,
    /// The image
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    pub image: String,
}

/// `push`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct PushArgs {
    /// Suppress verbose output
    #[arg(short, long)]
    pub quiet: bool,
    /// The image
    #[arg(value_name = "NAME[:TAG]")]
    pub image: String,
}

/// `tag`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct TagArgs {
    /// The image, by name or id
    #[arg(value_name = "SOURCE_IMAGE[:TAG]")]
    pub source: String,
    /// The new name
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    pub target: String,
}

/// `rmi`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct RmiArgs {
    /// Force removal of the image
    #[arg(short, long)]
    pub force: bool,
    /// The images, by name or id
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// `login`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct LoginArgs {
    /// Password
    #[arg(short, long)]
    pub password: Option<String>,
    /// Take the password from stdin
    #[arg(long, conflicts_with = "password")]
    pub password_stdin: bool,
    /// Username
    #[arg(short, long)]
    pub username: Option<String>,
    /// The registry
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
}

/// `logout`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct LogoutArgs {
    /// The registry
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
}
