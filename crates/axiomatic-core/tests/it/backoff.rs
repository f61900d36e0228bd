//! Backoff: growth, jitter, sessions and hints. Every draw is seeded, but
//! where the seeds themselves are what is tested. It is one file because
//! distributions, laws and examples are of the same few values.

use std::collections::{BTreeSet, HashSet};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::backoff::{Backoff, ConfigError, Delays, Jitter, Session};
use proptest::prelude::*;

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
/// The longest wait there is: 2^64 nanoseconds but one.
const EVER: Duration = Duration::from_nanos(u64::MAX);

const JITTERS: [Jitter; 4] = [
    Jitter::Off,
    Jitter::Full,
    Jitter::Equal,
    Jitter::Bounded(Ratio::percent(20)),
];

fn grown_only(backoff: Backoff) -> Delays {
    backoff.jitter(Jitter::Off).seeded(0)
}

fn seconds(backoff: Backoff) -> Vec<u64> {
    let waits = grown_only(backoff).take(7);
    waits.map(|wait| wait.as_secs()).collect()
}

/// Every growth that there is.
fn backoffs(first: Duration, longest: Duration) -> [Backoff; 7] {
    [
        Backoff::constant(first.min(longest)),
        Backoff::linear(first, first, longest),
        Backoff::exponential(first, longest),
        Backoff::exponential_by(10, first, longest),
        Backoff::fibonacci(first, longest),
        Backoff::decorrelated(first, longest),
        Backoff::custom(|retry| Duration::from_micros(u64::from(retry)), longest),
    ]
}

/// The 30th wait of each of so many clients that failed together.
fn at_the_cap(backoff: Backoff, clients: u64) -> impl Iterator<Item = Duration> {
    (0..clients).map(move |client| backoff.seeded(client).nth(29).expect("it never ends"))
}

/// Whether waits spread over a range as dice would: Pearson's statistic of
/// twenty equal parts of it is neither of those that one sample in a thousand
/// exceeds, nor so small that the waits are too even for chance.
fn is_uniform(waits: impl Iterator<Item = Duration>, lowest: Duration, highest: Duration) -> bool {
    let mut found = [0u32; 20];
    let mut total = 0;
    let width = (highest - lowest).as_nanos() + 1;
    for wait in waits {
        let place = (wait - lowest).as_nanos() * found.len() as u128 / width;
        found[place as usize] += 1;
        total += 1;
    }
    let expected = f64::from(total) / found.len() as f64;
    let off = |found: u32| (f64::from(found) - expected).powi(2) / expected;
    let statistic: f64 = found.into_iter().map(off).sum();
    // With 19 degrees of freedom.
    (5.41..43.82).contains(&statistic)
}

fn mean(waits: impl Iterator<Item = Duration>) -> f64 {
    let (sum, count) = waits.fold((0.0, 0.0), |(sum, count), wait| {
        (sum + wait.as_secs_f64(), count + 1.0)
    });
    sum / count
}

#[test]
fn each_growth_is_what_its_name_says() {
    let longest = SECOND * 20;
    assert_eq!(seconds(Backoff::constant(SECOND * 3)), [3; 7]);
    assert_eq!(
        seconds(Backoff::linear(SECOND * 2, SECOND * 5, longest)),
        [2, 7, 12, 17, 20, 20, 20]
    );
    assert_eq!(
        seconds(Backoff::exponential(SECOND, longest)),
        [1, 2, 4, 8, 16, 20, 20]
    );
    assert_eq!(
        seconds(Backoff::exponential_by(3, SECOND, longest)),
        [1, 3, 9, 20, 20, 20, 20]
    );
    assert_eq!(
        seconds(Backoff::fibonacci(SECOND, longest)),
        [1, 1, 2, 3, 5, 8, 13]
    );
    let squares = |retry| SECOND * retry * retry;
    assert_eq!(
        seconds(Backoff::custom(squares, longest)),
        [0, 1, 4, 9, 16, 20, 20]
    );
}

