use std::collections::BTreeSet;

use axiomatic_placement::consistent_hash::Node;
use axiomatic_placement::shuffle_shard::{Config, Lattice, Shard, ShuffleShard, SmallCells};
use proptest::prelude::*;

use super::{membership, version, zone_and_version};

/// Nodes of some zones, versions and weights.
fn some_nodes() -> impl Strategy<Value = Vec<Node>> {
    let node = (0..4u8, 0..3u8, 1..4u32);
    proptest::collection::vec(node, 2..40).prop_map(|nodes| {
        let numbered = nodes.into_iter().enumerate();
        let node = numbered.map(|(n, (zone, version, weight))| {
            let id = format!("{}{n}", char::from(b'a' + version));
            Node::new(id).in_zone(format!("z{zone}")).weighing(weight)
        });
        node.collect()
    })
}

fn some_lattice() -> impl Strategy<Value = Lattice> {
    prop_oneof![
        Just(Lattice::single_cell()),
        Just(Lattice::by_zone()),
        Just(zone_and_version()),
        Just(zone_and_version().and(|node| (node.id().len() % 2).to_string())),
    ]
}

fn shards(nodes: Vec<Node>, lattice: &Lattice, per_cell: usize) -> ShuffleShard {
    let config = Config::new(per_cell)
        .across(lattice.clone())
        .where_cells_are_small(SmallCells::Short);
    ShuffleShard::new(&membership(nodes), config).unwrap()
}

fn set(shard: &Shard<'_>) -> BTreeSet<Vec<u8>> {
    shard.nodes().map(|node| node.id().to_vec()).collect()
}

proptest! {
    /// Backwards it is what happens when a node joins.
    #[test]
    fn when_a_node_leaves_only_its_shards_change_and_by_one_node(
        nodes in some_nodes(), lattice in some_lattice(), per_cell in 1..4usize,
        leaves: prop::sample::Index, customers: [u64; 16],
    ) {
        let leaving = leaves.index(nodes.len());
        let stays = |(n, node): (usize, &Node)| (n != leaving).then(|| node.clone());
        let fewer: Vec<Node> = nodes.iter().enumerate().filter_map(stays).collect();
        let coordinates = |node: &Node| match lattice.dimensions() {
            0 => String::new(),
            1 => node.zone().to_owned(),
            2 => node.zone().to_owned() + &version(node),
            _ => format!("{}{}{}", node.zone(), version(node), node.id().len() % 2),
        };
        let cell = coordinates(&nodes[leaving]);
        let empties = !fewer.iter().any(|node| coordinates(node) == cell);
        let id = nodes[leaving].id().to_vec();
        let (whole, less) = (shards(nodes, &lattice, per_cell), shards(fewer, &lattice, per_cell));
        for customer in customers {
            let (before, now) = (whole.shard(customer), less.shard(customer));
            if !before.contains(&id) {
                // Also where its cell is gone, or its zone.
                prop_assert_eq!(before, now);
                continue;
            }
            prop_assert!(!set(&now).contains(&id));
            if !empties {
                let lost = set(&before).difference(&set(&now)).count();
                let new = set(&now).difference(&set(&before)).count();
                prop_assert!(lost == 1 && new <= 1, "{:?} {:?}", before, now);
                let order = |one: &Shard<'_>, other: &Shard<'_>| {
                    let both = one.nodes().filter(|node| other.contains(node.id()));
                    both.map(|node| node.id().to_vec()).collect::<Vec<_>>()
                };
                prop_assert_eq!(order(&before, &now), order(&now, &before));
            }
        }
    }

    #[test]
    fn a_shard_has_no_node_twice_and_no_more_than_its_size(
        nodes in some_nodes(), lattice in some_lattice(), per_cell in 1..4usize,
        customers: [u64; 16], attempt: u32,
    ) {
        let shards = shards(nodes, &lattice, per_cell);
        for customer in customers {
            let shard = shards.attempt(customer, attempt);
            prop_assert_eq!(set(&shard).len(), shard.len());
            prop_assert!(!shard.is_empty() && shard.len() <= shards.shard_size());
            prop_assert_eq!(shard.is_short(), shard.len() < shards.shard_size());
            prop_assert_eq!(shard.overlap(&shard), shard.len());
        }
    }
}
