//! Models of bounded loads, explored by loom: `cargo xtask loom`.
//!
//! Each is named for the invariant that it holds. There are two nodes, and the
//! balance is 100 %, so that caps are halves, and one request more or less in
//! the total is one place more or less.
#![cfg(axiomatic_loom)]

use axiomatic_core::Ratio;
use axiomatic_core::models::{bounded_model, long_model, model};
use axiomatic_placement::bounded_load::{BoundedLoad, OwnedPick};
use axiomatic_placement::consistent_hash::{
    Algorithm, Member, Membership, Node, Placement, PlacementError,
};
use loom::sync::Arc;
use loom::thread;

/// Owners that a model can choose: the hash is the index.
struct Chosen(Membership);

const X: u64 = 0;
const Y: u64 = 1;

impl Placement for Chosen {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Jump
    }

    fn membership(&self) -> &Membership {
        &self.0
    }

    fn owner(&self, hash: u64) -> &Member {
        &self.0.members()[hash as usize]
    }

    fn candidates(&self, hash: u64) -> impl Iterator<Item = &Member> {
        [self.owner(hash)].into_iter()
    }

    fn over(&self, membership: &Membership) -> Result<Self, PlacementError> {
        Ok(Chosen(membership.clone()))
    }
}

type Bounded = Arc<BoundedLoad<Chosen>>;

/// With so many in flight at X and at Y, of which the picks are returned.
fn bounded(x: usize, y: usize) -> (Bounded, Vec<OwnedPick>, Vec<OwnedPick>) {
    let membership = Membership::new(1, [Node::new("x"), Node::new("y")]).unwrap();
    let many = Ratio::percent(1_000);
    let bounded = BoundedLoad::new(Chosen(membership), many).unwrap();
    let at_x = (0..x).map(|_| bounded.pick_owned(X)).collect();
    let at_y = (0..y).map(|_| bounded.pick_owned(Y)).collect();
    bounded.set_balance(Ratio::ONE).unwrap();
    assert_eq!(in_flight(&bounded), (x as u64, y as u64));
    (Arc::new(bounded), at_x, at_y)
}

fn in_flight(bounded: &BoundedLoad<Chosen>) -> (u64, u64) {
    let snapshot = bounded.snapshot();
    let [x, y] = snapshot.nodes() else {
        panic!("two nodes")
    };
    (x.in_flight(), y.in_flight())
}

fn nothing_is_left(bounded: &BoundedLoad<Chosen>) {
    assert_eq!(in_flight(bounded), (0, 0));
    assert_eq!(bounded.snapshot().in_flight(), 0);
}

/// A thread that picks, and keeps what it got.
fn picker(bounded: &Bounded, hash: u64) -> thread::JoinHandle<OwnedPick> {
    let bounded = Arc::clone(bounded);
    thread::spawn(move || bounded.pick_owned(hash))
}

#[test]
fn of_two_pickers_of_one_place_one_gets_it() {
    model(|| {
        // With one or two in flight, X has one place.
        let (bounded, _, _) = bounded(0, 0);
        let other = picker(&bounded, X);
        let pick = bounded.pick_owned(X);
        let other = other.join().unwrap();
        assert_ne!(pick.index(), other.index());
        assert_eq!(in_flight(&bounded), (1, 1));
        assert_eq!(bounded.snapshot().displaced(), 1);
        drop((pick, other));
        nothing_is_left(&bounded);
    });
}

#[test]
fn of_two_pickers_of_the_last_place_one_gets_it() {
    model(|| {
        // With three or four in flight the cap is 2.
        let (bounded, at_x, at_y) = bounded(1, 1);
        let other = picker(&bounded, X);
        let pick = bounded.pick_owned(X);
        let other = other.join().unwrap();
        assert_eq!(in_flight(&bounded), (2, 2));
        drop((pick, other, at_x, at_y));
        nothing_is_left(&bounded);
    });
}

#[test]
fn overshoot_never_exceeds_the_other_pickers() {
    long_model(|| {
        let (bounded, at_x, at_y) = bounded(1, 0);
        let others = [picker(&bounded, X), picker(&bounded, Y)];
        let pick = bounded.pick_owned(X);
        let others = others.map(|other| other.join().unwrap());
        // Four in flight: the cap is 2, and two others were picking.
        let (x, y) = in_flight(&bounded);
        assert_eq!(x + y, 4);
        assert!(x.max(y) <= 2 + 2);
        // Beyond the cap is only who found nothing.
        assert!(x.max(y) <= 2 + bounded.snapshot().fallbacks());
        drop((pick, others, at_x, at_y));
        nothing_is_left(&bounded);
    });
}

#[test]
fn no_count_is_lost() {
    bounded_model(|| {
        let (bounded, at_x, mut at_y) = bounded(1, 1);
        // Ends what another thread began, and begins what another ends.
        let thread = {
            let bounded = Arc::clone(&bounded);
            let handed = at_y.pop();
            thread::spawn(move || {
                drop(handed);
                bounded.pick_owned(X)
            })
        };
        drop(bounded.pick(X));
        let pick = thread.join().unwrap();
        drop((pick, at_x));
        nothing_is_left(&bounded);
        assert_eq!(bounded.snapshot().picks(), 4);
    });
}

#[test]
fn who_takes_the_place_of_another_is_not_judged_by_a_total_that_has_it() {
    model(|| {
        // Whether one of X has ended or not, there is no room for another:
        // 4 > ceil(5 / 2) and 3 > ceil(4 / 2). By the count of the one and the
        // total of the other there would be.
        let (bounded, mut at_x, at_y) = bounded(3, 1);
        let ended = at_x.pop();
        let ending = thread::spawn(move || drop(ended));
        let pick = bounded.pick_owned(X);
        assert_eq!(pick.id(), b"y");
        ending.join().unwrap();
        drop((pick, at_x, at_y));
        nothing_is_left(&bounded);
    });
}

#[test]
fn a_request_is_not_counted_beside_one_that_ended_before_it() {
    model(|| {
        // Y has one, then none, then one again: with the new one at X there are
        // three or four, for which the cap is 2. With five it would be 3.
        let (bounded, at_x, mut at_y) = bounded(2, 1);
        // The other thread is the one that looks: loom, which runs this one
        // first, does not go back from a store to a load of another thread
        // where the storing thread loaded in between.
        let pick = picker(&bounded, X);
        drop(at_y.pop());
        let again = bounded.pick_owned(Y);
        let pick = pick.join().unwrap();
        assert_eq!(pick.id(), b"y");
        drop((pick, again, at_x));
        nothing_is_left(&bounded);
    });
}

#[test]
fn nor_is_it_where_threads_share_a_line() {
    bounded_model(|| {
        let (bounded, at_x, mut at_y) = bounded(2, 1);
        // The first two threads have lines of their own.
        thread::spawn(|| {}).join().unwrap();
        let again = {
            let bounded = Arc::clone(&bounded);
            let ended = at_y.pop();
            thread::spawn(move || {
                drop(ended);
                bounded.pick_owned(Y)
            })
        };
        let pick = bounded.pick_owned(X);
        assert_eq!(pick.id(), b"y");
        let again = again.join().unwrap();
        drop((pick, again, at_x));
        nothing_is_left(&bounded);
    });
}
