//! The rate limiter beside its floors and its peers.
//!
//! Judged is what a decision costs for which there is something left, with the
//! time given and with a clock of its own, as a plain mechanism and as a tower
//! layer around a ready no-op service; what a refusal costs; and what it costs
//! to reserve, to wait for nothing, and to ask two limits as one.
//!
//! Limits are a thousand million a second with bursts that no run uses up, so
//! nobody is refused, or one an hour, so all are. Where the time is given it
//! stands still, as governor's fake clock does; the other algorithms are given
//! one that runs by ten nanoseconds a call. Which clock a peer reads stands in
//! its name. tower's RateLimit belongs to one thread, and nothing is shared in
//! it. pingora-limits counts and decides nothing. Not shown: waits that take
//! time, which are the runtime's timers, and limits by key. It is one file, as
//! every bench is: one pattern, its operations, its peers.

mod harness;

use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as StdInstant};

use axiomatic_capacity::rate_limit::{
    Algorithm, Config, Quota, RateLimitLayer, RateLimiter, WhenLimited,
};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{BoxError, Name, Pattern, Reason, Rejected};
use governor::clock::{FakeRelativeClock, MonotonicClock};
use harness::{
    BARE, Bare, Line, OURS, Operation, PARTS, Suite, allocations, by_hand, coarse_nanos,
    enter_a_runtime, peer, poll_by_hand, ratio, time,
};
use pingora_limits::rate::Rate as Pingora;
use throttle_net::Throttle;
use tower::limit::RateLimit;
use tower::limit::rate::Rate;
use tower_layer::Layer;
use tower_resilience_ratelimiter::RateLimiterLayer as ResilientLayer;

const RATE: NonZeroU32 = NonZeroU32::new(1_000_000_000).unwrap();
const ONE: NonZeroU32 = NonZeroU32::MIN;
const WEIGHT: NonZeroU32 = NonZeroU32::new(3).unwrap();
const HOUR: Duration = Duration::from_secs(3_600);
const NOW: Instant = Instant::from_nanos(7_200_000_000_000);

const CAS: &str = "floor:CAS";
const CLOCK: &str = "floor:clock";
const COARSE_CLOCK: &str = "floor:clock, coarse";
const PARTS_COARSE: &str = "floor:parts, coarse";
const BARE_AND_CLOCK: &str = "floor:bare, clock";
const BARE_AND_COARSE: &str = "floor:bare, clock, coarse";
const COARSE: &str = "ours, coarse";
const BOXED: &str = "ours, boxed error";
const AHEAD: &str = "ours, ahead";
const ALGORITHMS: [&str; 4] = [
    "ours, token bucket",
    "ours, fixed window",
    "ours, sliding window",
    "ours, warm-up",
];

fn main() -> ExitCode {
    let mut suite = Suite::new("rate_limit");
    admit(suite.operation("mechanism/admit"));
    weighted(suite.operation("mechanism/weighted"));
    clocked(suite.operation("mechanism/clocked"));
    refused(suite.operation("mechanism/refused"));
    algorithms(suite.operation("mechanism/algorithms"));
    reserved(suite.operation("mechanism/reserved"));
    waited(suite.operation("mechanism/waited"));
    layer_ready(suite.operation("layer/ready"));
    layer_weighing(suite.operation("layer/weighing"));
    layer_waiting(suite.operation("layer/waiting"));
    layer_two(suite.operation("layer/two"));
    layer_refused(suite.operation("layer/refused"));
    goals(&mut suite);
    suite.run()
}

