//! What there is: a store, relays, and messages on their way to the broker.

/// The protocol, and how much of it is explored.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) relays: u8,
    /// The bucket of each lane.
    pub(crate) lanes: Vec<u8>,
    /// The lane of each message; those of a lane commit in this order.
    pub(crate) messages: Vec<u8>,
    /// How often, at most, a lease is taken, a relay crashes, a confirmation
    /// is lost, the broker refuses a message.
    pub(crate) claims: u8,
    pub(crate) crashes: u8,
    pub(crate) unknowns: u8,
    pub(crate) refusals: u8,
    pub(crate) rule: Rule,
}

/// What is wrong with the protocol, if anything is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nothing.
    Sound,
    /// Settlements change rows whoever holds the lease.
    SettlesUnfenced,
    /// Settlements compare the lease in one step, and change rows in a later
    /// one.
    ChecksThenActs,
    /// A lease keeps its epoch if the relay that lost it takes it again: it is
    /// the same owner.
    KeepsEpoch,
    /// A lease that has expired, but was not released, is not taken.
    NeverTakesExpired,
    /// Any row of a lane is fetched, not only the oldest.
    FetchesAny,
    /// A row is fetched before its transaction has committed.
    FetchesUncommitted,
    /// Buckets are released while messages of theirs are in flight.
    ReleasesInFlight,
    /// A message of which nobody knows is settled as published.
    SettlesUnknown,
}

/// One state of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// The store: a row for each message.
    pub(crate) rows: Vec<Row>,
    /// The store: which lanes wait for an operator.
    pub(crate) parked: Vec<bool>,
    /// The store: a lease for each bucket.
    pub(crate) leases: Vec<Lease>,
    pub(crate) relays: Vec<Relay>,
    /// Sent, and neither arrived nor lost. Sorted, since networks have no
    /// order.
    pub(crate) on_the_wire: Vec<Sent>,
    /// The broker: under which holdings each message arrived, sorted.
    pub(crate) arrived: Vec<Vec<u8>>,
    /// The broker: messages in the order in which they arrived first.
    pub(crate) firsts: Vec<u8>,
    pub(crate) left: Left,
    pub(crate) seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Row {
    /// Its transaction has not committed.
    Uncommitted,
    Waiting,
    /// Settled as published, and away.
    Gone,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Lease {
    pub(crate) epoch: u8,
    pub(crate) owner: Option<Name>,
    pub(crate) is_expired: bool,
    /// Which holding this is in truth, whatever the epoch says.
    pub(crate) holding: u8,
    /// Which holdings ended because they expired.
    pub(crate) expired: u16,
}

/// A relay and which run of it: after a crash it has another name.
pub(crate) type Name = (u8, u8);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Relay {
    pub(crate) run: u8,
    /// By bucket, what it believes to hold.
    pub(crate) held: Vec<Option<Held>>,
    /// By lane, the one message in flight.
    pub(crate) flights: Vec<Option<Flight>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) epoch: u8,
    pub(crate) holding: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    pub(crate) message: u8,
    /// The lease under which it was fetched, whatever its relay holds now.
    pub(crate) under: Held,
    pub(crate) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Fetched,
    Sent {
        arrived: bool,
    },
    Answered(Verdict),
    /// Only where checking is a step of its own.
    Checked(Verdict),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    Acked,
    Unknown,
    /// For good: the lane is parked.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sent {
    pub(crate) message: u8,
    pub(crate) from: Name,
    pub(crate) under: Held,
}

/// How often something may happen still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) claims: u8,
    pub(crate) crashes: u8,
    pub(crate) unknowns: u8,
    pub(crate) refusals: u8,
}

/// What has happened, and what should not have: the properties ask it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// By message, confirmations that were lost and have excused nothing.
    pub(crate) unknown: Vec<u8>,
    pub(crate) late_settlement_changed: bool,
    pub(crate) epoch_stood_still: bool,
    pub(crate) duplicate_outside: bool,
}

impl Protocol {
    pub(crate) fn start(&self) -> World {
        let buckets = self.buckets();
        let relay = Relay {
            run: 0,
            held: vec![None; buckets],
            flights: vec![None; self.lanes.len()],
        };
        // All but the last message are there: that the others come at any
        // time shows nothing that the last does not.
        let mut rows = vec![Row::Waiting; self.messages.len()];
        rows[self.messages.len() - 1] = Row::Uncommitted;
        World {
            rows,
            parked: vec![false; self.lanes.len()],
            leases: vec![Lease::default(); buckets],
            relays: vec![relay; usize::from(self.relays)],
            on_the_wire: Vec::new(),
            arrived: vec![Vec::new(); self.messages.len()],
            firsts: Vec::new(),
            left: Left {
                claims: self.claims,
                crashes: self.crashes,
                unknowns: self.unknowns,
                refusals: self.refusals,
            },
            seen: Seen {
                unknown: vec![0; self.messages.len()],
                late_settlement_changed: false,
                epoch_stood_still: false,
                duplicate_outside: false,
            },
        }
    }

    pub(crate) fn buckets(&self) -> usize {
        self.lanes
            .iter()
            .max()
            .map_or(0, |last| usize::from(*last) + 1)
    }

    /// The messages of a lane, in the order of their commits.
    pub(crate) fn of_lane(&self, lane: u8) -> impl Iterator<Item = u8> + Clone + '_ {
        let messages = 0..self.messages.len() as u8;
        messages.filter(move |message| self.messages[usize::from(*message)] == lane)
    }
}

impl World {
    pub(crate) fn name(&self, relay: u8) -> Name {
        (relay, self.relays[usize::from(relay)].run)
    }

    /// What the store compares before it does what a relay says: owner, epoch,
    /// expiry.
    pub(crate) fn compares(&self, bucket: u8, name: Name, held: Held) -> bool {
        let lease = &self.leases[usize::from(bucket)];
        lease.owner == Some(name) && lease.epoch == held.epoch && !lease.is_expired
    }

    /// Whether it is so, which no store can know.
    pub(crate) fn truly_holds(&self, bucket: u8, name: Name, held: Held) -> bool {
        let lease = &self.leases[usize::from(bucket)];
        lease.owner == Some(name) && lease.holding == held.holding && !lease.is_expired
    }
}
