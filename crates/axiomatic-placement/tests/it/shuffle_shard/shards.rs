use std::collections::BTreeMap;
use std::fmt::Write;

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_placement::consistent_hash::{
    Member, Membership, Node, Placement, Rendezvous, State,
};
use axiomatic_placement::shuffle_shard::{Config, Lattice, ShardError, ShuffleShard, SmallCells};

use super::{customers, grid, ids, membership, nodes, single_cell, z, zone_and_version};

/// The lattices, the shards of some customers at some attempts: for ever.
#[test]
fn the_shards_are_those_of_the_golden_file() {
    let weighty = |(n, node): (usize, Node)| node.weighing(1 + n as u32 % 3);
    let grid = || membership(grid(4, "abc", 3).into_iter().enumerate().map(weighty));
    let seeded = |config: Config| config.seeded(Seed::fixed(7));
    let cases = [
        ("one cell", single_cell(20, 4)),
        (
            "zones",
            ShuffleShard::new(&membership(nodes(20, 3)), Config::new(2)).unwrap(),
        ),
        (
            "zones and versions",
            ShuffleShard::new(&grid(), Config::new(1).across(zone_and_version())).unwrap(),
        ),
        (
            "zones and versions, seed 7",
            ShuffleShard::new(&grid(), seeded(Config::new(1).across(zone_and_version()))).unwrap(),
        ),
    ];
    let mut text = String::new();
    for (name, shards) in cases {
        writeln!(text, "{name}").unwrap();
        for customer in customers(12) {
            for attempt in [0, 1, 1000] {
                let ids = ids(&shards.attempt(customer, attempt)).join(" ");
                writeln!(text, "{customer:016x} {attempt} {ids}").unwrap();
            }
        }
    }
    let golden = include_str!("../../golden/shuffle_shard.txt").replace("\r\n", "\n");
    assert!(text == golden, "these are other shards:\n{text}");
}

#[test]
fn the_order_in_which_nodes_are_listed_decides_nothing() {
    let config = || Config::new(1).across(zone_and_version());
    let mut nodes = grid(3, "ab", 3);
    let one = ShuffleShard::new(&membership(nodes.clone()), config()).unwrap();
    nodes.reverse();
    let other = ShuffleShard::new(&membership(nodes), config()).unwrap();
    for customer in customers(1000) {
        assert_eq!(one.shard(customer), other.shard(customer));
    }
}

#[test]
fn a_shard_of_one_cell_is_the_beginning_of_the_rendezvous_order() {
    let shards = single_cell(20, 6);
    let rendezvous = Rendezvous::new(shards.membership());
    for customer in customers(1000) {
        let first = rendezvous.candidates(customer).take(6);
        assert!(shards.shard(customer).nodes().eq(first));
    }
}

#[test]
fn all_sets_of_nodes_are_equally_likely() {
    for attempt in [0, 1] {
        let shards = single_cell(8, 3);
        let mut counts = BTreeMap::new();
        for customer in customers(28_000) {
            let mut set = ids(&shards.attempt(customer, attempt));
            set.sort();
            *counts.entry(set).or_insert(0) += 1;
        }
        let counts: Vec<u64> = counts.into_values().collect();
        let z = z(&counts, &[500.0; 56]);
        assert!(counts.len() == 56 && z.abs() < 4.0, "{z}");
    }
}

#[test]
fn all_sets_of_cells_are_equally_likely() {
    let config = Config::new(1).across(zone_and_version());
    let shards = ShuffleShard::new(&membership(grid(4, "ab", 1)), config).unwrap();
    let mut counts = BTreeMap::new();
    for customer in customers(12_000) {
        let mut set = ids(&shards.shard(customer));
        set.sort();
        *counts.entry(set).or_insert(0) += 1;
    }
    // A zone for "a", and another for "b".
    let counts: Vec<u64> = counts.into_values().collect();
    let z = z(&counts, &[1000.0; 12]);
    assert!(counts.len() == 12 && z.abs() < 4.0, "{z}");
}

