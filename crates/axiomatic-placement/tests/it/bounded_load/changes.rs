//! The membership, the balance, and the placement change while requests are in
//! flight.

use std::sync::Barrier;

use axiomatic_core::Ratio;
use axiomatic_core::hash::mix;
use axiomatic_placement::bounded_load::{BoundedLoad, OwnedPick};
use axiomatic_placement::consistent_hash::{Live, Membership, Node, Placement, Rendezvous, State};

use super::{in_flight, modulo, nodes};

fn later(epoch: u64, ids: &str) -> Membership {
    Membership::new(epoch, ids.split(' ').map(Node::new)).unwrap()
}

#[test]
fn counts_of_nodes_that_stay_go_on_by_identity() {
    let old = modulo("b c d", Ratio::percent(300));
    let at_c: Vec<_> = (0..3).map(|_| old.pick_owned(1)).collect();
    let at_d = old.pick_owned(2);
    // Now c is third, and there are others before it.
    let new = old.over(&later(2, "a b c d e")).unwrap();
    assert_eq!(in_flight(&new), [0, 0, 3, 1, 0]);
    // Picks of the old count in the new one, and the other way round.
    drop(at_c);
    let at_b = old.pick_owned(0);
    let at_e = new.pick_owned(4);
    assert_eq!(in_flight(&new), [0, 1, 0, 1, 1]);
    assert_eq!(in_flight(&old), [1, 0, 1]);
    assert_eq!(new.snapshot().in_flight(), 3);
    drop((at_b, at_d, at_e));
    assert_eq!(new.snapshot().in_flight(), 0);
    assert_eq!(in_flight(&new), [0; 5]);
}

#[test]
fn a_pick_of_a_node_that_left_harms_nothing() {
    let old = modulo("a b", Ratio::percent(200));
    let at_b: Vec<_> = (0..4).map(|_| old.pick_owned(1)).collect();
    let without = old.over(&later(2, "a c")).unwrap();
    assert_eq!(in_flight(&without), [0, 0]);
    assert_eq!(
        without.snapshot().in_flight(),
        4,
        "they are still in flight"
    );
    // It comes back as another.
    let again = without.over(&later(3, "a b c")).unwrap();
    assert_eq!(at_b[0].id(), b"b");
    drop(at_b);
    assert_eq!(in_flight(&again), [0; 3]);
    assert_eq!(again.snapshot().in_flight(), 0);
}

#[test]
fn nobody_is_placed_at_a_node_that_is_down() {
    let bounded = modulo("a b c", Ratio::percent(100));
    let down = bounded.membership().marked("b", State::Down).unwrap();
    let bounded = bounded.over(&down).unwrap();
    let picks: Vec<_> = (0..60).map(|hash| bounded.pick(mix(hash))).collect();
    assert_eq!(in_flight(&bounded), [30, 0, 30]);
    drop(picks);
}

#[test]
fn the_balance_changes_for_all_who_count_together() {
    let old = modulo("a b", Ratio::percent(200));
    let new = old.over(&later(2, "a b c")).unwrap();
    let clone = new.clone();
    old.set_balance(Ratio::percent(100)).unwrap();
    assert_eq!(clone.balance(), Ratio::percent(100));
    let picks: Vec<_> = (0..30).map(|_| clone.pick(0)).collect();
    assert_eq!(in_flight(&clone), [10, 10, 10]);
    drop(picks);
}

#[test]
fn replaced_live_it_counts_on() {
    let placement = Rendezvous::new(&nodes("a b c"));
    let live = Live::new(BoundedLoad::new(placement, Ratio::percent(125)).unwrap());
    let before: Vec<OwnedPick> = (0..90).map(|i| live.load().pick_owned(mix(i))).collect();
    live.update(|now| now.marked("a", State::Draining)).unwrap();
    let held = in_flight(&live.load());
    assert_eq!(held.iter().sum::<u64>(), 90);
    assert!(held[0] > 0, "it still has what it had");
    drop(before);
    assert_eq!(in_flight(&live.load()), [0; 3]);
}

#[test]
fn threads_lose_no_count_whatever_they_replace_and_drop_meanwhile() {
    const THREADS: usize = 4;
    let placement = Rendezvous::new(&nodes("a b c d"));
    let live = Live::new(BoundedLoad::new(placement, Ratio::percent(110)).unwrap());
    let all = Barrier::new(THREADS + 1);
    let (sender, receiver) = std::sync::mpsc::channel::<OwnedPick>();
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let (live, all, sender) = (&live, &all, sender.clone());
            scope.spawn(move || {
                all.wait();
                for i in 0..2_000 {
                    let pick = live.load().pick_owned(mix(thread << 32 | i));
                    if i % 3 == 0 {
                        sender.send(pick).unwrap();
                    }
                    if i % 200 == thread {
                        let state = [State::Up, State::Down][(i / 200 % 2) as usize];
                        live.update(|now| now.marked("b", state)).unwrap();
                    }
                }
            });
        }
        drop(sender);
        all.wait();
        // Another thread than theirs ends them.
        receiver.iter().for_each(drop);
    });
    let snapshot = live.load().snapshot();
    assert_eq!(snapshot.picks(), 2_000 * THREADS as u64);
    assert_eq!(snapshot.in_flight(), 0);
    assert!(snapshot.nodes().iter().all(|node| node.in_flight() == 0));
}