fn goals(suite: &mut Suite) {
    for operation in ["mechanism/admit", "mechanism/weighted"] {
        suite.goal(
            &format!("{operation} to one CAS"),
            ratio(time(operation, OURS), time(operation, CAS)).at_most(1.6),
        );
        suite.goal(
            &format!("{operation} to governor, the same time"),
            ratio(time(operation, OURS), time(operation, governor_fake())).at_most(1.0),
        );
        suite.goal(
            &format!("{operation}, two threads, to governor, the same time"),
            ratio(
                time(operation, OURS).threads(2),
                time(operation, governor_fake()).threads(2),
            )
            .at_most(1.0),
        );
    }
    let clocked = "mechanism/clocked";
    suite.goal(
        "mechanism/clocked to governor, the same clock",
        ratio(time(clocked, OURS), time(clocked, governor_std())).at_most(1.0),
    );
    let peers = [
        governor_std(),
        governor_quanta(),
        ratelimit(),
        leaky_bucket(),
        throttle(),
    ];
    for peer in peers {
        suite.goal(
            &format!("mechanism/clocked, two threads, to {peer}"),
            ratio(
                time(clocked, OURS).threads(2),
                time(clocked, &peer).threads(2),
            )
            .at_most(1.0),
        );
    }
    let no = "mechanism/refused";
    suite.goal("mechanism/refused", time(no, OURS).at_most(8.0));
    for operation in [
        "mechanism/admit",
        "mechanism/clocked",
        "mechanism/refused",
        "mechanism/reserved",
        "layer/refused",
    ] {
        suite.goal(
            &format!("{operation} to its parts"),
            ratio(time(operation, OURS), time(operation, PARTS)).at_most(1.4),
        );
    }

    let over = |operation: &str, subject: &str| time(operation, subject).over(BARE);
    for operation in ["layer/ready", "layer/weighing", "layer/waiting"] {
        suite.goal(
            &format!("{operation}, over bare and a clock read"),
            time(operation, OURS).over(BARE_AND_CLOCK).at_most(15.0),
        );
        suite.goal(
            &format!("{operation}, coarse, over bare and a clock read"),
            time(operation, COARSE).over(BARE_AND_COARSE).at_most(15.0),
        );
    }
    for operation in ["layer/ready", "layer/waiting"] {
        // Against a clock that costs 9 ns; ours costs what the clock floors
        // say, as does theirs.
        suite.goal(
            &format!("{operation}, over bare, to tower's RateLimit"),
            ratio(over(operation, OURS), over(operation, &tower_limit())).at_most(0.55),
        );
        suite.goal(
            &format!("{operation}, coarse, over bare, to tower's RateLimit"),
            ratio(over(operation, COARSE), over(operation, &tower_limit())).at_most(0.4),
        );
    }
    let ready = "layer/ready";
    for (subject, limit) in [(OURS, 0.1), (COARSE, 0.1)] {
        suite.goal(
            &format!("layer/ready, {subject}, over bare, to tower-resilience"),
            ratio(over(ready, subject), over(ready, &resilient())).at_most(limit),
        );
    }
    for operation in [
        "mechanism/admit",
        "mechanism/weighted",
        "mechanism/clocked",
        "mechanism/refused",
        "mechanism/reserved",
        "mechanism/waited",
        "layer/ready",
        "layer/weighing",
        "layer/waiting",
        "layer/two",
        "layer/refused",
    ] {
        suite.goal(
            &format!("{operation}, allocations"),
            allocations(operation, OURS).at_most(0.0),
        );
    }
    for subject in ALGORITHMS {
        suite.goal(
            &format!("mechanism/algorithms, {subject}, allocations"),
            allocations("mechanism/algorithms", subject).at_most(0.0),
        );
    }
}

// --- The operations -----------------------------------------------------

/// Ask for one, with the time given.
fn admit(operation: &mut Operation) {
    operation.case(OURS, || {
        let limiter = ours();
        move || {
            let limiter = limiter.clone();
            move || limiter.admit(black_box(NOW)).is_ok()
        }
    });
    operation.fetch_add();
    cas(operation, 1);
    parts(operation, 1);
    operation.case(governor_fake(), || {
        let clock = FakeRelativeClock::default();
        let limiter = governor::RateLimiter::direct_with_clock(governor_quota(), clock);
        let limiter = Arc::new(limiter);
        move || {
            let limiter = limiter.clone();
            move || limiter.check().is_ok()
        }
    });
    operation.case(peer("ratelimit") + ", time given", || {
        let limiter = Arc::new(full_ratelimit());
        move || {
            let limiter = limiter.clone();
            move || limiter.try_wait().is_ok()
        }
    });
}

