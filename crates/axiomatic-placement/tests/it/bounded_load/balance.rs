//! How even it is, and what that costs in displaced keys: the figures of
//! reference/data-structures.md, section 4.2.

use axiomatic_core::Ratio;
use axiomatic_core::hash::mix;
use axiomatic_placement::bounded_load::{BoundedLoad, NodeLoad};
use axiomatic_placement::consistent_hash::{Membership, Node, Placement, Rendezvous};

const NODES: usize = 100;
const REQUESTS: usize = 100_000;

struct Spread {
    displaced: f64,
    full: usize,
    max: u64,
}

/// All requests at once, against the caps of them all. So that these are the
/// caps from the first on, as many are in flight at a node that leaves, and
/// one of those ends for each that is placed.
fn spread(balance: Ratio) -> Spread {
    let before = Membership::new(1, [Node::new("before")]).unwrap();
    let before = BoundedLoad::new(Rendezvous::new(&before), balance).unwrap();
    let mut leaving: Vec<_> = (0..REQUESTS).map(|_| before.pick(0)).collect();
    let nodes = (0..NODES).map(|i| Node::new(format!("node-{i}")));
    let bounded = before.over(&Membership::new(2, nodes).unwrap()).unwrap();
    let place = |key| {
        leaving.pop();
        bounded.pick(mix(key))
    };
    let picks: Vec<_> = (0..REQUESTS as u64).map(place).collect();
    let snapshot = bounded.snapshot();
    assert_eq!(snapshot.in_flight(), REQUESTS as u64);
    assert_eq!(snapshot.fallbacks(), 0);
    drop(picks);
    let cap = balance.ceil_of((REQUESTS / NODES) as u64);
    let held = snapshot.nodes().iter().map(NodeLoad::in_flight);
    Spread {
        displaced: snapshot.displaced() as f64 / REQUESTS as f64,
        full: held.clone().filter(|held| *held == cap).count(),
        max: held.max().unwrap(),
    }
}

#[test]
fn five_percent_above_the_mean_displaces_one_key_in_a_thousand() {
    let Spread {
        displaced,
        full,
        max,
    } = spread(Ratio::percent(105));
    println!(
        "displaced {:.3} %, {full} full, max {max}",
        displaced * 100.0
    );
    assert!(displaced <= 0.002, "{displaced}");
    assert!(max <= 1_050, "{max}");
    // Some would have more without a bound, and are filled up to it.
    assert!((2..=15).contains(&full), "{full}");
}

#[test]
fn twenty_five_percent_above_the_mean_displaces_none() {
    let spread = spread(Ratio::percent(125));
    assert_eq!((spread.displaced, spread.full), (0.0, 0));
    assert!(spread.max > 1_050, "it is the bound that made it even");
}

#[test]
fn one_hot_key_is_shared_out_among_all() {
    let nodes = (0..8).map(|i| Node::new(format!("node-{i}")));
    let placement = Rendezvous::new(&Membership::new(1, nodes).unwrap());
    let bounded = BoundedLoad::new(placement, Ratio::percent(125)).unwrap();
    let picks: Vec<_> = (0..800).map(|_| bounded.pick(mix(7))).collect();
    let snapshot = bounded.snapshot();
    assert!(snapshot.nodes().iter().all(|node| node.in_flight() <= 125));
    // Six at their caps, the seventh has the rest: whom a key does not need, it
    // does not meet.
    let met = |node: &&NodeLoad| node.in_flight() > 0;
    assert_eq!(snapshot.nodes().iter().filter(met).count(), 7);
    drop(picks);
}
