//! Side by side with others.

use axiomatic_sketch::bloom::{BloomFilter, Shape};
use fastbloom::BloomFilter as FastBloom;

use crate::support::{hasher, hashes};

/// A classic filter of as many bits: both know all keys, and each errs at the
/// rate of its own kind.
#[test]
fn what_fastbloom_holds_is_held_here_and_the_rates_are_those_of_the_theory() {
    let (keys, probes) = (100_000, 1_000_000);
    let shape = Shape::for_items(keys).bits_per_item(10.5).unwrap();
    let mut ours = BloomFilter::new(shape, hasher()).unwrap();
    let bits = 8 * shape.bytes() as usize;
    let mut theirs = FastBloom::with_num_bits(bits)
        .seed(&7)
        .expected_items(keys as usize);
    for hash in hashes(1).take(keys as usize) {
        ours.insert_hash(hash);
        theirs.insert_hash(hash);
    }
    for hash in hashes(1).take(keys as usize) {
        assert!(ours.may_contain_hash(hash) && theirs.contains_hash(hash));
    }
    let absent: Vec<u64> = hashes(2).take(probes).collect();
    let rate = |hits: usize| hits as f64 / probes as f64;
    let of_ours = rate(
        absent
            .iter()
            .filter(|hash| ours.may_contain_hash(**hash))
            .count(),
    );
    let of_theirs = rate(
        absent
            .iter()
            .filter(|hash| theirs.contains_hash(**hash))
            .count(),
    );
    // 1.013 % and 0.646 % by the formulas.
    assert!((0.0097..0.0106).contains(&of_ours), "{of_ours}");
    assert!((0.0060..0.0070).contains(&of_theirs), "{of_theirs}");
}

#[cfg(feature = "parquet")]
mod arrow {
    use axiomatic_sketch::bloom::{BloomFilter, BloomView, PARQUET, Shape};
    use parquet::bloom_filter::Sbbf;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn both(values: &[Vec<u8>], blocks: u32) -> (BloomFilter, Sbbf) {
        let shape = Shape::for_items(100).blocks(blocks).unwrap();
        let mut ours = BloomFilter::new(shape, PARQUET).unwrap();
        // arrow-rs makes powers of two itself, and takes what it is given.
        let mut theirs = Sbbf::new(&vec![0; 32 * blocks as usize]);
        for value in values {
            ours.insert(value);
            theirs.insert(&value[..]);
        }
        (ours, theirs)
    }

    proptest! {
        #[test]
        fn bytes_are_those_of_arrow_and_each_reads_the_others(
            values in vec(vec(any::<u8>(), 0..40), 0..200),
            absent in vec(vec(any::<u8>(), 0..40), 0..50),
            blocks in 1_u32..50,
        ) {
            let (ours, theirs) = both(&values, blocks);
            let mut written = Vec::new();
            theirs.write(&mut written).unwrap();
            let bytes = ours.to_parquet().unwrap();
            prop_assert_eq!(&bytes, &written);

            let (view, rest) = BloomView::of_parquet(&written).unwrap();
            prop_assert!(rest.is_empty());
            let read = Sbbf::from_bytes(&bytes).unwrap();
            for value in values.iter().chain(&absent) {
                let answer = ours.may_contain(value);
                prop_assert_eq!(view.may_contain(value), answer);
                prop_assert_eq!(read.check(&value[..]), answer);
                prop_assert_eq!(theirs.check(&value[..]), answer);
            }
        }
    }

    /// arrow-rs 60 sizes by the formula of a filter without blocks.
    #[test]
    fn a_size_is_enough_where_that_of_arrow_was_not() {
        let items = 100_000;
        let ours = Shape::for_items(items).false_positives(1e-5).unwrap();
        // Before it rounds to a power of two: -8n / ln(1 - p^(1/8)) bits.
        let root = 1e-5_f64.powf(1.0 / 8.0);
        let theirs = -8.0 * items as f64 / (1.0 - root).ln();
        let theirs = Shape::for_items(items).bits_per_item(theirs / items as f64);
        let theirs = theirs.unwrap().false_positives();
        assert!(ours.false_positives() <= 1e-5 && theirs > 5e-5, "{theirs}");
    }
}
