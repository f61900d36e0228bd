//! What an inbox counts, for operators.

use std::fmt;

use axiomatic_core::number_cell::Tally;

use super::outcome::{Fate, Ordered};
use super::watermark::Gap;

#[derive(Debug)]
pub(super) struct Counts {
    done: Tally,
    duplicates: Tally,
    held: Tally,
    rejected: Tally,
    late: Tally,
    gaps: Tally,
    zombies: Tally,
    quarantined: Tally,
}

impl Counts {
    pub(super) fn new() -> Self {
        Counts {
            done: Tally::new(),
            duplicates: Tally::new(),
            held: Tally::new(),
            rejected: Tally::new(),
            late: Tally::new(),
            gaps: Tally::new(),
            zombies: Tally::new(),
            quarantined: Tally::new(),
        }
    }

    pub(super) fn count(&self, event: Event<'_>) {
        match event {
            Event::Done => drop(self.done.count()),
            Event::Duplicate => drop(self.duplicates.count()),
            Event::Ordered(ordered) => self.ordered(ordered),
            Event::GivenUp(gaps) => {
                for _ in gaps {
                    self.gaps.count();
                }
            }
            Event::Quarantined => drop(self.quarantined.count()),
        }
    }

    fn ordered(&self, ordered: &Ordered) {
        for _ in 0..ordered.handled {
            self.done.count();
        }
        match ordered.fate {
            Fate::Done => {}
            Fate::Duplicate => drop(self.duplicates.count()),
            Fate::Held => drop(self.held.count()),
            Fate::Rejected { .. } => drop(self.rejected.count()),
        }
        if ordered.is_late {
            self.late.count();
        }
        if ordered.is_from_a_zombie {
            self.zombies.count();
        }
        self.count(Event::GivenUp(&ordered.given_up));
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            done: self.done.load(),
            duplicates: self.duplicates.load(),
            held: self.held.load(),
            rejected: self.rejected.load(),
            late: self.late.load(),
            gaps: self.gaps.load(),
            zombies: self.zombies.load(),
            quarantined: self.quarantined.load(),
        }
    }
}

/// What an inbox counts.
#[derive(Copy, Clone, Debug)]
pub enum Event<'a> {
    /// A message was handled, by its id.
    Done,
    /// A message had been handled before, by its id.
    Duplicate,
    /// A message of a key that has an order.
    Ordered(&'a Ordered),
    /// Gaps were given up without a message having come.
    GivenUp(&'a [Gap]),
    /// A message went to quarantine.
    Quarantined,
}

/// What an inbox has counted since it was made.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Messages that were handled.
    pub done: u64,
    /// Messages that had been handled before.
    pub duplicates: u64,
    /// Messages that came ahead and were stored.
    pub held: u64,
    /// Messages that came ahead and were not taken.
    pub rejected: u64,
    /// Messages that came behind one with a greater number.
    pub late: u64,
    /// Gaps that were given up: something is lost, or will be refused.
    pub gaps: u64,
    /// Messages from relays that had lost their leases.
    pub zombies: u64,
    /// Messages that went to quarantine.
    pub quarantined: u64,
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot {
            done,
            duplicates,
            held,
            rejected,
            late,
            gaps,
            zombies,
            quarantined,
        } = self;
        write!(
            f,
            "{done} handled, {duplicates} duplicates; {held} held, {rejected} rejected, {late} \
             late, {gaps} gaps given up; {zombies} from zombies; {quarantined} in quarantine"
        )
    }
}
