//! Tables, slot by slot.

use axiomatic_placement::consistent_hash::{Maglev, Membership, Node, Placement, PlacementError};

use crate::support::{node, nodes};

fn owners(placement: &Maglev) -> Vec<usize> {
    (0..u64::from(placement.slots()))
        .map(|hash| placement.owner(hash).index())
        .collect()
}

/// From Envoy's maglev_lb_test.cc: `Basic`, `BasicWithHostName` and `Weighted`.
#[test]
fn tables_are_those_of_envoy() {
    let table = |ids: [&str; 6]| {
        let members = Membership::new(1, ids.map(Node::new)).unwrap();
        owners(&Maglev::with_slots(&members, 7).unwrap())
    };
    let addresses = ["90", "91", "92", "93", "94", "95"].map(|port| format!("127.0.0.1:{port}"));
    assert_eq!(
        table(addresses.each_ref().map(String::as_str)),
        [2, 4, 0, 1, 5, 0, 3]
    );
    assert_eq!(
        table(["90", "91", "92", "93", "94", "95"]),
        [2, 5, 0, 3, 4, 1, 0]
    );

    let weighted = [("127.0.0.1:90", 1), ("127.0.0.1:91", 2)];
    let weighted = weighted.map(|(id, weight)| Node::new(id).weighing(weight));
    let members = Membership::new(1, weighted).unwrap();
    let expected = [1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1];
    assert_eq!(owners(&Maglev::with_slots(&members, 17).unwrap()), expected);
}

/// From the same file, `LocalityWeightedLopsided`: one node of 127 parts, and
/// 1023 that share one.
#[test]
fn whoever_weighs_next_to_nothing_has_a_slot_all_the_same() {
    let light = (1..1024).map(node);
    let all = light.chain([node(0).weighing(127 * 1023)]);
    let placement = Maglev::new(&Membership::new(1, all).unwrap()).unwrap();
    let mut shares: Vec<_> = placement.shares().collect();
    shares.sort_unstable();
    assert_eq!(shares.pop(), Some(Maglev::SLOTS - 1023));
    assert!(shares.iter().all(|share| *share == 1));
}

#[test]
fn equal_nodes_differ_by_one_slot_at_most() {
    for (count, slots) in [
        (1, 7),
        (7, 7),
        (10, 65_537),
        (1000, 65_537),
        (1000, 655_373),
    ] {
        let placement = Maglev::with_slots(&nodes(count), slots).unwrap();
        let shares: Vec<_> = placement.shares().collect();
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        assert!(most - least <= 1, "{count} nodes: {least} to {most}");
        assert_eq!(shares.iter().sum::<u32>(), slots);
    }
}

#[test]
fn weights_are_kept_to_one_in_a_hundred() {
    let weight = |n: usize| 1 + n as u32 % 5;
    let all = (0..200).map(|n| node(n).weighing(weight(n)));
    let all = Membership::new(1, all).unwrap();
    let placement = Maglev::with_slots(&all, Maglev::MANY_SLOTS).unwrap();
    for (member, share) in all.members().iter().zip(placement.shares()) {
        let fair = f64::from(member.weight()) / all.total_weight() as f64;
        let is = f64::from(share) / f64::from(Maglev::MANY_SLOTS);
        assert!(
            (is / fair - 1.0).abs() < 0.01,
            "{member:?}: {is} for {fair}"
        );
    }
}

#[test]
fn a_table_that_cannot_be_is_refused() {
    let error = |slots| Maglev::with_slots(&nodes(10), slots).unwrap_err();
    assert_eq!(error(0), PlacementError::NotPrime { slots: 0 });
    assert_eq!(error(1024), PlacementError::NotPrime { slots: 1024 });
    assert_eq!(
        error(7),
        PlacementError::TooFewSlots {
            slots: 7,
            nodes: 10
        }
    );
    let small = Maglev::with_slots(&nodes(7), 7).unwrap();
    assert!(small.over(&nodes(8)).is_err());
}

#[test]
fn a_node_of_no_weight_has_no_slot() {
    let all = [node(0).weighing(0), node(1), node(2)];
    let placement = Maglev::new(&Membership::new(1, all).unwrap()).unwrap();
    let shares: Vec<_> = placement.shares().collect();
    assert_eq!(shares[0], 0);
    assert!(owners(&placement).iter().all(|owner| *owner > 0));
}
