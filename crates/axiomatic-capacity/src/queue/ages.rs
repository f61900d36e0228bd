//! The waiters of all lines in the order in which they came, and for how long
//! the first of them has been old.

use axiomatic_core::time::Instant;

use super::codel::CoDel;
use super::places::{NOBODY, Place};

/// A list through the places of all that wait.
///
/// Nobody need ask for it to know how old the oldest one was: its age grows as
/// time does, and falls only where it leaves. So the moment since which it has
/// been old follows from when it came, and is found anew only there.
pub(super) struct Ages {
    codel: Option<CoDel>,
    oldest: u32,
    youngest: u32,
    /// Since when the oldest one at each moment has been as old as the target;
    /// ahead, if it is not yet. Of nobody, nothing.
    old_since: Instant,
}

impl Ages {
    pub(super) fn new(codel: Option<CoDel>) -> Self {
        Ages {
            codel,
            oldest: NOBODY,
            youngest: NOBODY,
            old_since: Instant::from_nanos(0),
        }
    }

    /// Appends one that comes at `now`.
    ///
    /// Clocks are read before the lock is taken, so who comes after another may
    /// have read it before: it came when the other did, and who stands before
    /// others is never younger.
    pub(super) fn push<G>(&mut self, places: &mut [Place<G>], at: u32, now: Instant) {
        let before = self.youngest;
        let mut came = now;
        match before {
            NOBODY => {
                self.oldest = at;
                self.old_since = self.old_from(came);
            }
            _ => {
                let elder = &mut places[before as usize];
                elder.younger = at;
                came = came.max(elder.came);
            }
        }
        let place = &mut places[at as usize];
        place.came = came;
        place.elder = before;
        place.younger = NOBODY;
        self.youngest = at;
    }

    /// Takes one out that leaves at `now`, wherever it stands.
    pub(super) fn remove<G>(&mut self, places: &mut [Place<G>], at: u32, now: Instant) {
        let place = &places[at as usize];
        let (elder, younger) = (place.elder, place.younger);
        match younger {
            NOBODY => self.youngest = elder,
            _ => places[younger as usize].elder = elder,
        }
        match elder {
            NOBODY => self.oldest = younger,
            _ => places[elder as usize].younger = younger,
        }
        if elder == NOBODY && younger != NOBODY {
            // The next one is the oldest from now on. Is it young, then this
            // was the break, and it will be old when it will. Is it old, then
            // so was the one before it, which is older.
            let old_from = self.old_from(places[younger as usize].came);
            if old_from > now {
                self.old_since = old_from;
            }
        }
    }

    /// When the one came that has waited longest.
    pub(super) fn oldest_came<G>(&self, places: &[Place<G>]) -> Option<Instant> {
        places.get(self.oldest as usize).map(|place| place.came)
    }

    /// Whether somebody has been old at every moment of an interval.
    pub(super) fn is_overloaded(&self, now: Instant) -> bool {
        self.oldest != NOBODY
            && self
                .codel
                .is_some_and(|codel| self.old_since + codel.interval() <= now)
    }

    /// One that has been here for too long, if the queue is overloaded.
    pub(super) fn overdue<G>(&self, places: &[Place<G>], now: Instant) -> Option<u32> {
        let codel = self.codel.filter(|_| self.is_overloaded(now))?;
        let came = self.oldest_came(places)?;
        (came + codel.drop_age() <= now).then_some(self.oldest)
    }

    /// When one that came then is overdue, if nobody leaves before.
    pub(super) fn overdue_from(&self, came: Instant) -> Option<Instant> {
        let codel = self.codel?;
        let overloaded_from = self.old_since + codel.interval();
        Some(overloaded_from.max(came + codel.drop_age()))
    }

    fn old_from(&self, came: Instant) -> Instant {
        match self.codel {
            Some(codel) => came + codel.target(),
            None => Instant::from_nanos(u64::MAX),
        }
    }
}
