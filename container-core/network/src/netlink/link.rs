//! Links over rtnetlink: bridges, veth pairs whose far end is born inside another namespace, flags, masters.
//!
//! Absent on purpose: which links a network needs; that is decided in `bridge` and `pod`.

use super::codec::{Attributes, CREATE, EXCLUSIVE};
use super::{Answer, Family, Socket};
use crate::{Error, Result};
use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFF_UP: u32 = 1;
const IF_OPER_UP: u8 = 6;
/// `IFF_LOOPBACK`.
pub(crate) const LOOPBACK: u32 = 8;

/// What a listing says about a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkInfo {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) flags: u32,
    pub(crate) alias: Option<String>,
    pub(crate) master: Option<u32>,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) kind: Option<String>,
    /// The kernel lets packets out.
    pub(crate) sends: bool,
}

/// A veth pair to be made: one end here, the other inside `peer_namespace`.
#[derive(Debug)]
pub(crate) struct Veth<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) peer_name: &'a str,
    pub(crate) peer_namespace: BorrowedFd<'a>,
    pub(crate) peer_mac: Option<[u8; 6]>,
    pub(crate) mtu: Option<u32>,
    pub(crate) master: Option<u32>,
}

/// Speaks rtnetlink inside one network namespace.
#[derive(Debug)]
pub(crate) struct Links {
    pub(super) socket: Socket,
}

impl Links {
    /// For the calling thread's namespace.
    pub(crate) fn open() -> Result<Self> {
        Ok(Self { socket: Socket::open(Family::Route)? })
    }

    /// Every link of the namespace.
    pub(crate) fn all(&mut self) -> Result<Vec<LinkInfo>> {
        let answers = self.socket.dump(GETLINK, &ifinfo(0, 0, 0), |_| {}).map_err(Error::kernel("list links"))?;
        Ok(answers.iter().filter_map(link_info).collect())
    }

    /// The link with this name, if there is one.
    pub(crate) fn find(&mut self, name: &str) -> Result<Option<LinkInfo>> {
        match self.socket.get(GETLINK, &ifinfo(0, 0, 0), |w| w.string(IFLA_IFNAME, name)) {
            Ok(answers) => Ok(answers.iter().find_map(link_info)),
            Err(Errno::ENODEV) => Ok(None),
            Err(source) => Err(Error::Kernel { doing: format!("look up link {name}"), source }),
        }
    }

    /// The index of a link that must exist.
    pub(crate) fn index(&mut self, name: &str) -> Result<u32> {
        let found = self.find(name)?;
        found
            .map(|link| link.index)
            .ok_or_else(|| Error::Kernel { doing: format!("look up link {name}"), source: Errno::ENODEV })
    }

    /// Makes a bridge.
    pub(crate) fn add_bridge(&mut self, name: &str, mac: [u8; 6], mtu: Option<u32>) -> Result<()> {
        let made = self.socket.request(NEWLINK, CREATE | EXCLUSIVE, &ifinfo(0, 0, 0), |w| {
            w.string(IFLA_IFNAME, name);
            w.attr(IFLA_ADDRESS, &mac);
            if let Some(mtu) = mtu {
                w.u32(IFLA_MTU, mtu);
            }
            w.nest(IFLA_LINKINFO, |w| w.string(IFLA_INFO_KIND, "bridge"));
        });
        made.map_err(Error::kernel(format!("make bridge {name}")))
    }

    /// Says whose a link is. The kernel takes such an alias only on a link that exists.
    pub(crate) fn mark(&mut self, index: u32, alias: &str) -> Result<()> {
        self.set(index, "mark", |w| w.attr(IFLA_IFALIAS, alias.as_bytes()))
    }

