//! Makes the kernel match a network's lease file, whatever state it is in.
//!
//! Forwarding is switched per interface: on the bridge, for what containers send, and on every interface with an
//! address, for what comes back and for published ports. An interface that forwarded nothing before is written into
//! the lease file first, then into the table's comment, then switched; it is switched back by the last network (of
//! any state directory: they see each other's comments) that uses it. In between the rules keep it from forwarding
//! anything that is not ours.

use super::NetworkConfig;
use super::network::mac;
use super::rules;
use super::state::{State, StateFile};
use crate::netlink::{LOOPBACK, LinkInfo, Links};
use crate::nft::Session;
use crate::publish::PublishMode;
use crate::sysctl;
use crate::{Error, Result};
use std::collections::BTreeSet;

/// Idempotent. Returns how ports are published now. `before` is the state that the kernel matched, if it did: then
/// only what has changed is written. Without it everything is.
pub(super) fn converge(
    config: &NetworkConfig,
    file: &StateFile,
    before: Option<&State>,
    mut state: State,
) -> Result<PublishMode> {
    let mut links = Links::open()?;
    let mut session = Session::open()?;
    let alias = &file.mark()?;
    let found = own_bridge(&mut links, &config.name, alias)?;
    let elsewhere = switched_elsewhere(&mut session, &config.name)?;
    if state.leases.is_empty() {
        take_down(config, &state, &elsewhere, &mut links, &mut session, found)?;
        file.remove()?;
        return Ok(PublishMode::Rules);
    }
    let bridge = match found {
        Some(bridge) => bridge.index,
        None => {
            links.add_bridge(&config.name, mac(state.gateway()), config.mtu)?;
            links.index(&config.name)?
        }
    };
    links.mark(bridge, alias)?;
    sysctl::silence_ipv6(&config.name)?;
    links.add_address(bridge, state.gateway(), state.subnet.prefix())?;
    links.up(&config.name)?;
    sweep(&mut links, bridge, &state)?;
    let to_switch = silent_interfaces(&mut links, bridge, &elsewhere)?;
    if to_switch.iter().any(|name| !state.switched.contains(name)) {
        let all: BTreeSet<String> = state.switched.drain(..).chain(to_switch).collect();
        state.switched = all.into_iter().collect();
        file.store(&state)?;
    }
    let mode = publish_mode(&mut session)?;
    let written = write_rules(config, &mut session, before, &state, &mode)?;
    if state.applied != Some(written) {
        state.applied = Some(written);
        file.store(&state)?;
    }
    for interface in state.switched.iter().chain([&config.name]) {
        sysctl::set_forwarding(interface, true)?;
    }
    Ok(mode)
}

/// Writes the rules and returns their fingerprint.
fn write_rules(
    config: &NetworkConfig,
    session: &mut Session,
    before: Option<&State>,
    state: &State,
    mode: &PublishMode,
) -> Result<u64> {
    let new = rules::table(&config.name, state, mode);
    let known = before.map(|before| (before.applied, rules::table(&config.name, before, mode)));
    let known = known.filter(|(applied, old)| *applied == Some(rules::fingerprint(old))).map(|(_, old)| old);
    let name = rules::table_name(&config.name);
    match session.tables()?.into_iter().find(|table| table.name == name) {
        // Without a table in the way there is none to be deleted first, which would cost a wait.
        None => session.apply(rules::without_removal(&new))?,
        Some(found) => {
            let same = found.comment == rules::comment(&state.switched);
            match known.filter(|_| same).and_then(|old| rules::ports_changed(&old, &new)) {
                Some(changes) if changes.is_empty() => {}
                // Somebody may have emptied a map of ours: then the whole table is right.
                Some(changes) if session.apply(&changes).is_ok() => {}
                _ => session.apply(&new)?,
            }
        }
    }
    Ok(rules::fingerprint(&new))
}

/// The bridge, if it exists and is ours.
fn own_bridge(links: &mut Links, name: &str, alias: &str) -> Result<Option<LinkInfo>> {
    match links.find(name)? {
        // A bridge without a mark is one whose maker was killed before the marking, if nothing is connected to it.
        Some(link)
            if link.kind.as_deref() == Some("bridge")
                && (link.alias.as_deref() == Some(alias)
                    || link.alias.is_none() && !links.all()?.iter().any(|other| other.master == Some(link.index))) =>
        {
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

/// Interfaces with an address that forward nothing, or only because another network of ours made them.
fn silent_interfaces(links: &mut Links, bridge: u32, elsewhere: &BTreeSet<String>) -> Result<Vec<String>> {
    let addressed: BTreeSet<u32> = links.addresses()?.into_iter().map(|(link, ..)| link).collect();
    let all = links.all()?.into_iter();
    let usable =
        all.filter(|link| link.index != bridge && link.flags & LOOPBACK == 0 && addressed.contains(&link.index));
    let silent = |name: &String| sysctl::forwarding(name) == Some(false) || elsewhere.contains(name);
    Ok(usable.map(|link| link.name).filter(silent).collect())
}

fn switched_elsewhere(session: &mut Session, bridge: &str) -> Result<BTreeSet<String>> {
    let own = rules::table_name(bridge);
    let tables = session.tables()?.into_iter().filter(|table| table.name != own);
    Ok(tables.flat_map(|table| rules::switched_in(&table.name, &table.comment)).collect())
}

/// A chain of somebody else's that drops what it does not know drops our packets too: nothing that another chain
/// says can save them. Chains of iptables are seen where it speaks nf_tables, which all current ones do.
fn publish_mode(session: &mut Session) -> Result<PublishMode> {
    /// `NF_INET_FORWARD`.
    const FORWARD: u32 = 2;
    let dropping = session.base_chains()?.into_iter().find(|chain| chain.hook == FORWARD && chain.drops);
    Ok(dropping.map_or(PublishMode::Rules, |chain| PublishMode::Proxy {
        chain: format!("{} {} {}", chain.family, chain.table, chain.name),
    }))
}

fn take_down(
    config: &NetworkConfig,
    state: &State,
    elsewhere: &BTreeSet<String>,
    links: &mut Links,
    session: &mut Session,
    bridge: Option<LinkInfo>,
) -> Result<()> {
    // Somebody who has switched everything on since then wants it on.
    if !sysctl::forwards_everything() {
        for interface in state.switched.iter().filter(|name| !elsewhere.contains(*name)) {
            sysctl::set_forwarding(interface, false)?;
        }
    }
    session.apply(&rules::removal(&config.name))?;
    if let Some(bridge) = bridge {
        for link in links.all()? {
            if link.master == Some(bridge.index) {
                links.delete(&link.name)?;
            }
        }
        links.delete(&config.name)?;
    }
    Ok(())
}