#[test]
fn attempt_one_thousand_on_a_day_saturates() {
    for backoff in [
        Backoff::exponential(DAY, Duration::MAX),
        Backoff::exponential_by(u32::MAX, DAY, Duration::MAX),
        Backoff::fibonacci(DAY, Duration::MAX),
        Backoff::fibonacci(NANO, Duration::MAX),
        Backoff::linear(DAY, Duration::MAX, Duration::MAX),
        Backoff::custom(|_| Duration::MAX, Duration::MAX),
    ] {
        assert_eq!(grown_only(backoff).nth(999), Some(EVER));
        let week = Backoff::exponential(DAY, DAY * 7);
        assert_eq!(grown_only(week).nth(999), Some(DAY * 7));
        for jitter in JITTERS {
            let backoff = backoff.jitter(jitter).retry_after_up_to(Duration::MAX);
            let mut waits = backoff.seeded(1);
            assert!(waits.nth(999).is_some_and(|wait| wait <= EVER));
            assert_eq!(waits.next_after(Some(Duration::MAX)), EVER);
        }
    }
    // A decorrelated walk is near its cap by then, and no further.
    let walk = Backoff::decorrelated(DAY, Duration::MAX).seeded(1).nth(999);
    assert!(walk.is_some_and(|wait| wait > DAY && wait <= EVER));
}

#[test]
fn a_wait_of_zero_stays_zero() {
    for backoff in &backoffs(Duration::ZERO, SECOND)[..6] {
        for jitter in JITTERS {
            let mut waits = backoff.jitter(jitter).seeded(3).take(200);
            assert!(waits.all(|wait| wait.is_zero()), "{backoff:?}, {jitter:?}");
        }
    }
}

#[test]
fn jitter_is_uniform_between_its_bounds_also_at_the_cap() {
    let cap = SECOND * 10;
    for (jitter, lowest) in [
        (Jitter::Full, Duration::ZERO),
        (Jitter::Equal, cap / 2),
        (Jitter::Bounded(Ratio::percent(20)), cap * 8 / 10),
    ] {
        let backoff = Backoff::exponential(SECOND, cap).jitter(jitter);
        let among_clients = || at_the_cap(backoff, 100_000);
        let along_a_session = || backoff.seeded(7).skip(29).take(100_000);
        assert!(is_uniform(among_clients(), lowest, cap));
        assert!(is_uniform(along_a_session(), lowest, cap));
        let middle = (lowest + cap).as_secs_f64() / 2.0;
        // Four standard errors of a mean of 100,000.
        let near = (cap - lowest).as_secs_f64() / 12f64.sqrt() / 316.2 * 4.0;
        assert!((mean(among_clients()) - middle).abs() < near, "{jitter:?}");
        assert!((mean(along_a_session()) - middle).abs() < near);
        assert!(among_clients().min() < Some(lowest + cap / 1_000));
        assert!(among_clients().max() > Some(cap - cap / 1_000));
    }
}

#[test]
fn every_wait_that_jitter_allows_is_drawn_and_no_other() {
    let backoff = Backoff::constant(NANO * 10);
    for (jitter, lowest) in [
        (Jitter::Off, 10),
        (Jitter::Full, 0),
        (Jitter::Equal, 5),
        (Jitter::Bounded(Ratio::percent(20)), 8),
        (Jitter::Bounded(Ratio::per_mille(299)), 8),
    ] {
        let waits = backoff.jitter(jitter).seeded(1).take(1_000);
        let drawn: BTreeSet<_> = waits.map(|wait| wait.as_nanos()).collect();
        assert!(drawn.into_iter().eq(lowest..=10), "{jitter:?}");
    }
}

#[test]
fn clients_never_pile_up_at_the_cap() {
    let cap = SECOND * 10;
    for backoff in [
        Backoff::exponential(SECOND, cap),
        Backoff::exponential(SECOND, cap).jitter(Jitter::Equal),
        Backoff::decorrelated(SECOND, cap),
    ] {
        let mut in_millisecond = [0u32; 10_001];
        for wait in at_the_cap(backoff, 10_000) {
            in_millisecond[wait.as_millis() as usize] += 1;
        }
        let most = in_millisecond.into_iter().max();
        assert!(most <= Some(12), "{most:?} of 10,000, {backoff:?}");
    }
}

#[test]
fn a_decorrelated_wait_lies_between_the_first_and_three_times_the_last() {
    let (first, longest) = (SECOND, SECOND * 60);
    let backoff = Backoff::decorrelated(first, longest);
    let first_waits = || (0..100_000).filter_map(|seed| backoff.seeded(seed).next());
    assert!(is_uniform(first_waits(), first, first * 3));
    let mut wanted = HashSet::new();
    for seed in 0..1_000 {
        let mut last = first;
        for wait in backoff.seeded(seed).take(50) {
            let highest = (last * 3).min(longest);
            assert!((first..=highest).contains(&wait), "{last:?}, {wait:?}");
            // Both ends are come near to, so the bounds are the tightest.
            wanted.insert((wait - first) * 100 < highest);
            wanted.insert((highest - wait) * 100 < highest);
            last = wait;
        }
    }
    assert_eq!(wanted.len(), 2);
}

