//! Whom to ask, in which order.

use axiomatic_placement::consistent_hash::{
    Maglev, Member, Membership, Placement, Rendezvous, Skeleton, State,
};
use proptest::prelude::*;

use crate::support::{hashes, node, nodes};

fn ids<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<&'a [u8]> {
    members.map(Member::id).collect()
}

fn are_complete(placement: &impl Placement) -> Result<(), TestCaseError> {
    let mut eligible = ids(placement.membership().eligible());
    for hash in hashes(3).take(50) {
        let mut candidates = ids(placement.candidates(hash));
        prop_assert_eq!(candidates[0], placement.owner(hash).id());
        candidates.sort_unstable();
        eligible.sort_unstable();
        prop_assert_eq!(&candidates, &eligible);
    }
    Ok(())
}

fn some_members() -> impl Strategy<Value = Membership> {
    let one = (
        0u32..4,
        prop_oneof![Just(State::Up), Just(State::Draining), Just(State::Down)],
    );
    prop::collection::vec(one, 1..40).prop_filter_map("all weigh nothing", |all| {
        let nodes = all.into_iter().enumerate();
        let nodes = nodes.map(|(n, (weight, state))| node(n).weighing(weight).being(state));
        Membership::new(1, nodes).ok()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn candidates_are_all_who_may_own_keys_once_each_the_owner_first(members in some_members()) {
        are_complete(&Rendezvous::new(&members))?;
        are_complete(&Skeleton::new(&members))?;
        are_complete(&Maglev::with_slots(&members, 251).unwrap())?;
    }

    /// As a list sorted by the order of pairs: rendezvous of two nodes alone.
    #[test]
    fn the_order_is_the_one_that_each_two_are_in(members in some_members(), hash in any::<u64>()) {
        let placement = Rendezvous::new(&members);
        let candidates: Vec<&Member> = placement.candidates(hash).collect();
        for pair in candidates.windows(2) {
            let two = pair.iter().map(|member| member.node().clone());
            let two = Rendezvous::new(&Membership::new(1, two).unwrap());
            prop_assert_eq!(two.owner(hash).id(), pair[0].id());
        }
    }

    #[test]
    fn a_node_that_is_down_loses_its_turns_and_nothing_else_changes(
        members in some_members(),
        down in any::<prop::sample::Index>(),
        hash in any::<u64>(),
    ) {
        // All up, so that nobody else's turn depends on it.
        let members = members.with_states(|_| State::Up);
        let down = &members.members()[down.index(members.members().len())];
        flaps(&Rendezvous::new(&members), down, hash)?;
        flaps(&Skeleton::new(&members), down, hash)?;
        flaps(&Maglev::with_slots(&members, 251).unwrap(), down, hash)?;
    }
}

fn flaps(before: &impl Placement, down: &Member, hash: u64) -> Result<(), TestCaseError> {
    let members = before.membership();
    let gone = members.marked(down.id(), State::Down).unwrap();
    let back = gone.marked(down.id(), State::Up).unwrap();
    let (without, again) = (before.over(&gone).unwrap(), before.over(&back).unwrap());
    let mut expected = ids(before.candidates(hash));
    prop_assert_eq!(ids(again.candidates(hash)), expected.clone());
    // The last one there is serves even so.
    if members.eligible().count() > 1 || !members.is_eligible(down) {
        expected.retain(|id| *id != down.id());
    }
    prop_assert_eq!(ids(without.candidates(hash)), expected);
    Ok(())
}

#[test]
fn candidates_come_one_by_one_and_end_for_good() {
    let placement = Rendezvous::new(&nodes(21));
    for hash in hashes(4).take(20) {
        let all = ids(placement.candidates(hash));
        assert_eq!(all.len(), 21);
        for few in [0, 1, 4, 5, 12, 13] {
            assert_eq!(ids(placement.candidates(hash).take(few)), all[..few]);
        }
        let mut candidates = placement.candidates(hash);
        candidates.by_ref().for_each(drop);
        assert_eq!(candidates.next(), None);
    }
}

/// maglev-hash and rings of nginx's first kind answer by who was listed first.
#[test]
fn the_order_of_listing_has_no_influence() {
    let forward = Membership::new(1, (0..30).map(node)).unwrap();
    let backward = Membership::new(1, (0..30).rev().map(node)).unwrap();
    let one = Maglev::with_slots(&forward, 10_007).unwrap();
    let other = Maglev::with_slots(&backward, 10_007).unwrap();
    for hash in hashes(5).take(1000) {
        assert_eq!(ids(one.candidates(hash)), ids(other.candidates(hash)));
    }
}

/// pingora-ketama cuts the index of a node to 16 bits.
#[test]
fn more_nodes_than_sixteen_bits_count_are_told_apart() {
    let members = nodes(70_000);
    let placement = Rendezvous::new(&members);
    let beyond = hashes(6)
        .take(40)
        .filter(|hash| placement.owner(*hash).index() > 0xffff);
    assert!(beyond.count() > 0);
    let maglev = Maglev::with_slots(&members, 655_373).unwrap();
    assert!(maglev.shares().all(|share| share == 9 || share == 10));
}