/// Ask for three at once.
fn weighted(operation: &mut Operation) {
    operation.case(OURS, || {
        let limiter = ours();
        move || {
            let limiter = limiter.clone();
            move || {
                let weight = black_box(WEIGHT);
                limiter.admit_weighing(black_box(NOW), weight).is_ok()
            }
        }
    });
    operation.fetch_add();
    cas(operation, WEIGHT.get());
    parts(operation, WEIGHT.get());
    operation.case(governor_fake(), || {
        let clock = FakeRelativeClock::default();
        let limiter = governor::RateLimiter::direct_with_clock(governor_quota(), clock);
        let limiter = Arc::new(limiter);
        move || {
            let limiter = limiter.clone();
            move || matches!(limiter.check_n(black_box(WEIGHT)), Ok(Ok(_)))
        }
    });
    operation.case(peer("ratelimit") + ", time given", || {
        let limiter = Arc::new(full_ratelimit());
        move || {
            let limiter = limiter.clone();
            move || {
                limiter
                    .try_wait_n(u64::from(black_box(WEIGHT).get()))
                    .is_ok()
            }
        }
    });
}

/// Read a clock, and ask for one.
fn clocked(operation: &mut Operation) {
    for (subject, clock) in [(OURS, Clock::Precise), (COARSE, Clock::Coarse)] {
        operation.case(subject, move || {
            let limiter = built(generous().clock(clock.clone()));
            move || {
                let limiter = limiter.clone();
                move || limiter.admit(limiter.clock().now()).is_ok()
            }
        });
    }
    operation.fetch_add();
    operation.case(CLOCK, || || || StdInstant::now());
    operation.case(COARSE_CLOCK, || || || coarse_nanos());
    for (subject, read) in READS {
        operation
            .case(subject, move || {
                let line = Virtual::new();
                move || {
                    let line = line.clone();
                    move || assert!(line.take(read(), 1))
                }
            })
            .note("a clock read, five loads, a multiplication, a CAS");
    }
    operation.case(governor_std(), || {
        let quota = governor_quota();
        let limiter = governor::RateLimiter::direct_with_clock(quota, MonotonicClock);
        let limiter = Arc::new(limiter);
        move || {
            let limiter = limiter.clone();
            move || limiter.check().is_ok()
        }
    });
    operation
        .case(governor_quanta(), || {
            let limiter = Arc::new(governor::RateLimiter::direct(governor_quota()));
            move || {
                let limiter = limiter.clone();
                move || limiter.check().is_ok()
            }
        })
        .note("its clock is not monotonic across processors");
    operation.case(ratelimit(), || {
        let rate = u64::from(RATE.get());
        let limiter = ratelimit::Ratelimiter::builder(rate).initial_available(rate);
        let limiter = Arc::new(limiter.build().expect("valid"));
        move || {
            let limiter = limiter.clone();
            move || limiter.try_wait().is_ok()
        }
    });
    operation
        .case(leaky_bucket(), || {
            let limiter = leaky_bucket::RateLimiter::builder()
                .initial(usize::MAX)
                .build();
            let limiter = Arc::new(limiter);
            move || {
                let limiter = limiter.clone();
                move || assert!(limiter.try_acquire(1))
            }
        })
        .note("reads no clock as long as something is left");
    operation.case(throttle(), || {
        let limiter = Arc::new(full_throttle());
        move || {
            let limiter = limiter.clone();
            move || assert!(limiter.try_acquire())
        }
    });
    operation
        .case(peer("pingora-limits") + ", Rate", || {
            let rate = Arc::new(Pingora::new(Duration::from_secs(1)));
            move || {
                let rate = rate.clone();
                move || rate.observe(&1_u64, 1)
            }
        })
        .note("only counts; four hashes");
}

