//! The answers are the same for ever: a file of them for each algorithm.

use std::fmt::Write;

use axiomatic_core::hash::Seed;
use axiomatic_placement::consistent_hash::{
    Algorithm, Maglev, Membership, Node, Placement, Rendezvous, Skeleton, State,
};

use crate::support::hashes;

/// Of equal weights, of different ones, and with some that are not up.
fn memberships() -> Vec<Membership> {
    let node = |n: usize| Node::new(format!("node-{n}"));
    let weighted = (0..20).map(|n| node(n).weighing(n as u32 * n as u32));
    let weighted = Membership::new(1, weighted).unwrap();
    let some_down = weighted.with_states(|member| match member.index() % 5 {
        0 => State::Down,
        1 => State::Draining,
        _ => State::Up,
    });
    let equal = |count| Membership::new(1, (0..count).map(node)).unwrap();
    vec![equal(1), equal(10), equal(600), weighted, some_down]
}

/// A line for each of some hashes: the membership, the hash, the candidates.
fn answers<P: Placement>(place: impl Fn(&Membership) -> P) -> String {
    let mut text = String::from("# membership, hash, the first four candidates\n");
    for (at, membership) in memberships().iter().enumerate() {
        let placement = place(membership);
        for hash in hashes(41).take(20).chain([0, 1, u64::MAX]) {
            write!(text, "{at} {hash:016x}").unwrap();
            for member in placement.candidates(hash).take(4) {
                write!(text, " {}", member.id().escape_ascii()).unwrap();
            }
            text.push('\n');
        }
    }
    text
}

/// Where they differ, the answers of whoever relies on them differed: the file
/// is right, and a new algorithm has a number and a file of its own.
#[track_caller]
fn are_as_ever(algorithm: Algorithm, id: u16, answers: &str, golden: &str) {
    assert_eq!(algorithm.id(), id);
    for (answer, golden) in answers.lines().zip(golden.lines()) {
        assert_eq!(answer, golden);
    }
    assert_eq!(answers.lines().count(), golden.lines().count());
}

#[test]
fn rendezvous_answers_as_ever() {
    let mut text = answers(Rendezvous::new);
    text += &answers(|members| Rendezvous::seeded(members, Seed::fixed(7)));
    are_as_ever(
        Algorithm::Rendezvous,
        16,
        &text,
        include_str!("../../golden/placement_16_rendezvous.txt"),
    );
}

#[test]
fn a_skeleton_answers_as_ever() {
    let text = answers(Skeleton::new);
    are_as_ever(
        Algorithm::Skeleton,
        17,
        &text,
        include_str!("../../golden/placement_17_skeleton.txt"),
    );
}

#[test]
fn a_table_answers_as_ever() {
    let text = answers(|members| Maglev::new(members).unwrap());
    are_as_ever(
        Algorithm::Maglev,
        18,
        &text,
        include_str!("../../golden/placement_18_maglev.txt"),
    );
}
