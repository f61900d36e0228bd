use axiomatic_core::sync::{AtomicU32, Ordering};

/// How much each user asked for of late: a count-min sketch of fixed size (G.
/// Cormode, S. Muthukrishnan, *An Improved Data Stream Summary: The Count-Min
/// Sketch and its Applications*, 2005).
///
/// Layout    two rows of counts; a user has a place in each, by its hash.
/// Invariant the lesser of a user's two counts is no less than what it asked
///           for and was not forgotten, but for who races with `forget`.
/// Writers   `add`, `forget`. Readers `add`, `look`.
/// Orderings all Relaxed: statistics.
pub(super) struct Usage {
    rows: [Box<[AtomicU32]>; 2],
}

/// In each row. With 4,096 places and as many users, one in three shares its
/// place in a row with nobody, and a heavy user falsely makes heavy one in
/// 4,096 for each row at most.
const PLACES: usize = if cfg!(axiomatic_loom) { 2 } else { 1 << 12 };

impl Usage {
    pub(super) fn new() -> Self {
        let row = || (0..PLACES).map(|_| AtomicU32::new(0)).collect();
        Usage {
            rows: [row(), row()],
        }
    }

    /// A user asks once more: how often it did, at most.
    #[inline]
    pub(super) fn add(&self, user: u64) -> u32 {
        let counts = self.places(user).map(|place| {
            // ORDERING: Relaxed: a statistic; no other memory is read on its
            // strength.
            place.fetch_add(1, Ordering::Relaxed).saturating_add(1)
        });
        counts[0].min(counts[1])
    }

    fn places(&self, user: u64) -> [&AtomicU32; 2] {
        let [first, second] = &self.rows;
        let at = |bits: u64| bits as usize % PLACES;
        [&first[at(user)], &second[at(user >> 32)]]
    }

    /// Forgets half of everything. What is left in a row, and in how many
    /// places.
    pub(super) fn forget(&self) -> (u64, u32) {
        let (mut all, mut busy) = (0, 0);
        for (row, counts) in self.rows.iter().enumerate() {
            for count in counts {
                // ORDERING: Relaxed: a statistic.
                let counted = count.load(Ordering::Relaxed);
                let half = counted.div_ceil(2);
                // ORDERING: Relaxed: a statistic. What was added meanwhile
                // stays.
                count.fetch_sub(half, Ordering::Relaxed);
                if row == 0 {
                    all += u64::from(counted - half);
                    busy += u32::from(counted > 0);
                }
            }
        }
        (all, busy)
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_shares_a_place_in_one_row_is_not_taken_for_the_other() {
        let user = |first: u64, second: u64| second << 32 | first;
        for (heavy, light) in [
            (user(5, 7), user(5, 9)),
            (user(5, 7), user(6, 7)),
            (user(5, 7), user(7, 5)),
        ] {
            let usage = Usage::new();
            for times in 1..=10 {
                assert_eq!(usage.add(heavy), times);
            }
            assert_eq!(usage.add(light), 1);
        }
    }

    #[test]
    fn half_is_forgotten_and_of_one_all() {
        let usage = Usage::new();
        for _ in 0..10 {
            usage.add(1);
        }
        usage.add(2);
        assert_eq!(usage.forget(), (5, 2));
        assert_eq!((usage.add(1), usage.add(2)), (6, 1));
        for _ in 0..4 {
            usage.forget();
        }
        assert_eq!(usage.forget(), (0, 0));
    }
}
