//! The slot map, as its users see it.

mod oracle;
mod plans;
mod slots;
mod stored;

use axiomatic_core::hash::Seed;
use axiomatic_placement::consistent_hash::{Membership, Node, State};
use axiomatic_placement::slot_map::{Config, SlotMap, Slotting, Spread};

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
