use super::*;

use std::str::FromStr;

use axiomatic_placement::slot_map::{Ranges, RangesError, SlotMapError, Spreading, hash_tag};

/// From the specification of Redis Cluster, "Hash tags".
#[test]
fn a_hash_tag_is_what_stands_in_the_first_braces_unless_it_is_nothing() {
    for (key, tag) in [
        ("{user1000}.following", "user1000"),
        ("foo{}{bar}", "foo{}{bar}"),
        ("foo{{bar}}zap", "{bar"),
        ("foo{bar}{zap}", "bar"),
        ("{}bar", "{}bar"),
        ("foo{bar", "foo{bar"),
        ("foo}bar{", "foo}bar{"),
        ("}a{b}", "b"),
        ("", ""),
    ] {
        assert_eq!(hash_tag(key.as_bytes()), tag.as_bytes(), "{key}");
    }
}

#[cfg(feature = "redis-slots")]
#[test]
fn slots_are_those_of_redis_cluster() {
    let config = Config::new(Slotting::RedisCluster);
    let map = SlotMap::new(&nodes(&["a", "b", "c"]), config).unwrap();
    for (key, slot) in [
        // The specification's check value of its CRC16, 0x31C3.
        ("123456789", 12739),
        // The documentation of `CLUSTER KEYSLOT`.
        ("somekey", 11058),
        ("foo{hash_tag}", 2515),
        ("bar{hash_tag}", 2515),
        // Its tutorial, and StackExchange.Redis's tests, `HashSlots`.
        ("foo", 12182),
        ("bar", 5061),
        ("{user1000}.following", 3443),
        ("{user1000}.followers", 3443),
        ("foo{}{bar}", 8363),
        ("foo{{bar}}zap", 4015),
        ("foo{bar}{zap}", 5061),
        ("", 0),
    ] {
        assert_eq!(map.slot_of(key.as_bytes()), slot, "{key}");
    }
    assert_eq!(
        SlotMap::new(&nodes(&["a"]), config.slots(1024)),
        Err(SlotMapError::Slots { slots: 1024 })
    );
}

#[test]
fn slots_of_hashes_are_even_and_in_their_order() {
    for slots in [1, 2, 3, 1000, 16384, Config::MAX_SLOTS] {
        let map = SlotMap::new(&nodes(&["a"]), Config::new(xxh3()).slots(slots)).unwrap();
        assert_eq!(map.slot_of_hash(0), 0);
        assert_eq!(map.slot_of_hash(u64::MAX), slots - 1);
        for slot in 0..slots.min(4000) {
            // The first hash of a slot, and the last of the one before it.
            let first = ((u128::from(slot) << 64).div_ceil(u128::from(slots))) as u64;
            assert_eq!(map.slot_of_hash(first), slot);
            assert_eq!(
                map.slot_of_hash(first.wrapping_sub(1)),
                (slots + slot - 1) % slots
            );
        }
    }
}

#[test]
fn a_key_is_owned_by_the_owner_of_its_slot() {
    let map = SlotMap::new(&nodes(&["a", "b", "c"]), Config::new(xxh3()).slots(97)).unwrap();
    for key in 0..1000u32 {
        let key = key.to_le_bytes();
        let slot = map.slot_of(&key);
        assert_eq!(slot, map.slot_of_hash(map.slotting().hash(&key)));
        let owner = map.owner_of(&key);
        assert_eq!(map.owner(slot), Some(owner));
        assert!(map.slots_of(owner.id()).slots().any(|owned| owned == slot));
        assert!(map.holders(slot).eq([owner]));
    }
    assert_eq!(map.owner(97), None);
    assert_eq!(map.holders(97).count(), 0);
    assert!(map.slots_of("d").is_empty());
}

#[test]
fn a_first_map_has_one_range_a_node_whatever_the_order() {
    let config = Config::new(xxh3());
    let map = SlotMap::new(&nodes(&["a", "b", "c"]), config).unwrap();
    let lines = "epoch 1, 16384 slots\na: 0-5461\nb: 5462-10922\nc: 10923-16383\n";
    assert_eq!(map.to_string(), lines);
    assert_eq!(Ok(map), SlotMap::new(&nodes(&["c", "a", "b"]), config));
}

#[test]
fn who_may_own_nothing_gets_nothing() {
    let draining = Node::new("b").being(State::Draining);
    let all = [
        Node::new("a"),
        draining,
        Node::new("c").weighing(0),
        Node::new("d"),
    ];
    let membership = Membership::new(1, all).unwrap();
    let map = SlotMap::new(&membership, Config::new(xxh3()).slots(9)).unwrap();
    assert_eq!(owned(&map), [5, 0, 0, 4]);
}

#[test]
fn what_cannot_be_is_refused() {
    let config = Config::new(xxh3()).slots(600);
    let new = |config| SlotMap::new(&racked(6), config).map(|map| map.spreading());
    assert_eq!(new(config.slots(0)), Err(SlotMapError::Slots { slots: 0 }));
    let slots = Config::MAX_SLOTS + 1;
    assert_eq!(new(config.slots(slots)), Err(SlotMapError::Slots { slots }));
    let many = config.copies(8, Shortage::BestEffort);
    assert_eq!(new(many), Err(SlotMapError::TooManyCopies { copies: 8 }));
    let six = SlotMapError::TooFewRacks {
        racks: 6,
        needed: 7,
    };
    assert_eq!(new(config.copies(6, Shortage::Strict)), Err(six));
    assert_eq!(
        new(config.copies(5, Shortage::Strict)),
        Ok(Spreading::Racks)
    );
}

#[test]
fn how_far_copies_are_apart_is_told() {
    let spreading = |count, copies| {
        let config = Config::new(xxh3()).slots(600);
        let config = config.copies(copies, Shortage::BestEffort);
        SlotMap::new(&racked(count), config).unwrap().spreading()
    };
    assert_eq!(spreading(12, 0), Spreading::Zones);
    assert_eq!(spreading(12, 2), Spreading::Zones);
    assert_eq!(spreading(12, 5), Spreading::Racks);
    assert_eq!(spreading(12, 6), Spreading::Nodes);
    assert_eq!(spreading(3, 3), Spreading::Short);
}

#[test]
fn ranges_are_read_as_they_are_written() {
    for text in ["", "0", "0-1", "0,2", "5-7,9,11-12"] {
        assert_eq!(Ranges::from_str(text).unwrap().to_string(), text);
    }
    for text in [
        ",",
        "1,",
        "1,2",
        "2,1",
        "3-2",
        "1-3,3",
        "+1",
        "-1",
        "1-",
        "a",
        " 1",
        "4294967296",
    ] {
        assert_eq!(Ranges::from_str(text), Err(RangesError), "{text}");
    }
}
