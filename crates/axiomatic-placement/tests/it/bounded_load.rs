//! No node is given more than its share, times the balance.

mod balance;
mod changes;
mod model;

use axiomatic_core::Ratio;
use axiomatic_placement::bounded_load::{BoundedLoad, NodeLoad, OwnedPick, Pick};
use axiomatic_placement::consistent_hash::{
    Algorithm, Member, Membership, Node, Placement, PlacementError, Rendezvous,
};

/// Owners that a test can choose: the hash, modulo the eligible nodes. It has
/// nothing of the rendezvous order.
#[derive(Clone, Debug)]
pub(crate) struct Modulo(pub(crate) Membership);

impl Placement for Modulo {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Jump
    }

    fn membership(&self) -> &Membership {
        &self.0
    }

    fn owner(&self, hash: u64) -> &Member {
        let eligible: Vec<_> = self.0.eligible().collect();
        eligible[(hash % eligible.len() as u64) as usize]
    }

    fn candidates(&self, hash: u64) -> impl Iterator<Item = &Member> {
        let count = self.0.eligible().count();
        let from = (hash % count as u64) as usize;
        let eligible: Vec<_> = self.0.eligible().collect();
        (0..count).map(move |i| eligible[(from + i) % count])
    }

    fn over(&self, membership: &Membership) -> Result<Self, PlacementError> {
        Ok(Modulo(membership.clone()))
    }
}

pub(crate) fn nodes(ids: &str) -> Membership {
    let nodes = ids.split(' ').map(Node::new);
    Membership::new(1, nodes).unwrap()
}

fn modulo(ids: &str, balance: Ratio) -> BoundedLoad<Modulo> {
    BoundedLoad::new(Modulo(nodes(ids)), balance).unwrap()
}

fn in_flight<P: Placement>(bounded: &BoundedLoad<P>) -> Vec<u64> {
    let snapshot = bounded.snapshot();
    snapshot.nodes().iter().map(NodeLoad::in_flight).collect()
}

#[test]
fn a_request_goes_to_the_owner_while_it_has_room() {
    let bounded = modulo("a b", Ratio::percent(200));
    // The share of each of two is all there is.
    let picks: Vec<_> = (0..10).map(|_| bounded.pick(0)).collect();
    assert!(picks.iter().all(|pick| pick.id() == b"a"));
    assert!(picks.iter().all(|pick| pick.displacement() == 0));
    assert_eq!(in_flight(&bounded), [10, 0]);
    drop(picks);
    assert_eq!(in_flight(&bounded), [0, 0]);
    assert_eq!(bounded.snapshot().displaced(), 0);
}

/// Envoy lets one more in than its own factor allows: it asks whether the host
/// is over its bound already, and not whether it will be.
#[test]
fn not_even_one_request_more_than_the_cap_is_placed() {
    let bounded = modulo("a b", Ratio::percent(100));
    let first = bounded.pick(0);
    assert_eq!(first.id(), b"a");
    // ceil(2 / 2) = 1: a is full. ceil(3 / 2) = 2: a is not.
    let second = bounded.pick(0);
    assert_eq!((second.id(), second.displacement()), (&b"b"[..], 1));
    let third = bounded.pick(0);
    assert_eq!((third.id(), third.displacement()), (&b"a"[..], 0));
    let fourth = bounded.pick(0);
    assert_eq!(fourth.id(), b"b");
    assert_eq!(bounded.snapshot().displaced(), 2);
}

#[test]
fn caps_are_by_weight() {
    let nodes = [Node::new("a").weighing(3), Node::new("b")];
    let placement = Modulo(Membership::new(1, nodes).unwrap());
    let bounded = BoundedLoad::new(placement, Ratio::percent(100)).unwrap();
    let picks: Vec<_> = (0..80).map(|_| bounded.pick(1)).collect();
    assert_eq!(in_flight(&bounded), [60, 20]);
    assert_eq!(picks.len(), 80);
}

