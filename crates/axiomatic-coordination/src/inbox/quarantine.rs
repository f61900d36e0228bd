//! Messages that end the process that handles them.

use std::num::NonZeroU32;

use super::delivery::Delivery;
use super::id::Id;
use super::outcome::Admission;
use crate::Timestamp;

/// A message that is not handled until an operator says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The consumer that it is for.
    pub consumer: Box<str>,
    /// Its id.
    pub id: Id,
    /// How many attempts had begun of which nobody knows how they ended.
    pub started: u32,
    /// Why it is here, for the operator.
    pub reason: Box<str>,
    /// Since when.
    pub since: Timestamp,
    /// The message as it was delivered the last time.
    pub delivery: Delivery,
}

/// What is to be done about a delivery before it is handled.
///
/// `started` attempts have begun since the last one of which it is known how
/// it ended. The first delivery is not counted, which costs nothing where
/// nothing goes wrong: so a message ends `limit` processes and one more.
///
/// ```
/// use axiomatic_coordination::inbox::{Delivery, Start, start};
/// use std::num::NonZeroU32;
///
/// let limit = NonZeroU32::new(3).unwrap();
/// let delivery = Delivery::new("poison");
/// assert_eq!(start(&delivery.clone().attempted(1), 0, limit), Start::AtOnce);
/// assert_eq!(start(&delivery.clone().attempted(2), 0, limit), Start::WriteDown);
/// assert_eq!(start(&delivery.attempted(5), 3, limit), Start::Quarantine);
/// ```
#[must_use]
pub fn start(delivery: &Delivery, started: u32, limit: NonZeroU32) -> Start {
    if !delivery.may_be_a_repeat() {
        return Start::AtOnce;
    }
    if started >= limit.get() {
        return Start::Quarantine;
    }
    Start::WriteDown
}

/// What is to be done about a delivery before it is handled.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing: it is the first.
    AtOnce,
    /// It is written down, and committed, that an attempt begins.
    WriteDown,
    /// It is put into quarantine.
    Quarantine,
}

impl Start {
    /// Whether the message is handled.
    pub const fn admission(self) -> Admission {
        match self {
            Start::AtOnce | Start::WriteDown => Admission::Handle,
            Start::Quarantine => Admission::Quarantined,
        }
    }
}
