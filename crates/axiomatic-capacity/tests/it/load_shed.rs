//! What sheds load, and by what: without tower, by a clock that is set by hand.
//! One file, because it is one list over the same few means.
//! One file, because it is one list of promises.

#[path = "load_shed/fairness.rs"]
mod fairness;
#[path = "load_shed/layers.rs"]
mod layers;
#[path = "load_shed/regressions.rs"]
mod regressions;
#[path = "load_shed/sharing.rs"]
mod sharing;
#[path = "load_shed/upstream.rs"]
mod upstream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use axiomatic_capacity::load_shed::prioritizer::Config;
use axiomatic_capacity::load_shed::signal::Watched;
use axiomatic_capacity::load_shed::{
    Ask, Config as ShedderConfig, ConfigError, Estimate, OwnedPermit, Prioritizer,
};
use axiomatic_core::context::{AdmissionLevel, Deadline, Priority};
use axiomatic_core::pressure::Pressure;
use axiomatic_core::time::Instant;
use axiomatic_core::{Mode, Outcome, Pattern, Ratio, Reason};

use crate::support::{MILLI, SECOND};

pub(crate) const START: Instant = Instant::from_nanos(3_600_000_000_000);

/// A pressure that is set by hand, in percent.
#[derive(Clone, Default)]
pub(crate) struct Gauge(Arc<AtomicU32>);

impl Gauge {
    pub(crate) fn set(&self, percent: u32) {
        self.0.store(percent, Ordering::Relaxed);
    }

    pub(crate) fn signal(&self) -> Watched<impl Fn(Instant) -> Pressure + Send + Sync + 'static> {
        let gauge = Arc::clone(&self.0);
        Watched::new("gauge", move |_| {
            Pressure::percent(gauge.load(Ordering::Relaxed) as u16)
        })
    }
}

/// A hundred come in each period, and of those that are let in as many can be
/// borne as are not too many; the time after thirty.
pub(crate) fn shedding(prioritizer: &Prioritizer, too_many: u32, mix: &[Priority]) -> Instant {
    let mut now = START;
    for _ in 0..30 {
        let mut borne = 100 - too_many;
        for at in 0..100 {
            now = now + MILLI;
            if prioritizer.admit(now, mix[at % mix.len()]).is_err() {
                continue;
            }
            match borne {
                0 => prioritizer.turned_away(),
                _ => borne -= 1,
            }
        }
    }
    now
}

#[test]
fn what_matters_least_is_shed_first() {
    let prioritizer = Config::new().named("api").build().unwrap();
    let mix = [Priority::SHEDDABLE, Priority::CRITICAL];
    let now = shedding(&prioritizer, 30, &mix);
    // It may begin a period.
    let _ = prioritizer.admit(now, Priority::CRITICAL);
    // 30 of 100 are too many, and half are sheddable: three in five of them.
    let level = prioritizer.level();
    assert_eq!(level.priority(), Priority::SHEDDABLE, "{level}");
    let percent = u32::from(level.refused()) * 100 / 65_536;
    assert!((45..=65).contains(&percent), "{level}");
    assert!((0..1_000).all(|_| prioritizer.admit(now, Priority::CRITICAL).is_ok()));
    let shed = (0..1_000).filter(|_| prioritizer.admit(now, Priority::SHEDDABLE).is_err());
    let shed = shed.count() as u32;
    assert!(shed.abs_diff(10 * percent) <= 15, "{shed} of {percent} %");
    assert_eq!(
        prioritizer.snapshot().to_string(),
        format!(
            "prioritizer api admits {level}, {} a second",
            prioritizer.snapshot().admitting().unwrap()
        )
    );
}

#[test]
fn within_a_class_the_level_decides() {
    let prioritizer = Config::new().build().unwrap();
    let mix = [0, 21, 42, 63].map(|level| Priority::CRITICAL.with_level(level));
    shedding(&prioritizer, 60, &mix);
    let level = prioritizer.level();
    assert_eq!(level.priority(), mix[2], "{level}");
}

