//! What is to happen to a connection.

use std::num::NonZeroU32;
use std::time::Duration;

use super::fault::{Ending, Fault, Side, Way};

/// What is to happen to a connection, in both directions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    to_server: Line,
    to_client: Line,
    pub(super) end: Option<End>,
    /// How often it was healed.
    pub(super) heals: u64,
}

/// What is to happen in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
    pub(super) bytes_per_second: Option<NonZeroU32>,
    pub(super) flow: Flow,
    pub(super) cut: Option<CutAfter>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    #[default]
    Pass,
    Hold,
    Swallow,
}

/// Each has a number, so that the bytes behind it are counted from its
/// beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CutAfter {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Cut(Ending),
    HalfOpen(Side),
}

impl Plan {
    pub(super) fn line(&self, way: Way) -> &Line {
        match way {
            Way::ToServer => &self.to_server,
            Way::ToClient => &self.to_client,
        }
    }

    fn line_mut(&mut self, way: Way) -> &mut Line {
        match way {
            Way::ToServer => &mut self.to_server,
            Way::ToClient => &mut self.to_client,
        }
    }

    /// The same with a fault more. A cut gets this number.
    pub(super) fn add(&mut self, fault: &Fault, number: u64) {
        match *fault {
            Fault::Latency { way, by, jitter } => {
                let line = self.line_mut(way);
                (line.latency, line.jitter) = (by, jitter);
            }
            Fault::Bandwidth {
                way,
                bytes_per_second,
            } => self.line_mut(way).bytes_per_second = Some(bytes_per_second),
            Fault::CutAfter { way, bytes, ending } => {
                self.line_mut(way).cut = Some(CutAfter {
                    number,
                    bytes,
                    ending,
                });
            }
            Fault::Silence(way) => self.line_mut(way).flow = Flow::Swallow,
            Fault::Blackhole => self.flow(Flow::Swallow),
            Fault::Hold => self.flow(Flow::Hold),
            Fault::Cut(ending) => self.end = Some(End::Cut(ending)),
            Fault::HalfOpen(side) => self.end = Some(End::HalfOpen(side)),
            // That is the listener's.
            Fault::Refuse => {}
        }
    }

    fn flow(&mut self, flow: Flow) {
        for way in Way::BOTH {
            self.line_mut(way).flow = flow;
        }
    }

    /// No faults any more. What has ended stays so.
    pub(super) fn heal(&mut self) {
        self.heals += 1;
        self.to_server = Line::default();
        self.to_client = Line::default();
    }
}