/// Ask when nothing is left, with the time given.
fn refused(operation: &mut Operation) {
    operation.case(OURS, || {
        let limiter = spent(Clock::Precise);
        move || {
            let limiter = limiter.clone();
            move || made(limiter.admit(black_box(NOW)).err())
        }
    });
    operation.fetch_add();
    parts_of_no(operation, given);
    operation
        .case(governor_fake(), || {
            let quota = governor::Quota::per_hour(ONE);
            let clock = FakeRelativeClock::default();
            let limiter = governor::RateLimiter::direct_with_clock(quota, clock);
            assert!(limiter.check().is_ok());
            let limiter = Arc::new(limiter);
            move || {
                let limiter = limiter.clone();
                move || made(limiter.check().err())
            }
        })
        .note("counts no refusals, names nobody, leaves the wait to be computed");
    operation
        .case(peer("ratelimit") + ", time given", || {
            let limiter = ratelimit::Builder::with_clock(1, Given).build();
            let limiter = Arc::new(limiter.expect("valid"));
            move || {
                let limiter = limiter.clone();
                move || made(limiter.try_wait().err())
            }
        })
        .note("says no wait");
}

/// Ask the other algorithms for one, at a time that runs.
fn algorithms(operation: &mut Operation) {
    let hourly = Quota::per_hour(NonZeroU32::MAX);
    let window = NonZeroU32::new(1_000_000).expect("some");
    let window = Quota::new(window, Duration::from_millis(1));
    let warms = Algorithm::WarmUp {
        length: Duration::from_secs(1),
        cold_factor: 3.try_into().expect("not zero"),
        cools_after: HOUR,
    };
    let [bucket, fixed, sliding, warm_up] = ALGORITHMS;
    for (subject, quota, algorithm) in [
        (OURS, quota(), Algorithm::Gcra),
        (bucket, hourly, Algorithm::TokenBucket),
        (fixed, hourly, Algorithm::FixedWindow),
        (sliding, window, Algorithm::SlidingWindow),
        (warm_up, quota(), warms),
    ] {
        operation.case(subject, move || {
            let limiter = built(Config::new(quota).algorithm(algorithm));
            // Where it has to get warm, it is by then.
            limiter.admit(NOW).expect("the first");
            let start = NOW + Duration::from_secs(60);
            move || {
                let limiter = limiter.clone();
                let mut now = start;
                move || {
                    now = now + Duration::from_nanos(10);
                    assert!(limiter.admit(now).is_ok());
                }
            }
        });
    }
    operation.fetch_add();
    cas(operation, 1);
    parts(operation, 1);
}

/// Take what is there, or a place in the line, and give it back.
fn reserved(operation: &mut Operation) {
    operation.case(OURS, || {
        let limiter = ours();
        move || {
            let limiter = limiter.clone();
            move || {
                let now = black_box(NOW);
                let reservation = limiter.reserve(now, ONE, now).expect("some is left");
                reservation.cancel(now);
            }
        }
    });
    operation
        .case(AHEAD, || {
            let limiter = spent(Clock::Precise);
            move || {
                let limiter = limiter.clone();
                move || {
                    let now = black_box(NOW);
                    let until = now + 100 * HOUR;
                    let reservation = limiter.reserve(now, ONE, until).expect("a place");
                    reservation.cancel(now);
                }
            }
        })
        .note("a place of an hour ahead");
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let line = Virtual::new();
            let lock = Arc::new(Mutex::new(0_u64));
            move || {
                let (line, lock) = (line.clone(), lock.clone());
                move || {
                    let held = black_box(line.clone());
                    assert!(held.take(given(), 1));
                    let mut places = lock.lock().expect("nobody panics");
                    held.give_back(1);
                    *places += 1;
                }
            }
        })
        .note("as admit, an Arc, a lock, a CAS");
}

