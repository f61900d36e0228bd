//! One prioritizer, and all that stands in front of one resource.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_capacity::bulkhead::{self, Bulkhead};
use axiomatic_capacity::load_shed::prioritizer::Config;
use axiomatic_capacity::load_shed::signal::{InFlight, Watched};
use axiomatic_capacity::load_shed::{
    Ask, Config as ShedderConfig, EstimatedWait, Prioritizer, throttle,
};
use axiomatic_capacity::{adaptive, rate_limit};
use axiomatic_core::context::{AdmissionLevel, Deadline, Priority};
use axiomatic_core::pressure::Pressure;
use axiomatic_core::time::{Clock, ManualClock};
use axiomatic_core::{Outcome, Ratio, Reason};

use super::{START, shedding};
use crate::support::{MILLI, SECOND, place, slots, still};

const MIX: [Priority; 2] = [Priority::SHEDDABLE, Priority::CRITICAL];

fn prioritizer() -> Prioritizer {
    Config::new().build().unwrap()
}

/// Five seconds with a thousand requests each: how many of each priority were
/// refused in the last of them, at the door and further in.
fn refused(
    prioritizer: &Prioritizer,
    mut admit: impl FnMut(axiomatic_core::time::Instant) -> bool,
) -> [[u32; 2]; 2] {
    let mut refused = [[0; 2]; 2];
    for at in 0..5_000 {
        let now = START + MILLI * at;
        let of = at as usize % 2;
        let counts = u32::from(at >= 4_000);
        if prioritizer.admit(now, MIX[of]).is_err() {
            refused[of][0] += counts;
        } else if !admit(now) {
            refused[of][1] += counts;
        }
    }
    refused
}

/// Of a thousand in a second, all but some thirty were shed at the door, and
/// none of those mattered.
fn sheds_what_matters_least(refused: [[u32; 2]; 2], too_many: u32) {
    let [sheddable, critical] = refused;
    assert_eq!(critical[0], 0, "{refused:?}");
    assert!(sheddable[0] + 60 > too_many, "{refused:?}");
    assert!(sheddable[1] + critical[1] <= 60, "{refused:?}");
}

#[test]
fn what_a_rate_limit_refuses_is_shed_at_the_door() {
    let prioritizer = prioritizer();
    let quota = rate_limit::Quota::per_second(NonZeroU32::new(700).unwrap());
    let limiter = rate_limit::Config::new(quota.burst(NonZeroU32::MIN))
        .reporting_to(&prioritizer)
        .build()
        .unwrap();
    let refused = refused(&prioritizer, |now| limiter.admit(now).is_ok());
    sheds_what_matters_least(refused, 300);
}

#[test]
fn what_a_bulkhead_refuses_is_shed_at_the_door() {
    let prioritizer = prioritizer();
    let bulkhead = bulkhead::Config::new(slots(7))
        .reporting_to(&prioritizer)
        .build()
        .unwrap();
    // Each call takes ten milliseconds: 700 a second.
    let mut calls = Vec::new();
    let refused = refused(&prioritizer, |now| {
        calls.retain(|(until, _)| *until > now);
        let permit = bulkhead.admit_owned(bulkhead::Ask::default());
        let admitted = permit.map(|permit| calls.push((now + 10 * MILLI, permit)));
        admitted.is_ok()
    });
    sheds_what_matters_least(refused, 300);
}

#[test]
fn what_an_adaptive_limit_refuses_is_shed_at_the_door() {
    let prioritizer = prioritizer();
    let algorithm = adaptive::Aimd::config()
        .within(adaptive::Bounds::between(7, 7))
        .build()
        .unwrap();
    let limit = adaptive::Config::new(algorithm)
        .clock(Clock::Manual(ManualClock::new()))
        .reporting_to(&prioritizer)
        .build()
        .unwrap();
    let mut calls = Vec::new();
    let refused = refused(&prioritizer, |now| {
        calls.retain(|(until, _)| *until > now);
        let permit = limit.admit_owned(adaptive::Ask::default(), now);
        let admitted = permit.map(|permit| calls.push((now + 10 * MILLI, permit)));
        admitted.is_ok()
    });
    sheds_what_matters_least(refused, 300);
}

#[test]
fn what_waits_too_long_is_reported() {
    let prioritizer = prioritizer();
    let clock = ManualClock::new();
    let bulkhead = bulkhead::Config::new(slots(1))
        .when_full(crate::support::waiting(bulkhead::Order::Fifo))
        .clock(Clock::Manual(clock.clone()))
        .reporting_to(&prioritizer)
        .build()
        .unwrap();
    let _permit = bulkhead.admit().unwrap();
    for _ in 0..300 {
        // Twenty come in each period, and one of two waits in vain.
        for _ in 0..2 {
            clock.advance(5 * MILLI);
            let _ = prioritizer.admit(clock.now(), Priority::default());
        }
        let waiting = place(&bulkhead, bulkhead::Ask::default());
        assert_eq!(waiting.give_up().unwrap().reason(), Reason::WaitedTooLong);
    }
    let refused = prioritizer.snapshot().refused();
    assert!(refused > Ratio::percent(40), "{refused}");
}

