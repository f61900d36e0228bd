//! Filters as bytes.

use axiomatic_core::hash::{Algorithm, AlgorithmError, Hasher, Seed, mix};
use axiomatic_sketch::bloom::{
    AtomicWordFilter, BloomFilter, BloomView, BuildError, DecodeError, Shape, ShapeError, Verify,
    WordShape,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{filter, hasher, hashes};

const GOLDEN: &str = include_str!("../golden/bloom.txt");

/// The bytes of that name in the golden file.
fn golden(name: &str) -> Vec<u8> {
    let line = GOLDEN.lines().find_map(|line| line.strip_prefix(name));
    let hex = line.expect("it is in the file").trim();
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn of_twenty_keys(blocks: u32, hasher: Hasher) -> BloomFilter {
    let shape = Shape::for_items(20).blocks(blocks).unwrap();
    let mut filter = BloomFilter::new(shape, hasher).unwrap();
    (0..20).for_each(|key| {
        filter.insert(format!("key-{key}").as_bytes());
    });
    filter
}

fn key() -> Hasher {
    let key = std::array::from_fn(|at| at as u8);
    Hasher::new(Algorithm::Xxh3, Seed::key(key))
}

#[test]
fn filters_are_stored_as_ever() {
    let xxh3 = Hasher::new(Algorithm::Xxh3, Seed::fixed(7));
    let xxh64 = Hasher::new(Algorithm::Xxh64, Seed::fixed(0));
    let held = [
        ("xxh3-seed-7", 3, xxh3),
        ("xxh64-seed-0", 5, xxh64),
        ("xxh3-key-00..0f", 2, key()),
    ];
    for (name, blocks, hasher) in held {
        let (filter, golden) = (of_twenty_keys(blocks, hasher), golden(name));
        assert_eq!(filter.to_bytes(), golden, "{name}");
        let read = BloomFilter::from_bytes_keyed(&golden, hasher).unwrap();
        assert_eq!((read.shape(), read.hasher()), (filter.shape(), hasher));
        assert!((0..20).all(|key| read.may_contain(format!("key-{key}").as_bytes())));
    }
}

#[test]
fn filters_of_words_are_stored_as_ever() {
    let shape = WordShape::for_items(20).words(4).unwrap();
    assert_eq!(shape.bits_per_key(), 6);
    let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(7));
    let filter = AtomicWordFilter::new(shape, hasher).unwrap();
    (0..20).for_each(|key| {
        filter.insert(format!("key-{key}").as_bytes());
    });
    let golden = golden("words-seed-7");
    assert_eq!(filter.to_bytes(), golden);
    let read = AtomicWordFilter::from_bytes(&golden).unwrap();
    assert_eq!((read.shape(), read.hasher()), (shape, hasher));
    assert!((0..20).all(|key| !read.insert(format!("key-{key}").as_bytes())));
    for bit in 0..8 * golden.len() {
        let mut other = golden.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(AtomicWordFilter::from_bytes(&other).is_err(), "bit {bit}");
    }
    for bits in [0, 3, 9, 255] {
        let mut other = golden.clone();
        other[15] = bits;
        let read = AtomicWordFilter::from_bytes(&resealed(other));
        assert_eq!(read.unwrap_err(), DecodeError::BitsPerKey(bits));
    }
    // Neither kind is taken for the other.
    let other = BloomFilter::from_bytes(&golden).unwrap_err();
    assert_eq!(other, DecodeError::Kind(2));
    let other = AtomicWordFilter::from_bytes(&self::golden("xxh3-seed-7"));
    assert_eq!(other.unwrap_err(), DecodeError::Kind(1));
}

proptest! {
    #[test]
    fn a_filter_of_words_denies_nothing_once_it_is_read_again(
        hashes in vec(any::<u64>(), 0..200),
        words in 1_u32..50,
        secret: bool,
    ) {
        let shape = WordShape::for_items(100).words(words).unwrap();
        let hasher = if secret { key() } else { hasher() };
        let filter = AtomicWordFilter::new(shape, hasher).unwrap();
        for hash in &hashes {
            filter.insert_hash(*hash);
        }
        let bytes = filter.to_bytes();
        let read = AtomicWordFilter::from_bytes_keyed(&bytes, hasher).unwrap();
        prop_assert!(hashes.iter().all(|hash| read.may_contain_hash(*hash)));
        prop_assert_eq!(read.to_bytes(), bytes);
    }
}

#[test]
fn no_byte_may_change_or_be_missing_or_follow() {
    let whole = golden("xxh3-seed-7");
    assert!(BloomFilter::from_bytes(&whole).is_ok());
    for len in 0..whole.len() {
        let error = BloomFilter::from_bytes(&whole[..len]).unwrap_err();
        assert_eq!(error, DecodeError::Truncated, "{len}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(
        BloomFilter::from_bytes(&longer).unwrap_err(),
        DecodeError::TooLong
    );
    for bit in 0..8 * whole.len() {
        let mut other = whole.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        let read = BloomFilter::from_bytes(&other);
        assert!(read.is_err(), "bit {bit} went unnoticed");
        // Without the checksum over the bits, the header is still safe.
        let view = BloomView::new(&other, Verify::Header);
        assert_eq!(view.is_ok(), bit >= 8 * 64, "bit {bit}");
    }
}

/// A header that says something else, with its checksums made good.
fn changed(at: usize, to: &[u8]) -> Vec<u8> {
    let mut bytes = golden("xxh3-seed-7");
    bytes[at..at + to.len()].copy_from_slice(to);
    resealed(bytes)
}

fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
    let of_bits = hasher.hash(&bytes[64..]);
    bytes[48..56].copy_from_slice(&of_bits.to_le_bytes());
    let of_header = hasher.hash(&bytes[..56]);
    bytes[56..64].copy_from_slice(&of_header.to_le_bytes());
    bytes
}

#[test]
fn a_header_that_makes_no_sense_is_refused_though_its_checksum_is_right() {
    assert!(BloomFilter::from_bytes(&changed(0, b"axb")).is_ok());
    let refused: [(usize, &[u8], DecodeError); 13] = [
        (0, b"A", DecodeError::NoFilter),
        (8, &[2, 0], DecodeError::Version(2)),
        (10, &[2, 0], DecodeError::Kind(2)),
        (
            12,
            &[0, 0],
            DecodeError::Algorithm(AlgorithmError::Unknown(0)),
        ),
        (
            12,
            &[6, 0],
            DecodeError::Build(BuildError::NarrowHash(Algorithm::Crc32)),
        ),
        (14, &[2], DecodeError::Reserved),
        (14, &[1], DecodeError::SeedNeeded),
        // A filter with no bits a key, or with no bits, says yes to all.
        (15, &[0], DecodeError::BitsPerKey(0)),
        (15, &[9], DecodeError::BitsPerKey(9)),
        (24, &[2], DecodeError::TooLong),
        (24, &[4], DecodeError::Truncated),
        (24, &[0xff; 8], DecodeError::Truncated),
        (40, &[1], DecodeError::Reserved),
    ];
    for (at, to, why) in refused {
        let read = BloomFilter::from_bytes(&changed(at, to));
        assert_eq!(read.unwrap_err(), why, "{at} {to:?}");
    }
    let no_items = changed(32, &[0]);
    assert_eq!(
        BloomFilter::from_bytes(&no_items).unwrap_err(),
        DecodeError::Shape(ShapeError::NoItems)
    );
    // No blocks, and the bytes of none.
    let mut none = changed(24, &[0]);
    none.truncate(64);
    let none = resealed(none);
    assert_eq!(
        BloomFilter::from_bytes(&none).unwrap_err(),
        DecodeError::Shape(ShapeError::TooSmall)
    );
}

#[test]
fn a_filter_is_read_with_the_seed_it_was_made_with_or_not_at_all() {
    let secret = golden("xxh3-key-00..0f");
    assert_eq!(
        BloomFilter::from_bytes(&secret).unwrap_err(),
        DecodeError::SeedNeeded
    );
    assert!(BloomFilter::from_bytes_keyed(&secret, key()).is_ok());
    // The same hash by a seed that is no secret: written again, it would be
    // shown.
    let halves = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
    let shown = Seed::fixed(mix(mix(halves[0]) ^ halves[1]));
    let shown = Hasher::new(Algorithm::Xxh3, shown);
    assert_eq!(shown.hash(b"a"), key().hash(b"a"));
    let others = [
        shown,
        Hasher::new(Algorithm::Xxh3, Seed::key([1; 16])),
        Hasher::new(Algorithm::Xxh3, Seed::fixed(0)),
        Hasher::new(Algorithm::Xxh64, key().seed()),
    ];
    for other in others {
        for bytes in [&secret, &golden("xxh3-seed-7")] {
            let read = BloomFilter::from_bytes_keyed(bytes, other);
            assert_eq!(read.unwrap_err(), DecodeError::WrongHasher, "{other:?}");
        }
    }
    // The seed itself is nowhere in the bytes.
    let shown = Hasher::new(Algorithm::Xxh3, Seed::fixed(0x1122_3344_5566_7788));
    let holds_seed = |bytes: &[u8]| {
        bytes
            .windows(8)
            .any(|at| at == [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11])
    };
    assert!(holds_seed(&of_twenty_keys(1, shown).to_bytes()));
    let mut raw = [0; 16];
    raw[..8].copy_from_slice(&0x1122_3344_5566_7788_u64.to_le_bytes());
    let hidden = Hasher::new(Algorithm::SipHash13, Seed::key(raw));
    assert!(!holds_seed(&of_twenty_keys(1, hidden).to_bytes()));
}

#[test]
fn a_view_answers_as_the_filter_does_wherever_it_lies() {
    let mut filter = filter(1000, 0.01);
    filter.insert_hashes(&hashes(1).take(1000).collect::<Vec<_>>());
    let bytes = filter.to_bytes();
    for offset in 0..65 {
        let mut room = vec![0xa5; offset];
        room.extend_from_slice(&bytes);
        let view = BloomView::new(&room[offset..], Verify::All).unwrap();
        let asked: Vec<u64> = hashes(1).take(500).chain(hashes(2).take(2000)).collect();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        view.may_contain_hashes(&asked, &mut ours);
        filter.may_contain_hashes(&asked, &mut theirs);
        assert_eq!(ours, theirs, "{offset}");
        assert!(
            asked
                .iter()
                .zip(ours)
                .all(|(hash, answer)| view.may_contain_hash(*hash) == answer)
        );
    }
    let view = BloomView::new(&bytes, Verify::Header).unwrap();
    assert_eq!(view.snapshot().to_string(), filter.snapshot().to_string());
    assert_eq!(view.to_filter().unwrap().to_bytes(), bytes);
}
