//! The places of a queue: a slab of a fixed size, so that who waits allocates
//! nothing.

use std::task::Waker;

use axiomatic_core::Reason;
use axiomatic_core::time::Instant;

use super::Waiter;

/// The end of a list.
pub(super) const NOBODY: u32 = u32::MAX;

/// A place, and who waits in it.
pub(super) struct Place<G> {
    pub(super) waiter: Waiter,
    pub(super) waker: Option<Waker>,
    pub(super) state: State<G>,
    /// How many have come, ever; 0 if it is free.
    pub(super) number: u64,
    pub(super) older: u32,
    /// Of a free place: the next free one.
    pub(super) newer: u32,
    /// Of all that wait, in whatever line, who came before and after.
    pub(super) elder: u32,
    pub(super) younger: u32,
    pub(super) came: Instant,
}

pub(super) enum State<G> {
    Free,
    Waiting,
    /// What became of it, until it is told.
    Settled(Result<G, Reason>),
}

/// All places.
pub(super) struct Places<G> {
    all: Box<[Place<G>]>,
    free: u32,
}

impl<G> Places<G> {
    pub(super) fn new(count: u32) -> Self {
        let place = |index: u32| Place {
            waiter: Waiter::nobody(),
            waker: None,
            state: State::Free,
            number: 0,
            older: NOBODY,
            newer: if index + 1 == count {
                NOBODY
            } else {
                index + 1
            },
            elder: NOBODY,
            younger: NOBODY,
            came: Instant::from_nanos(0),
        };
        Places {
            all: (0..count).map(place).collect(),
            free: if count == 0 { NOBODY } else { 0 },
        }
    }

    pub(super) fn all(&self) -> &[Place<G>] {
        &self.all
    }

    pub(super) fn all_mut(&mut self) -> &mut [Place<G>] {
        &mut self.all
    }

    pub(super) fn get(&self, at: u32) -> &Place<G> {
        &self.all[at as usize]
    }

    /// A place for a waiter, if there is one.
    pub(super) fn take(&mut self, waiter: Waiter, number: u64) -> Option<u32> {
        let at = self.free;
        let place = self.all.get_mut(at as usize)?;
        self.free = place.newer;
        place.waiter = waiter;
        place.number = number;
        place.state = State::Waiting;
        Some(at)
    }

    /// Frees a place, and returns what became of who was in it.
    pub(super) fn free(&mut self, at: u32) -> (State<G>, Option<Waker>) {
        let free = self.free;
        let place = &mut self.all[at as usize];
        place.newer = free;
        place.number = 0;
        self.free = at;
        (
            std::mem::replace(&mut place.state, State::Free),
            place.waker.take(),
        )
    }
}

impl Waiter {
    fn nobody() -> Self {
        Waiter {
            line: 0,
            level: 0,
            weight: 0,
            until: Instant::from_nanos(0),
            too_late: Reason::WaitedTooLong,
        }
    }
}
