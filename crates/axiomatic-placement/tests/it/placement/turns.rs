//! Tables of unequal weights, beside one that is filled as plainly as can be.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_placement::consistent_hash::{Maglev, Membership, Placement};
use proptest::prelude::*;

use crate::support::node;

/// A node's list: where it goes on, and by what steps.
struct List {
    member: usize,
    next: u64,
    skip: u64,
}

/// In each round all are asked, in order, and whoever `may` take a turn in
/// that round takes the next slot of its list that is free.
fn table(
    members: &Membership,
    slots: u64,
    mut may: impl FnMut(u64, usize) -> bool,
) -> Vec<Option<usize>> {
    let hash = |seed, id| Hasher::new(Algorithm::Xxh64, Seed::fixed(seed)).hash(id);
    let weighty = members.members().iter().filter(|node| node.weight() > 0);
    let mut lists: Vec<List> = weighty
        .map(|node| List {
            member: node.index(),
            next: hash(0, node.id()) % slots,
            skip: hash(1, node.id()) % (slots - 1) + 1,
        })
        .collect();
    let mut table = vec![None; slots as usize];
    let mut free = slots;
    for round in 1.. {
        for list in &mut lists {
            if free == 0 {
                return table;
            }
            if !may(round, list.member) {
                continue;
            }
            while table[list.next as usize].is_some() {
                list.next = (list.next + list.skip) % slots;
            }
            table[list.next as usize] = Some(list.member);
            free -= 1;
        }
    }
    unreachable!("whoever weighs the most takes a slot in each round")
}

/// In integers: the round times the weight, against the slots so far times the
/// greatest weight.
fn exact(members: &Membership, slots: u64) -> Vec<Option<usize>> {
    let weight = |at: usize| u128::from(members.members()[at].weight());
    let most = (0..members.members().len()).map(weight).max().unwrap();
    let mut taken = vec![0u128; members.members().len()];
    table(members, slots, |round, at| {
        let may = u128::from(round) * weight(at) >= taken[at] * most;
        taken[at] += u128::from(may);
        may
    })
}

/// The same in `f64`, after Envoy's `maglev_lb.cc`: weights are shares of the
/// sum, and what a turn costs is added up.
fn in_doubles(members: &Membership, slots: u64) -> Vec<Option<usize>> {
    let whole = members.total_weight() as f64;
    let share = |at: usize| f64::from(members.members()[at].weight()) / whole;
    let most = (0..members.members().len()).map(share).fold(0.0, f64::max);
    let mut target = vec![0.0; members.members().len()];
    table(members, slots, |round, at| {
        let may = round as f64 * share(at) >= target[at];
        if may {
            target[at] += most;
        }
        may
    })
}

fn of(weights: &[u32]) -> Membership {
    let nodes = weights.iter().enumerate();
    Membership::new(1, nodes.map(|(n, weight)| node(n).weighing(*weight))).unwrap()
}

fn is(members: &Membership, slots: u32) -> Vec<Option<usize>> {
    let placement = Maglev::with_slots(members, slots).unwrap();
    let owner = |hash| Some(placement.owner(hash).index());
    (0..u64::from(slots)).map(owner).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_table_is_that_of_whoever_asks_all_nodes_in_each_round(
        weights in prop::collection::vec(prop_oneof![0u32..8, 0u32..2000], 1..12),
        slots in prop_oneof![Just(13u32), Just(101), Just(1009)],
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let members = of(&weights);
        prop_assert_eq!(is(&members, slots), exact(&members, slots.into()));
    }
}

#[test]
fn tables_of_named_weights_are_those_of_whoever_asks_all_in_each_round() {
    for weights in [
        &[1, 2][..],
        &[3, 5, 7],
        &[1, 1000],
        &[1, u32::MAX],
        &[u32::MAX - 1, u32::MAX, 1],
    ] {
        let members = of(weights);
        for slots in [3, 17, 1009] {
            assert_eq!(is(&members, slots), exact(&members, slots.into()));
        }
    }
}

/// Where both sides of a comparison are equal, what Envoy rounded decides.
#[test]
fn doubles_put_off_a_turn_of_unequal_weights_here_and_there() {
    let weights = [
        &[7; 10][..],
        &[1, 2],
        &[2, 3],
        &[3, 5, 7],
        &[1, 1000],
        &[1, 2, 3, 4, 5],
        &[1, 2, 1, 2, 1, 2, 1, 2, 1, 2],
    ];
    for (slots, most) in [(17, 2), (1009, 20), (65_537, 20)] {
        for weights in weights {
            let members = of(weights);
            let (one, other) = (is(&members, slots), in_doubles(&members, slots.into()));
            let differ = one.iter().zip(&other).filter(|(a, b)| a != b).count();
            let is_equal = weights.iter().all(|weight| *weight == weights[0]);
            assert!(
                differ <= if is_equal { 0 } else { most },
                "{weights:?}, {slots}: {differ}"
            );
        }
    }
}
