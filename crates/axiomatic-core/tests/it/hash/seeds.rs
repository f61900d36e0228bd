//! What a seed does to each algorithm.

use std::collections::HashSet;

use axiomatic_core::hash::{Algorithm, Hasher, Seed, mix};

fn seeds() -> Vec<Seed> {
    let numbers = (0..64).chain([u64::MAX, 1 << 63]).map(Seed::fixed);
    let keys = (0..64).map(|byte| Seed::key([byte; 16]));
    numbers.chain(keys).collect()
}

#[test]
fn every_seed_makes_another_hash_of_every_algorithm() {
    for algorithm in Algorithm::ALL {
        for key in ["", "a", "a key that is longer than a block of any of them"] {
            let of = |seed: Seed| Hasher::new(*algorithm, seed).hash(key.as_bytes());
            let hashes: HashSet<u64> = seeds().into_iter().map(of).collect();
            // Of 130 random hashes two are equal with a chance of 5e-16.
            assert_eq!(hashes.len(), seeds().len(), "{algorithm} of {key:?}");
        }
    }
}

/// bloomfilter 3.0.2 made two hashes of the two halves of one secret: with
/// equal halves they were one.
#[test]
fn a_key_of_equal_halves_does_not_make_two_hashes_equal() {
    for byte in 0..=u8::MAX {
        let equal = Seed::key([byte; 16]);
        let half = Seed::fixed(u64::from_le_bytes([byte; 8]));
        for algorithm in Algorithm::ALL {
            let hasher = Hasher::new(*algorithm, equal);
            assert_ne!(
                hasher.hash(b"key"),
                Hasher::new(*algorithm, half).hash(b"key")
            );
            if let Some(hash) = hasher.hash128(b"key") {
                assert_ne!(hash as u64, (hash >> 64) as u64, "{algorithm}, {byte}");
            }
        }
    }
}

#[test]
fn both_halves_of_a_key_count() {
    let base = [0x5a; 16];
    for algorithm in Algorithm::ALL {
        let of = |key| Hasher::new(*algorithm, Seed::key(key)).hash(b"key");
        let mut hashes = HashSet::from([of(base)]);
        for bit in 0..128 {
            let mut key = base;
            key[bit / 8] ^= 1 << (bit % 8);
            assert!(hashes.insert(of(key)), "{algorithm}: bit {bit}");
        }
    }
}

#[test]
fn exactly_those_that_take_no_seed_are_mixed_after_it_and_left_alone_with_zero() {
    for algorithm in Algorithm::ALL {
        let of = |seed| Hasher::new(*algorithm, Seed::fixed(seed)).hash(b"123456789");
        let mixed_after = |seed| of(seed) == mix(of(0) ^ mix(seed));
        for seed in [1, 7, u64::MAX] {
            assert_eq!(mixed_after(seed), !algorithm.takes_seed(), "{algorithm}");
        }
    }
}

#[test]
fn a_seed_that_an_algorithm_does_not_take_is_refused_where_it_must_be_exact() {
    for algorithm in Algorithm::ALL {
        for seed in [Seed::fixed(1), Seed::secret(), Seed::key([0; 16])] {
            match Hasher::exact(*algorithm, seed) {
                Ok(hasher) => {
                    assert!(algorithm.takes_seed());
                    assert_eq!(hasher, Hasher::new(*algorithm, seed));
                }
                Err(error) => {
                    assert!(!algorithm.takes_seed());
                    assert_eq!(error.algorithm(), *algorithm);
                    assert!(error.to_string().contains(algorithm.name()));
                }
            }
        }
        assert!(Hasher::exact(*algorithm, Seed::fixed(0)).is_ok());
    }
}

#[test]
fn a_hasher_of_a_secret_shows_no_digit_of_it() {
    for algorithm in Algorithm::ALL {
        let shown = format!("{:?}", Hasher::new(*algorithm, Seed::key([0x77; 16])));
        let want = format!("Hasher {{ algorithm: {algorithm:?}, seed: Seed(secret) }}");
        assert_eq!(shown, want);
    }
}