#[test]
fn jitter_shortens_a_walk_and_leaves_it_where_it_is() {
    let backoff = Backoff::decorrelated(SECOND, SECOND * 60);
    let walked = mean(backoff.seeded(5).take(100_000));
    let shortened = backoff.jitter(Jitter::Full).seeded(5).take(100_000);
    // Were it led by its shortened waits, it would stay near the first.
    let half = mean(shortened) / walked;
    assert!((0.49..0.51).contains(&half), "{half}");
}

#[test]
fn no_two_sessions_share_their_first_three_waits() {
    let backoff = Backoff::exponential(SECOND, SECOND * 30);
    let three = |delays: Delays| delays.take(3).collect::<Vec<_>>();
    let started: HashSet<_> = std::thread::scope(|scope| {
        let ten = || {
            (0..1_000)
                .map(|_| three(backoff.start()))
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..10).map(|_| scope.spawn(ten)).collect();
        let joined = threads.into_iter().map(ScopedJoinHandle::join);
        joined.flat_map(|waits| waits.expect("no panic")).collect()
    });
    assert_eq!(started.len(), 10_000);
    let seeded: HashSet<_> = (0..10_000)
        .map(|seed| three(backoff.seeded(seed)))
        .collect();
    assert_eq!(seeded.len(), 10_000);
}

/// Also not where one seed is the state that the other's generator comes to.
#[test]
fn no_session_is_another_one_shifted() {
    let backoff = Backoff::constant(DAY);
    let step = 0x9e37_79b9_7f4a_7c15u64;
    let waits: HashSet<_> = (0..100u64)
        .flat_map(|n| backoff.seeded(n.wrapping_mul(step)).take(100))
        .collect();
    assert_eq!(waits.len(), 10_000);
}

#[test]
fn a_seed_repeats_its_waits() {
    for backoff in backoffs(SECOND, SECOND * 30) {
        let waits: Vec<_> = backoff.seeded(11).take(100).collect();
        let again: Vec<_> = backoff.seeded(11).take(100).collect();
        assert_eq!(waits, again);
        let mut session = Session::seeded(11);
        let by_hand: Vec<_> = (0..100).map(|_| backoff.wait(&mut session, None)).collect();
        assert_eq!(waits, by_hand);
        assert_eq!(session.waits(), 100);
    }
}

#[test]
fn a_hint_prolongs_within_its_envelope_and_is_jittered_upward() {
    let backoff = Backoff::exponential(SECOND, SECOND);
    let after =
        |hint: Duration| (0..100_000).map(move |seed| backoff.seeded(seed).next_after(Some(hint)));
    // All were told two seconds: none comes before, nor with the others.
    assert!(is_uniform(after(SECOND * 2), SECOND * 2, SECOND * 3));
    // An hour is cut to the five seconds of the default.
    assert!(is_uniform(after(SECOND * 3_600), SECOND * 5, SECOND * 6));
    assert_eq!(backoff.longest_hint(), SECOND * 5);
    let deaf = backoff.retry_after_up_to(Duration::ZERO);
    assert_eq!(deaf.longest_hint(), Duration::ZERO);
    let heard = deaf.seeded(1).next_after(Some(SECOND));
    assert_eq!(Some(heard), backoff.seeded(1).next());
    assert_eq!(
        Some(backoff.seeded(1).next_after(None)),
        backoff.seeded(1).next()
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |backoff: Backoff| backoff.checked().err();
    let sound = Backoff::exponential(SECOND, DAY);
    assert_eq!(refused(sound), None);
    assert_eq!(refused(Backoff::constant(Duration::ZERO)), None);
    for backoff in &backoffs(SECOND, NANO)[1..6] {
        assert_eq!(refused(*backoff), Some(ConfigError::Longest), "{backoff:?}");
    }
    for factor in [0, 1] {
        let backoff = Backoff::exponential_by(factor, SECOND, DAY);
        assert_eq!(refused(backoff), Some(ConfigError::Factor(factor)));
    }
    let share = Ratio::parts_per_million(1_000_001);
    let refusal = refused(sound.jitter(Jitter::Bounded(share)));
    assert_eq!(refusal, Some(ConfigError::Share(share)));
    assert_eq!(
        refusal.map(|error| error.to_string()).as_deref(),
        Some("jitter shortens by at most 100 %, not by 100.0001 %")
    );
}

#[derive(Copy, Clone)]
enum Kind {
    Linear,
    Exponential,
    Fibonacci,
}

/// What a growth comes to one step at a time, in numbers too large to wrap.
struct Reference {
    kind: Kind,
    this: u128,
    next: u128,
    step: u128,
}

impl Reference {
    const MOST: u128 = u64::MAX as u128;

    fn advance(&mut self) {
        let following = match self.kind {
            Kind::Linear => self.this + self.step,
            Kind::Exponential => self.this * self.step,
            Kind::Fibonacci => {
                let sum = self.this + self.next;
                std::mem::replace(&mut self.next, sum.min(Self::MOST))
            }
        };
        self.this = following.min(Self::MOST);
    }
}

fn duration() -> impl Strategy<Value = Duration> {
    // Of any magnitude, since uniform numbers would nearly all be centuries.
    (any::<u64>(), 0..64u32).prop_map(|(nanos, shift)| Duration::from_nanos(nanos >> shift))
}

fn jitter() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::Off),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        (0..=1_000_000u32).prop_map(|share| Jitter::Bounded(Ratio::parts_per_million(share))),
    ]
}

