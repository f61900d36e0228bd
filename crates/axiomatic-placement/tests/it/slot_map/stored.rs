use super::oracle::{check, check_with, sealed};
use super::*;

use std::path::Path;

use axiomatic_placement::consistent_hash::MembershipError;
use axiomatic_placement::slot_map::{DecodeError, EncodeError, SlotMapError};
use proptest::prelude::*;

/// A map that has something of everything: weights, zones and racks, states,
/// copies, one of them missing, a node that left, an identity that is no text.
fn everything() -> SlotMap {
    let node = |id: &[u8], zone: &str, rack: &str| Node::new(id).in_rack(zone, rack);
    let a = node(b"a", "eu-1", "r1").weighing(3);
    let b = node(b"b", "eu-1", "r2");
    let c = node(b"c\xff", "Zürich", "").weighing(2);
    let b = b.being(State::Down);
    let first = Membership::new(7, [a.clone(), b.clone(), c]).unwrap();
    let slotting = Slotting::Xxh3(Seed::fixed(0x1234_5678_9abc_def0));
    let config = Config::new(slotting)
        .slots(24)
        .copies(2, Shortage::BestEffort);
    let map = SlotMap::new(&first, config).unwrap();
    let d = node(b"d", "eu-2", "r1");
    let e = node(b"e", "", "").being(State::Draining);
    let later = Membership::new(9, [a, b, d, e]).unwrap();
    map.apply(&map.rebalanced(&later, 3).unwrap()).unwrap()
}

/// The golden file of this name; `AXIOMATIC_BLESS=1` writes it.
fn golden(name: &str, now: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let path = path.join(name);
    if std::env::var_os("AXIOMATIC_BLESS").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    std::fs::read(path).unwrap()
}

#[test]
fn the_binary_form_is_what_it_was() {
    let bytes = everything().encode().unwrap();
    let expected = golden("slot_map.bin", &bytes);
    assert_eq!(bytes, expected);
    assert_eq!(SlotMap::decode(&expected), Ok(everything()));
}

#[cfg(feature = "serde")]
#[test]
fn the_json_form_is_what_it_was() {
    let json = serde_json::to_string_pretty(&everything()).unwrap() + "\n";
    let expected = String::from_utf8(golden("slot_map.json", json.as_bytes())).unwrap();
    assert_eq!(json, expected);
    let map: SlotMap = serde_json::from_str(&expected).unwrap();
    assert_eq!(map, everything());
}