#[test]
fn a_signal_has_it_shed_and_its_end_ends_it() {
    let gauge = Gauge::default();
    let prioritizer = Config::new().signal(gauge.signal()).build().unwrap();
    let mut now = START;
    let mut refused_in_a_second = |percent| {
        gauge.set(percent);
        let come = (0..1_000).filter(|_| {
            now = now + MILLI;
            prioritizer.admit(now, Priority::default()).is_err()
        });
        come.count()
    };
    assert_eq!(refused_in_a_second(99), 0);
    assert!(refused_in_a_second(120) > 15);
    assert!(refused_in_a_second(85) > 40, "it ends below 80 %");
    refused_in_a_second(79);
    refused_in_a_second(0);
    assert_eq!(refused_in_a_second(0), 0);
}

#[test]
fn a_new_level_is_for_the_next_period_and_few_calls_make_no_period() {
    let gauge = Gauge::default();
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let prioritizer = Config::new()
        .signal(gauge.signal())
        .signal(Watched::new("counting", move |_| {
            counting.fetch_add(1, Ordering::Relaxed);
            Pressure::NONE
        }))
        .build()
        .unwrap();
    let looks = || asked.load(Ordering::Relaxed);
    gauge.set(200);
    let asks = |at: u64| {
        let now = START + MILLI * at as u32;
        prioritizer.admit(now, Priority::default()).is_ok()
    };
    assert!((0..100).all(asks));
    // Whose turn it is from then on is a matter of luck.
    let ask = |at| {
        asks(at);
    };
    assert_eq!(looks(), 0, "the first period is not over");
    ask(100);
    assert_eq!(looks(), 1);
    // One call every hundred milliseconds: at most a second goes by.
    (2..=10).for_each(|at| ask(100 * at));
    assert_eq!(looks(), 1, "too few to tell");
    ask(1_100);
    assert_eq!(looks(), 2);
}

#[test]
fn a_signal_that_panics_takes_nothing_with_it() {
    let prioritizer = Config::new()
        .signal(Watched::new("broken", |_| panic!("a signal")))
        .build()
        .unwrap();
    shedding(&prioritizer, 50, &[Priority::default()]);
    assert_ne!(prioritizer.level(), AdmissionLevel::ALL);
}

#[test]
fn the_level_of_a_share_refuses_those_that_matter_least() {
    let prioritizer = Config::new().build().unwrap();
    shedding(&prioritizer, 0, &[Priority::SHEDDABLE, Priority::CRITICAL]);
    assert_eq!(prioritizer.level(), AdmissionLevel::ALL);
    let quarter = prioritizer.level_of(Ratio::percent(25));
    assert_eq!(quarter.priority(), Priority::SHEDDABLE);
    assert!(quarter.refused().abs_diff(32_768) < 700, "{quarter}");
    let most = prioritizer.level_of(Ratio::percent(75));
    assert_eq!(most.priority(), Priority::CRITICAL);
}

#[test]
fn who_is_refused_long_is_asked_to_wait_long_and_not_all_the_same_time() {
    let prioritizer = Config::new()
        .retry_after(SECOND, 8 * SECOND)
        .build()
        .unwrap();
    let mut now = START;
    let mut told = Vec::new();
    for _ in 0..40_000 {
        now = now + MILLI;
        match prioritizer.admit(now, Priority::default()) {
            Ok(()) => prioritizer.turned_away(),
            Err(rejected) => {
                assert_eq!(rejected.reason(), Reason::Shed);
                assert_eq!(rejected.pattern(), Pattern::LoadShedder);
                told.push(rejected.retry_after().unwrap());
            }
        }
    }
    let (first, last) = (told[0], &told[told.len() - 1_000..]);
    assert!((SECOND..2 * SECOND).contains(&first), "{first:?}");
    let (least, most) = (last.iter().min().unwrap(), last.iter().max().unwrap());
    assert!(
        *least >= 8 * SECOND && *most < 16 * SECOND,
        "{least:?} {most:?}"
    );
    assert!(*most - *least > 7 * SECOND, "spread over all of it");
}