proptest! {
    #[test]
    fn growth_is_exact_to_the_last_nanosecond(
        first in duration(), step in duration(), factor in 0..20u32, longest in duration(),
    ) {
        let most = longest.as_nanos();
        let this = first.as_nanos();
        for (kind, step, backoff) in [
            (Kind::Linear, step.as_nanos(), Backoff::linear(first, step, longest)),
            (Kind::Exponential, u128::from(factor), Backoff::exponential_by(factor, first, longest)),
            (Kind::Fibonacci, 0, Backoff::fibonacci(first, longest)),
        ] {
            let mut expected = Reference { kind, this, next: this, step };
            for wait in grown_only(backoff).take(200) {
                prop_assert_eq!(wait.as_nanos(), expected.this.min(most), "{:?}", backoff);
                expected.advance();
            }
        }
    }

    #[test]
    fn a_wait_keeps_to_the_bounds_of_its_jitter(
        first in duration(), longest in duration(), jitter in jitter(), seed: u64,
    ) {
        for (index, backoff) in backoffs(first, longest).into_iter().enumerate() {
            let waits = backoff.jitter(jitter).seeded(seed).take(100);
            for (wait, grown) in waits.zip(grown_only(backoff)) {
                prop_assert!(wait <= longest);
                // A walk's ceiling depends on dice, which jitter rolls too.
                if index == 5 {
                    continue;
                }
                let least = match jitter {
                    Jitter::Off => grown,
                    Jitter::Full => Duration::ZERO,
                    Jitter::Equal => grown / 2,
                    Jitter::Bounded(share) => {
                        let whole = 1_000_000 - u128::from(share.as_parts_per_million());
                        let least = grown.as_nanos() * whole / 1_000_000;
                        Duration::from_nanos(least as u64)
                    }
                };
                prop_assert!((least..=grown).contains(&wait), "{:?} {:?}", wait, backoff);
            }
        }
    }

    #[test]
    fn without_jitter_waits_never_become_shorter(first in duration(), longest in duration()) {
        let all = backoffs(first, longest).into_iter().enumerate();
        for (_, backoff) in all.filter(|(index, _)| *index != 5) {
            let waits: Vec<_> = grown_only(backoff).take(200).collect();
            prop_assert!(waits.is_sorted(), "{:?}", backoff);
        }
    }

    #[test]
    fn nothing_that_is_refused_panics_either(
        first: Duration, step: Duration, longest: Duration, hint: Duration,
        factor: u32, share: u32, seed: u64,
    ) {
        let mut all = backoffs(first, longest).to_vec();
        all.push(Backoff::exponential_by(factor, first, longest));
        all.push(Backoff::linear(first, step, longest));
        for backoff in all {
            let jitter = Jitter::Bounded(Ratio::parts_per_million(share));
            let backoff = backoff.jitter(jitter).retry_after_up_to(step);
            let mut delays = backoff.seeded(seed);
            for _ in 0..100 {
                let wait = delays.next_after(Some(hint));
                prop_assert!(wait <= longest.saturating_add(step.min(hint)).min(EVER));
            }
        }
    }
}
