//! The sequential filter.

use crate::support::{filter, hashes, is_within};

/// 2 M probes at fixed seeds: within three standard deviations of the exact
/// rate, and no more than a twentieth above it.
#[test]
fn the_rate_is_that_of_the_table() {
    for (rate, seed) in [(0.1, 1), (0.01, 2), (0.001, 3)] {
        let mut filter = filter(200_000, rate);
        hashes(seed).take(200_000).for_each(|hash| {
            filter.insert_hash(hash);
        });
        let probes = 2_000_000;
        let absent = hashes(seed + 100).take(probes);
        let hits = absent.filter(|hash| filter.may_contain_hash(*hash)).count() as u64;
        let exact = filter.shape().false_positives();
        assert!(is_within(3.0, hits, probes as u64, exact), "{rate}: {hits}");
        assert!(
            hits as f64 <= 1.05 * exact * probes as f64,
            "{rate}: {hits}"
        );
        let counted = filter.snapshot().false_positives();
        assert!(
            is_within(3.0, hits, probes as u64, counted),
            "{rate}: {hits}"
        );
    }
}
