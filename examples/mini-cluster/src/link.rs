//! What the two halves of a cluster tell each other: one JSON document per line over a socket pair.
//!
//! The inside half has the socket as its standard input. Its end of file means that the outside half is gone, and the
//! inside half ends at once; the kernel then frees every process, mount and link of the cluster.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// From the outside half to the inside half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ToInside {
    /// Ends everything in order.
    Shutdown,
    /// Switches a node off or on.
    Power {
        /// The node's name.
        node: String,
        /// Which way.
        on: bool,
        /// Comes back with the answer.
        ticket: u64,
    },
    /// An image that was asked for is in the store, or why it is not.
    Pulled {
        /// The request's number.
        ticket: u64,
        /// What went wrong.
        error: Option<String>,
    },
    /// A Service's port answers at this address of the host.
    Forwarded {
        /// The Service, as namespace/name.
        service: String,
        /// Host port on 127.0.0.1, or what went wrong.
        outcome: Result2<u16>,
    },
}

/// A result that travels: the error is a line of text.
pub(crate) type Result2<T> = std::result::Result<T, String>;

/// From the inside half to the outside half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ToOutside {
    /// The API answers and the nodes are registered.
    Ready,
    /// The inside half cannot go on; its last word.
    Failed {
        /// The whole chain on one line.
        message: String,
    },
    /// Asks for an image to be brought into the store.
    Pull {
        /// Comes back with the answer.
        ticket: u64,
        /// As written in the pod.
        image: String,
    },
    /// Asks for a port of the host that leads to an address of the cluster.
    Forward {
        /// The Service, as namespace/name.
        service: String,
        /// Address in the cluster's network.
        address: std::net::SocketAddrV4,
    },
    /// Gives the Service's port of the host back.
    Unforward {
        /// The Service, as namespace/name.
        service: String,
    },
    /// A power switch has done its work.
    Switched {
        /// The request's number.
        ticket: u64,
        /// What went wrong.
        error: Option<String>,
    },
}

/// One end of the socket pair: many may send, one reads.
#[derive(Debug)]
pub(crate) struct Sender {
    stream: Mutex<UnixStream>,
}

impl Sender {
    /// Sends from this end.
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream: Mutex::new(stream) }
    }

    /// Sends one message, whole.
    pub(crate) fn send(&self, message: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(message).map_err(|error| Error::library("write a message", error))?;
        line.push(b'\n');
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(&line).map_err(|source| Error::system("reach the other half of the cluster", source))
    }
}

/// Reads messages until the other half is gone.
pub(crate) fn messages<M: DeserializeOwned>(stream: UnixStream) -> impl Iterator<Item = M> {
    BufReader::new(stream).lines().map_while(|line| serde_json::from_str(&line.ok()?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_and_end_with_the_sender() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let sender = Sender::new(ours);
        let sent = [
            ToOutside::Ready,
            ToOutside::Pull { ticket: 7, image: "my-app:1.0.0".to_owned() },
            ToOutside::Forward { service: "default/web".to_owned(), address: "10.96.0.5:80".parse().unwrap() },
        ];
        for message in &sent {
            sender.send(message).unwrap();
        }
        drop(sender);
        assert_eq!(messages::<ToOutside>(theirs).collect::<Vec<_>>(), sent);
    }
}
