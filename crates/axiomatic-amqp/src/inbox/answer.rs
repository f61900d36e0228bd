//! What becomes of a message that was handled.

use std::time::Duration;

use axiomatic_coordination::inbox::{Admission, Fate, Outcome};

/// What becomes of a message, as its handler says once its transaction has
/// committed. [The module](super) has a table of what each does to a message of
/// a quorum queue and of a classic one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done with: it is acknowledged.
    Acknowledge,
    /// It comes again, after so long, or after
    /// [as long as it may be held](super::Config::hold_at_most).
    ///
    /// RabbitMQ has no such answer. The message stays in hand until then, and
    /// is one of [those that may be](super::Config::in_hand).
    Again(Duration),
    /// It never comes again: the server moves it to the queue's dead letters,
    /// and **drops it where there are none**.
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
