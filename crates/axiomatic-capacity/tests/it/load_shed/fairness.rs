use std::collections::HashSet;
use std::time::Duration;

use axiomatic_capacity::load_shed::ConfigError;
use axiomatic_capacity::load_shed::fairness::{Config, Fairness};
use axiomatic_core::context::Priority;
use axiomatic_core::hash::Seed;

use super::START;
use crate::support::{MILLI, SECOND};

fn fairness() -> Fairness {
    Config::new()
        .seed(Seed::fixed(7))
        .half_life(SECOND)
        .shuffled_every(60 * SECOND)
        .build()
        .unwrap()
}

fn level(fairness: &Fairness, at: Duration, user: u64) -> u8 {
    let user = fairness.hasher().number(user);
    let ranked = fairness.rank(START + at, user, Priority::SHEDDABLE_PLUS);
    assert_eq!(
        ranked.as_u8() & !63,
        Priority::SHEDDABLE_PLUS.as_u8(),
        "the class stays"
    );
    ranked.level()
}

/// A hundred users ask for ten a second each, one for a hundred times that.
fn one_is_heavy(fairness: &Fairness) -> Duration {
    let mut at = Duration::ZERO;
    for _ in 0..5_000 {
        at += MILLI;
        level(fairness, at, u64::from(at.subsec_millis()) % 100);
        level(fairness, at, 1_000);
    }
    at
}

#[test]
fn heavier_users_lose_first() {
    let fairness = fairness();
    let at = one_is_heavy(&fairness);
    let heavy = level(&fairness, at, 1_000);
    let others: Vec<_> = (0..100).map(|user| level(&fairness, at, user)).collect();
    assert!(
        others.iter().all(|light| *light > heavy + 8),
        "{heavy} {others:?}"
    );
    // But for one or two that share their places with the heavy one.
    assert!(
        others.iter().filter(|light| **light < 56).count() <= 2,
        "{others:?}"
    );
}

#[test]
fn a_heavy_user_that_stops_is_forgiven() {
    let fairness = fairness();
    let mut at = one_is_heavy(&fairness);
    for _ in 0..12_000 {
        at += MILLI;
        level(&fairness, at, u64::from(at.subsec_millis()) % 100);
    }
    assert!(level(&fairness, at, 1_000) >= 56);
}

#[test]
fn nobody_is_unlucky_for_ever() {
    let fairness = fairness();
    let of_all =
        |at: Duration| -> Vec<u8> { (0..200).map(|user| level(&fairness, at, user)).collect() };
    let first = of_all(SECOND);
    assert_eq!(
        first.iter().collect::<HashSet<_>>().len(),
        8,
        "light ones are ordered by chance"
    );
    assert_eq!(
        first,
        of_all(2 * SECOND),
        "for as long as they are not shuffled"
    );
    let mut unlucky: HashSet<usize> = (0..200).filter(|user| first[*user] == 56).collect();
    assert!(
        (10..=40).contains(&unlucky.len()),
        "one in eight: {}",
        unlucky.len()
    );
    for epoch in 1..=5 {
        let levels = of_all(epoch * 60 * SECOND);
        unlucky.retain(|user| levels[*user] == 56);
    }
    assert!(unlucky.is_empty(), "{unlucky:?}");
}

#[test]
fn few_requests_make_nobody_heavy() {
    let fairness = fairness();
    let levels = (0..16).map(|at| level(&fairness, at * MILLI, 5));
    assert!(levels.min().unwrap() >= 56);
}

#[test]
fn who_asks_for_a_little_beside_idle_ones_is_not_heavy() {
    let fairness = fairness();
    // Both are known, and one asks for next to nothing.
    for at in 0..2_000 {
        let user = u64::from(at % 2 == 0 && at > 1_500);
        if at % 100 == 0 {
            level(&fairness, at * MILLI, user);
        }
    }
    let levels = (0..14).map(|at| level(&fairness, 2 * SECOND + at * MILLI, 1));
    assert!(levels.min().unwrap() >= 56);
}

#[test]
fn alone_or_alike_nobody_is_heavy() {
    for users in [1, 10] {
        let fairness = fairness();
        for at in 0..20_000 {
            let level = level(&fairness, at * MILLI, u64::from(at) % users);
            assert!(level >= 56 || at < 2_000, "{level} of {users} at {at} ms");
        }
    }
}

#[test]
fn what_was_used_is_forgotten_also_while_nobody_comes() {
    let fairness = fairness();
    let at = one_is_heavy(&fairness);
    let later = at + Duration::from_secs(3_600);
    assert!(level(&fairness, later, 1_000) >= 56);
}

#[test]
fn users_cannot_be_shuffled_all_the_time() {
    let short = Duration::from_millis(99);
    for config in [
        Config::new().half_life(short),
        Config::new().shuffled_every(short),
    ] {
        assert_eq!(
            config.build().map(drop).unwrap_err(),
            ConfigError::Fairness(short)
        );
    }
}
