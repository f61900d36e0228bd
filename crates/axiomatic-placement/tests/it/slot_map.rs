//! The slot map, as its users see it.

mod oracle;
mod plans;
mod slots;
mod stored;

use std::collections::BTreeMap;

use axiomatic_core::hash::Seed;
use axiomatic_placement::consistent_hash::Shortage;
use axiomatic_placement::consistent_hash::{Membership, Node, State};
use axiomatic_placement::slot_map::{Config, SlotMap, Slotting};
use proptest::prelude::*;

fn xxh3() -> Slotting {
    Slotting::Xxh3(Seed::fixed(0))
}

fn nodes(ids: &[&str]) -> Membership {
    Membership::new(1, ids.iter().map(Node::new)).unwrap()
}

/// `count` nodes in three zones of two racks each.
fn racked(count: usize) -> Membership {
    let node = |index| {
        let (zone, rack) = (format!("z{}", index % 3), format!("r{}", index / 3 % 2));
        Node::new(format!("n{index:02}")).in_rack(zone, rack)
    };
    Membership::new(1, (0..count).map(node)).unwrap()
}

fn owned(map: &SlotMap) -> Vec<u32> {
    map.counts().map(|(_, held)| held.owned).collect()
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![5 => Just(State::Up), 1 => Just(State::Draining), 1 => Just(State::Down)]
}

/// Some of a dozen nodes, of any weights, in any states, in zones and racks.
fn membership() -> impl Strategy<Value = Membership> {
    let node =
        (0..12u8, 0..5u32, 0..3u8, 0..3u8, state()).prop_map(|(id, weight, zone, rack, state)| {
            let node = Node::new([b'a' + id]).weighing(weight).being(state);
            (id, node.in_rack(zone.to_string(), rack.to_string()))
        });
    proptest::collection::vec(node, 1..12).prop_filter_map("no weight", |nodes| {
        let nodes: BTreeMap<_, _> = nodes.into_iter().collect();
        Membership::new(3, nodes.into_values()).ok()
    })
}
