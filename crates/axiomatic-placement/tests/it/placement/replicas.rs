//! Who holds the copies of a key.

use axiomatic_placement::consistent_hash::{
    Maglev, Member, Membership, Node, Placement, Rendezvous, Shortage, Skeleton, Spread, State,
};
use proptest::prelude::*;

use crate::support::{hashes, node, nodes};

const ALL: [Spread; 3] = [Spread::Node, Spread::Rack, Spread::Zone];
const BOTH: [Shortage; 2] = [Shortage::Strict, Shortage::BestEffort];

/// Up to 24 nodes in up to 4 zones of up to 3 racks.
fn some_nodes() -> impl Strategy<Value = Vec<Node>> {
    prop::collection::vec((1u32..4, 0..4, 0..3), 1..24).prop_map(|all| {
        let nodes = all.into_iter().enumerate();
        nodes
            .map(|(n, (weight, zone, rack))| {
                node(n)
                    .weighing(weight)
                    .in_rack(format!("z{zone}"), format!("r{rack}"))
            })
            .collect()
    })
}

fn domain(spread: Spread, member: &Member) -> (Vec<u8>, String, String) {
    let (zone, rack) = (member.zone().to_owned(), member.rack().to_owned());
    match spread {
        Spread::Node => (member.id().to_vec(), zone, rack),
        Spread::Rack => (vec![], zone, rack),
        Spread::Zone => (vec![], zone, String::new()),
    }
}

fn distinct(spread: Spread, members: &[&Member]) -> usize {
    let domains: std::collections::HashSet<_> = members
        .iter()
        .map(|member| domain(spread, member))
        .collect();
    domains.len()
}

/// The rule, written down as plainly as can be.
fn naive<'a>(candidates: &[&'a Member], wanted: usize, passes: &[Spread]) -> Vec<&'a Member> {
    let mut taken: Vec<&Member> = vec![];
    for pass in passes {
        for candidate in candidates {
            let is_new = taken
                .iter()
                .all(|t| domain(*pass, t) != domain(*pass, candidate));
            if is_new && taken.len() < wanted {
                taken.push(candidate);
            }
        }
    }
    taken
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replicas_are_distinct_and_spread_as_far_as_there_are_domains(
        nodes in some_nodes(),
        wanted in 0usize..8,
    ) {
        let members = Membership::new(1, nodes).unwrap();
        let placement = Rendezvous::new(&members);
        for hash in hashes(1).take(20) {
            let candidates: Vec<&Member> = placement.candidates(hash).collect();
            for (spread, shortage) in ALL.into_iter().flat_map(|s| BOTH.map(|b| (s, b))) {
                let replicas = placement.replicas(hash, wanted, spread, shortage);
                let passes = match (spread, shortage) {
                    (_, Shortage::Strict) => vec![spread],
                    (Spread::Node, _) => vec![Spread::Node],
                    (Spread::Rack, _) => vec![Spread::Rack, Spread::Node],
                    (Spread::Zone, _) => vec![Spread::Zone, Spread::Rack, Spread::Node],
                };
                prop_assert_eq!(&replicas[..], naive(&candidates, wanted, &passes));
                prop_assert_eq!(replicas.domains(), distinct(spread, &replicas));
                prop_assert_eq!(distinct(Spread::Node, &replicas), replicas.len());
                prop_assert_eq!(replicas.is_short(), replicas.len() < wanted);
                if let Some(first) = replicas.first() {
                    prop_assert_eq!(*first, placement.owner(hash));
                }
            }
        }
    }

    /// Of the owner alone for tables, of which the slots may change hands.
    #[test]
    fn a_node_outside_of_the_replicas_may_leave_and_they_stay(
        nodes in some_nodes(),
        wanted in 1usize..5,
        left in any::<prop::sample::Index>(),
    ) {
        let members = Membership::new(1, nodes.clone()).unwrap();
        let left = &nodes[left.index(nodes.len())];
        let rest = nodes.iter().filter(|node| node.id() != left.id()).cloned();
        let Ok(rest) = Membership::new(2, rest) else { return Ok(()) };
        let old = Rendezvous::new(&members);
        let new = old.over(&rest).unwrap();
        for hash in hashes(2).take(30) {
            for (spread, shortage) in ALL.into_iter().flat_map(|s| BOTH.map(|b| (s, b))) {
                let before = old.replicas(hash, wanted, spread, shortage);
                let ids = |members: &[&Member]| members.iter().map(|m| m.id().to_vec()).collect::<Vec<_>>();
                if before.iter().all(|member| member.id() != left.id()) {
                    let after = new.replicas(hash, wanted, spread, shortage);
                    prop_assert_eq!(ids(&before), ids(&after));
                }
            }
        }
    }
}

/// hashring names a node twice when as many replicas are wanted as there are
/// nodes; mpchash's first replica is not its owner.
#[test]
fn as_many_replicas_as_nodes_are_all_nodes_the_owner_first() {
    let members = nodes(9);
    let rendezvous = Rendezvous::new(&members);
    let maglev = Maglev::with_slots(&members, 1009).unwrap();
    let skeleton = Skeleton::new(&members);
    for hash in hashes(3).take(500) {
        for (replicas, owner) in [
            (
                rendezvous.replicas(hash, 9, Spread::Node, Shortage::Strict),
                rendezvous.owner(hash),
            ),
            (
                maglev.replicas(hash, 9, Spread::Node, Shortage::Strict),
                maglev.owner(hash),
            ),
            (
                skeleton.replicas(hash, 9, Spread::Node, Shortage::Strict),
                skeleton.owner(hash),
            ),
        ] {
            assert_eq!(distinct(Spread::Node, &replicas), 9);
            assert_eq!(replicas[0], owner);
            assert!(replicas.is_spread() && !replicas.is_short());
        }
    }
    let ten = rendezvous.replicas(1, 10, Spread::Node, Shortage::BestEffort);
    assert!(ten.len() == 9 && ten.is_short() && !ten.is_spread());
}

#[test]
fn a_zone_that_is_down_takes_its_replicas_with_it_and_gives_them_back() {
    let all = (0..9).map(|n| node(n).in_zone(["a", "b", "c"][n % 3]));
    let whole = Membership::new(1, all).unwrap();
    let without = whole.with_states(|member| match member.zone() {
        "b" => State::Down,
        _ => State::Up,
    });
    let before = Rendezvous::new(&whole);
    let after = before.over(&without).unwrap();
    for hash in hashes(4).take(200) {
        let three = before.replicas(hash, 3, Spread::Zone, Shortage::Strict);
        assert!(three.is_spread());
        let two = after.replicas(hash, 3, Spread::Zone, Shortage::Strict);
        assert_eq!((two.len(), two.domains()), (2, 2));
        let left: Vec<_> = three.iter().filter(|member| member.zone() != "b").collect();
        assert_eq!(left, two.iter().collect::<Vec<_>>());
        let filled = after.replicas(hash, 3, Spread::Zone, Shortage::BestEffort);
        assert_eq!((filled.len(), filled.domains()), (3, 2));
        assert_eq!(filled[..2], two[..]);
    }
}