/// Wait for what is there already, by a clock of its own.
fn waited(operation: &mut Operation) {
    for (subject, clock) in [(OURS, Clock::Precise), (COARSE, Clock::Coarse)] {
        operation.case(subject, move || {
            let limiter = built(waits().clock(clock.clone()));
            move || {
                let limiter = limiter.clone();
                move || assert!(poll_by_hand(limiter.wait(ONE, None)).is_ok())
            }
        });
    }
    operation.fetch_add();
    parts_clocked(operation);
    operation.case(governor_std(), || {
        let quota = governor_quota();
        let limiter = governor::RateLimiter::direct_with_clock(quota, MonotonicClock);
        let limiter = Arc::new(limiter);
        move || {
            let limiter = limiter.clone();
            move || poll_by_hand(limiter.until_ready())
        }
    });
    operation.case(leaky_bucket(), || {
        let limiter = leaky_bucket::RateLimiter::builder()
            .initial(usize::MAX)
            .build();
        let limiter = Arc::new(limiter);
        move || {
            enter_a_runtime();
            let limiter = limiter.clone();
            move || poll_by_hand(limiter.acquire_one())
        }
    });
    operation.case(throttle(), || {
        let limiter = Arc::new(full_throttle());
        move || {
            enter_a_runtime();
            let limiter = limiter.clone();
            move || assert!(poll_by_hand(limiter.acquire()).is_ok())
        }
    });
}

/// `ready().await` and `call().await` with something left; the call succeeds.
fn layer_ready(operation: &mut Operation) {
    operation.over(BARE);
    for (subject, clock) in [(OURS, Clock::Precise), (COARSE, Clock::Coarse)] {
        operation.case(subject, move || {
            let limiter = built(generous().clock(clock.clone()));
            let layer = limiter.layer().with_error::<Rejected>();
            move || {
                let mut service = layer.layer(Bare::<Infallible>::new());
                move || by_hand(&mut service).is_ok()
            }
        });
    }
    operation.case(BOXED, || {
        let layer = ours().layer();
        move || {
            let mut service = layer.layer(Bare::<BoxError>::new());
            move || by_hand(&mut service).is_ok()
        }
    });
    floors_of_call(operation);
    tower_ready(operation);
    operation.case(resilient(), || {
        let layer = ResilientLayer::builder()
            .limit_for_period(usize::MAX / 2)
            .refresh_period(HOUR)
            .timeout_duration(Duration::ZERO)
            .build()
            .expect("valid");
        let service = layer.layer(Bare::<Infallible>::new());
        move || {
            enter_a_runtime();
            let mut service = service.clone();
            move || by_hand(&mut service).is_ok()
        }
    });
}

/// The same, where a request costs three.
fn layer_weighing(operation: &mut Operation) {
    operation.over(BARE);
    for (subject, clock) in [(OURS, Clock::Precise), (COARSE, Clock::Coarse)] {
        operation.case(subject, move || {
            let limiter = built(generous().clock(clock.clone()));
            let layer = limiter.layer().weighing(|_: &u64| black_box(WEIGHT));
            let layer = layer.with_error::<Rejected>();
            move || {
                let mut service = layer.layer(Bare::<Infallible>::new());
                move || by_hand(&mut service).is_ok()
            }
        });
    }
    floors_of_call(operation);
}

/// The same through the layer whose calls wait where nothing is left.
fn layer_waiting(operation: &mut Operation) {
    operation.over(BARE);
    for (subject, clock) in [(OURS, Clock::Precise), (COARSE, Clock::Coarse)] {
        operation.case(subject, move || {
            let limiter = built(waits().clock(clock.clone()));
            let layer = limiter.waiting_layer().with_error::<Rejected>();
            move || {
                let mut service = layer.layer(Bare::<Infallible>::new());
                move || by_hand(&mut service).is_ok()
            }
        });
    }
    floors_of_call(operation);
    tower_ready(operation);
}

