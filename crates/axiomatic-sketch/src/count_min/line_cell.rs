//! The counters, a cache line of them.

use axiomatic_core::sync::{AtomicU32, Ordering};

/// A count that says no more than "at least so many": it goes no further.
///
/// Half of what a word holds. That leaves room for those who saw a lower count
/// and are about to raise it.
pub(crate) const MOST: u32 = 1 << 31;

/// What is raised by no more than this is raised in one step, whoever else
/// raises it. That it then stays below 2^32 takes for granted that there are
/// not eight million threads, each between its look at a counter and its step.
const SMALL: u32 = 256;

/// One counter.
///
/// Layout    a count; [`MOST`] and above all mean [`MOST`].
/// Invariant never wraps: at `MOST` it is not raised any more, by counts up to
///           `SMALL` it passes `MOST` by `SMALL` a thread at most, and by
///           greater ones not at all.
/// Writers   `raise`, `halve`. Readers `load`.
/// Orderings all Relaxed: steps on one word have one order, and that is all
///           that a count needs; no other memory is read on its strength.
#[derive(Debug)]
struct Counter(AtomicU32);

/// Sixteen counters: four rows of four columns, of which a key has one column
/// in each row.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Line([Counter; Line::ROWS * Line::COLUMNS]);

impl Line {
    pub(crate) const ROWS: usize = 4;
    pub(crate) const COLUMNS: usize = 4;

    pub(crate) fn new() -> Self {
        Line(std::array::from_fn(|_| Counter(AtomicU32::new(0))))
    }

    /// Counts so many for the key with this hash, and says how many there are
    /// then at most.
    #[inline(always)]
    pub(crate) fn raise(&self, hash: u64, count: u32) -> u32 {
        let counters = self.of(hash);
        let raised = counters.map(|counter| counter.raise(count));
        raised.into_iter().fold(MOST, u32::min)
    }

    /// How many there are of the key with this hash, at most.
    #[inline(always)]
    pub(crate) fn least(&self, hash: u64) -> u32 {
        let counters = self.of(hash);
        counters.map(Counter::load).into_iter().fold(MOST, u32::min)
    }

    /// Halves every counter, rounding down.
    pub(crate) fn halve(&self) {
        self.0.iter().for_each(Counter::halve);
    }

    /// How many of the counters are not zero, and how many can go no further.
    pub(crate) fn fill(&self) -> (u32, u32) {
        let (mut used, mut saturated) = (0, 0);
        for counter in &self.0 {
            let count = counter.load();
            used += u32::from(count > 0);
            saturated += u32::from(count >= MOST);
        }
        (used, saturated)
    }

    /// The counters of a key: of each row the column that two bits of the
    /// lower half of the hash choose. The upper half has chosen the line.
    #[inline(always)]
    fn of(&self, hash: u64) -> [&Counter; Line::ROWS] {
        std::array::from_fn(|row| {
            let column = (hash >> (2 * row)) as usize % Line::COLUMNS;
            &self.0[row * Line::COLUMNS + column]
        })
    }
}

impl Counter {
    /// How many there are, up to [`MOST`].
    #[inline(always)]
    fn load(&self) -> u32 {
        // ORDERING: Relaxed: a count; no other memory is read on its strength.
        self.0.load(Ordering::Relaxed).min(MOST)
    }

    /// Counts so many more, and says how many there are then.
    #[inline(always)]
    fn raise(&self, count: u32) -> u32 {
        // Test before write: at its end a counter is not written any more.
        if self.load() == MOST {
            return MOST;
        }
        if count > SMALL {
            return self.raise_far(count);
        }
        // ORDERING: Relaxed: a count; no other memory is read on its strength.
        let before = self.0.fetch_add(count, Ordering::Relaxed);
        // No overflow: see `SMALL`.
        before.saturating_add(count).min(MOST)
    }

    /// By so much that the word could overflow: up to the end and no further.
    ///
    /// Linearises at the exchange. A lost race is another's count or halving,
    /// which is then taken into account. Lock-free: one that loses lets another
    /// get on.
    #[cold]
    fn raise_far(&self, count: u32) -> u32 {
        let mut seen = self.load();
        while seen < MOST {
            let raised = seen.saturating_add(count).min(MOST);
            let exchange = self.0.compare_exchange_weak(
                seen,
                raised,
                // ORDERING: Relaxed: a count; no other memory is read on its
                // strength.
                Ordering::Relaxed,
                // ORDERING: Relaxed: only to try again.
                Ordering::Relaxed,
            );
            match exchange {
                Ok(_) => return raised,
                Err(now) => seen = now,
            }
        }
        MOST
    }

    /// Halves it, rounding down.
    ///
    /// Linearises at the exchange. A lost race is a count that was added
    /// meanwhile, and is halved with the rest. Lock-free: one that loses lets
    /// another get on.
    fn halve(&self) {
        // ORDERING: Relaxed: the exchange tells if it was not the newest.
        let mut seen = self.0.load(Ordering::Relaxed);
        // Nothing has no half: most counters of a roomy sketch are not written.
        while seen > 0 {
            let exchange = self.0.compare_exchange_weak(
                seen,
                seen.min(MOST) / 2,
                // ORDERING: Relaxed: a count; that all are halved is told by
                // the total's Release.
                Ordering::Relaxed,
                // ORDERING: Relaxed: only to try again.
                Ordering::Relaxed,
            );
            match exchange {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_line_of_the_cache() {
        assert_eq!((size_of::<Line>(), align_of::<Line>()), (64, 64));
    }

    #[test]
    fn a_key_has_one_counter_in_each_row_by_two_bits_each() {
        for hash in 0..256_u64 {
            let line = Line::new();
            assert_eq!(line.raise(hash | 0xabcd_ef00, 1), 1);
            let columns = line.0.chunks(Line::COLUMNS).map(|row| {
                let counts: Vec<u32> = row.iter().map(Counter::load).collect();
                assert_eq!(counts.iter().sum::<u32>(), 1);
                counts.iter().position(|count| *count == 1).unwrap() as u64
            });
            let chosen: u64 = columns.enumerate().map(|(row, at)| at << (2 * row)).sum();
            assert_eq!(chosen, hash);
        }
    }

    #[test]
    fn who_saw_a_lower_count_passes_the_end_and_does_not_wrap() {
        let counter = Counter(AtomicU32::new(MOST - 1));
        assert_eq!(counter.raise(SMALL), MOST);
        assert_eq!(counter.0.load(Ordering::Relaxed), MOST + SMALL - 1);
        assert_eq!(counter.raise(u32::MAX), MOST);
        assert_eq!(counter.raise(1), MOST);
        assert_eq!(counter.0.load(Ordering::Relaxed), MOST + SMALL - 1);
        counter.halve();
        assert_eq!(counter.load(), MOST / 2);
        assert_eq!(counter.raise(u32::MAX), MOST);
        assert_eq!(counter.raise_far(7), MOST);
    }
}
