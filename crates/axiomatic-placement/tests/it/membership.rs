//! Who there is, and how they are.

use axiomatic_placement::consistent_hash::{Membership, MembershipError, Node, State};

use super::support::{node, nodes};

fn ids<'a>(
    members: impl IntoIterator<Item = &'a axiomatic_placement::consistent_hash::Member>,
) -> Vec<String> {
    let text = |id: &[u8]| String::from_utf8_lossy(id).into_owned();
    members
        .into_iter()
        .map(|member| text(member.id()))
        .collect()
}

#[test]
fn what_nobody_could_own_a_key_in_is_refused() {
    let refused = |nodes: Vec<Node>| Membership::new(1, nodes).unwrap_err();
    assert_eq!(refused(vec![]), MembershipError::Empty);
    assert_eq!(
        refused(vec![Node::new("a"), Node::new("")]),
        MembershipError::Unnamed
    );
    let id = b"a"[..].into();
    let twice = ["b", "a", "c", "a"].map(Node::new);
    assert_eq!(refused(twice.into()), MembershipError::Duplicate { id });
    let weightless = ["a", "b"].map(|id| Node::new(id).weighing(0));
    assert_eq!(refused(weightless.into()), MembershipError::Weightless);
    let some = nodes(3).marked("nobody", State::Down).unwrap_err();
    assert_eq!(some.to_string(), "there is no node of the identity nobody");
}

#[test]
fn the_order_in_which_nodes_are_listed_decides_nothing() {
    let forward = Membership::new(1, (0..50).map(node)).unwrap();
    let backward = Membership::new(1, (0..50).rev().map(node)).unwrap();
    assert_eq!(forward, backward);
    assert!(ids(forward.members()).is_sorted());
    for (index, member) in forward.members().iter().enumerate() {
        assert_eq!(member.index(), index);
        assert_eq!(forward.get(member.id()), Some(member));
    }
    assert_eq!(forward.get("node-50"), None);
}

#[test]
fn keys_are_owned_by_those_of_the_best_state_that_weigh_something() {
    let a = Node::new("a").weighing(0);
    let all = Membership::new(1, [a, Node::new("b"), Node::new("c"), Node::new("d")]).unwrap();
    assert_eq!(ids(all.eligible()), ["b", "c", "d"]);
    assert_eq!(all.eligible_nodes(), 3);
    assert!(!all.is_whole());

    let two = all.marked("b", State::Draining).unwrap();
    assert_eq!(ids(two.eligible()), ["c", "d"]);
    let none_up = two.with_states(|member| match member.id() {
        b"c" | b"d" => State::Down,
        _ => two.state(member),
    });
    // A node that weighs nothing and is up owns nothing all the same.
    assert_eq!(ids(none_up.eligible()), ["b"]);
    let all_down = none_up.with_states(|_| State::Down);
    assert_eq!(ids(all_down.eligible()), ["b", "c", "d"]);
}

#[test]
fn states_lie_over_a_roster_that_stays() {
    let before = nodes(5);
    let after = before.marked("node-3", State::Down).unwrap();
    assert_eq!((before.epoch(), after.epoch()), (1, 2));
    assert!(after.has_roster_of(&before));
    assert_ne!(after, before);
    assert_eq!(after.state(after.get("node-3").unwrap()), State::Down);
    assert_eq!(before.state(before.get("node-3").unwrap()), State::Up);
    // Equal nodes are an equal roster, whoever listed them.
    assert!(nodes(5).has_roster_of(&after));
    assert!(!nodes(6).has_roster_of(&after));
    let heavier = (0..5).map(|n| node(n).weighing(2));
    assert!(!Membership::new(1, heavier).unwrap().has_roster_of(&after));
}

#[test]
fn racks_of_one_name_in_two_zones_are_two() {
    let placed = [
        ("a", "z1", "r"),
        ("b", "z2", "r"),
        ("c", "z1", "r"),
        ("d", "z1", "q"),
    ];
    let all = placed.map(|(id, zone, rack)| Node::new(id).in_rack(zone, rack));
    let all = Membership::new(1, all).unwrap();
    let [a, b, c, d] = all.members() else {
        panic!("four")
    };
    assert!(a.shares_rack_with(c) && a.shares_zone_with(d));
    assert!(!a.shares_rack_with(b) && !a.shares_zone_with(b) && !a.shares_rack_with(d));
    assert_eq!((all.zones(), all.racks()), (2, 3));
    // Domains of which nobody may own keys are none.
    let without = all.marked("b", State::Down).unwrap();
    assert_eq!((without.zones(), without.racks()), (1, 2));
}

#[test]
fn a_membership_prints_as_a_line_and_its_nodes_as_words() {
    let nodes = [
        Node::new("a").weighing(3).in_rack("eu", "r1"),
        Node::new(b"\xff").being(State::Draining),
    ];
    let all = Membership::new(7, nodes).unwrap();
    assert_eq!(
        all.to_string(),
        "epoch 7: 2 nodes (1 up, 1 draining, 0 down), weight 4"
    );
    let debug: Vec<_> = all
        .members()
        .iter()
        .map(|member| format!("{member:?}"))
        .collect();
    assert_eq!(debug, ["Node(a x3 in eu/r1)", "Node(\\xff Draining)"]);
}