    /// Makes a veth pair in one request: there is no moment at which both ends are here.
    pub(crate) fn add_veth(&mut self, veth: &Veth<'_>) -> Result<()> {
        let made = self.socket.request(NEWLINK, CREATE | EXCLUSIVE, &ifinfo(0, 0, 0), |w| {
            w.string(IFLA_IFNAME, veth.name);
            if let Some(mac) = veth.mac {
                w.attr(IFLA_ADDRESS, &mac);
            }
            if let Some(mtu) = veth.mtu {
                w.u32(IFLA_MTU, mtu);
            }
            if let Some(master) = veth.master {
                w.u32(IFLA_MASTER, master);
            }
            w.nest(IFLA_LINKINFO, |w| {
                w.string(IFLA_INFO_KIND, "veth");
                w.nest(IFLA_INFO_DATA, |w| {
                    w.nest(VETH_INFO_PEER, |w| {
                        w.raw(&ifinfo(0, 0, 0));
                        w.string(IFLA_IFNAME, veth.peer_name);
                        w.attr(IFLA_NET_NS_FD, &veth.peer_namespace.as_fd().as_raw_fd().to_ne_bytes());
                        if let Some(mac) = veth.peer_mac {
                            w.attr(IFLA_ADDRESS, &mac);
                        }
                        if let Some(mtu) = veth.mtu {
                            w.u32(IFLA_MTU, mtu);
                        }
                    });
                });
            });
        });
        made.map_err(Error::kernel(format!("make the link {} to {}", veth.name, veth.peer_name)))
    }

    /// Brings a link up.
    pub(crate) fn up(&mut self, name: &str) -> Result<()> {
        let index = self.index(name)?;
        let done = self.socket.request(NEWLINK, 0, &ifinfo(index, IFF_UP, IFF_UP), |_| {});
        done.map_err(Error::kernel(format!("bring link {name} up")))
    }

    /// Waits until the kernel sends packets out of a link that is up: it notices a carrier a little later, and drops
    /// everything before that. Recent kernels catch up when they are asked; with others this asks until they have.
    /// A link whose far end is down never gets there, so there is an end to the asking.
    pub(crate) fn wait_for_carrier(&mut self, name: &str) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(1);
        let deadline = Instant::now() + PATIENCE;
        while !self.find(name)?.is_none_or(|link| link.sends) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    /// Puts a link under a bridge.
    pub(crate) fn enslave(&mut self, index: u32, master: u32) -> Result<()> {
        self.set(index, "put under its bridge", |w| w.u32(IFLA_MASTER, master))
    }

    /// Lets a bridge send a packet back out of the port that it came from: where the kernel filters bridged packets
    /// (`br_netfilter`), it rewrites a container's packet to its own published port without leaving the bridge.
    pub(crate) fn set_hairpin(&mut self, name: &str) -> Result<()> {
        const IFLA_INFO_SLAVE_KIND: u16 = 4;
        const IFLA_INFO_SLAVE_DATA: u16 = 5;
        const IFLA_BRPORT_MODE: u16 = 4;
        let index = self.index(name)?;
        self.set(index, "set the hairpin mode of", |w| {
            w.nest(IFLA_LINKINFO, |w| {
                w.string(IFLA_INFO_SLAVE_KIND, "bridge");
                w.nest(IFLA_INFO_SLAVE_DATA, |w| w.u8(IFLA_BRPORT_MODE, 1));
            });
        })
    }

    /// Deletes a link; one that is gone already is fine.
    pub(crate) fn delete(&mut self, name: &str) -> Result<()> {
        match self.socket.request(DELLINK, 0, &ifinfo(0, 0, 0), |w| w.string(IFLA_IFNAME, name)) {
            Ok(()) | Err(Errno::ENODEV) => Ok(()),
            Err(source) => Err(Error::Kernel { doing: format!("delete link {name}"), source }),
        }
    }

    fn set(&mut self, index: u32, verb: &str, body: impl FnOnce(&mut super::Writer)) -> Result<()> {
        let done = self.socket.request(NEWLINK, 0, &ifinfo(index, 0, 0), body);
        done.map_err(Error::kernel(format!("{verb} link {index}")))
    }
}

/// `struct ifinfomsg`.
fn ifinfo(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&change.to_ne_bytes());
    fixed
}

fn link_info(answer: &Answer) -> Option<LinkInfo> {
    if answer.kind != NEWLINK {
        return None;
    }
    let fixed: &[u8; 16] = answer.body.first_chunk()?;
    let attributes = Attributes(&answer.body[16..]);
    Some(LinkInfo {
        index: u32::from_ne_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        flags: u32::from_ne_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        name: attributes.string(IFLA_IFNAME)?,
        alias: attributes.string(IFLA_IFALIAS),
        master: attributes.u32(IFLA_MASTER),
        mac: attributes.get(IFLA_ADDRESS).and_then(|mac| mac.try_into().ok()),
        kind: attributes.nested(IFLA_LINKINFO).string(IFLA_INFO_KIND),
        sends: attributes.get(IFLA_OPERSTATE).is_some_and(|state| state == [IF_OPER_UP]),
    })
}
