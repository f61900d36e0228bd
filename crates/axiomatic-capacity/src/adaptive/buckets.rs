//! Latencies by their size, and what a window is found to have held.

use std::time::Duration;

/// Sixteen buckets for each doubling, from a microsecond to more than an hour:
/// a latency is known to 6 %, and a median, which is placed inside its bucket
/// by its rank, better.
pub(super) const BUCKETS: usize = (OCTAVES as usize) << PARTS_LOG;

const PARTS_LOG: u32 = 4;
const LEAST_LOG: u32 = 10;
const OCTAVES: u32 = 32;

/// In which bucket so many nanoseconds are counted.
#[inline(always)]
pub(super) fn bucket(nanos: u64) -> usize {
    let nanos = nanos.max(1 << LEAST_LOG);
    let octave = nanos.ilog2();
    let part = nanos >> (octave - PARTS_LOG) & ((1 << PARTS_LOG) - 1);
    let index = ((octave - LEAST_LOG) << PARTS_LOG) as usize + part as usize;
    index.min(BUCKETS - 1)
}

/// Where a bucket begins, in nanoseconds.
fn beginning(bucket: usize) -> u64 {
    let octave = (bucket >> PARTS_LOG) as u32 + LEAST_LOG;
    let part = bucket as u64 & ((1 << PARTS_LOG) - 1);
    ((1 << PARTS_LOG) + part) << (octave - PARTS_LOG)
}

/// All that was counted up to a moment.
#[derive(Clone)]
pub(super) struct Totals {
    pub(super) latencies: Box<[u32; BUCKETS]>,
    pub(super) failed: u32,
    pub(super) dropped: u32,
    pub(super) turned_away: u32,
    /// Of the window, in nanoseconds.
    pub(super) shortest: Option<u64>,
    /// Of the window.
    pub(super) most_in_flight: u32,
}

/// What was counted between two moments.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) answered: u64,
    pub(super) median: Option<Duration>,
    pub(super) failed: u64,
    pub(super) dropped: u64,
    pub(super) turned_away: u64,
}

impl Totals {
    pub(super) fn new() -> Self {
        Totals {
            latencies: Box::new([0; BUCKETS]),
            failed: 0,
            dropped: 0,
            turned_away: 0,
            shortest: None,
            most_in_flight: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.latencies.fill(0);
        (self.failed, self.dropped, self.turned_away) = (0, 0, 0);
        (self.shortest, self.most_in_flight) = (None, 0);
    }

    pub(super) fn since(&self, before: &Totals) -> Counted {
        let more = |now: u32, before: u32| u64::from(now.wrapping_sub(before));
        let counts = || {
            let pairs = self.latencies.iter().zip(before.latencies.iter());
            pairs.map(|(now, before)| more(*now, *before))
        };
        let answered = counts().sum();
        Counted {
            answered,
            median: median(counts(), answered),
            failed: more(self.failed, before.failed),
            dropped: more(self.dropped, before.dropped),
            turned_away: more(self.turned_away, before.turned_away),
        }
    }
}

/// The middle one of so many, placed inside its bucket by its rank.
fn median(counts: impl Iterator<Item = u64>, all: u64) -> Option<Duration> {
    let mut rank = all.checked_sub(1)? / 2;
    for (bucket, count) in counts.enumerate() {
        if rank < count {
            let (begin, end) = (beginning(bucket), beginning(bucket + 1));
            let within = u128::from(end - begin) * u128::from(2 * rank + 1) / u128::from(2 * count);
            return Some(Duration::from_nanos(begin + within as u64));
        }
        rank -= count;
    }
    None
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_latency_is_counted_in_the_bucket_that_holds_it() {
        for nanos in (1 << LEAST_LOG..1 << 14).chain((14..40).flat_map(|log| {
            let octave = 1u64 << log;
            [octave - 1, octave, octave + 1, octave + octave / 3]
        })) {
            let at = bucket(nanos);
            let range = beginning(at)..beginning(at + 1);
            assert!(range.contains(&nanos), "{nanos} in {range:?}");
            assert!(range.end - range.start <= range.start / 16);
        }
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_median_is_that_of_the_sorted_list_but_for_the_width_of_a_bucket() {
        let mut random = 1u64;
        for count in 1..200 {
            let mut totals = Totals::new();
            let mut sorted = Vec::new();
            for _ in 0..count {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let nanos = 1_000_000 + (random >> 33) % 50_000_000;
                totals.latencies[bucket(nanos)] += 1;
                sorted.push(nanos);
            }
            sorted.sort_unstable();
            let counted = totals.since(&Totals::new());
            assert_eq!(counted.answered, count);
            let exact = sorted[sorted.len().div_ceil(2) - 1] as f64;
            let median = counted.median.unwrap().as_nanos() as f64;
            assert!((median / exact - 1.0).abs() < 0.07, "{median} for {exact}");
        }
        assert_eq!(Totals::new().since(&Totals::new()).median, None);
    }

    #[test]
    fn counts_may_pass_the_end_of_their_numbers() {
        let (mut before, mut now) = (Totals::new(), Totals::new());
        before.dropped = u32::MAX;
        now.dropped = 4;
        assert_eq!(now.since(&before).dropped, 5);
    }
}
