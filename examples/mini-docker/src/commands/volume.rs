//! `volume create`, `volume ls` and `volume rm`.

use super::{each, print, say};
use crate::cli::VolumeCommand;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flags::mounts::Source;
use crate::text::table;
use crate::volumes;

pub(super) fn volume(engine: &Engine, command: &VolumeCommand) -> Result<u8> {
    let folder = volumes::folder(engine.root());
    match command {
        VolumeCommand::Create { name } => {
            volumes::check_name(name).map_err(Error::usage)?;
            volumes::ensure(&folder, name, |_| Ok(()))?;
            say(name).map(|()| 0)
        }
        VolumeCommand::Ls { quiet } => {
            let names = volumes::names(&folder)?;
            let rows: Vec<Vec<String>> = names.iter().map(|name| vec!["local".to_owned(), name.clone()]).collect();
            let text = if *quiet {
                names.iter().map(|name| format!("{name}\n")).collect()
            } else {
                table::render(&["DRIVER", "VOLUME NAME"], &rows)
            };
            print(&text).map(|()| 0)
        }
        VolumeCommand::Rm { names } => each(names, |name| {
            if !volumes::names(&folder)?.iter().any(|known| known == name) {
                return Err(Error::Refused { message: format!("get {name}: no such volume") });
            }
            if let Some(id) = user_of(engine, name)? {
                return Err(Error::Refused { message: format!("remove {name}: volume is in use - [{id}]") });
            }
            volumes::remove(&folder, name)?;
            say(name)
        }),
    }
}

fn user_of(engine: &Engine, name: &str) -> Result<Option<String>> {
    let uses = |mount: &crate::flags::mounts::MountFlag| matches!(&mount.source, Source::Volume(used) if used == name);
    let all = engine.see_all()?;
    Ok(all.into_iter().find(|seen| seen.details.mounts.iter().any(uses)).map(|seen| seen.definition.id))
}
