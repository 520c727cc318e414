//! The command `mini-cluster`: parse, run, print the error.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match mini_cluster::run(mini_cluster::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mini-cluster: {}", error.report());
            ExitCode::FAILURE
        }
    }
}
