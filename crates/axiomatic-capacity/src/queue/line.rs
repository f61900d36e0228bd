//! The waiters of one partition, by how much they matter.

use super::places::{NOBODY, Place};

/// Lists through the places, one for each priority, and which of them are
/// not empty.
pub(super) struct Line {
    lists: Box<[List; LEVELS]>,
    busy: [u64; LEVELS / 64],
    pub(super) waiting: u32,
    /// How many places it has, also of those that were told and have not
    /// heard.
    pub(super) places: u32,
}

const LEVELS: usize = 1 << u8::BITS;

#[derive(Copy, Clone)]
struct List {
    oldest: u32,
    newest: u32,
}

/// Which end of a list.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Oldest,
    Newest,
}

impl End {
    pub(super) fn other(self) -> Self {
        match self {
            End::Oldest => End::Newest,
            End::Newest => End::Oldest,
        }
    }
}

impl Line {
    pub(super) fn new() -> Self {
        let empty = List {
            oldest: NOBODY,
            newest: NOBODY,
        };
        Line {
            lists: Box::new([empty; LEVELS]),
            busy: [0; LEVELS / 64],
            waiting: 0,
            places: 0,
        }
    }

    /// Appends a waiter, whose level stands in its place.
    pub(super) fn push<G>(&mut self, places: &mut [Place<G>], at: u32) {
        let level = places[at as usize].waiter.level;
        let list = &mut self.lists[usize::from(level)];
        let before = list.newest;
        places[at as usize].older = before;
        places[at as usize].newer = NOBODY;
        match before {
            NOBODY => list.oldest = at,
            _ => places[before as usize].newer = at,
        }
        list.newest = at;
        self.busy[usize::from(level / 64)] |= 1 << (level % 64);
        self.waiting += 1;
    }

    /// Takes a waiter out, wherever it stands.
    pub(super) fn remove<G>(&mut self, places: &mut [Place<G>], at: u32) {
        let place = &places[at as usize];
        let (older, newer, level) = (place.older, place.newer, place.waiter.level);
        let list = &mut self.lists[usize::from(level)];
        match older {
            NOBODY => list.oldest = newer,
            _ => places[older as usize].newer = newer,
        }
        match newer {
            NOBODY => list.newest = older,
            _ => places[newer as usize].older = older,
        }
        if list.oldest == NOBODY {
            self.busy[usize::from(level / 64)] &= !(1 << (level % 64));
        }
        self.waiting -= 1;
    }

    /// One of those that matter most.
    pub(super) fn first(&self, end: End) -> Option<u32> {
        let word = self.busy.iter().rposition(|word| *word != 0)?;
        let bit = 63 - self.busy[word].leading_zeros() as usize;
        Some(self.lists[word * 64 + bit].at(end))
    }

    /// One of those that matter least.
    pub(super) fn last(&self, end: End) -> Option<u32> {
        let word = self.busy.iter().position(|word| *word != 0)?;
        let bit = self.busy[word].trailing_zeros() as usize;
        Some(self.lists[word * 64 + bit].at(end))
    }
}

impl List {
    fn at(self, end: End) -> u32 {
        match end {
            End::Oldest => self.oldest,
            End::Newest => self.newest,
        }
    }
}