#[test]
fn settings_change_live_with_the_next_period() {
    let gauge = Gauge::default();
    let prioritizer = Config::new().signal(gauge.signal()).build().unwrap();
    gauge.set(150);
    let lenient = Config::new().hysteresis(Pressure::percent(200), Pressure::percent(180));
    prioritizer.update(&lenient).unwrap();
    shedding(&prioritizer, 0, &[Priority::default()]);
    assert!(!prioritizer.snapshot().is_overloaded());
    assert_eq!(prioritizer.snapshot().signal(), Some("gauge"));
    assert_eq!(prioritizer.snapshot().retry_after(), SECOND);

    let prioritizer = Config::new().build().unwrap();
    let others = Config::new()
        .retry_after(20 * SECOND, 60 * SECOND)
        .most_refused(Ratio::percent(10));
    prioritizer.update(&others).unwrap();
    shedding(&prioritizer, 50, &[Priority::default()]);
    let snapshot = prioritizer.snapshot();
    assert_eq!(snapshot.retry_after(), 20 * SECOND);
    assert_eq!(snapshot.refused(), Ratio::percent(10));
    let crossed = Config::new().hysteresis(Pressure::percent(80), Pressure::FULL);
    assert!(matches!(
        prioritizer.update(&crossed),
        Err(ConfigError::Overload(_))
    ));
}

#[test]
fn a_new_period_is_as_long_as_is_said() {
    let looks = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&looks);
    let prioritizer = Config::new()
        .signal(Watched::new("counting", move |_| {
            counting.fetch_add(1, Ordering::Relaxed);
            Pressure::NONE
        }))
        .build()
        .unwrap();
    prioritizer.update(&Config::new().period(SECOND)).unwrap();
    for at in 0..=3_000 {
        let _ = prioritizer.admit(START + MILLI * at, Priority::default());
    }
    assert_eq!(looks.load(Ordering::Relaxed), 3);
}

#[test]
fn what_cannot_work_is_refused() {
    let build = |config: Config| config.build().map(drop).unwrap_err();
    let none = Duration::ZERO;
    assert_eq!(
        build(Config::new().period(MILLI)),
        ConfigError::Period(MILLI)
    );
    assert_eq!(
        build(Config::new().period(60 * SECOND)),
        ConfigError::Period(60 * SECOND)
    );
    let (one, zero) = (Ratio::ONE, Ratio::ZERO);
    assert_eq!(
        build(Config::new().steps(zero, one)),
        ConfigError::Step(zero)
    );
    assert_eq!(build(Config::new().steps(one, one)), ConfigError::Step(one));
    let two = Ratio::percent(200);
    assert_eq!(
        build(Config::new().steps(Ratio::percent(5), two)),
        ConfigError::Step(two)
    );
    assert_eq!(
        build(Config::new().most_refused(one)),
        ConfigError::MostRefused(one)
    );
    let waits = Config::new().retry_after(none, SECOND);
    assert_eq!(build(waits), ConfigError::RetryAfter(none, SECOND));
    let waits = Config::new().retry_after(SECOND, MILLI);
    assert_eq!(build(waits), ConfigError::RetryAfter(SECOND, MILLI));
    let crossed = Config::new().hysteresis(Pressure::percent(80), Pressure::FULL);
    assert!(matches!(build(crossed), ConfigError::Overload(_)));
}

/// Everybody waits so long.
#[derive(Debug)]
struct Wait(Duration);

impl Estimate for Wait {
    fn wait(&self, _: Instant, priority: Priority) -> Duration {
        if priority > Priority::CRITICAL {
            Duration::ZERO
        } else {
            self.0
        }
    }
}

fn until(time: Duration) -> Ask {
    Ask::default().with_deadline(Deadline::at(START + time))
}

#[test]
fn what_would_be_too_late_is_refused_at_once() {
    let prioritizer = Config::new().build().unwrap();
    let shedder = ShedderConfig::new(&prioritizer)
        .estimating(Wait(100 * MILLI))
        .build();
    assert!(shedder.admit(START, until(101 * MILLI)).is_ok());
    let late = shedder.admit(START, until(100 * MILLI)).unwrap_err();
    assert_eq!(late.reason(), Reason::Shed);
    assert!(late.retry_after().is_some());
    let important = until(MILLI).with_priority(Priority::CRITICAL_PLUS);
    assert!(shedder.admit(START, important).is_ok(), "it would not wait");
    let expired = shedder.admit(START, until(Duration::ZERO)).unwrap_err();
    assert_eq!(expired.reason(), Reason::Expired);
    assert_eq!(expired.retry_after(), None);
    assert!(
        shedder.admit(START, Ask::default()).is_ok(),
        "whoever waits for ever"
    );
    assert_eq!(shedder.snapshot().refused(), 2);

    shedder.set_mode(Mode::Shadow);
    assert!(shedder.admit(START, until(MILLI)).is_ok());
    assert!(shedder.admit(START, until(SECOND)).is_ok());
    assert_eq!(shedder.snapshot().would_refuse(), 1);
}

