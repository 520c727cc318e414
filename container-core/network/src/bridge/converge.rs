//! Makes the kernel match a network's lease file, whatever state it is in.

use super::NetworkConfig;
use super::network::mac;
use super::state::{State, StateFile};
use crate::netlink::{LinkInfo, Links};
use crate::publish::PublishMode;
use crate::sysctl;
use crate::{Error, Result};

/// Idempotent. Returns how ports are published now.
pub(super) fn converge(config: &NetworkConfig, file: &StateFile, state: State) -> Result<PublishMode> {
    let mut links = Links::open()?;
    let alias = &file.mark()?;
    let found = own_bridge(&mut links, &config.name, alias)?;
    if state.leases.is_empty() {
        return take_down(config, file, &state, &mut links, found);
    }
    let bridge = match found {
        Some(bridge) => bridge.index,
        None => {
            links.add_bridge(&config.name, alias, mac(state.gateway()), config.mtu)?;
            links.index(&config.name)?
        }
    };
    sysctl::silence_ipv6(&config.name)?;
    links.add_address(bridge, state.gateway(), state.subnet.prefix())?;
    links.up(&config.name)?;
    sweep(&mut links, bridge, &state)?;
    Ok(PublishMode::Rules)
}

/// The bridge, if it exists and is ours.
fn own_bridge(links: &mut Links, name: &str, alias: &str) -> Result<Option<LinkInfo>> {
    match links.find(name)? {
        Some(link) if link.kind.as_deref() == Some("bridge") && link.alias.as_deref().unwrap_or(alias) == alias => {
            Ok(Some(link))
        }
        Some(_) => Err(Error::LinkTaken { name: name.to_owned() }),
        None => Ok(None),
    }
}

/// Removes links that no lease names, and puts back under the bridge those that one does.
fn sweep(links: &mut Links, bridge: u32, state: &State) -> Result<()> {
    for link in links.all()? {
        let leased = state.leases.iter().any(|lease| lease.host_interface == link.name);
        if link.master == Some(bridge) && !leased {
            links.delete(&link.name)?;
        } else if leased && link.master != Some(bridge) {
            links.enslave(link.index, bridge)?;
        }
    }
    Ok(())
}

fn take_down(
    config: &NetworkConfig,
    file: &StateFile,
    _state: &State,
    links: &mut Links,
    bridge: Option<LinkInfo>,
) -> Result<PublishMode> {
    if let Some(bridge) = bridge {
        for link in links.all()? {
            if link.master == Some(bridge.index) {
                links.delete(&link.name)?;
            }
        }
        links.delete(&config.name)?;
    }
    file.remove()?;
    Ok(PublishMode::Rules)
}
