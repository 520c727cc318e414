//! The commands: each one is a client of the running cluster's API, except those that start and end it.

/// Prints a line. Nobody reads on (`| head`): then there is nothing more to do, and no reason to panic.
macro_rules! say {
    ($($text:tt)*) => { say_raw!("{}\n", format_args!($($text)*)) };
}

/// Prints as it is, like [`say!`].
macro_rules! say_raw {
    ($($text:tt)*) => {
        if std::io::Write::write_fmt(&mut std::io::stdout(), format_args!($($text)*)).is_err() {
            std::process::exit(141);
        }
    };
}

mod apply;
mod args;
mod change;
mod describe;
mod exec;
mod get;
mod kinds;
mod logs;
mod rollout;
mod up;

use std::process::ExitCode;

pub(crate) use apply::{apply_in, apply_text};
pub use args::Cli;
use args::{Command, Switch};
pub(crate) use args::{Demo, Inner, Up};
pub(crate) use up::welcome;

use crate::client::Client;
use crate::error::Result;
use crate::outside::{Order, send_order};
use crate::state::Root;

/// Carries out what was typed.
///
/// # Errors
/// Whatever stopped it, for the user to read.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let root = Root::choose(cli.root.as_deref())?;
    match cli.command {
        Command::App(options) => {
            crate::app::main(&options).map_err(|source| crate::Error::system("serve", source))?;
        }
        Command::Enter(inner) => return crate::enter::enter(&root, &inner),
        Command::Inside(inner) => return crate::inside::main(&root, &inner),
        Command::Up(up) => up::up(&root, &up)?,
        Command::Down => send_order(&root, &Order::Down)?,
        Command::Power(power) => {
            let order = Order::Power { node: power.node, on: power.switch == Switch::On };
            send_order(&root, &order)?;
        }
        Command::Demo(demo) => crate::demo::run(cli.root.is_some().then_some(root), &demo)?,
        other => return client_command(&Client::new(&root)?, &cli.namespace, other),
    }
    Ok(ExitCode::SUCCESS)
}

fn client_command(client: &Client, namespace: &str, command: Command) -> Result<ExitCode> {
    match command {
        Command::Apply(files) => {
            for file in &files.filename {
                let (source, text) = apply::read(file)?;
                for line in apply_in(client, namespace, &source, &text)? {
                    say!("{line}");
                }
            }
        }
        Command::Get(get) => get::get(client, namespace, &get)?,
        Command::Describe(named) => describe::describe(client, namespace, &named.what)?,
        Command::Logs(logs) => logs::logs(client, namespace, &logs)?,
        Command::Delete(delete) => change::delete(client, namespace, &delete)?,
        Command::Scale(scale) => change::scale(client, namespace, &scale)?,
        Command::Set(args::Set::Image { what, images }) => change::set_image(client, namespace, &what, &images)?,
        Command::Rollout(rollout) => rollout::rollout(client, namespace, &rollout)?,
        Command::Exec(exec) => return exec::exec(client, namespace, &exec),
        // The others do not speak to a running cluster and were carried out above.
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Goes back to the revision before, in the default namespace.
pub(crate) fn undo(client: &Client, deployment: &str, to: Option<u64>) -> Result<()> {
    rollout::undo_in(client, "default", deployment, to)
}
