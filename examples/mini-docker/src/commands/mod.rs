//! What each command does: wiring between flags, the engine and what is printed.

mod attach;
mod containers;
mod cp;
mod exec;
mod images;
mod info;
mod inspect;
mod list;
mod logs;
mod obtain;
mod registry;
mod run;
mod show;
mod volume;

use std::io::Write;

use container_core::supervisor::chain;
use container_network::outer::OuterNamespace;

use crate::cli::{Cli, Command};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// Carries out a command line and gives the exit code.
///
/// `outer` is the namespace that this process has entered, if it has: it is held until the command is done.
///
/// # Errors
/// What could not be done; nothing is left of it.
pub fn carry_out(cli: Cli, outer: Option<OuterNamespace>) -> Result<u8> {
    let engine = Engine::open(cli.root)?;
    match cli.command {
        Command::Run(args) => run::run(&engine, &args),
        Command::Create(args) => run::create(&engine, &args),
        Command::Exec(args) => exec::exec(&engine, &args),
        Command::Ps(args) => list::ps(&engine, &args),
        Command::Logs(args) => logs::logs(&engine, &args),
        Command::Attach(args) => attach::attach(&engine, &args),
        Command::Start(args) => containers::start(&engine, &args),
        Command::Stop(args) => containers::stop(&engine, &args),
        Command::Restart(args) => containers::restart(&engine, &args.stop),
        Command::Kill(args) => containers::kill(&engine, &args),
        Command::Rm(args) => containers::rm(&engine, &args),
        Command::Pause(args) => containers::pause(&engine, &args, true),
        Command::Unpause(args) => containers::pause(&engine, &args, false),
        Command::Wait(args) => containers::wait(&engine, &args),
        Command::Rename(args) => containers::rename(&engine, &args),
        Command::Inspect(args) => inspect::inspect(&engine, &args),
        Command::Port(args) => show::port(&engine, &args),
        Command::Top(args) => show::top(&engine, &args),
        Command::Cp(args) => cp::cp(&engine, &args),
        Command::Images(args) => images::images(&engine, &args),
        Command::Pull(args) => registry::pull(&engine, &args),
        Command::Push(args) => registry::push(&engine, &args),
        Command::Tag(args) => images::tag(&engine, &args),
        Command::Rmi(args) => images::rmi(&engine, &args),
        Command::Login(args) => registry::login(&engine, &args),
        Command::Logout(args) => registry::logout(&engine, &args),
        Command::Volume(command) => volume::volume(&engine, &command),
        Command::Version => info::version(),
        Command::Info => info::info(&engine),
        Command::Supervise { id } => supervise(engine, outer, &id),
    }
}

fn supervise(engine: Engine, outer: Option<OuterNamespace>, id: &str) -> Result<u8> {
    let state = engine.state().clone();
    let wiring = crate::wiring::Wiring::new(engine, outer)?;
    let code = container_core::supervisor::main(&state, id, &wiring);
    Ok(u8::from(code != std::process::ExitCode::SUCCESS))
}

/// Prints a line, or fails when nobody reads any more.
pub(crate) fn say(line: &str) -> Result<()> {
    print(&format!("{line}\n"))
}

pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::io("write to", "standard output"))
}

/// Prints a failure in one line.
pub fn tell(error: &Error) {
    if !matches!(error, Error::Told) {
        // Nobody may be there to read it.
        let _ = writeln!(std::io::stderr(), "mini-docker: {}", chain(error));
    }
}

/// Does something to each of several, saying the name of each that worked; what fails does not keep the others back.
pub(crate) fn each(names: &[String], mut act: impl FnMut(&str) -> Result<()>) -> Result<u8> {
    let mut failed = false;
    for name in names {
        match act(name) {
            Ok(()) => {}
            Err(error) => {
                tell(&error);
                failed = true;
            }
        }
    }
    if failed { Err(Error::Told) } else { Ok(0) }
}
