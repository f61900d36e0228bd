//! The breaker against the reference, over random scripts.

use std::fs;
use std::path::Path;

use axiomatic_core::hash::mix;
use proptest::prelude::*;

use crate::reference::{Bug, compare, decode};

proptest! {
    // Scripts are cheap: eight times what `PROPTEST_CASES` asks for.
    #![proptest_config(ProptestConfig::with_cases(8 * ProptestConfig::default().cases))]

    #[test]
    fn does_what_the_reference_does(script in prop::collection::vec(any::<u8>(), 0..400)) {
        let (setup, steps) = decode(&script);
        if let Err(difference) = compare(&setup, &steps, None) {
            return Err(TestCaseError::fail(format!("{setup:?}\n{difference}")));
        }
    }
}

/// An oracle that accepts everything proves nothing: with a bug planted in
/// the reference, some script of a fixed set tells the two apart.
#[test]
fn every_planted_bug_is_seen() {
    for bug in Bug::ALL {
        let seen = (0..5_000u64).any(|seed| {
            let (setup, steps) = decode(&bytes(seed, 400));
            compare(&setup, &steps, Some(bug)).is_err()
        });
        assert!(seen, "{bug:?} was not seen");
    }
}

fn bytes(seed: u64, length: u64) -> Vec<u8> {
    (0..length).map(|i| mix(seed << 32 | i) as u8).collect()
}

/// What the fuzzer found, and the seeds it starts from, on stable Rust.
#[test]
fn the_fuzzers_findings_stay_fixed() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut replayed = 0;
    for folder in ["corpus/circuit_breaker", "regressions/circuit_breaker"] {
        for entry in fs::read_dir(fuzz.join(folder)).into_iter().flatten() {
            let path = entry.unwrap().path();
            let (setup, steps) = decode(&fs::read(&path).unwrap());
            if let Err(difference) = compare(&setup, &steps, None) {
                panic!("{}: {setup:?}\n{difference}", path.display());
            }
            replayed += 1;
        }
    }
    assert!(replayed > 0, "the seeds are committed");
}
