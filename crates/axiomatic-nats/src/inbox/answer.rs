//! What becomes of a message that was handled.

use std::time::Duration;

use axiomatic_coordination::inbox::{Admission, Fate, Outcome};

/// What becomes of a message, as its handler says once its transaction has
/// committed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done with: it is acknowledged.
    Acknowledge,
    /// It comes again, after so long.
    Again(Duration),
    /// It never comes again, and JetStream tells whoever listens to its
    /// advisories that it was given up.
    Terminate,
}

impl<T> From<Outcome<T>> for Answer {
    /// Done now or before: acknowledged.
    fn from(_: Outcome<T>) -> Self {
        Answer::Acknowledge
    }
}

impl From<Fate> for Answer {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Done | Fate::Duplicate | Fate::Held => Answer::Acknowledge,
            Fate::Rejected { retry_after, .. } => Answer::Again(retry_after),
        }
    }
}

impl Answer {
    /// The answer to a message that is not handled at all: one in quarantine is
    /// kept there, and so is acknowledged. Nothing if it is to be handled.
    pub fn instead_of_handling(admission: Admission) -> Option<Self> {
        match admission {
            Admission::Handle => None,
            Admission::Quarantined => Some(Answer::Acknowledge),
        }
    }
}

/// How a message is acknowledged.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// In one message, of which nobody hears whether it arrived.
    #[default]
    Once,
    /// And the server says that it has it: a round trip more, for those who
    /// count redeliveries. It is no promise of exactly one delivery.
    Confirmed,
}
