//! Every algorithm is held to `tests/golden/hash.txt`, whose values this
//! crate did not make.

use std::collections::HashMap;

use axiomatic_core::hash::{Algorithm, AlgorithmError, Hasher, Seed};

const GOLDEN: &str = include_str!("../../golden/hash.txt");

fn bytes(hex: &str) -> Vec<u8> {
    if hex == "-" {
        return Vec::new();
    }
    assert_eq!(hex.len() % 2, 0, "{hex}");
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn seed(text: &str) -> Seed {
    if let Some(key) = text.strip_prefix("key:") {
        Seed::key(bytes(key).try_into().unwrap())
    } else {
        let digits = text.strip_prefix("0x").unwrap();
        Seed::fixed(u64::from_str_radix(digits, 16).unwrap())
    }
}

/// The lines, in fields.
fn lines() -> impl Iterator<Item = [&'static str; 6]> {
    let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let fields: Vec<_> = line.split(' ').collect();
        fields.try_into().expect("six fields")
    })
}

#[test]
fn every_algorithm_hashes_as_the_golden_file_says() {
    let mut held: HashMap<Algorithm, u32> = HashMap::new();
    for [id, name, seed_text, key, hash, hash128] in lines() {
        let algorithm = match Algorithm::try_from(id.parse::<u16>().unwrap()) {
            Ok(algorithm) => algorithm,
            Err(AlgorithmError::NotCompiled { name: known, .. }) => {
                assert_eq!(known, name);
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(algorithm.name(), name);
        let hasher = Hasher::new(algorithm, seed(seed_text));
        let (got, got128) = (hasher.hash(&bytes(key)), hasher.hash128(&bytes(key)));
        assert_eq!(format!("{got:016x}"), hash, "{name} {seed_text} {key}");
        let got128 = got128.map_or("-".to_owned(), |hash| format!("{hash:032x}"));
        assert_eq!(got128, hash128, "{name} {seed_text} {key}");
        *held.entry(algorithm).or_default() += 1;
    }
    for algorithm in Algorithm::ALL {
        assert!(held[algorithm] >= 40, "{algorithm}: {}", held[algorithm]);
    }
}

#[test]
fn a_number_hashes_as_its_bytes_do() {
    for algorithm in Algorithm::ALL {
        for seed in [Seed::fixed(0), Seed::fixed(u64::MAX), Seed::key([7; 16])] {
            let hasher = Hasher::new(*algorithm, seed);
            for number in (0..64).map(|bit| u64::MAX << bit).chain(0..64) {
                let of_bytes = hasher.hash(&number.to_le_bytes());
                assert_eq!(hasher.hash_u64(number), of_bytes, "{algorithm}");
            }
        }
    }
}

#[test]
fn a_key_hashes_alike_on_every_alignment() {
    for algorithm in Algorithm::ALL {
        let hasher = Hasher::new(*algorithm, Seed::fixed(7));
        for length in [0, 1, 7, 8, 9, 16, 31, 64, 130, 250] {
            let key = super::buffer(length);
            let (hash, hash128) = (hasher.hash(&key), hasher.hash128(&key));
            for offset in 0..=16 {
                // What stands before and after must not matter either.
                let mut room = vec![0xa5; offset + length + 16];
                room[offset..offset + length].copy_from_slice(&key);
                let moved = &room[offset..offset + length];
                assert_eq!(hasher.hash(moved), hash, "{algorithm}, {length} bytes");
                assert_eq!(
                    hasher.hash128(moved),
                    hash128,
                    "{algorithm}, {length} bytes"
                );
            }
        }
    }
}

#[test]
fn no_hash_has_more_bits_than_it_says_and_each_uses_them_all() {
    for algorithm in Algorithm::ALL {
        let hasher = Hasher::new(*algorithm, Seed::fixed(0));
        let used = (0..200u64).fold(0, |used, key| used | hasher.hash(&key.to_le_bytes()));
        assert_eq!(used, u64::MAX >> (64 - algorithm.bits()), "{algorithm}");
    }
}