/// The shard's first choice of attempt 1 says nothing about attempt 0.
#[test]
fn attempts_are_drawn_apart() {
    let shards = single_cell(10, 3);
    let mut counts = [0; 4];
    for customer in customers(20_000) {
        let overlap = shards
            .attempt(customer, 0)
            .overlap(&shards.attempt(customer, 1));
        counts[overlap] += 1;
    }
    // C(3, j) C(7, 3 - j) / C(10, 3).
    let expected = [35.0, 63.0, 21.0, 1.0].map(|ways| 20_000.0 * ways / 120.0);
    let z = z(&counts, &expected);
    assert!(z.abs() < 4.0, "{z}");
}

#[test]
fn each_zone_gives_as_many_nodes() {
    let shards = ShuffleShard::new(&membership(nodes(30, 5)), Config::new(2)).unwrap();
    assert_eq!((shards.cells(), shards.shard_size()), (5, 10));
    for customer in customers(1000) {
        let shard = shards.shard(customer);
        assert!(!shard.is_short());
        for zone in ["z0", "z1", "z2", "z3", "z4"] {
            assert_eq!(shard.nodes().filter(|node| node.zone() == zone).count(), 2);
        }
    }
}

#[test]
fn no_coordinate_is_used_twice() {
    let config = Config::new(1).across(zone_and_version());
    let shards = ShuffleShard::new(&membership(grid(5, "abc", 2)), config).unwrap();
    assert_eq!((shards.cells(), shards.shard_size()), (15, 3));
    for customer in customers(1000) {
        let shard = shards.shard(customer);
        let mut zones: Vec<_> = shard.nodes().map(Member::zone).collect();
        let mut versions: Vec<_> = shard.nodes().map(|node| node.id()[0]).collect();
        zones.sort();
        zones.dedup();
        versions.sort();
        assert_eq!((zones.len(), &*versions), (3, &b"abc"[..]));
    }
}

/// Infima zips shuffled coordinates, and fails where a pair has no nodes.
#[test]
fn no_shard_meets_an_empty_cell() {
    let place = |id: &str, zone: &str| Node::new(id).in_zone(zone);
    let config = || Config::new(1).across(zone_and_version());
    // Each version runs in a zone of its own.
    let apart = membership([place("a", "z0"), place("b", "z1"), place("c", "z2")]);
    let shards = ShuffleShard::new(&apart, config()).unwrap();
    assert!(customers(1000).all(|customer| !shards.shard(customer).is_short()));

    // Who has "a" in z0 has all: there is no "b" elsewhere.
    let corner = membership([place("a0", "z0"), place("b0", "z0"), place("a1", "z1")]);
    let shards = ShuffleShard::new(&corner, config()).unwrap();
    for customer in customers(1000) {
        let shard = shards.shard(customer);
        assert_eq!(shard.is_short(), shard.contains("a0"));
        assert_eq!(shard.len(), if shard.is_short() { 1 } else { 2 });
    }
}

#[test]
fn a_node_that_is_down_is_replaced_for_its_customers_only_and_comes_back() {
    let whole = ShuffleShard::new(&membership(nodes(18, 3)), Config::new(2)).unwrap();
    for state in [State::Draining, State::Down] {
        let one_less = whole.membership().marked("n4", state).unwrap();
        let shards = whole.over(&one_less).unwrap();
        let mut replaced = 0;
        for customer in customers(1000) {
            let (before, now) = (whole.shard(customer), shards.shard(customer));
            assert_eq!(shards.home(customer), before);
            if !before.contains("n4") {
                assert_eq!(now, before);
                continue;
            }
            replaced += 1;
            assert!(!now.contains("n4") && !now.is_short());
            assert_eq!(now.overlap(&before), 5);
            let new = now.nodes().find(|node| !before.contains(node.id()));
            assert_eq!(new.unwrap().zone(), "z1");
        }
        assert!(replaced > 200);
        let again = one_less.marked("n4", State::Up).unwrap();
        let again = shards.over(&again).unwrap();
        assert!(customers(1000).all(|c| again.shard(c) == whole.shard(c)));
    }
}

