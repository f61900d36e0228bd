//! The stored form of a set.

use axiomatic_placement::consistent_hash::{
    DecodeShardsError, MAX_SHARDS, NumberedShards, ShardSet,
};
use proptest::prelude::*;

use super::by_lot;
use super::oracle::{check, check_with, sealed};

/// The stored form of shards 0, 1, 63, 64 and 99 of a capacity of 100, in
/// hexadecimal, a line for each part.
const GOLDEN: &str = include_str!("../../golden/numbered_shard_set_v1.hex");

fn golden_set() -> ShardSet {
    ShardSet::of(100, [0, 1, 63, 64, 99]).unwrap()
}

fn golden_bytes() -> Vec<u8> {
    let digits: String = GOLDEN.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// The golden form with other bytes in it and a checksum that fits.
fn forged(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut forged = golden_bytes();
    forged[at..at + bytes.len()].copy_from_slice(bytes);
    sealed(&forged[..forged.len() - 8])
}

#[test]
fn a_set_is_stored_as_ever() {
    assert_eq!(golden_set().encode(), golden_bytes());
    assert_eq!(ShardSet::decode(&golden_bytes()), Ok(golden_set()));
}

#[test]
fn no_bit_of_a_stored_set_may_be_wrong() {
    let bytes = golden_bytes();
    for bit in 0..8 * bytes.len() {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(ShardSet::decode(&damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn no_byte_of_a_stored_set_may_be_missing_or_too_much() {
    let bytes = golden_bytes();
    for length in 0..bytes.len() {
        let decoded = ShardSet::decode(&bytes[..length]);
        let Err(DecodeShardsError::Length { actual, .. }) = decoded else {
            panic!("{decoded:?} at a length of {length}");
        };
        assert_eq!(actual, length as u64);
    }
    let longer = sealed(&[&bytes[..28], &[0; 8]].concat());
    let (expected, actual) = (36, 44);
    assert_eq!(
        ShardSet::decode(&longer),
        Err(DecodeShardsError::Length { expected, actual })
    );
}

#[test]
fn what_a_checksum_does_not_find_is_refused_by_name() {
    let refused = |at, bytes: &[u8]| ShardSet::decode(&forged(at, bytes)).unwrap_err();
    assert_eq!(forged(0, b"AxSh"), golden_bytes());
    assert_eq!(refused(0, b"AxSi"), DecodeShardsError::Magic);
    assert_eq!(refused(4, &[2, 0]), DecodeShardsError::Version(2));
    assert_eq!(refused(4, &[1, 1]), DecodeShardsError::Version(257));
    assert_eq!(refused(6, &[1, 0]), DecodeShardsError::Algorithm(1));
    assert_eq!(refused(8, &[0; 4]), DecodeShardsError::Capacity(0));
    let many = MAX_SHARDS + 1;
    assert_eq!(
        refused(8, &many.to_le_bytes()),
        DecodeShardsError::Capacity(many)
    );
    assert_eq!(refused(12, &[0; 16]), DecodeShardsError::Empty);
    // Number 100, one beyond 99.
    let beyond = refused(20, &(1u64 << 36).to_le_bytes());
    assert_eq!(beyond, DecodeShardsError::BeyondCapacity);
    // 99 is beyond a capacity of 99.
    assert_eq!(refused(8, &[99]), DecodeShardsError::BeyondCapacity);
    let mut damaged = golden_bytes();
    damaged[12] ^= 4;
    assert_eq!(ShardSet::decode(&damaged), Err(DecodeShardsError::Checksum));
}

#[test]
fn a_capacity_that_the_bytes_do_not_hold_takes_no_memory() {
    let claimed = forged(8, &MAX_SHARDS.to_le_bytes());
    let expected = 12 + (1 << 28) + 8;
    assert_eq!(
        ShardSet::decode(&claimed),
        Err(DecodeShardsError::Length {
            expected,
            actual: 36
        })
    );
}

proptest! {
    #[test]
    fn a_stored_set_comes_back_as_it_was(
        capacity in 1u32..1000,
        working in 1u32..1000,
        seed: u64,
        hash: u64,
    ) {
        let set = by_lot(working.min(capacity), capacity, seed);
        let decoded = ShardSet::decode(&set.encode()).unwrap();
        prop_assert_eq!(&decoded, &set);
        prop_assert_eq!(decoded.owner(hash), set.owner(hash));
        prop_assert_eq!(decoded.count(), set.count());
    }

    /// One set has one form: what is accepted is what would be written.
    #[test]
    fn whatever_is_decoded_is_encoded_as_it_came(
        capacity in 0u32..200,
        words in prop::collection::vec(any::<u64>(), 0..5),
    ) {
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        let header = [&b"AxSh\x01\0\x03\0"[..], &capacity.to_le_bytes()].concat();
        let bytes = sealed(&header.into_iter().chain(words).collect::<Vec<u8>>());
        if let Ok(set) = ShardSet::decode(&bytes) {
            prop_assert_eq!(set.encode(), bytes);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(ShardSet::decode(&bytes).is_err());
    }
}

#[test]
fn what_fuzzing_began_with_and_found_is_as_it_should_be() {
    let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut replayed = 0;
    for place in ["corpus/shard_set", "regressions/shard_set"] {
        let Ok(files) = std::fs::read_dir(fuzz.join(place)) else {
            continue;
        };
        for file in files.flatten() {
            let bytes = std::fs::read(file.path()).unwrap();
            assert_eq!(check(&bytes), Ok(()), "{}", file.path().display());
            replayed += 1;
        }
    }
    assert!(replayed >= 4, "{replayed} files; is the corpus gone?");
}

/// A decoder that forgets which shards are out is found by the oracle.
#[test]
fn the_oracle_finds_a_set_that_is_decoded_wrongly() {
    let careless = |bytes: &[u8]| {
        let set = ShardSet::decode(bytes)?;
        Ok(ShardSet::full(set.capacity()).unwrap())
    };
    assert_eq!(check(&golden_bytes()), Ok(()));
    assert!(check_with(&golden_bytes(), careless).is_err());
}