/// The same through a layer that asks two limits as one decision.
fn layer_two(operation: &mut Operation) {
    operation.over(BARE);
    for (subject, clock) in [(OURS, Clock::Precise), (COARSE, Clock::Coarse)] {
        operation.case(subject, move || {
            let limit = || built(generous().clock(clock.clone()));
            let layer = RateLimitLayer::new((limit(), limit())).with_error::<Rejected>();
            move || {
                let mut service = layer.layer(Bare::<Infallible>::new());
                move || by_hand(&mut service).is_ok()
            }
        });
    }
    bare(operation);
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let lines = [Virtual::new(), Virtual::new()];
            move || {
                let [first, second] = lines.clone();
                let mut service = Bare::<Infallible>::new();
                move || {
                    let now = precise();
                    assert!(first.take(now, 1) && second.take(now, 1));
                    by_hand(&mut service).is_ok()
                }
            }
        })
        .note("a clock read, twice what admit needs");
}

/// Call a layer that has nothing left.
fn layer_refused(operation: &mut Operation) {
    for (subject, clock) in [(OURS, Clock::Precise), (COARSE, Clock::Coarse)] {
        operation.case(subject, move || {
            let layer = spent(clock.clone()).layer().with_error::<Rejected>();
            move || {
                let mut service = layer.layer(Bare::<Infallible>::new());
                by_hand(&mut service).expect_err("nothing is left");
                move || made(by_hand(&mut service))
            }
        });
    }
    operation
        .case(BOXED, || {
            let layer = spent(Clock::Precise).layer();
            move || {
                let mut service = layer.layer(Bare::<BoxError>::new());
                by_hand(&mut service).expect_err("nothing is left");
                move || made(by_hand(&mut service))
            }
        })
        .note("a refusal that says what it knows needs a box of its own");
    operation.fetch_add();
    parts_of_no(operation, precise);
    operation.case(resilient(), || {
        let layer = ResilientLayer::builder()
            .limit_for_period(1)
            .refresh_period(HOUR)
            .timeout_duration(Duration::ZERO)
            .build()
            .expect("valid");
        let service = layer.layer(Bare::<Infallible>::new());
        move || {
            enter_a_runtime();
            let mut service = service.clone();
            // One of the threads has the only one.
            drop(by_hand(&mut service));
            move || made(by_hand(&mut service))
        }
    });
}

// --- Ours ---------------------------------------------------------------

fn quota() -> Quota {
    Quota::per_second(RATE).burst(NonZeroU32::MAX)
}

fn generous() -> Config {
    Config::new(quota()).named("search")
}

fn ours() -> RateLimiter {
    built(generous())
}

fn waits() -> Config {
    generous().when_limited(WhenLimited::Wait {
        max_wait: HOUR,
        max_waiting: WEIGHT,
    })
}

fn built(config: Config) -> RateLimiter {
    config.build().expect("the configuration is valid")
}

/// One an hour, which was had; at any time that the benches come to.
fn spent(clock: Clock) -> RateLimiter {
    let quota = Quota::per_hour(ONE);
    let limiter = built(Config::new(quota).named("search").clock(clock));
    let now = NOW.max(limiter.clock().now());
    limiter.admit(now).expect("the first");
    limiter
}

// --- The floors ---------------------------------------------------------

/// What GCRA needs: a word to exchange, and the five numbers that it is judged
/// by on another line.
#[derive(Clone)]
struct Virtual(Arc<(Line, Terms)>);

#[repr(align(128))]
struct Terms {
    since: AtomicU64,
    pace: AtomicU64,
    inverse: AtomicU64,
    burst: AtomicU64,
    shift: AtomicU64,
}

