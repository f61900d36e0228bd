//! The answers are the same for ever: a file of them for each algorithm.

use std::fmt::Write;

use axiomatic_placement::consistent_hash::{Jump, JumpBack, MAX_SHARDS, NumberedShards, ShardSet};

use super::{by_lot, hashes, jump, jump_back};

/// A line for each of some hashes: the shards, the hash, the owner, and whom to
/// ask next.
fn answers(text: &mut String, name: &str, shards: &impl NumberedShards) {
    for hash in hashes(41).take(12).chain([0, 1, u64::MAX]) {
        let owner = shards.owner(hash);
        write!(text, "{name} {hash:016x} {owner}").unwrap();
        for shard in shards.candidates(hash).take(4).skip(1) {
            write!(text, " {shard}").unwrap();
        }
        text.push('\n');
    }
}

const SIZES: [u32; 12] = [
    1, 2, 3, 5, 10, 64, 100, 1000, 1025, 65_537, 1_000_000, MAX_SHARDS,
];

/// Where they differ, the answers of whoever relies on them differed: the file
/// is right, and a new algorithm has a number and a file of its own.
#[track_caller]
fn are_as_ever(id: u16, expected_id: u16, answers: &str, golden: &str) {
    assert_eq!(id, expected_id);
    // The first line says what the columns are.
    let golden = golden.lines().skip(1);
    for (answer, golden) in answers.lines().zip(golden.clone()) {
        assert_eq!(answer, golden);
    }
    assert_eq!(answers.lines().count(), golden.count());
}

#[test]
fn jump_back_answers_as_ever() {
    let mut text = String::new();
    for shards in SIZES {
        answers(&mut text, &shards.to_string(), &jump_back(shards));
    }
    let golden = include_str!("../../golden/numbered_1_jump_back.txt");
    are_as_ever(JumpBack::ALGORITHM, 1, &text, golden);
}

#[test]
fn jump_answers_as_ever() {
    let mut text = String::new();
    for shards in SIZES {
        answers(&mut text, &shards.to_string(), &jump(shards));
    }
    let golden = include_str!("../../golden/numbered_2_jump.txt");
    are_as_ever(Jump::ALGORITHM, 2, &text, golden);
}

#[test]
fn a_set_answers_as_ever() {
    let mut text = String::new();
    for (working, capacity) in [
        (1, 1),
        (1, 3),
        (5, 8),
        (10, 10),
        (10, 20),
        (64, 64),
        (100, 1000),
        (3, 4096),
        (1000, 2000),
        (65_537, 131_072),
    ] {
        let set = by_lot(working, capacity, 42);
        answers(&mut text, &format!("{working}/{capacity}"), &set);
    }
    let golden = include_str!("../../golden/numbered_3_shard_set.txt");
    are_as_ever(ShardSet::ALGORITHM, 3, &text, golden);
}
