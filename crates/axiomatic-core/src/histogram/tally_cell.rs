use super::counts::Counts;
use super::scale::BUCKETS;
use crate::sync::{AtomicU32, Ordering, spread, thread_index};

/// The calls that were recorded, by their bucket: those that ended on lines
/// that threads do not share, those that were cut short, which are few, on one.
pub(super) struct Tallies {
    ended: Box<[Row]>,
    cut_short: Box<Row>,
}

/// So much in one bucket asks for a halving before its time. What is added
/// until somebody follows has as much room again.
const FULL: u32 = 1 << 31;

/// A count for each bucket, on cache lines of its own: two of them, because
/// processors fetch them in pairs.
///
/// Layout    a count of calls for each bucket, 4 bytes each.
/// Invariant what is taken away was there: only the keeper takes, a part of
///           what it saw, and one after the other.
/// Writers   `add`, `take`. Readers `load`.
/// Orderings all Relaxed: counts. A keeper sees what those before it took by
///           its claim.
#[repr(align(128))]
struct Row([AtomicU32; BUCKETS]);

impl Tallies {
    pub(super) fn new() -> Self {
        Tallies {
            ended: (0..spread()).map(|_| Row::new()).collect(),
            cut_short: Box::new(Row::new()),
        }
    }

    /// Counts a call that ended. Whether the bucket is full.
    #[inline(always)]
    pub(super) fn add_ended(&self, bucket: usize) -> bool {
        self.ended[thread_index() & (self.ended.len() - 1)].add(bucket) >= FULL
    }

    /// Counts a call that was cut short. Whether the bucket is full.
    #[inline(always)]
    pub(super) fn add_cut_short(&self, bucket: usize) -> bool {
        self.cut_short.add(bucket) >= FULL
    }

    /// What is counted. Whoever is not the keeper may see a halving in its
    /// midst.
    pub(super) fn counts(&self) -> Counts {
        let load = |row: &Row, bucket| u64::from(row.load(bucket));
        let sum = |bucket| self.ended.iter().map(|row| load(row, bucket)).sum();
        Counts {
            ended: std::array::from_fn(sum),
            cut_short: std::array::from_fn(|bucket| load(&self.cut_short, bucket)),
        }
    }

    /// Whether a bucket is full on any line.
    pub(super) fn is_full(&self) -> bool {
        let mut rows = self.ended.iter().chain([&*self.cut_short]);
        rows.any(|row| (0..BUCKETS).any(|bucket| row.load(bucket) >= FULL))
    }

    /// The keeper halves what it sees so many times over. What is added
    /// meanwhile stays.
    pub(super) fn halve(&self, times: u32) {
        let mut ended = Halving::new(times);
        let mut cut_short = Halving::new(times);
        for bucket in 0..BUCKETS {
            for row in &self.ended {
                row.take(bucket, ended.takes_of(row.load(bucket)));
            }
            let row = &self.cut_short;
            row.take(bucket, cut_short.takes_of(row.load(bucket)));
        }
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
impl Tallies {
    /// As if so many calls had been cut short.
    pub(super) fn fill(&self, bucket: usize) {
        self.cut_short.0[bucket].store(FULL, Ordering::Relaxed);
    }
}

impl Row {
    fn new() -> Self {
        Row(std::array::from_fn(|_| AtomicU32::new(0)))
    }

    /// What it was before.
    #[inline(always)]
    fn add(&self, bucket: usize) -> u32 {
        // ORDERING: Relaxed: a count; no other memory is read on its strength.
        self.0[bucket].fetch_add(1, Ordering::Relaxed)
    }

    fn load(&self, bucket: usize) -> u32 {
        // ORDERING: Relaxed: a count. The keeper sees at least what was taken
        // before by its claim.
        self.0[bucket].load(Ordering::Relaxed)
    }

    fn take(&self, bucket: usize, calls: u32) {
        if calls > 0 {
            // ORDERING: Relaxed: the next keeper sees it by its claim.
            self.0[bucket].fetch_sub(calls, Ordering::Relaxed);
        }
    }
}

/// Halves counts one by one so that their sum is halved, whatever the counts:
/// what a count leaves over goes to the next. Rounding each by itself would
/// empty a tail of single calls at once, or never.
struct Halving {
    times: u32,
    over: u64,
}

impl Halving {
    fn new(times: u32) -> Self {
        // After 32 times nothing is left of what 32 bits can count.
        let times = times.min(u32::BITS);
        Halving { times, over: 0 }
    }

    fn takes_of(&mut self, count: u32) -> u32 {
        let all = self.over + u64::from(count);
        let kept = all >> self.times;
        self.over = all - (kept << self.times);
        count - kept as u32
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_halved_whatever_the_counts() {
        for times in [1, 2, 5, 31, 32, 40] {
            let counts = [1, 1, 1, 0, 7, 1, 1_000, 1, u32::MAX, 3, u32::MAX];
            let mut halving = Halving::new(times);
            let kept = counts.map(|count| u64::from(count - halving.takes_of(count)));
            let sum: u64 = counts.iter().map(|&count| u64::from(count)).sum();
            assert_eq!(kept.iter().sum::<u64>(), sum >> times.min(32));
        }
        let mut halving = Halving::new(1);
        assert_eq!([1; 6].map(|one| halving.takes_of(one)), [1, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn a_full_bucket_says_so() {
        let tallies = Tallies::new();
        assert!(!tallies.add_ended(7) && !tallies.is_full());
        for row in [&tallies.ended[0], &*tallies.cut_short] {
            row.0[7].store(FULL, Ordering::Relaxed);
            assert!(tallies.is_full());
            row.0[7].store(1, Ordering::Relaxed);
        }
        assert!(!tallies.is_full());
        tallies.fill(7);
        assert!(tallies.add_cut_short(7));
        tallies.halve(1);
        assert!(!tallies.add_cut_short(7));
    }
}
