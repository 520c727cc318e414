//! The other processes of the cases: this program again, with a role in its environment.

use std::process::{Command, ExitCode};

use image_store::{LayerEntry, PullOptions, Registry, Store, base};

use crate::util::{chain, name};

/// The variable that makes this program a child.
pub(crate) const ROLE: &str = "IMAGE_STORE_TEST_ROLE";

/// This program in the given role.
pub(crate) fn command(role: &str) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(ROLE, role);
    Ok(command)
}

/// Plays a role; words after the first are its arguments.
pub(crate) fn play(role: &str) -> ExitCode {
    let words: Vec<&str> = role.split(' ').collect();
    let outcome = match words[..] {
        ["write", root] => write_for_ever(root),
        ["pull", root, image, user, password] => pull(root, image, user, password),
        ["base", root] => unpack_base(root),
        _ => return ExitCode::from(2),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Builds, names, unpacks and removes images until it is killed.
fn write_for_ever(root: &str) -> image_store::Result<()> {
    for round in 0_u64.. {
        let store = Store::open(root)?;
        let base = store.resolve("base:latest")?;
        let content = format!("{round}").repeat(10_000);
        let file = LayerEntry::file("/srv/file", 0o644, content);
        let image = store.build_layer(&base, &[file], |_| {}, &name(&format!("round:{}", round % 3)))?;
        store.unpack(&image)?;
        store.prune()?;
    }
    Ok(())
}

fn pull(root: &str, image: &str, user: &str, password: &str) -> image_store::Result<()> {
    let store = Store::open(root)?;
    let registry = Registry::new().credential(user, password);
    let pulled = store.pull(&registry, &name(image), &PullOptions::default())?;
    store.unpack(&pulled.image).map(drop)
}

fn unpack_base(root: &str) -> image_store::Result<()> {
    let store = Store::open(root)?;
    let snapshot = store.unpack(&base::ensure(&store)?)?;
    println!("{} {} {}", base::ensure(&store)?.digest, snapshot.userxattr, snapshot.lower[0].display());
    Ok(())
}
