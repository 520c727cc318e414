//! `mini-docker`: reads the command line, does what it says, and ends with Docker's exit codes.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use mini_docker::cli::{Cli, Command};
use mini_docker::{Error, commands, outer};

fn main() -> ExitCode {
    // First of all, while there is one thread: an ordinary user's helpers and supervisors live in other namespaces.
    if let Some(code) = outer::helper() {
        return code;
    }
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output and is no failure.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(125) } else { ExitCode::SUCCESS };
        }
    };
    let otherwise = if matches!(cli.command, Command::Run(_) | Command::Supervise { .. }) { 125 } else { 1 };
    let done = outer::enter_if_needed(&mut cli).and_then(|outer| commands::carry_out(cli, outer));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            commands::tell(&error);
            ExitCode::from(exit_code(&error, otherwise))
        }
    }
}

/// 126 and 127 tell about the program in the container, whatever the command was.
fn exit_code(error: &Error, otherwise: u8) -> u8 {
    error.program_code().unwrap_or(otherwise)
}
