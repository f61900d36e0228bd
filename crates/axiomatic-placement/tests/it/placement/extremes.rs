//! The ends of what numbers there may be, and what is equal but not the same.

use axiomatic_core::hash::Seed;
use axiomatic_placement::consistent_hash::{
    Algorithm, Jump, JumpBack, Live, Maglev, Member, Membership, MembershipError, Node,
    NumberedShards, Placement, Rendezvous, ShardSet, Shortage, Skeleton, Spread, State,
    UpdateError, moved, sample,
};
use std::num::NonZeroU32;

use crate::support::{hashes, node, nodes};

fn ids<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<&'a [u8]> {
    members.map(Member::id).collect()
}

/// Of a group of a skeleton, the weights add up to more than 32 bits.
#[test]
fn the_least_and_the_greatest_weights_go_together() {
    let most = |n| node(n).weighing(if n == 0 { 1 } else { u32::MAX });
    let members = Membership::new(1, (0..100).map(most)).unwrap();
    let total = 99 * u64::from(u32::MAX) + 1;
    assert_eq!(members.total_weight(), total);
    let few = NonZeroU32::new(3).unwrap();
    let skeleton = Skeleton::with_groups(&members, few);
    let rendezvous = Rendezvous::new(&members);
    let mut counts = [vec![0u64; 100], vec![0u64; 100]];
    for hash in hashes(31).take(100_000) {
        counts[0][rendezvous.owner(hash).index()] += 1;
        counts[1][skeleton.owner(hash).index()] += 1;
        assert_eq!(rendezvous.candidates(hash).last().unwrap().index(), 0);
    }
    for counts in counts {
        assert_eq!(counts[0], 0);
        let fair = 100_000.0 / 99.0;
        let z = crate::support::deviation(&counts[1..], |_| fair);
        assert!(z.abs() < 4.0, "z = {z}");
    }
}

#[test]
fn after_the_last_epoch_there_is_no_next_one() {
    let last = Membership::new(u64::MAX, (0..3).map(node)).unwrap();
    let marked = last.marked("node-1", State::Down).unwrap();
    assert_eq!(marked.epoch(), u64::MAX);
    let live = Live::new(Rendezvous::new(&last));
    let refused = live.update(|now| now.marked("node-1", State::Down));
    assert!(matches!(refused, Err(UpdateError::Stale(_))));
    assert_eq!(live.load().membership(), &last);
}

/// The states in which nodes were described are no part of the roster.
#[test]
fn a_roster_is_the_same_however_its_nodes_were_described_to_be() {
    let up = nodes(5);
    let described = (0..5).map(|n| match n {
        3 => node(n).being(State::Down),
        _ => node(n),
    });
    let described = Membership::new(2, described).unwrap();
    assert!(described.has_roster_of(&up) && up.has_roster_of(&described));
    assert_eq!(up.marked("node-3", State::Down).unwrap(), described);
    assert_ne!(
        up,
        Membership::new(1, described.members().iter().map(|m| m.node().clone())).unwrap()
    );
}

#[test]
fn what_differs_in_weight_or_place_is_another_roster() {
    let all = || (0..4).map(|n| node(n).weighing(2).in_rack("z", "r"));
    let change = |at: usize, to: Node| {
        let nodes = all().enumerate();
        let nodes = nodes.map(|(n, node)| if n == at { to.clone() } else { node });
        Membership::new(1, nodes).unwrap()
    };
    let before = Membership::new(1, all()).unwrap();
    assert!(before.has_roster_of(&Membership::new(7, all()).unwrap()));
    for other in [
        change(1, node(1).weighing(3).in_rack("z", "r")),
        change(1, node(1).weighing(2).in_rack("y", "r")),
        change(1, node(1).weighing(2).in_rack("z", "q")),
        change(1, node(9).weighing(2).in_rack("z", "r")),
        Membership::new(1, all().take(3)).unwrap(),
    ] {
        assert!(!before.has_roster_of(&other) && !other.has_roster_of(&before));
        assert_ne!(before, other);
    }
    // Two that trade their weights have the same sum.
    let traded = |one, other| [node(0).weighing(one), node(1).weighing(other)];
    let [one, other] = [traded(1, 2), traded(2, 1)].map(|two| Membership::new(1, two).unwrap());
    assert!(!one.has_roster_of(&other));
    assert_ne!(one, one.marked("node-0", State::Down).unwrap());
    let again = |state| Membership::new(1, [node(0).being(state), node(1)]).unwrap();
    assert_ne!(again(State::Up), again(State::Down));
}

/// Over what has the same roster, its zones are those of the new one; of
/// another seed and size, these are kept.
#[test]
fn another_membership_is_placed_by_the_same_seed_and_size() {
    let (seed, groups) = (Seed::fixed(5), NonZeroU32::new(7).unwrap());
    let moved_to = |n: usize| node(n).in_zone(["a", "b"][n % 2]);
    let zoned = Membership::new(2, (0..40).map(moved_to)).unwrap();
    let some_down = nodes(40).with_states(|member| match member.index() % 3 {
        0 => State::Down,
        _ => State::Up,
    });
    for later in [zoned, some_down, nodes(39)] {
        let skeleton = Skeleton::seeded(&nodes(40), groups, seed);
        let maglev = Maglev::seeded(&nodes(40), 1009, seed).unwrap();
        let skeleton = (
            skeleton.over(&later).unwrap(),
            Skeleton::seeded(&later, groups, seed),
        );
        let maglev = (
            maglev.over(&later).unwrap(),
            Maglev::seeded(&later, 1009, seed).unwrap(),
        );
        assert_eq!((skeleton.0.groups(), maglev.0.slots()), (7, 1009));
        for hash in hashes(32).take(300) {
            let (is, expected) = (skeleton.0.candidates(hash), skeleton.1.candidates(hash));
            assert_eq!(ids(is), ids(expected));
            let (is, expected) = (maglev.0.candidates(hash), maglev.1.candidates(hash));
            assert_eq!(ids(is), ids(expected));
        }
        assert_eq!(skeleton.0.membership(), &later);
        let [a, b] = [0, 1].map(|n| later.members()[n].zone());
        let two = maglev.0.membership().members();
        assert_eq!([two[0].zone(), two[1].zone()], [a, b]);
    }
}

