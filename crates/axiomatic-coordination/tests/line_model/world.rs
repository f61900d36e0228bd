//! What there is.

/// What sagas want, what may go wrong, and how the store works.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    /// What each saga asks for: one request after the other, each for some
    /// locks.
    pub(crate) wants: Vec<Vec<Vec<Lock>>>,
    /// How many may die before they have told the next.
    pub(crate) deaths: u8,
    /// How many may end while they wait.
    pub(crate) give_ups: u8,
    pub(crate) rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// As it is.
    Sound,
    /// Two enter a line at once.
    NoGate,
    /// The place is drawn, and the gate taken then.
    DrawsFirst,
    /// Who has entered looks no more.
    NoSecondLook,
    /// Who leaves tells nobody.
    TellsNobody,
    /// Nobody looks for those who were to be told by one that died.
    HealsNothing,
    /// Who has some waits for more.
    WaitsForMore,
    /// Who is at the front of one line is told that it has all.
    TellsEarly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lock {
    pub(crate) resource: u8,
    pub(crate) is_shared: bool,
}

impl Lock {
    pub(crate) const fn alone(resource: u8) -> Self {
        Lock {
            resource,
            is_shared: false,
        }
    }

    pub(crate) const fn shared(resource: u8) -> Self {
        Lock {
            resource,
            is_shared: true,
        }
    }

    pub(crate) fn is_in_the_way_of(self, other: Lock) -> bool {
        self.resource == other.resource && !(self.is_shared && other.is_shared)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// What is committed.
    pub(crate) rows: Vec<Row>,
    /// Who may enter lines, by resource.
    pub(crate) gates: [Option<u8>; 2],
    /// The sequence of places.
    pub(crate) next_place: u8,
    pub(crate) sagas: Vec<Saga>,
    pub(crate) deaths: u8,
    pub(crate) give_ups: u8,
}

/// A place in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) saga: u8,
    /// Which of the saga's requests.
    pub(crate) request: u8,
    pub(crate) place: u8,
    pub(crate) lock: Lock,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Saga {
    pub(crate) phase: Phase,
    /// Which request it is about.
    pub(crate) request: u8,
    /// The letter of that request is posted.
    pub(crate) is_told: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// It has not asked yet.
    Idle,
    /// A transaction has a place, and no gate.
    Drawn(u8),
    /// A transaction has the gates, and a place if that was drawn before.
    Gated(Option<u8>),
    /// A transaction has inserted the rows at this place, and has seen whether
    /// it has all.
    Entered(u8, bool),
    /// The rows are committed, and are to be looked at again.
    Looks,
    /// It waits for its letter.
    Waits,
    /// It has all that it asked for.
    Has,
    /// It is refused, and ends.
    Refused,
    /// It has ended; its rows are deleted.
    Left,
    /// It has seen whose turn has come.
    Tells(Vec<u8>),
    /// Nothing more is done for it.
    Gone,
}
