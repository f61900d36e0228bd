//! What was wrong once. One file, because it is one list.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use axiomatic_capacity::bulkhead;
use axiomatic_capacity::load_shed::prioritizer::Config;
use axiomatic_capacity::load_shed::{
    Ask, Config as ShedderConfig, Estimate, EstimatedWait, fairness, throttle,
};
use axiomatic_core::context::{AdmissionLevel, Context, Deadline, Priority};
use axiomatic_core::hash::Seed;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::{Mode, Outcome, Ratio, Reason, Rejected};
use futures::FutureExt;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use super::layers::Telling;
use super::{Gauge, START, shedding};
use crate::support::{Carried, MILLI, SECOND, place, slots, waiting};

const HOUR: Duration = Duration::from_secs(3_600);

/// Is ready for so many calls, and then not before it is refilled.
#[derive(Clone)]
struct Portioned(Arc<AtomicU32>);

impl Service<Context> for Portioned {
    type Response = ();
    type Error = Rejected;
    type Future = Ready<Result<(), Rejected>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Rejected>> {
        match self.0.load(Ordering::Relaxed) {
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Context) -> Self::Future {
        self.0.fetch_sub(1, Ordering::Relaxed);
        ready(Ok(()))
    }
}

/// 2026-11-26: a call that the service behind was not ready for was counted as
/// turned away, and neither as one that came nor as one that was over: the calls
/// that were served were thought to be fewer by as many, down to none, and nearly
/// all was shed.
#[tokio::test]
async fn calls_that_the_service_is_not_ready_for_are_not_taken_from_those_it_served() {
    let prioritizer = Config::new().build().unwrap();
    let clock = ManualClock::new();
    clock.set(START);
    let shedder = ShedderConfig::new(&prioritizer)
        .clock(Clock::Manual(clock.clone()))
        .build();
    let portion = Arc::new(AtomicU32::new(0));
    let mut service = ServiceBuilder::new()
        .layer(
            shedder
                .layer()
                .with_error::<Rejected>()
                .with_binding(Carried),
        )
        .service(Portioned(Arc::clone(&portion)));
    // A thousand a second, of which five hundred can be borne.
    let mut served = 0;
    for at in 0..5_000 {
        if at % 10 == 0 {
            portion.store(5, Ordering::Relaxed);
        }
        clock.advance(MILLI);
        let call = service.ready().await.unwrap().call(Context::default());
        served += u32::from(call.await.is_ok() && at >= 4_000);
    }
    assert!(served >= 450, "{served} of 500");
    let admitting = prioritizer.snapshot().admitting();
    assert!(
        admitting.is_some_and(|most| most <= 600),
        "it was not told: {admitting:?}"
    );
}

/// 2026-11-26: in shadow, and switched off, a call was refused that the service
/// behind was not ready for.
#[tokio::test]
async fn in_shadow_and_off_a_service_that_is_not_ready_is_waited_for() {
    let prioritizer = Config::new().build().unwrap();
    let shedder = ShedderConfig::new(&prioritizer).build();
    let portion = Arc::new(AtomicU32::new(0));
    let mut service = ServiceBuilder::new()
        .layer(
            shedder
                .layer()
                .with_error::<Rejected>()
                .with_binding(Carried),
        )
        .service(Portioned(Arc::clone(&portion)));
    for (mode, would_refuse) in [(Mode::Off, 0), (Mode::Shadow, 1)] {
        shedder.set_mode(mode);
        portion.store(0, Ordering::Relaxed);
        let mut waits = tokio_test_task(&mut service);
        assert!(waits().is_pending(), "{mode:?}");
        assert!(waits().is_pending(), "{mode:?}");
        portion.store(1, Ordering::Relaxed);
        assert!(waits().is_ready(), "{mode:?}");
        drop(waits);
        service.call(Context::default()).await.unwrap();
        let snapshot = shedder.snapshot();
        assert_eq!(
            (snapshot.refused(), snapshot.would_refuse()),
            (0, would_refuse),
            "a wait is counted once, and only in shadow"
        );
    }
}

/// Asks whether it is ready.
fn tokio_test_task<S: Service<Context>>(
    service: &mut S,
) -> impl FnMut() -> Poll<Result<(), S::Error>> {
    || {
        let mut cx = TaskContext::from_waker(std::task::Waker::noop());
        service.poll_ready(&mut cx)
    }
}

/// 2026-11-26: who sheds nothing, because it is in shadow or switched off, told
/// its callers to keep back what it would have let in.
#[tokio::test]
async fn who_refuses_nothing_does_not_have_its_callers_keep_back_anything() {
    let prioritizer = Config::new().build().unwrap();
    let now = shedding(&prioritizer, 60, &[Priority::SHEDDABLE, Priority::CRITICAL]);
    let clock = ManualClock::new();
    clock.set(now);
    let shedder = ShedderConfig::new(&prioritizer)
        .clock(Clock::Manual(clock))
        .build();
    let mut service = ServiceBuilder::new()
        .layer(
            shedder
                .layer()
                .announcing()
                .with_error::<Rejected>()
                .with_binding(Telling),
        )
        .service(service_fn(async |_: Context| {
            Ok::<_, Rejected>(AdmissionLevel::ALL)
        }));
    let important = Context::default().with_priority(Priority::CRITICAL_PLUS);
    for mode in [Mode::Shadow, Mode::Off] {
        shedder.set_mode(mode);
        let heard = service.ready().await.unwrap().call(important.clone());
        assert_eq!(heard.await, Ok(AdmissionLevel::ALL), "{mode:?}");
    }
}

/// 2026-11-26: an answer told the level of when its call began, which in an
/// overload is long ago.
#[tokio::test]
async fn an_answer_tells_the_level_of_when_it_is_given() {
    let gauge = Gauge::default();
    let prioritizer = Config::new().signal(gauge.signal()).build().unwrap();
    let shedder = ShedderConfig::new(&prioritizer)
        .clock(Clock::Manual(ManualClock::new()))
        .build();
    let mut service = ServiceBuilder::new()
        .layer(
            shedder
                .layer()
                .announcing()
                .with_error::<Rejected>()
                .with_binding(Telling),
        )
        .service(service_fn(async |_: Context| {
            Ok::<_, Rejected>(AdmissionLevel::ALL)
        }));
    let important = Context::default().with_priority(Priority::CRITICAL_PLUS);
    let long = service.ready().await.unwrap().call(important);
    gauge.set(2_000);
    shedding(&prioritizer, 0, &[Priority::SHEDDABLE, Priority::CRITICAL]);
    let level = prioritizer.level();
    assert_ne!(level, AdmissionLevel::ALL);
    assert_eq!(long.await, Ok(level));
}

/// 2026-11-26: one instant from far ahead, of another clock, and nothing was
/// decided any more until then.
#[test]
fn an_instant_from_far_ahead_does_not_keep_the_level_as_it_is() {
    let prioritizer = Config::new().build().unwrap();
    let _ = prioritizer.admit(START + 1_000 * HOUR, Priority::default());
    shedding(&prioritizer, 60, &[Priority::default()]);
    assert_ne!(prioritizer.level(), AdmissionLevel::ALL);
}

/// 2026-11-26: the same, and nothing was forgotten any more that users did.
#[test]
fn an_instant_from_far_ahead_does_not_keep_a_user_heavy() {
    let fairness = fairness::Config::new().half_life(SECOND).build().unwrap();
    let _ = fairness.rank(START + 1_000 * HOUR, 1, Priority::CRITICAL);
    let mut at = START;
    let mut ask = |user, times| {
        let mut level = 0;
        for _ in 0..times {
            at = at + MILLI;
            level = fairness.rank(at, user, Priority::CRITICAL).level();
        }
        level
    };
    ask(8, 500);
    ask(9, 600);
    assert!(ask(7, 2_500) < 56, "heavy");
    ask(8, 20_000);
    assert!(ask(7, 1) >= 56);
}

/// 2026-11-26: while a shedder was switched off, what a bulkhead refused was
/// counted, and what came and what was served was not; switched on again it
/// took it that nothing can be borne, for seconds.
#[test]
fn what_was_turned_away_while_it_was_off_does_not_count_when_it_is_on() {
    let prioritizer = Config::new().build().unwrap();
    let bulkhead = bulkhead::Config::new(slots(1))
        .reporting_to(&prioritizer)
        .build()
        .unwrap();
    let shedder = ShedderConfig::new(&prioritizer).build();
    let run = |from: Instant| {
        let come = (0..1_000).filter(|at| {
            let permit = shedder.admit(from + MILLI * *at, Ask::default());
            permit
                .map(|permit| permit.record(Outcome::Success))
                .is_err()
        });
        come.count()
    };
    assert_eq!(run(START), 0);
    shedder.set_mode(Mode::Off);
    let permit = bulkhead.admit().unwrap();
    assert!((0..1_000).all(|_| bulkhead.admit().is_err()));
    drop(permit);
    shedder.set_mode(Mode::Enforce);
    assert_eq!(run(START + HOUR), 0);
}

/// 2026-11-26: of two users the one that asks for more was never heavy, because
/// what it asked for was compared with a mean of which it was the half.
#[test]
fn of_two_users_the_heavier_one_loses_first() {
    for users in 2..6 {
        let fairness = fairness::Config::new()
            .half_life(SECOND)
            .seed(Seed::fixed(3))
            .build()
            .unwrap();
        let mut levels = vec![0; users];
        for at in 0..20_000_usize {
            let now = START + MILLI * at as u32;
            let user = if at % 100 > 0 { 0 } else { at / 100 % users };
            let key = fairness.hasher().number(user as u64);
            levels[user] = fairness.rank(now, key, Priority::CRITICAL).level();
        }
        assert!(
            levels[1..].iter().all(|level| *level > levels[0] + 8),
            "of {users}: {levels:?}"
        );
    }
}

/// 2026-11-26: once there was a shedder, calls that were let in by the
/// prioritizer itself were never served.
#[test]
fn calls_that_do_not_come_by_the_shedder_are_served_too() {
    let gauge = Gauge::default();
    let prioritizer = Config::new().signal(gauge.signal()).build().unwrap();
    let shedder = ShedderConfig::new(&prioritizer).build();
    gauge.set(100);
    for at in 0..350 {
        let now = START + MILLI * at;
        if at % 2 == 0 {
            let _ = prioritizer.admit(now, Priority::default());
        } else {
            let call = shedder.admit(now, Ask::default());
            call.map(|call| call.record(Outcome::Success)).ok();
        }
    }
    let admitting = prioritizer.snapshot().admitting().unwrap();
    assert!(admitting >= 900, "{admitting}");
}

/// 2026-11-26: a request that came by the shedder was counted once more where a
/// throttler further in asked for it: twice as many came as were served, and
/// half of them were shed although all could be borne.
#[test]
fn what_a_throttler_asks_for_behind_a_shedder_is_counted_once() {
    let gauge = Gauge::default();
    let prioritizer = Config::new().signal(gauge.signal()).build().unwrap();
    let shedder = ShedderConfig::new(&prioritizer).build();
    let throttler = throttle::Config::default()
        .prioritizer(&prioritizer)
        .clock(Clock::Manual(ManualClock::new()))
        .build()
        .unwrap();
    gauge.set(100);
    let mut refused = 0;
    for at in 0..3_000 {
        let now = START + MILLI * at;
        match shedder.admit(now, Ask::default()) {
            Ok(permit) => {
                let call = throttler.admit(now, Priority::default());
                call.map(|call| call.record(now, Outcome::Success)).ok();
                permit.record(Outcome::Success);
            }
            Err(_) => refused += u32::from(at < 350),
        }
    }
    assert!(refused < 50, "a twentieth is too much, and not {refused}");
}

/// 2026-11-26: what a throttler refused by the level of a prioritizer was
/// counted as served, so that it never came to refuse more than a step.
#[test]
fn a_throttler_with_a_signal_comes_to_refuse_what_must_be() {
    let gauge = Gauge::default();
    let prioritizer = Config::new().signal(gauge.signal()).build().unwrap();
    let throttler = throttle::Config::default()
        .prioritizer(&prioritizer)
        .clock(Clock::Manual(ManualClock::new()))
        .build()
        .unwrap();
    gauge.set(100);
    let mut refused = 0;
    for at in 0..20_000 {
        let now = START + MILLI * at;
        match throttler.admit(now, Priority::default()) {
            Ok(call) => call.record(now, Outcome::Success),
            Err(_) => refused += u32::from(at >= 19_000),
        }
    }
    assert!(refused > 400, "of a thousand {refused}");
}

/// 2026-11-26: after an hour without calls who was refused first was to stay
/// away for as long as at the end of the overload before.
#[test]
fn an_overload_that_was_over_an_hour_ago_does_not_make_waits_long() {
    let prioritizer = Config::new().build().unwrap();
    let overload = |from: Instant, seconds: u32| {
        let mut told = Vec::new();
        for at in 0..1_000 * seconds {
            match prioritizer.admit(from + MILLI * at, Priority::default()) {
                Ok(()) => prioritizer.turned_away(),
                Err(rejected) => told.extend(rejected.retry_after()),
            }
        }
        told
    };
    let last = overload(START, 100).pop().unwrap();
    assert!(last >= 32 * SECOND, "{last:?}");
    let first = overload(START + HOUR, 2)[0];
    assert!(first < 4 * SECOND, "{first:?}");
}

/// Nobody is served in less than a second.
#[derive(Debug)]
struct Late;

impl Estimate for Late {
    fn wait(&self, _: Instant, _: Priority) -> Duration {
        SECOND
    }
}

/// 2026-11-26: what was refused because it would be too late was no part of the
/// history of refusals, however much it was.
#[test]
fn what_would_be_too_late_makes_waits_longer_too() {
    let prioritizer = Config::new().build().unwrap();
    let shedder = ShedderConfig::new(&prioritizer).estimating(Late).build();
    let mut told = Duration::ZERO;
    for at in 0..20_000 {
        let now = START + MILLI * at;
        let soon = Ask::default().with_deadline(Deadline::at(now + 500 * MILLI));
        let refused = shedder.admit(now, soon).unwrap_err();
        assert_eq!(refused.reason(), Reason::Shed);
        told = refused.retry_after().unwrap();
    }
    assert!(told >= 8 * SECOND, "{told:?}");
    assert_eq!(
        prioritizer.level(),
        AdmissionLevel::ALL,
        "who has the time is served"
    );
}

/// 2026-11-26: where nothing was served any more, who came was told to wait as
/// short as when all was well.
#[test]
fn a_queue_that_is_stuck_is_expected_to_take_longer() {
    let clock = ManualClock::new();
    let bulkhead = bulkhead::Config::new(slots(1))
        .when_full(waiting(bulkhead::Order::Fifo))
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let estimate = EstimatedWait::of(bulkhead.clone());
    let expected = || estimate.wait(clock.now(), Priority::default());
    let mut permit = Some(bulkhead.admit_owned(bulkhead::Ask::default()).unwrap());
    let mut queue: Vec<_> = (0..4)
        .map(|_| Box::pin(place(&bulkhead, bulkhead::Ask::default())))
        .collect();
    for _ in 0..3 {
        clock.advance(10 * MILLI);
        drop(permit.take());
        let next = queue.remove(0);
        permit = Some(next.now_or_never().unwrap().unwrap());
    }
    assert_eq!(expected(), 20 * MILLI, "one waits, and then it would");
    clock.advance(500 * MILLI);
    assert_eq!(expected(), SECOND);
}

/// 2026-11-26: who left a queue before it was served was counted as served.
#[test]
fn who_leaves_the_queue_before_it_is_served_was_not_served() {
    let prioritizer = Config::new().build().unwrap();
    let clock = ManualClock::new();
    clock.set(START);
    let bulkhead = bulkhead::Config::new(slots(1))
        .when_full(waiting(bulkhead::Order::Fifo))
        .clock(Clock::Manual(clock.clone()))
        .reporting_to(&prioritizer)
        .build()
        .unwrap();
    let shedder = ShedderConfig::new(&prioritizer).build();
    let _busy = bulkhead.admit().unwrap();
    for at in 0..3_000 {
        clock.advance(MILLI);
        let Ok(permit) = shedder.admit(clock.now(), Ask::default()) else {
            continue;
        };
        // Of two that come one is served, by somebody else, and one waits for
        // a slot until its caller has had enough.
        if at % 2 == 0 {
            drop(place(&bulkhead, bulkhead::Ask::default()));
        } else {
            permit.record(Outcome::Success);
        }
    }
    let admitting = prioritizer.snapshot().admitting();
    assert!(
        admitting.is_some_and(|most| most < 700),
        "all of them were: {admitting:?}"
    );
}

/// 2026-11-26: who would be let in or refused whatever the draw drew one all the
/// same, so that what was left to those of whom it depends was not spread evenly
/// where calls come in a rhythm.
#[test]
fn the_share_is_kept_whatever_the_rhythm_of_the_calls() {
    let mut mix = [Priority::SHEDDABLE; 144];
    mix[0] = Priority::CRITICAL;
    let gauge = Gauge::default();
    let prioritizer = Config::new()
        .signal(gauge.signal())
        .steps(Ratio::percent(50), Ratio::percent(2))
        .build()
        .unwrap();
    gauge.set(300);
    // Half of what comes is refused: half of those that are critical.
    let mut now = START;
    for _ in 0..250 {
        now = now + MILLI;
        let _ = prioritizer.admit(now, Priority::CRITICAL);
    }
    let refused = prioritizer.level().refused();
    assert!((20_000..45_000).contains(&refused), "{refused}");
    let mut longest = 0;
    let mut row = 0;
    let mut before = false;
    for _ in 0..400 {
        for priority in &mix {
            let is_shed = prioritizer.admit(now, *priority).is_err();
            if *priority == Priority::CRITICAL {
                row = if is_shed == before { row + 1 } else { 1 };
                before = is_shed;
                longest = longest.max(row);
            }
        }
    }
    assert!(longest <= 4, "{longest} of a kind in a row");
}
