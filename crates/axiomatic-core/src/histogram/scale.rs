use std::time::Duration;

/// How many buckets there are. A model has few, since its reader visits all.
pub(super) const BUCKETS: usize = if cfg!(axiomatic_loom) { 3 } else { 320 };

/// Buckets of an octave. Whoever is told the middle of one is off by half of
/// its width, which is at most a sixteenth of the value.
const STEPS: u64 = 8;
const STEPS_LOG: u32 = STEPS.ilog2();

/// The bucket of a latency in nanoseconds: linear up to eight nanoseconds, from there on
/// eight to an octave. The last takes all that is longer: than 68 minutes.
#[inline(always)]
pub(super) fn bucket(nanos: u64) -> usize {
    // Its highest four bits, and how many follow them.
    let shift = (nanos | STEPS).ilog2() - STEPS_LOG;
    let bucket = u64::from(shift) * STEPS + (nanos >> shift);
    (bucket as usize).min(BUCKETS - 1)
}

/// The middle of a bucket.
pub(super) fn middle(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    let shift = (bucket / STEPS).saturating_sub(1);
    let first = (bucket - shift * STEPS) << shift;
    Duration::from_nanos(first + (1 << shift) / 2)
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;
    use crate::time::saturating_nanos;

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        let mut last = 0;
        for nanos in 0..100_000 {
            let bucket = bucket(nanos);
            assert!(bucket == last || bucket == last + 1, "{nanos}");
            last = bucket;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket(68 * 60 * 1_000_000_000), BUCKETS - 2);
    }

    #[test]
    fn the_middle_is_off_by_a_sixteenth_at_most() {
        let mut nanos = 1;
        while nanos < 4_000_000_000_000 {
            for near in nanos - 1..=nanos + 1 {
                let told = saturating_nanos(middle(bucket(near)));
                assert!(16 * told.abs_diff(near) <= near, "{near} told as {told}");
            }
            nanos += nanos / 50 + 1;
        }
    }
}
