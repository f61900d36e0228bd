//! What can go wrong with a connection.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What the client says.
    ToServer,
    /// What the server says.
    ToClient,
}

impl Way {
    /// Both of them.
    pub const BOTH: [Way; 2] = [Way::ToServer, Way::ToClient];

    pub(super) fn back(self) -> Way {
        match self {
            Way::ToServer => Way::ToClient,
            Way::ToClient => Way::ToServer,
        }
    }
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Whoever connected.
    Client,
    /// Whoever it was forwarded to.
    Server,
}

/// How both ends are told that a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As if the other end had closed it: all that passed arrives.
    Close,
    /// By a reset: what passed and finds no room yet at its receiver is lost.
    Reset,
}

/// Which connections a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Those that are there.
    Present,
    /// Those that are made from now on.
    Coming,
    /// Both.
    All,
}

/// Something that goes wrong with connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Bytes arrive later, in their order.
    Latency {
        /// Which bytes.
        way: Way,
        /// By how much all of them are late.
        by: Duration,
        /// By how much more, at most, at random.
        jitter: Duration,
    },
    /// No more bytes pass in a second than so many.
    Bandwidth {
        /// Which bytes.
        way: Way,
        /// How many.
        bytes_per_second: NonZeroU32,
    },
    /// So many bytes more pass on each connection, exactly, and then it is cut.
    CutAfter {
        /// Which bytes count.
        way: Way,
        /// How many pass.
        bytes: u64,
        /// How it is cut.
        ending: Ending,
    },
    /// Connections are cut at once.
    Cut(Ending),
    /// Bytes of one direction are swallowed. A connection that has lost bytes
    /// is never heard again in that direction, also when this is over: no
    /// network delivers what comes behind a hole.
    Silence(Way),
    /// The same in both directions: the connections stay open, and new ones are
    /// accepted.
    Blackhole,
    /// Bytes wait, in both directions, until this is over.
    Hold,
    /// This end is closed, and the other is never told: it may send, and hears
    /// nothing.
    HalfOpen(Side),
    /// New connections are accepted and reset at once. To a client that is a
    /// refusal a moment later; a closed port could not count them.
    Refuse,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::ToServer => "to the server",
            Way::ToClient => "to the client",
        })
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Client => "the client's end",
            Side::Server => "the server's end",
        })
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Close => "close",
            Ending::Reset => "reset",
        })
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Whom::Present => "present connections",
            Whom::Coming => "new connections",
            Whom::All => "all connections",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Latency { way, by, jitter } => {
                write!(f, "latency of {by:?} and up to {jitter:?} more {way}")
            }
            Fault::Bandwidth {
                way,
                bytes_per_second,
            } => write!(f, "{bytes_per_second} bytes a second {way}"),
            Fault::CutAfter { way, bytes, ending } => {
                write!(f, "cut after {bytes} bytes {way} ({ending})")
            }
            Fault::Cut(ending) => write!(f, "cut ({ending})"),
            Fault::Silence(way) => write!(f, "silence {way}"),
            Fault::Blackhole => f.write_str("blackhole"),
            Fault::Hold => f.write_str("hold"),
            Fault::HalfOpen(side) => write!(f, "half-open, {side} closed"),
            Fault::Refuse => f.write_str("refuse"),
        }
    }
}