#[cfg(feature = "serde")]
#[test]
fn json_that_is_no_map_is_refused() {
    let json = serde_json::to_string(&everything()).unwrap();
    for (from, to) in [
        (r#""version":1"#, r#""version":2"#),
        (r#""hash":1"#, r#""hash":99"#),
        (r#""seed":"123"#, r#""seed":"+23"#),
        (r#""slots":24"#, r#""slots":25"#),
        (r#""slots":24"#, r#""slots":23"#),
        (r#""slots":24"#, r#""slots":4294967295"#),
        (r#""copies":2"#, r#""copies":1"#),
        (r#""copies":2"#, r#""copies":255"#),
        (r#""strict":false"#, r#""strict":false,"more":1"#),
        (r#""id":"a""#, r#""id":"b""#),
        (r#""id":"a""#, r#""id":"a","id_hex":"61""#),
        (r#""id":"a","#, ""),
        (r#""id_hex":"63ff""#, r#""id_hex":"63f""#),
        (r#""state":"up""#, r#""state":"well""#),
        (r#""owns":"0-17"#, r#""owns":"0-16"#),
        (r#""owns":"0-17"#, r#""owns":"0-18"#),
        (r#""owns":"0-17"#, r#""owns":"0-4294967295"#),
    ] {
        let broken = json.replacen(from, to, 1);
        assert_ne!(broken, json, "{from}: {json}");
        let read: Result<SlotMap, _> = serde_json::from_str(&broken);
        assert!(read.is_err(), "{from} -> {to}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_secret_seed_is_not_written_as_json_either() {
    let config = Config::new(Slotting::Xxh3(Seed::secret())).slots(4);
    let map = SlotMap::new(&nodes(&["a"]), config).unwrap();
    assert!(serde_json::to_string(&map).is_err());
}

#[cfg(feature = "redis-slots")]
#[test]
fn the_slotting_of_redis_is_stored_and_has_no_seed() {
    let map = SlotMap::new(&nodes(&["a", "b"]), Config::new(Slotting::RedisCluster)).unwrap();
    let bytes = map.encode().unwrap();
    assert_eq!(SlotMap::decode(&bytes), Ok(map));
    let mut seeded = bytes[..bytes.len() - 8].to_vec();
    seeded[12] = 1;
    assert_eq!(
        SlotMap::decode(&sealed(&seeded)),
        Err(DecodeError::Slotting { id: 7 })
    );
}

#[test]
fn a_secret_seed_is_not_stored() {
    let config = Config::new(Slotting::Xxh3(Seed::secret())).slots(4);
    let map = SlotMap::new(&nodes(&["a"]), config).unwrap();
    assert_eq!(map.encode(), Err(EncodeError::SecretSeed));
}

/// Two slots of one node, which has one byte for a name:
/// 10 hash, 12 seed, 20 slots, 24 copies, 25 spread, 26 epoch, 34 membership,
/// 42 nodes, 46 length, 50 id, 51 weight, 55 zone, 59 rack, 63 state, 64 runs,
/// 68 length, 72 node, 76 checksum.
fn smallest() -> Vec<u8> {
    let map = SlotMap::new(&nodes(&["a"]), Config::new(xxh3()).slots(2)).unwrap();
    map.encode().unwrap()
}

#[test]
fn each_thing_that_can_be_wrong_has_its_error() {
    let good = smallest();
    assert_eq!(good.len(), 84);
    let with = |at: usize, byte: u8| {
        let mut bytes = good[..76].to_vec();
        bytes[at] = byte;
        SlotMap::decode(&sealed(&bytes)).unwrap_err()
    };
    let decode = |bytes: &[u8]| SlotMap::decode(bytes).unwrap_err();
    let raw = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        decode(&bytes)
    };
    assert_eq!(raw(0, b'B'), DecodeError::NotASlotMap);
    assert_eq!(raw(4, 2), DecodeError::Version { version: 2 });
    assert_eq!(raw(6, 85), DecodeError::Truncated);
    assert_eq!(raw(6, 83), DecodeError::TrailingBytes { bytes: 1 });
    assert_eq!(raw(26, 9), DecodeError::Checksum);
    assert_eq!(
        decode(&[&good[..], b"!"].concat()),
        DecodeError::TrailingBytes { bytes: 1 }
    );
    let longer = [&good[..76], b"!"].concat();
    assert_eq!(
        decode(&sealed(&longer)),
        DecodeError::TrailingBytes { bytes: 1 }
    );

    assert_eq!(with(10, 99), DecodeError::Slotting { id: 99 });
    let slots = |slots| DecodeError::Invalid(SlotMapError::Slots { slots });
    assert_eq!(with(20, 0), slots(0));
    assert_eq!(with(23, 1), slots(2 + (1 << 24)));
    assert_eq!(
        with(24, 8),
        SlotMapError::TooManyCopies { copies: 8 }.into()
    );
    assert_eq!(with(24, 1), DecodeError::Truncated);
    assert_eq!(with(25, 2), DecodeError::Shortage { shortage: 2 });
    // More nodes, runs and bytes of a name than there are bytes for.
    for at in [45, 49, 58, 62, 67] {
        assert_eq!(with(at, 255), DecodeError::Truncated, "{at}");
    }
    assert_eq!(with(51, 0), MembershipError::Weightless.into());
    assert_eq!(with(63, 3), DecodeError::State { state: 3 });
    assert_eq!(with(68, 1), DecodeError::Runs);
    assert_eq!(with(68, 3), DecodeError::Runs);
    assert_eq!(with(72, 1), DecodeError::Holder { slot: 0 });
    assert_eq!(with(75, 255), DecodeError::Holder { slot: 0 });
}

#[test]
fn every_prefix_ends_too_soon_and_no_byte_can_be_another() {
    let bytes = everything().encode().unwrap();
    for len in 0..bytes.len() {
        assert_eq!(
            SlotMap::decode(&bytes[..len]),
            Err(DecodeError::Truncated),
            "{len}"
        );
    }
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1;
        assert!(SlotMap::decode(&other).is_err(), "{at}");
    }
}

/// The same in other words would have another checksum.
#[test]
fn there_is_one_form_of_a_map() {
    let map = SlotMap::new(&nodes(&["a", "b"]), Config::new(xxh3()).slots(2)).unwrap();
    let bytes = map.encode().unwrap();
    // Two nodes of 18 bytes from 46 on, then two runs.
    assert_eq!(bytes.len(), 46 + 2 * 18 + 4 + 2 * 8 + 8);
    let end = bytes.len() - 8;
    let [a, b] = [&bytes[46..64], &bytes[64..82]];
    let other_order = [&bytes[..46], b, a, &bytes[82..end]].concat();
    assert_eq!(
        SlotMap::decode(&sealed(&other_order)),
        Err(DecodeError::Unsorted)
    );
    let twice = [&bytes[..46], a, a, &bytes[82..end]].concat();
    assert_eq!(SlotMap::decode(&sealed(&twice)), Err(DecodeError::Unsorted));
    let mut two_runs_of_one = bytes[..end].to_vec();
    two_runs_of_one[98] = 0;
    assert_eq!(
        SlotMap::decode(&sealed(&two_runs_of_one)),
        Err(DecodeError::Runs)
    );
    let mut empty_run = bytes[..end].to_vec();
    empty_run[86] = 0;
    empty_run[94] = 2;
    let read = SlotMap::decode(&sealed(&empty_run));
    assert_eq!(read, Err(DecodeError::Runs));
}

/// One slot, its owner and two copies, each a list of one run of 12 bytes.
#[test]
fn nobody_holds_a_slot_twice_and_what_is_missing_comes_last() {
    let config = Config::new(xxh3()).slots(1).copies(2, Shortage::BestEffort);
    let map = SlotMap::new(&nodes(&["a", "b", "c"]), config).unwrap();
    let bytes = map.encode().unwrap();
    let end = bytes.len() - 8;
    let with = |holders: [u32; 3]| {
        let mut bytes = bytes[..end].to_vec();
        for (at, holder) in holders.into_iter().enumerate() {
            let at = end - 36 + 12 * at + 8;
            bytes[at..at + 4].copy_from_slice(&holder.to_le_bytes());
        }
        SlotMap::decode(&sealed(&bytes)).map(|map| map.holders(0).count())
    };
    let refused = Err(DecodeError::Holder { slot: 0 });
    assert_eq!(with([0, 1, 2]), Ok(3));
    assert_eq!(with([0, 1, u32::MAX]), Ok(2));
    assert_eq!(with([0, u32::MAX, u32::MAX]), Ok(1));
    assert_eq!(with([0, u32::MAX, 1]), refused);
    assert_eq!(with([u32::MAX, 0, 1]), refused);
    assert_eq!(with([0, 0, 1]), refused);
    assert_eq!(with([0, 1, 0]), refused);
    assert_eq!(with([0, 1, 1]), refused);
    assert_eq!(with([0, 1, 3]), refused);
}

#[test]
fn what_the_fuzzer_found_or_began_with_is_as_it_should_be() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut replayed = 0;
    for place in ["corpus/slot_map", "regressions/slot_map"] {
        for file in std::fs::read_dir(fuzz.join(place)).into_iter().flatten() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(check(&bytes), Ok(()), "{path:?}");
            replayed += 1;
        }
    }
    assert!(replayed >= 4, "{replayed} files; is the corpus gone?");
}

/// The oracle is worth something only if it sees what is wrong.
#[test]
fn the_oracle_of_slot_maps_sees_planted_bugs() {
    // Decoders that do not look at what follows, at the checksum, at the
    // epoch: what they take does not encode to the same bytes.
    let good = everything().encode().unwrap();
    let trailing = [&good[..], b"!"].concat();
    let end = good.len() - 8;
    let mut broken = good.clone();
    broken[end] ^= 1;
    let mut other_epoch = good[..end].to_vec();
    other_epoch[26] ^= 1;
    for bytes in [trailing, broken, sealed(&other_epoch)] {
        let careless = |_: &[u8]| SlotMap::decode(&good);
        assert!(check_with(&bytes, careless).is_err());
        assert_eq!(check_with(&bytes, SlotMap::decode), Ok(()));
    }
}

proptest! {
    #[test]
    fn what_is_stored_is_read_again(
        from in membership(),
        to in membership(),
        copies in 0..4u8,
        budget in 0..40u64,
    ) {
        let config = Config::new(xxh3()).slots(50).copies(copies, Shortage::BestEffort);
        let map = SlotMap::new(&from, config).unwrap();
        let map = map.apply(&map.rebalanced(&to, budget).unwrap()).unwrap();
        prop_assert_eq!(SlotMap::decode(&map.encode().unwrap()), Ok(map.clone()));
        #[cfg(feature = "serde")]
        prop_assert_eq!(
            serde_json::from_str::<SlotMap>(&serde_json::to_string(&map).unwrap()).unwrap(),
            map
        );
    }

    #[test]
    fn whatever_bytes_are_mutated_decoding_is_as_it_should_be(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut bytes = everything().encode().unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        prop_assert_eq!(check(&bytes), Ok(()));
    }
}