#[test]
fn where_all_of_a_cell_is_down_the_shard_is_short_and_says_so() {
    let whole = membership(nodes(6, 3));
    let down = |zones: &'static [&str]| {
        whole.with_states(|member| match zones.contains(&member.zone()) {
            true => State::Down,
            false => State::Up,
        })
    };
    let shards = ShuffleShard::new(&whole, Config::new(2)).unwrap();
    let two_left = shards.over(&down(&["z0"])).unwrap();
    assert_eq!(
        (two_left.shard(1).len(), two_left.shard(1).is_short()),
        (4, true)
    );
    // If all are said to be down, that is not believed.
    let none_left = shards.over(&down(&["z0", "z1", "z2"])).unwrap();
    assert!(!none_left.shard(1).is_short());

    let config = Config::new(1).across(zone_and_version());
    let apart = [("a", "z0"), ("b", "z1")].map(|(id, zone)| Node::new(id).in_zone(zone));
    let shards = ShuffleShard::new(&membership(apart), config).unwrap();
    let shards = shards
        .over(&shards.membership().marked("a", State::Down).unwrap())
        .unwrap();
    assert_eq!(
        (ids(&shards.shard(1)), shards.shard(1).is_short()),
        (vec!["b".into()], true)
    );
}

#[test]
fn what_cannot_be_sharded_is_refused_when_it_is_built() {
    let members = membership(nodes(5, 2));
    let build = |config| ShuffleShard::new(&members, config);
    assert_eq!(build(Config::new(0)).unwrap_err(), ShardError::NoNodes);

    let small = ShardError::CellTooSmall {
        cell: ["z1".to_owned()].into(),
        nodes: 2,
        wanted: 3,
    };
    assert_eq!(build(Config::new(3)).unwrap_err(), small);
    assert!(small.to_string().contains("2 nodes, not 3"));
    for wanted in [3, usize::MAX] {
        let config = Config::new(wanted).where_cells_are_small(SmallCells::Short);
        let shards = build(config).unwrap();
        assert_eq!(
            (shards.shard(1).len(), shards.shard(1).is_short()),
            (5, true)
        );
        assert_eq!(shards.overlaps([1, 2]).counts(), [0, 0, 0, 0, 0, 1]);
    }

    let many = (0..8).fold(Lattice::by_zone(), |lattice, _| lattice.and(super::version));
    let refused = build(Config::new(1).across(many)).unwrap_err();
    assert_eq!(refused, ShardError::TooManyDimensions { dimensions: 9 });
}

#[test]
fn nodes_are_in_as_many_shards_as_they_weigh() {
    let weighing = |id: &str, weight| Node::new(id).weighing(weight);
    let nodes = [("a", 1), ("b", 3), ("c", 6), ("none", 0)];
    let members = membership(nodes.map(|(id, weight)| weighing(id, weight)));
    let shards = ShuffleShard::new(&members, Config::new(1)).unwrap();
    let mut counts = [0; 3];
    for customer in customers(10_000) {
        let shard = shards.shard(customer);
        assert!(!shard.contains("none"));
        counts[shard.nodes().next().unwrap().index()] += 1;
    }
    let z = z(&counts, &[1000.0, 3000.0, 6000.0]);
    assert!(z.abs() < 4.0, "{z}: {counts:?}");
}

