//! The filter that grows.

use axiomatic_sketch::bloom::{GrowError, ScalableConfig, ShapeError};

use crate::support::{hasher, hashes, is_within};

#[test]
fn it_grows_without_denying_a_key_and_its_rate_stays_below_what_was_asked() {
    for (rate, tightening) in [(0.01, 0.5), (0.05, 0.9), (0.001, 0.7)] {
        let config = ScalableConfig::for_items(10_000).false_positives(rate);
        let mut filter = config.tightened_by(tightening).build(hasher()).unwrap();
        let keys = 600_000;
        for hash in hashes(1).take(keys) {
            filter.insert_hash(hash).unwrap();
        }
        assert!(
            hashes(1)
                .take(keys)
                .all(|hash| filter.may_contain_hash(hash))
        );
        assert_eq!(filter.layers().len(), 6, "{filter}");
        let probes = 500_000;
        let absent = hashes(2).take(probes);
        let hits = absent.filter(|hash| filter.may_contain_hash(*hash)).count() as u64;
        let counted = filter.false_positives();
        assert!(counted <= 1.02 * rate, "{filter}");
        assert!(
            is_within(3.0, hits, probes as u64, counted),
            "{filter}: {hits}"
        );
        // Those that seemed to be there already are not counted.
        let len = filter.len() as f64;
        assert!(len <= keys as f64 && len >= keys as f64 * (1.0 - rate));
    }
}

#[test]
fn a_repeated_key_does_not_make_it_grow() {
    let mut filter = ScalableConfig::for_items(1).build(hasher()).unwrap();
    assert!(filter.is_empty());
    assert_eq!(filter.insert(b"a"), Ok(true));
    for _ in 0..1000 {
        assert_eq!(filter.insert(b"a"), Ok(false));
    }
    assert_eq!((filter.len(), filter.layers().len()), (1, 1));
    assert_eq!(filter.insert(b"b"), Ok(true));
    assert_eq!((filter.len(), filter.layers().len()), (2, 2));
    assert!(filter.may_contain(b"a") && filter.may_contain(b"b"));
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let config = ScalableConfig::for_items(10);
    for number in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = Err(GrowError::Shape(ShapeError::Rate));
        let rate = config.false_positives(number).build(hasher());
        assert_eq!(rate.map(|_| ()), refused);
        let tightening = config.tightened_by(number).build(hasher());
        assert_eq!(tightening.map(|_| ()), refused);
    }
    let none = ScalableConfig::for_items(0).build(hasher());
    assert_eq!(none.map(|_| ()), Err(GrowError::Shape(ShapeError::NoItems)));
}

#[test]
fn what_cannot_grow_says_so_and_changes_nothing() {
    // The second layer would need a rate that no filter has.
    let config = ScalableConfig::for_items(4).tightened_by(1e-30);
    let mut filter = config.build(hasher()).unwrap();
    for key in 0..4_u64 {
        assert_eq!(filter.insert(&key.to_le_bytes()), Ok(true));
    }
    let before = filter.layers()[0].to_bytes();
    let full = filter.insert(&9_u64.to_le_bytes());
    assert_eq!(full, Err(GrowError::Shape(ShapeError::TooLarge)));
    assert_eq!(filter.layers()[0].to_bytes(), before);
    assert_eq!(filter.len(), 4);
    assert_eq!(filter.insert(&3_u64.to_le_bytes()), Ok(false));
}