#[test]
fn who_comes_too_late_is_no_sign_of_an_overload() {
    let prioritizer = Config::new().build().unwrap();
    let shedder = ShedderConfig::new(&prioritizer).build();
    for at in 0..20_000 {
        let now = START + MILLI * at;
        let ask = match at % 2 {
            0 => Ask::default(),
            _ => Ask::default().with_deadline(Deadline::at(now)),
        };
        assert_eq!(shedder.admit(now, ask).is_ok(), at % 2 == 0);
    }
    let snapshot = prioritizer.snapshot();
    assert_eq!(snapshot.retry_after(), SECOND);
    assert_eq!(snapshot.level(), AdmissionLevel::ALL);
}

#[test]
fn calls_that_are_not_seen_are_not_served() {
    let gauge = Gauge::default();
    let prioritizer = Config::new().signal(gauge.signal()).build().unwrap();
    let shedder = ShedderConfig::new(&prioritizer).build();
    shedder.set_mode(Mode::Off);
    let unseen = (0..1_000).map(|_| shedder.admit_owned(START, Ask::default()));
    let mut unseen: Vec<_> = unseen.collect();
    shedder.set_mode(Mode::Enforce);
    gauge.set(100);
    for at in 0..350 {
        drop(shedder.admit(START + MILLI * at, Ask::default()));
        unseen.pop();
    }
    let admitting = prioritizer.snapshot().admitting().unwrap();
    assert!(admitting < 1_000, "{admitting}");
}

#[test]
fn what_was_served_is_what_it_is_told_of() {
    let gauge = Gauge::default();
    let prioritizer = Config::new().signal(gauge.signal()).build().unwrap();
    let shedder = ShedderConfig::new(&prioritizer).build();
    gauge.set(100);
    let mut now = START;
    // A thousand come a second, and a hundred of them are answered.
    let mut under_way = Vec::new();
    for at in 0..2_000 {
        now = now + MILLI;
        under_way.extend(shedder.admit_owned(now, Ask::default()).ok());
        let call: Option<OwnedPermit> = (at % 10 == 0).then(|| under_way.pop()).flatten();
        if let Some(call) = call {
            call.record(Outcome::Success);
        }
    }
    let admitting = prioritizer.snapshot().admitting().unwrap();
    assert!((80..=100).contains(&admitting), "{admitting}");
}

#[test]
fn in_shadow_all_pass_and_off_nothing_is_seen() {
    let prioritizer = Config::new().named("api").build().unwrap();
    let now = shedding(&prioritizer, 90, &[Priority::default()]);
    let shedder = ShedderConfig::new(&prioritizer).mode(Mode::Shadow).build();
    let come = |count: u32| (0..count).all(|_| shedder.admit(now, Ask::default()).is_ok());
    assert!(come(1_000));
    let snapshot = shedder.snapshot();
    assert_eq!(snapshot.refused(), 0);
    assert!(snapshot.would_refuse() > 700, "{snapshot}");
    assert!(
        snapshot
            .to_string()
            .starts_with("load shedder api: 0 refused, in shadow: ")
    );
    assert!(shedder.admit(START, until(Duration::ZERO)).is_ok());
    assert_eq!(
        shedder.snapshot().would_refuse(),
        snapshot.would_refuse() + 1
    );

    shedder.set_mode(Mode::Off);
    assert!(come(1_000));
    assert_eq!(
        shedder.snapshot().would_refuse(),
        snapshot.would_refuse() + 1
    );
    shedder.set_mode(Mode::Enforce);
    assert!(!come(1_000));
}