#[test]
fn a_throttler_refuses_what_matters_least() {
    let prioritizer = prioritizer();
    let throttler = throttle::Config::accepting(Ratio::percent(100))
        .window(SECOND, 10)
        .prioritizer(&prioritizer)
        .clock(Clock::Manual(ManualClock::new()))
        .build()
        .unwrap();
    // Of a thousand a second, seven hundred are accepted.
    let mut refused = [0_u32; 2];
    let mut accepted = 0;
    for at in 0..10_000_u32 {
        if at % 100 == 0 {
            accepted = 0;
        }
        let now = START + MILLI * at;
        let of = at as usize % 2;
        match throttler.admit(now, MIX[of]) {
            Ok(permit) => {
                accepted += 1;
                permit.record(
                    now,
                    if accepted > 70 {
                        Outcome::Throttled { retry_after: None }
                    } else {
                        Outcome::Success
                    },
                );
            }
            Err(_) => refused[of] += u32::from(at > 5_000),
        }
    }
    assert!((1_000..2_000).contains(&refused[0]), "{refused:?}");
    assert_eq!(refused[1], 0, "{refused:?}");
}

/// Who is let in by chance at the door is not to pass by chance once more.
#[test]
fn what_was_let_in_at_the_door_is_not_drawn_for_again() {
    let prioritizer = prioritizer();
    let now = shedding(&prioritizer, 50, &[Priority::CRITICAL]);
    let shedder = ShedderConfig::new(&prioritizer).build();
    let throttler = throttle::Config::default()
        .prioritizer(&prioritizer)
        .clock(Clock::Manual(ManualClock::new()))
        .build()
        .unwrap();
    let mut let_in = 0;
    for _ in 0..1_000 {
        let Ok(permit) = shedder.admit(now, Ask::default()) else {
            continue;
        };
        let_in += 1;
        let call = throttler.admit(now, Priority::CRITICAL);
        call.unwrap().record(now, Outcome::Success);
        permit.record(Outcome::Success);
    }
    assert!((300..700).contains(&let_in), "{let_in}");
}

#[test]
fn a_throttler_keeps_back_before_anybody_was_seen() {
    let prioritizer = prioritizer();
    let throttler = throttle::Config::accepting(Ratio::percent(100))
        .window(SECOND, 10)
        .prioritizer(&prioritizer)
        .build()
        .unwrap();
    // All within one period of the prioritizer.
    let refused = (0..1_000).filter(|at| {
        let now = START + Duration::from_micros(50 * at);
        match throttler.admit(now, Priority::CRITICAL) {
            Ok(permit) => {
                permit.record(now, Outcome::Transient);
                false
            }
            Err(_) => true,
        }
    });
    assert!(refused.count() > 500);
}

#[test]
fn a_signal_over_what_reports_is_watched_and_both_are_dropped() {
    let prioritizer = prioritizer();
    let witness = Arc::new(());
    let bulkhead: Bulkhead = bulkhead::Config::new(slots(10))
        .reporting_to(&prioritizer)
        .build()
        .unwrap();
    let kept = Arc::clone(&witness);
    prioritizer.watch(InFlight::of(bulkhead.clone(), Ratio::percent(50)));
    prioritizer.watch(Watched::new("kept", move |_| {
        let _ = &kept;
        Pressure::NONE
    }));
    let permits: Vec<_> = (0..6).map(|_| bulkhead.admit().unwrap()).collect();
    for at in 0..300 {
        let _ = prioritizer.admit(START + MILLI * at, Priority::default());
    }
    assert!(prioritizer.snapshot().is_overloaded());
    assert_eq!(prioritizer.snapshot().signal(), Some("in flight"));
    assert_ne!(prioritizer.level(), AdmissionLevel::ALL);
    drop(permits);
    drop(prioritizer);
    assert_eq!(
        Arc::strong_count(&witness),
        1,
        "the bulkhead does not keep it"
    );
    drop(bulkhead);
}

#[test]
fn who_would_wait_longer_than_its_deadline_is_refused_at_once() {
    let prioritizer = prioritizer();
    let bulkhead = still(1, bulkhead::Order::Fifo);
    let shedder = ShedderConfig::new(&prioritizer)
        .estimating(EstimatedWait::of(bulkhead.clone()))
        .build();
    let soon = Ask::default().with_deadline(Deadline::at(START + MILLI));
    assert!(shedder.admit(START, soon).is_ok(), "nobody waits");
}
