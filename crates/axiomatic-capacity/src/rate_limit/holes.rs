//! Places in the line that were given up while others stand behind them.
//!
//! Who stands behind has its time already and cannot move up, so the place is
//! kept for whoever comes next. Places never overlap, and so nothing is given
//! out twice whatever is given up. It is a plain value behind its owner's lock,
//! with all its memory from the beginning.

/// Places, in the order of the line, none of which touch.
#[derive(Debug)]
pub(super) struct Holes {
    places: Vec<Hole>,
    /// Of the terms under which they are places.
    generation: u8,
}

/// A part of the line that is free: after `start`, up to and with `end`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Hole {
    start: u64,
    end: u64,
}

/// One kilobyte. Neighbours are one place, so this many are needed only where
/// every other one in a long line leaves; what does not fit is lost until the
/// line has passed it.
const MOST: usize = 64;

impl Holes {
    pub(super) fn new() -> Self {
        Holes {
            places: Vec::with_capacity(MOST),
            generation: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.places.clear();
    }

    /// Forgets those of other terms.
    pub(super) fn enter(&mut self, generation: u8) {
        if self.generation != generation {
            self.places.clear();
            self.generation = generation;
        }
    }

    /// Forgets what has passed by `now`.
    fn pass(&mut self, now: u64) {
        let passed = self.places.partition_point(|hole| hole.end <= now);
        self.places.drain(..passed);
    }

    /// Keeps a place that was given up.
    pub(super) fn add(&mut self, start: u64, end: u64, now: u64) {
        self.pass(now);
        let start = start.max(now);
        if start >= end {
            return;
        }
        // Neighbours are joined.
        let mut hole = Hole { start, end };
        let at = self.places.partition_point(|hole| hole.end < start);
        let has = |at: usize| self.places.get(at).copied();
        let before = has(at).filter(|before| before.end == start);
        let after = has(at + usize::from(before.is_some())).filter(|after| after.start == end);
        hole.start = before.map_or(start, |before| before.start);
        hole.end = after.map_or(end, |after| after.end);
        let joined = at..at + usize::from(before.is_some()) + usize::from(after.is_some());
        // Where a refund let others in before, it may be given up twice over.
        let overlaps = |hole: &Hole| hole.start < end && start < hole.end;
        if self.places[at..].iter().any(overlaps) {
            return;
        }
        if !joined.is_empty() || self.places.len() < MOST {
            self.places.splice(joined, [hole]);
        }
    }

    /// Where the line ends if it ended here and what is free there is cut off.
    pub(super) fn retreat(&mut self, end: u64) -> u64 {
        match self.places.pop_if(|hole| hole.end == end) {
            Some(hole) => hole.start,
            None => end,
        }
    }

    /// How far a line that ends here is shortened by so much, where what is free
    /// already is passed over.
    pub(super) fn behind(&self, end: u64, units: u64) -> u64 {
        let (mut left, mut at) = (units, end);
        for hole in self.places.iter().rev() {
            let taken = at.saturating_sub(hole.end);
            if taken > left {
                break;
            }
            left -= taken;
            at = hole.start;
        }
        (end - at.min(end)).saturating_add(left)
    }

    /// Forgets those that do not lie before the end of the line.
    pub(super) fn cut(&mut self, end: u64) {
        self.places.retain(|hole| hole.end <= end);
    }

    /// Takes so much of the first place that has it and lies after `now`, if
    /// `fits` is content with where that ends. Says where it ends.
    pub(super) fn take(
        &mut self,
        units: u64,
        now: u64,
        fits: impl FnOnce(u64) -> bool,
    ) -> Option<u64> {
        self.pass(now);
        let has_room = |hole: &Hole| hole.end - hole.start.max(now) >= units;
        let at = self.places.iter().position(has_room)?;
        let end = self.places[at].start.max(now) + units;
        if !fits(end) {
            return None;
        }
        self.places[at].start = end;
        if self.places[at].start == self.places[at].end {
            self.places.remove(at);
        }
        Some(end)
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_are_one_place() {
        let mut holes = Holes::new();
        holes.add(10, 20, 0);
        holes.add(30, 40, 0);
        assert_eq!(holes.places.len(), 2);
        holes.add(20, 30, 0);
        assert_eq!(holes.places, [Hole { start: 10, end: 40 }]);
        assert_eq!(holes.retreat(40), 10);
        assert!(holes.is_empty());
    }

    #[test]
    fn what_has_passed_is_no_place() {
        let mut holes = Holes::new();
        holes.add(10, 20, 0);
        assert_eq!(holes.take(5, 16, |_| true), None);
        assert_eq!(holes.take(4, 16, |_| true), Some(20));
        assert!(holes.is_empty());
        holes.add(10, 20, 20);
        assert!(holes.is_empty());
    }

    #[test]
    fn places_of_other_terms_are_forgotten() {
        let mut holes = Holes::new();
        holes.add(10, 20, 0);
        holes.enter(0);
        assert!(!holes.is_empty());
        holes.enter(1);
        assert!(holes.is_empty());
    }

    #[test]
    fn a_place_that_is_given_up_twice_is_one_place() {
        let mut holes = Holes::new();
        holes.add(10, 20, 0);
        holes.add(15, 25, 0);
        holes.add(5, 15, 0);
        assert_eq!(holes.places, [Hole { start: 10, end: 20 }]);
    }

    #[test]
    fn what_does_not_fit_is_lost_and_nothing_is_allocated() {
        let mut holes = Holes::new();
        let room = holes.places.capacity();
        for at in 0..2 * MOST as u64 {
            holes.add(10 * at, 10 * at + 5, 0);
        }
        assert_eq!((holes.places.len(), holes.places.capacity()), (MOST, room));
    }

    #[test]
    fn what_is_put_back_passes_over_what_is_free_already() {
        let mut holes = Holes::new();
        holes.add(10, 20, 0);
        for (units, behind) in [(0, 0), (9, 9), (10, 20), (15, 25), (50, 60)] {
            assert_eq!(holes.behind(30, units), behind, "{units} put back");
        }
        holes.cut(20);
        assert!(!holes.is_empty());
        holes.cut(19);
        assert!(holes.is_empty());
    }

    proptest! {
        /// Against a line of which each unit is free or not.
        #[test]
        fn a_place_is_given_out_once(
            ops in prop::collection::vec((0..3u8, 0..50u64, 1..10u64), 1..100)
        ) {
            let mut holes = Holes::new();
            let mut is_free = [false; 64];
            let mut now = 0;
            for (op, at, units) in ops {
                let place = at as usize..(at + units) as usize;
                match op {
                    0 if !is_free[place.clone()].contains(&true) => {
                        holes.add(at, at + units, now);
                        is_free[place].fill(true);
                        is_free[..now as usize].fill(false);
                    }
                    1 => {
                        now = now.max(at);
                        if let Some(end) = holes.take(units, now, |_| true) {
                            let taken = (end - units) as usize..end as usize;
                            prop_assert!(taken.start >= now as usize);
                            prop_assert!(!is_free[taken.clone()].contains(&false));
                            is_free[taken].fill(false);
                        }
                        is_free[..now as usize].fill(false);
                    }
                    _ => {
                        let start = holes.retreat(at) as usize;
                        let cut = start.max(now as usize)..(at as usize).max(now as usize);
                        prop_assert!(!is_free[cut.clone()].contains(&false));
                        is_free[start..at as usize].fill(false);
                    }
                }
                let places: u64 = holes.places.iter().map(|hole| hole.end - hole.start).sum();
                let free = is_free.iter().filter(|is_free| **is_free).count() as u64;
                // A place that has passed in part is cut when it is looked at.
                prop_assert!(places >= free, "{places} of {free}");
            }
        }
    }
}