/// Also where seeds and names differ by little. Else customers who share all
/// nodes of one service would share all of the next.
#[test]
fn another_seed_says_nothing_of_the_first() {
    let hash = |seed, id: &str| Hasher::new(Algorithm::Xxh3, Seed::fixed(seed)).hash(id.as_bytes());
    assert_eq!(hash(1, "n17"), hash(0, "n10"));
    let members = membership((10..20).map(|n| Node::new(format!("n{n}"))));
    let shards = |seed| {
        let config = Config::new(3).seeded(Seed::fixed(seed));
        ShuffleShard::new(&members, config).unwrap()
    };
    for (one, other) in [(0, 1), (2, 3), (0, 1 << 32), (7, u64::MAX)] {
        let (one, other) = (shards(one), shards(other));
        let mut counts = [0; 4];
        let mut first = BTreeMap::new();
        let (mut alike, mut alike_again) = (0, 0);
        for customer in customers(5000) {
            let shard = one.shard(customer);
            counts[shard.overlap(&other.shard(customer))] += 1;
            let mut set = ids(&shard);
            set.sort();
            if let Some(twin) = first.insert(set, customer) {
                alike += 1;
                let again = other.shard(twin).overlap(&other.shard(customer));
                alike_again += usize::from(again == 3);
            }
        }
        let expected = [35.0, 63.0, 21.0, 1.0].map(|ways| 5000.0 * ways / 120.0);
        let z = z(&counts, &expected);
        assert!(z.abs() < 4.0, "{z}");
        // One in 120 by chance.
        assert!(alike > 4000 && alike_again < alike / 60, "{alike_again}");
    }
}

#[test]
fn requests_are_spread_evenly_and_those_of_a_lost_node_alone_move() {
    let whole = single_cell(40, 4);
    let shard = whole.shard(17);
    let lost = shard.nodes().nth(2).unwrap();
    let later = whole.membership().marked(lost.id(), State::Down).unwrap();
    let later = whole.over(&later).unwrap();
    let mut counts = BTreeMap::new();
    for request in customers(10_000) {
        let mut order = shard.candidates(request);
        let owner = shard.owner(request).unwrap();
        assert_eq!((order.len(), order.next().unwrap().id()), (4, owner.id()));
        let rest: Vec<_> = order.collect();
        assert!(
            rest.iter()
                .all(|node| node != &owner && shard.contains(node.id()))
        );
        *counts.entry(owner.id()).or_insert(0) += 1;

        let now = later.shard(17).owner(request).unwrap();
        if owner != lost && shard.contains(now.id()) {
            assert_eq!(now.id(), owner.id());
        }
    }
    let counts: Vec<u64> = counts.into_values().collect();
    let z = z(&counts, &[2500.0; 4]);
    assert!(counts.len() == 4 && z.abs() < 4.0, "{z}");
}

#[test]
fn shards_of_two_memberships_are_compared_by_identity() {
    let shards = |ids: [&str; 3]| {
        let members = Membership::new(1, ids.map(Node::new)).unwrap();
        ShuffleShard::new(&members, Config::new(3)).unwrap()
    };
    let (one, other) = (shards(["a", "b", "c"]), shards(["b", "c", "d"]));
    assert_eq!(one.shard(1).overlap(&other.shard(1)), 2);
    assert_ne!(one.shard(1), other.shard(1));
}

/// Two services that share their nodes, and not their seed, do not send a
/// request to corresponding ones.
#[test]
fn within_a_shard_another_seed_is_another_order() {
    let members = membership((10..15).map(|n| Node::new(format!("n{n}"))));
    let all_of = |seed| {
        let config = Config::new(5).across(Lattice::single_cell());
        ShuffleShard::new(&members, config.seeded(Seed::fixed(seed))).unwrap()
    };
    let (one, other) = (all_of(0), all_of(1));
    let mut pairs = [0; 25];
    for request in customers(25_000) {
        let [one, other] = [&one, &other].map(|shards| shards.shard(1).owner(request).unwrap());
        pairs[5 * one.index() + other.index()] += 1;
    }
    let z = z(&pairs, &[1000.0; 25]);
    assert!(z.abs() < 4.0, "{z}");
}