#[test]
fn what_the_owner_has_no_room_for_goes_on_in_rendezvous_order() {
    let ids = "a b c d e f g h";
    let bounded = modulo(ids, Ratio::percent(100));
    let order = Rendezvous::new(&nodes(ids));
    for hash in 0..200u64 {
        let owner = bounded.owner(hash).id();
        let others = order.candidates(hash).filter(|node| node.id() != owner);
        let expected: Vec<_> = [bounded.owner(hash)].into_iter().chain(others).collect();
        // Eight requests at 100 %: one for each node.
        let picks: Vec<Pick<'_>> = (0..8).map(|_| bounded.pick(hash)).collect();
        let found: Vec<_> = picks.iter().map(Pick::member).collect();
        assert_eq!(found, expected);
        assert!((0..8).all(|i| picks[i].displacement() == i));
    }
}

#[test]
fn an_owned_pick_gives_its_place_back_when_it_is_dropped() {
    let bounded = modulo("a b", Ratio::percent(125));
    let pick = bounded.pick_owned(1);
    assert_eq!((pick.member().id(), pick.displacement()), (&b"b"[..], 0));
    assert_eq!(in_flight(&bounded), [0, 1]);
    // In another thread, and after all handles are gone.
    let other = bounded.clone();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(pick));
    });
    assert_eq!(in_flight(&bounded), [0, 0]);
    assert_eq!(bounded.snapshot().in_flight(), 0);
    let last: OwnedPick = other.pick_owned(0);
    drop((bounded, other));
    assert_eq!(last.id(), b"a");
}

#[test]
fn a_panic_while_a_request_is_in_flight_gives_its_place_back() {
    let bounded = modulo("a b", Ratio::percent(125));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _pick = bounded.pick(0);
        panic!("the call did");
    }));
    assert!(panicked.is_err());
    assert_eq!(in_flight(&bounded), [0, 0]);
    assert_eq!(bounded.snapshot().in_flight(), 0);
}

#[test]
fn a_balance_below_one_hundred_percent_is_refused() {
    let refused = BoundedLoad::new(Modulo(nodes("a")), Ratio::percent(99)).unwrap_err();
    assert_eq!(refused.balance(), Ratio::percent(99));
    assert_eq!(refused.to_string(), "a balance of 99 % is less than 100 %");
    let bounded = modulo("a b", Ratio::percent(100));
    assert!(
        bounded
            .set_balance(Ratio::parts_per_million(999_999))
            .is_err()
    );
    assert_eq!(bounded.balance(), Ratio::percent(100));
}

#[test]
fn the_snapshot_says_how_full_each_node_is_in_one_line() {
    let bounded = modulo("a b", Ratio::percent(150));
    let picks: Vec<_> = (0..4).map(|_| bounded.pick(0)).collect();
    let snapshot = bounded.snapshot();
    assert_eq!(
        snapshot.to_string(),
        "bounded load 150 %: 4 in flight at 2 nodes, the fullest a with 3 of 4; \
         4 picks, 1 displaced, 0 by fallback"
    );
    assert_eq!(snapshot.picks(), 4);
    let [a, b] = snapshot.nodes() else {
        panic!("two nodes")
    };
    assert_eq!((a.in_flight(), a.cap(), a.is_eligible()), (3, 4, true));
    assert_eq!((b.member().id(), b.in_flight()), (&b"b"[..], 1));
    drop(picks);
}

/// Not who has the most, but who is nearest to its cap.
#[test]
fn the_fullest_is_the_one_with_the_least_room() {
    let nodes = [Node::new("a").weighing(9), Node::new("b")];
    let members = Membership::new(1, nodes).unwrap();
    let placement = Modulo(members);
    let bounded = BoundedLoad::new(placement, Ratio::percent(100)).unwrap();
    let picks: Vec<_> = [0, 0, 0, 0, 1].map(|hash| bounded.pick(hash)).into();
    let snapshot = bounded.snapshot();
    let fullest = snapshot.fullest().unwrap();
    assert_eq!(
        (fullest.member().id(), fullest.in_flight(), fullest.cap()),
        (&b"b"[..], 1, 1)
    );
    drop(picks);
}

#[test]
fn handles_and_guards_may_go_to_other_threads() {
    fn may<T: Send + Sync>() {}
    may::<BoundedLoad<Modulo>>();
    may::<Pick<'_>>();
    may::<OwnedPick>();
}