#[test]
fn any_number_of_replicas_may_be_wanted() {
    let placed = |n: usize| node(n).in_rack(["a", "b"][n % 2], ["r", "s", "t"][n % 3]);
    let members = Membership::new(1, (0..12).map(placed)).unwrap();
    let placement = Rendezvous::new(&members);
    for spread in [Spread::Node, Spread::Rack, Spread::Zone] {
        let domains = match spread {
            Spread::Node => 12,
            Spread::Rack => 6,
            Spread::Zone => 2,
        };
        for shortage in [Shortage::Strict, Shortage::BestEffort] {
            let none = placement.replicas(1, 0, spread, shortage);
            assert!(none.is_empty() && !none.is_short() && none.is_spread());
            let all = placement.replicas(1, usize::MAX, spread, shortage);
            let is = if shortage == Shortage::Strict {
                domains
            } else {
                12
            };
            assert_eq!((all.len(), all.domains()), (is, domains));
            assert!(all.is_short() && !all.is_spread());
        }
    }
}

#[test]
fn between_memberships_that_share_no_node_everything_moves() {
    let old = Rendezvous::new(&nodes(3));
    let others = Membership::new(1, ["a", "b"].map(Node::new)).unwrap();
    let movement = moved(&old, &old.over(&others).unwrap(), sample(1000));
    assert_eq!(
        (movement.moved(), movement.least(), movement.extra()),
        (1000, 1000, 0)
    );
    assert!((movement.ideal() - 1.0).abs() < 1e-9 && movement.share() == 1.0);
    assert_eq!(movement.shares().len(), 5);
    // What is down owns nothing, and weighs nothing in what is ideal.
    let down = nodes(4).marked("node-0", State::Down).unwrap();
    let all = Rendezvous::new(&nodes(4));
    let movement = moved(&all, &all.over(&down).unwrap(), sample(1000));
    assert!((movement.ideal() - 0.25).abs() < 1e-9);
}

/// They are in stored forms, and stand for one algorithm each.
#[test]
fn numbers_of_algorithms_are_those_of_their_types() {
    assert_eq!(JumpBack::ALGORITHM, Algorithm::JumpBack.id());
    assert_eq!(Jump::ALGORITHM, Algorithm::Jump.id());
    assert_eq!(ShardSet::ALGORITHM, Algorithm::ShardSet.id());
    let members = nodes(2);
    assert_eq!(Skeleton::new(&members).algorithm().id(), 17);
    assert_eq!(Maglev::new(&members).unwrap().algorithm().id(), 18);
}

#[test]
fn more_nodes_than_can_be_are_refused_and_told() {
    let error = MembershipError::TooMany { nodes: 1 << 25 };
    assert_eq!(error.to_string(), "33554432 nodes are more than 16777216");
    assert_eq!(
        MembershipError::Weightless.to_string(),
        "all nodes have weight 0"
    );
    assert_eq!(
        MembershipError::Empty.to_string(),
        "a membership needs a node"
    );
    assert_eq!(
        MembershipError::Unnamed.to_string(),
        "a node has an empty identity"
    );
}

#[test]
fn behind_the_owner_all_follow_the_rendezvous_order_of_the_same_seed() {
    let seed = Seed::fixed(6);
    let members = Membership::new(1, (0..30).map(|n| node(n).weighing(1 + n as u32 % 4)));
    let members = members.unwrap();
    let few = NonZeroU32::new(5).unwrap();
    let rendezvous = Rendezvous::seeded(&members, seed);
    let skeleton = Skeleton::seeded(&members, few, seed);
    let maglev = Maglev::seeded(&members, 1009, seed).unwrap();
    // Of one group, all of it.
    let boneless = Skeleton::seeded(&members, NonZeroU32::MIN, seed);
    for hash in hashes(33).take(300) {
        let order = ids(rendezvous.candidates(hash));
        assert_eq!(ids(boneless.candidates(hash)), order);
        for is in [ids(skeleton.candidates(hash)), ids(maglev.candidates(hash))] {
            let rest = order.iter().filter(|id| **id != is[0]);
            assert!(is[1..].iter().eq(rest));
        }
    }
}

#[test]
fn the_only_shard_stays_where_another_is_to_leave() {
    let one = ShardSet::of(8, [3]).unwrap();
    assert_eq!(one.without(5), Ok(one.clone()));
    assert!(one.without(3).is_err());
}

#[test]
fn a_bounded_load_spills_by_the_same_seed_over_another_membership() {
    use axiomatic_core::Ratio;
    use axiomatic_placement::bounded_load::BoundedLoad;

    let seed = Seed::fixed(9);
    let placement = Rendezvous::seeded(&nodes(3), seed);
    let bounded = BoundedLoad::seeded(placement, Ratio::percent(100), seed).unwrap();
    let bounded = bounded.over(&nodes(12)).unwrap();
    for hash in hashes(34).take(20) {
        let picks: Vec<_> = (0..12).map(|_| bounded.pick(hash)).collect();
        let order = bounded.candidates(hash).map(Member::id);
        assert!(picks.iter().map(|pick| pick.member().id()).eq(order));
    }
}
