//! Models of the throttler: whose turn it is to compute the share, and who
//! passes as a probe.

use std::time::Duration;

use axiomatic_capacity::load_shed::throttle::{Config, Rule, Share, Throttler};
use axiomatic_core::context::Priority;
use axiomatic_core::models::model;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Outcome, Ratio};
use loom::sync::Arc;
use loom::thread;

const RULE: Rule = Rule::accepting(Ratio::percent(200));

/// A turn, and a bucket: a window lasts eight of them.
const TURN: u64 = 1 << 30;

/// The clock stands at the end of an hour.
const BEGUN: u64 = 3_600 * 1_000_000_000 / TURN + 1;

/// A turn after it was made.
fn at(turn: u64) -> Instant {
    Instant::from_nanos((BEGUN + turn) * TURN)
}

/// Its draws are the same in each schedule.
fn throttler(config: Config, probe: Duration) -> Arc<Throttler> {
    let config = config
        .window(Duration::from_nanos(8 * TURN), 8)
        .refresh_every(Duration::from_nanos(TURN))
        .most_refused(Ratio::parts_per_million(999_999))
        .probe_every(probe)
        .clock(Clock::Manual(ManualClock::new()))
        .seed(1);
    Arc::new(config.build().unwrap())
}

const HOUR: Duration = Duration::from_secs(3_600);

fn book() -> Config {
    Config::accepting(Ratio::percent(200))
}

fn ask(throttler: &Throttler, now: Instant) -> bool {
    throttler.admit(now, Priority::CRITICAL).is_ok()
}

fn fails(throttler: &Throttler, now: Instant) {
    if let Ok(permit) = throttler.admit(now, Priority::CRITICAL) {
        permit.record(now, Outcome::Transient);
    }
}

/// The share is the formula's for counts that there were: none, before anybody
/// has computed it, or of one call or of two.
#[test]
fn a_share_is_never_of_torn_counts() {
    model(|| {
        let throttler = throttler(book(), HOUR);
        let early = throttler.admit(at(0), Priority::CRITICAL).unwrap();
        fails(&throttler, at(0));
        let other = Arc::clone(&throttler);
        let looks = thread::spawn(move || {
            let _ = other.admit(at(1), Priority::CRITICAL);
            other.refused_share()
        });
        early.record(at(1), Outcome::Success);
        let there_was = [RULE.probability(1, 0), RULE.probability(2, 1)];
        let seen = looks.join().unwrap();
        assert!(there_was.contains(&seen), "{seen:?}");
        assert_eq!(throttler.refused_share(), seen);
    });
}

/// Of two who come in a new turn one computes the share, and the other goes by
/// what there is.
#[test]
fn a_turn_that_two_begin_has_the_share_of_its_counts() {
    model(|| {
        let throttler = throttler(book(), HOUR);
        fails(&throttler, at(0));
        let other = Arc::clone(&throttler);
        let asks = thread::spawn(move || ask(&other, at(1)));
        let _ = ask(&throttler, at(1));
        asks.join().unwrap();
        let share = throttler.refused_share();
        // With one call that failed, or with a refusal besides.
        let there_was = [RULE.probability(1, 0), RULE.probability(2, 0)];
        assert!(there_was.contains(&share), "{share:?}");
    });
}

/// Who computes for an earlier turn is slow, and the failure has left the
/// window for who computes for a later one.
#[test]
fn what_was_computed_for_an_earlier_turn_never_replaces_a_later_one() {
    model(|| {
        // By which a refusal is no request.
        let throttler = throttler(Config::success_rate(Ratio::percent(95)), HOUR);
        fails(&throttler, at(0));
        let other = Arc::clone(&throttler);
        let slow = thread::spawn(move || other.admit_owned(at(1), Priority::CRITICAL).is_ok());
        // Who loses a race goes by the share there is, and the slow one writes
        // twice: so one of three calls claims the later turn.
        for _ in 0..3 {
            let _ = throttler.admit(at(9), Priority::CRITICAL);
        }
        slow.join().unwrap();
        assert_eq!(throttler.refused_share(), Share::NONE);
    });
}

/// None has passed for an interval, and all draws are unlucky.
#[test]
fn one_passes_as_a_probe_in_an_interval() {
    model(|| {
        let throttler = throttler(book(), Duration::from_nanos(TURN / 2));
        for _ in 0..9 {
            fails(&throttler, at(0));
        }
        // From now on it refuses; the first probe is due half a turn later.
        assert!(!ask(&throttler, at(1)));
        let due = Instant::from_nanos(at(1).as_nanos() + TURN / 2);
        let other = Arc::clone(&throttler);
        let asks = thread::spawn(move || ask(&other, due));
        let passed = [ask(&throttler, due), asks.join().unwrap()];
        assert_ne!(passed[0], passed[1], "one, and not the other");
        assert_eq!(throttler.snapshot().probes(), 1);
    });
}