impl Virtual {
    /// A unit a nanosecond, and so much at once.
    fn with_burst(burst: u64) -> Self {
        let terms = Terms {
            since: 0.into(),
            pace: u64::MAX.into(),
            inverse: (1 << 63).into(),
            burst: burst.into(),
            shift: 0.into(),
        };
        Virtual(Arc::new((Line::default(), terms)))
    }

    fn new() -> Self {
        Self::with_burst(u64::MAX >> 2)
    }

    /// Virtual time, what is asked for, and until when the line may be.
    #[inline(always)]
    fn at(&self, now: u64, cells: u32) -> (u64, u64, u64, u64) {
        let load = |number: &AtomicU64| number.load(Relaxed);
        let terms = &self.0.1;
        let elapsed = now.saturating_sub(load(&terms.since));
        let time = ((u128::from(elapsed) * u128::from(load(&terms.pace))) >> 64) as u64;
        let units = u64::from(cells) << (load(&terms.shift) & 63);
        (time, units, time + load(&terms.burst), load(&terms.inverse))
    }

    #[inline(always)]
    fn take(&self, now: u64, cells: u32) -> bool {
        let (time, units, latest, inverse) = self.at(now, cells);
        black_box(inverse);
        let state = &self.0.0.0;
        let mut seen = state.load(Relaxed);
        loop {
            let end = seen.max(time) + units;
            if end > latest {
                return false;
            }
            match state.compare_exchange_weak(seen, end, Release, Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// How long to wait.
    #[inline(always)]
    fn lacks(&self, now: u64, cells: u32) -> Option<u64> {
        let (time, units, latest, inverse) = self.at(now, cells);
        let end = self.0.0.0.load(Acquire).max(time) + units;
        let lack = end.checked_sub(latest)?;
        Some(((u128::from(lack) * u128::from(inverse)) >> 63) as u64)
    }

    #[inline(always)]
    fn give_back(&self, cells: u32) {
        let state = &self.0.0.0;
        let seen = state.load(Relaxed);
        let less = seen.saturating_sub(u64::from(cells));
        black_box(state.compare_exchange_weak(seen, less, Release, Relaxed)).ok();
    }
}

/// The time that is given.
#[inline(always)]
fn given() -> u64 {
    black_box(NOW.as_nanos())
}

#[inline(always)]
fn precise() -> u64 {
    Clock::Precise.now().as_nanos()
}

/// A floor's name, and the clock that it reads.
type Read = (&'static str, fn() -> u64);

const READS: [Read; 2] = [(PARTS, precise), (PARTS_COARSE, coarse_nanos)];

/// The least that counts: a load, an addition and an exchange that need each
/// other.
fn cas(operation: &mut Operation, cells: u32) {
    operation.case(CAS, move || {
        let line = Arc::new(Line::default());
        move || {
            let line = line.clone();
            move || {
                let cells = u64::from(black_box(cells));
                let mut seen = line.0.load(Relaxed);
                while let Err(now) =
                    line.0
                        .compare_exchange_weak(seen, seen + cells, Release, Relaxed)
                {
                    seen = now;
                }
            }
        }
    });
}

fn parts(operation: &mut Operation, cells: u32) {
    operation
        .case(PARTS, move || {
            let line = Virtual::new();
            move || {
                let line = line.clone();
                move || assert!(line.take(given(), black_box(cells)))
            }
        })
        .note("five loads, a multiplication, a CAS");
}

fn parts_clocked(operation: &mut Operation) {
    operation
        .case(PARTS, || {
            let line = Virtual::new();
            move || {
                let line = line.clone();
                move || assert!(line.take(precise(), 1))
            }
        })
        .note("a clock read, five loads, a multiplication, a CAS");
}

fn parts_of_no(operation: &mut Operation, now: fn() -> u64) {
    operation
        .case(PARTS, move || {
            // What is taken ends after all times.
            let line = Virtual::with_burst(0);
            line.0.0.0.store(1 << 62, Relaxed);
            move || {
                let line = line.clone();
                let refused = Box::new(Line::default());
                let name = black_box(Name::UNNAMED);
                move || {
                    let Some(wait) = line.lacks(now(), 1) else {
                        return;
                    };
                    refused.0.store(refused.0.load(Relaxed) + 1, Relaxed);
                    let rejected = Rejected::new(Pattern::RateLimiter, Reason::Limited);
                    made(rejected.with_name(name).with_retry_after_nanos(wait));
                }
            }
        })
        .note("six loads, two multiplications, a count of the thread's own, a refusal");
}

/// A refusal that is looked at where it was made: to move it elsewhere would be
/// the bench's own cost.
#[inline(always)]
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is dropped in the measured time"
)]
fn made<T>(refusal: T) {
    black_box(&refusal);
}

fn bare(operation: &mut Operation) {
    operation.case(BARE, || {
        || {
            let mut service = Bare::<Infallible>::new();
            move || by_hand(&mut service).is_ok()
        }
    });
}

fn floors_of_call(operation: &mut Operation) {
    bare(operation);
    operation.fetch_add();
    for (subject, clock) in [
        (BARE_AND_CLOCK, Clock::Precise),
        (BARE_AND_COARSE, Clock::Coarse),
    ] {
        operation.case(subject, move || {
            let clock = clock.clone();
            move || {
                let clock = clock.clone();
                let mut service = Bare::<Infallible>::new();
                move || {
                    black_box(clock.now());
                    by_hand(&mut service).is_ok()
                }
            }
        });
    }
    for (subject, read) in READS {
        operation
            .case(subject, move || {
                let line = Virtual::new();
                move || {
                    let line = line.clone();
                    let mut service = Bare::<Infallible>::new();
                    move || {
                        assert!(line.take(read(), 1));
                        by_hand(&mut service).is_ok()
                    }
                }
            })
            .note("a clock read, five loads, a multiplication, a CAS");
    }
}

// --- The peers ----------------------------------------------------------

fn governor_fake() -> String {
    peer("governor") + ", FakeRelativeClock"
}

fn governor_std() -> String {
    peer("governor") + ", MonotonicClock"
}

fn governor_quanta() -> String {
    peer("governor") + ", QuantaClock"
}

fn ratelimit() -> String {
    peer("ratelimit")
}

fn leaky_bucket() -> String {
    peer("leaky-bucket")
}

fn throttle() -> String {
    peer("throttle-net")
}

fn tower_limit() -> String {
    peer("tower") + ", RateLimit"
}

fn resilient() -> String {
    peer("tower-resilience-ratelimiter")
}

fn governor_quota() -> governor::Quota {
    governor::Quota::per_second(RATE).allow_burst(NonZeroU32::MAX)
}

/// ratelimit's clock of the given time.
struct Given;

impl ratelimit::Clock for Given {
    #[inline]
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(black_box(0))
    }
}

fn full_ratelimit() -> ratelimit::Ratelimiter<Given> {
    let most = u64::from(NonZeroU32::MAX.get());
    ratelimit::Builder::with_clock(most, Given)
        .max_tokens(most)
        .initial_available(most)
        .build()
        .expect("valid")
}

fn full_throttle() -> Throttle {
    Throttle::builder()
        .rate(RATE.get(), Duration::from_secs(1))
        .burst(u32::MAX)
        .try_build()
        .expect("valid")
}

fn tower_ready(operation: &mut Operation) {
    operation
        .case(tower_limit(), || {
            || {
                enter_a_runtime();
                let rate = Rate::new(u64::MAX, HOUR);
                let mut service = RateLimit::new(Bare::<Infallible>::new(), rate);
                move || by_hand(&mut service).is_ok()
            }
        })
        .note("of one thread: nothing is shared");
}
