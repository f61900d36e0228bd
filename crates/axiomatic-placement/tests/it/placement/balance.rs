//! Shares are as the weights: what differs is chance, by Pearson's chi-square.

use axiomatic_placement::consistent_hash::{Membership, Node, Placement, Rendezvous, Skeleton};

use crate::support::{deviation, hashes, node, nodes};

const KEYS_A_NODE: u64 = 20_000;

fn counts(placement: &impl Placement, hashes: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut counts = vec![0; placement.membership().members().len()];
    hashes.for_each(|hash| counts[placement.owner(hash).index()] += 1);
    counts
}

/// By weight, with so many keys for each node.
#[track_caller]
fn is_balanced(placement: &impl Placement, keys_a_node: u64, seed: u64) {
    let membership = placement.membership();
    let keys = keys_a_node * membership.members().len() as u64;
    let counts = counts(placement, hashes(seed).take(keys as usize));
    let share = keys as f64 / membership.total_weight() as f64;
    let expected = |at: usize| share * f64::from(membership.members()[at].weight());
    let z = deviation(&counts, expected);
    assert!(z.abs() < 4.0, "z = {z} at {} nodes", counts.len());
}

#[test]
fn rendezvous_is_balanced_as_by_chance() {
    for count in [3, 5, 9, 17, 33, 65, 129, 257] {
        is_balanced(&Rendezvous::new(&nodes(count)), KEYS_A_NODE, 11);
    }
}

// Twenty thousand keys for each of a thousand nodes are some 20 s each.

#[test]
fn rendezvous_is_balanced_as_by_chance_at_1000() {
    is_balanced(&Rendezvous::new(&nodes(1000)), KEYS_A_NODE, 12);
}

#[test]
fn rendezvous_is_balanced_as_by_chance_at_1023() {
    is_balanced(&Rendezvous::new(&nodes(1023)), KEYS_A_NODE, 13);
}

#[test]
fn rendezvous_is_balanced_as_by_chance_at_1025() {
    is_balanced(&Rendezvous::new(&nodes(1025)), KEYS_A_NODE, 14);
}

fn weighted(count: usize) -> Membership {
    // From 1 to some ten thousand, most of them small.
    let weight = |number: usize| 1 + (number as u32 % 22).pow(3);
    Membership::new(1, (0..count).map(|n| node(n).weighing(weight(n)))).unwrap()
}

#[test]
fn shares_are_exactly_as_the_weights() {
    for count in [2, 3, 10, 100] {
        is_balanced(&Rendezvous::new(&weighted(count)), 40_000, 15);
        is_balanced(&Skeleton::new(&weighted(count)), 40_000, 16);
    }
    let most = u32::MAX;
    let extreme = (0..).zip([most / 1000, most / 2, most]);
    let extreme = extreme.map(|(at, weight)| node(at).weighing(weight));
    is_balanced(
        &Rendezvous::new(&Membership::new(1, extreme).unwrap()),
        200_000,
        17,
    );
}

#[test]
fn a_skeleton_is_balanced_as_by_chance() {
    for count in [3, 33, 257, 1000, 1025] {
        is_balanced(&Skeleton::new(&nodes(count)), KEYS_A_NODE, 18);
    }
}

/// Who holds numbers for hashes is served as well.
#[test]
fn keys_that_count_from_nought_are_balanced_too() {
    let placement = Rendezvous::new(&nodes(10));
    for step in [1, 2, 1 << 20, 1 << 44] {
        let counts = counts(&placement, (0..200_000).map(|n: u64| n.wrapping_mul(step)));
        let z = deviation(&counts, |_| 20_000.0);
        assert!(z.abs() < 4.0, "z = {z} in steps of {step}");
    }
}

/// What nodes are called has no influence: these differ in one bit.
#[test]
fn nodes_of_similar_identities_share_as_others_do() {
    let alike = (0..64u64).map(|bit| Node::new((1u64 << bit).to_le_bytes()));
    is_balanced(
        &Rendezvous::new(&Membership::new(1, alike).unwrap()),
        KEYS_A_NODE,
        19,
    );
}

/// The keys of a node that leaves go to the others as their weights are.
#[test]
fn what_a_node_leaves_behind_is_shared_out_fairly() {
    let all = weighted(20);
    let placement = Rendezvous::new(&all);
    let left = all
        .members()
        .iter()
        .max_by_key(|member| member.weight())
        .unwrap();
    let rest = all.members().iter().filter(|member| *member != left);
    let rest = Membership::new(2, rest.map(|member| member.node().clone())).unwrap();
    let after = placement.over(&rest).unwrap();

    let keys: Vec<u64> = hashes(20)
        .filter(|hash| placement.owner(*hash) == left)
        .take(400_000)
        .collect();
    let counts = counts(&after, keys.iter().copied());
    let share = keys.len() as f64 / rest.total_weight() as f64;
    let z = deviation(&counts, |at| share * f64::from(rest.members()[at].weight()));
    assert!(z.abs() < 4.0, "z = {z}");
}

/// The statistic finds what it is for: a placement by the remainder of a hash
/// of 16 bits, which is off by less than one in a hundred.
#[test]
fn a_small_bias_is_found_out() {
    let count = 1025;
    let keys = KEYS_A_NODE * count;
    let mut counts = vec![0; count as usize];
    let short = hashes(21).take(keys as usize).map(|hash| hash & 0xffff);
    short.for_each(|hash| counts[(hash % count) as usize] += 1);
    assert!(deviation(&counts, |_| KEYS_A_NODE as f64) > 4.0);
}
