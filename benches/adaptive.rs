//! The adaptive limit beside its floors and its peers.
//!
//! Judged is what a call pays whose slot is free, as a plain mechanism that is
//! told the time and as a tower layer around a ready no-op service, and what a
//! refusal costs. What the limit is made by does not count: a window is a
//! hundred milliseconds long, and the algorithm runs once in it.
//!
//! Peers run at their defaults. Their algorithms run with each call, and may
//! move the limit; it does not bind, as nobody has more than one call in
//! flight. Those that wait when they are full are refused by tower's LoadShed.
//! Not shown: how good a limit is found, which is a matter of seconds, and what
//! the end of a window costs. It is one file, as every bench is: one pattern,
//! its operations, its peers.

mod harness;

use std::convert::Infallible;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axiomatic_capacity::adaptive::{AdaptiveLimit, Ask, Bounds, Config, LimitAlgorithm, Seeker};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{BoxError, Name, Outcome, Pattern, Reason, Rejected};
use harness::{
    BARE, Bare, Busy, Line, OURS, Operation, PARTS, Slots, Suite, allocations, by_hand,
    instructions, keep_ready, occupy, peer, ratio, time,
};
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower_layer::Layer;
use tower_resilience_adaptive as resilient;
use tower_service::Service;

const SLOTS: u32 = 1024;
const BOXED: &str = "ours, boxed error";
const COARSE: &str = "ours, coarse clock";
const PARTS_COARSE: &str = "floor:parts, coarse clock";

/// What makes the limit of ours: the default, held to one limit, so that all
/// subjects have as many slots throughout.
fn algorithm(limit: u32) -> impl LimitAlgorithm + 'static {
    let bounds = Bounds::between(limit, limit).starting_at(limit);
    let algorithm = Seeker::config(1).within(bounds).build();
    algorithm.expect("the bounds are in order")
}

fn main() -> ExitCode {
    let mut suite = Suite::new("adaptive");
    admit(suite.operation("mechanism/admit"));
    refused(suite.operation("mechanism/refused"));
    layer_ready(suite.operation("layer/ready"));
    layer_refused(suite.operation("layer/refused"));
    goals(&mut suite);
    suite.run()
}

fn goals(suite: &mut Suite) {
    for operation in ["mechanism/admit", "mechanism/refused", "layer/refused"] {
        suite.goal(
            &format!("{operation} to its parts"),
            ratio(time(operation, OURS), time(operation, PARTS)).at_most(1.4),
        );
    }
    let ready = "layer/ready";
    let over = |subject: &str| time(ready, subject).over(BARE);
    for (ours, parts) in [(OURS, PARTS), (COARSE, PARTS_COARSE)] {
        suite.goal(
            &format!("layer/ready, {ours}, over bare, to {parts}"),
            ratio(over(ours), over(parts)).at_most(1.4),
        );
    }
    for algorithm in ["vegas", "aimd", "gradient2"] {
        let acc = tower_acc(algorithm);
        for (ours, limit) in [(OURS, 0.5), (COARSE, 0.35)] {
            suite.goal(
                &format!("layer/ready, {ours}, over bare, to tower-acc {algorithm}"),
                ratio(over(ours), over(&acc)).at_most(limit),
            );
        }
        suite.goal(
            &format!("layer/ready, two threads, to tower-acc {algorithm}"),
            ratio(over(OURS).threads(2), over(&acc).threads(2)).at_most(0.5),
        );
    }
    for algorithm in ["aimd", "vegas"] {
        suite.goal(
            &format!("layer/ready, over bare, to tower-resilience {algorithm}"),
            ratio(over(OURS), over(&tower_resilience(algorithm))).at_most(0.25),
        );
    }
    suite.goal(
        "layer/ready, instructions",
        instructions(ready, OURS).at_most(130.0),
    );
    suite.goal(
        "mechanism/refused",
        time("mechanism/refused", OURS).at_most(5.0),
    );
    let no = "layer/refused";
    suite.goal(
        "layer/refused to tower's LoadShed over its ConcurrencyLimit",
        ratio(time(no, OURS), time(no, load_shed())).at_most(0.4),
    );
    suite.goal(
        "layer/refused, instructions",
        instructions(no, OURS).at_most(60.0),
    );
    for operation in ["mechanism/admit", "mechanism/refused", ready, no] {
        suite.goal(
            &format!("{operation}, allocations"),
            allocations(operation, OURS).at_most(0.0),
        );
    }
}

// --- The operations -----------------------------------------------------

/// Take a slot, and tell that the call succeeded.
fn admit(operation: &mut Operation) {
    operation.case(OURS, || {
        let limit = ours(Clock::Precise);
        move || {
            let limit = limit.clone();
            let mut time = Box::new(Own(limit.now().as_nanos()));
            move || {
                let now = time.0 + STEP;
                time.0 = now;
                let Ok(permit) = limit.admit(Instant::from_nanos(now)) else {
                    return false;
                };
                permit.record(Instant::from_nanos(now + STEP), Outcome::Success);
                true
            }
        }
    });
    operation
        .case("ours, owned", || {
            let limit = ours(Clock::Precise);
            move || {
                let limit = limit.clone();
                let mut time = Box::new(Own(limit.now().as_nanos()));
                move || {
                    let now = time.0 + STEP;
                    time.0 = now;
                    let Ok(permit) = limit.admit_owned(Ask::default(), Instant::from_nanos(now))
                    else {
                        return false;
                    };
                    permit.record(Instant::from_nanos(now + STEP), Outcome::Success);
                    true
                }
            }
        })
        .note("a permit that outlives the borrow");
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let slots = Slots::new(SLOTS);
            move || {
                let slots = slots.clone();
                let own = Box::new(Line::default());
                let mut time = Box::new(Own(0));
                move || {
                    time.0 += STEP;
                    assert!(slots.take(1));
                    black_box(time.0);
                    count(&own);
                    slots.give_back(1);
                }
            }
        })
        .note("a CAS, a fetch_sub, a count of the thread's own");
}

/// Ask when none is left.
fn refused(operation: &mut Operation) {
    operation.case(OURS, || {
        let limit = full();
        move || {
            let limit = limit.clone();
            let now = limit.now();
            move || made(limit.admit(now).err())
        }
    });
    operation.fetch_add();
    parts_of_no(operation);
}

/// `ready().await` and `call().await` with slots to spare; the call succeeds.
fn layer_ready(operation: &mut Operation) {
    operation.over(BARE);
    for (subject, clock) in [(OURS, Clock::Precise), (COARSE, Clock::Coarse)] {
        operation.case(subject, move || {
            let limit = ours(clock.clone());
            move || {
                let layer = limit.layer().with_error::<Rejected>();
                let mut service = layer.layer(Bare::<Infallible>::new());
                by_hand(&mut service).expect("there are slots");
                move || by_hand(&mut service).is_ok()
            }
        });
    }
    operation.case(BOXED, || {
        let limit = ours(Clock::Precise);
        move || {
            let mut service = limit.layer().layer(Bare::<BoxError>::new());
            by_hand(&mut service).expect("there are slots");
            move || by_hand(&mut service).is_ok()
        }
    });
    operation.case(BARE, || {
        || {
            let mut service = Bare::<Infallible>::new();
            move || by_hand(&mut service).is_ok()
        }
    });
    operation.fetch_add();
    for (subject, clock) in [(PARTS, Clock::Precise), (PARTS_COARSE, Clock::Coarse)] {
        operation
            .case(subject, move || {
                let slots = Slots::new(SLOTS);
                let clock = clock.clone();
                move || {
                    let (slots, clock) = (slots.clone(), clock.clone());
                    let own = Box::new(Line::default());
                    let mut service = Bare::<Infallible>::new();
                    move || {
                        assert!(slots.take(1));
                        let held = black_box(slots.hold());
                        let began = clock.now();
                        let answer = by_hand(&mut service).is_ok();
                        black_box(clock.now() - began);
                        count(&own);
                        slots.give_back(1);
                        drop(held);
                        answer
                    }
                }
            })
            .note(
                "two clock reads, a CAS, a fetch_sub, a count and a reference of the thread's own",
            );
    }

    peer_ready(operation, tower_acc("vegas"), || {
        acc(tower_acc::Vegas::default())
    });
    peer_ready(operation, tower_acc("aimd"), || {
        acc(tower_acc::Aimd::default())
    });
    peer_ready(operation, tower_acc("gradient2"), || {
        acc(tower_acc::Gradient2::default())
    });
    peer_ready(operation, tower_resilience("aimd"), || {
        let algorithm = resilient::Aimd::builder().build();
        resilient_service(algorithm.expect("the default is valid"), Bare::new())
    });
    peer_ready(operation, tower_resilience("vegas"), || {
        let algorithm = resilient::Vegas::builder().build();
        resilient_service(algorithm.expect("the default is valid"), Bare::new())
    });
    peer_ready(operation, peer("little-loadshedder"), || {
        little(Bare::<Infallible>::new())
    });
}

/// Call a layer that has no slot left.
fn layer_refused(operation: &mut Operation) {
    operation.case(OURS, || {
        let layer = full().layer().with_error::<Rejected>();
        move || {
            let mut service = layer.layer(Bare::<Infallible>::new());
            by_hand(&mut service).expect_err("it is full");
            move || made(by_hand(&mut service))
        }
    });
    operation.fetch_add();
    parts_of_no(operation);
    peer_refuses(operation, load_shed(), || {
        ConcurrencyLimit::new(Bare::<Infallible>::new(), 1)
    });
    peer_refuses(operation, tower_acc("under LoadShed"), || {
        let one = tower_acc::Vegas::builder().initial_limit(1).build();
        acc(one)
    });
    peer_refuses(operation, tower_resilience("under LoadShed"), || {
        let one = resilient::Vegas::builder().initial_limit(1).build();
        resilient_service(one.expect("it is valid"), Bare::new())
    });
    operation
        .case(peer("little-loadshedder"), || {
            let mut service = little(Busy);
            // One is being answered, and one may wait.
            occupy(&mut service);
            occupy(&mut service);
            move || {
                let mut service = service.clone();
                move || made(by_hand(&mut service))
            }
        })
        .note("its refusal is a response");
}

// --- Ours ---------------------------------------------------------------

/// How far the time moves where it is an argument, in nanoseconds.
const STEP: u64 = 100;

/// A thread's time, on lines of its own: threads' closures lie side by side.
#[repr(align(128))]
struct Own(u64);

fn ours(clock: Clock) -> AdaptiveLimit {
    let config = Config::new(algorithm(SLOTS)).named("database").clock(clock);
    config.build().expect("the configuration is valid")
}

/// Its only slot is taken for ever, whatever the algorithm.
fn full() -> AdaptiveLimit {
    let config = Config::new(algorithm(1)).named("database");
    let limit = config.build().expect("the configuration is valid");
    let permit = limit.admit_owned(Ask::default(), limit.now());
    std::mem::forget(permit.expect("there is a slot"));
    limit
}

// --- The floors ---------------------------------------------------------

/// Counts on a line of the thread's own.
#[inline]
fn count(own: &Line) {
    own.0.store(own.0.load(Relaxed) + 1, Relaxed);
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

fn parts_of_no(operation: &mut Operation) {
    operation
        .case(PARTS, || {
            let slots = Slots::new(0);
            move || {
                let slots = slots.clone();
                let turned_away = Box::new(Line::default());
                let refused = Box::new(Line::default());
                let name = black_box(Name::UNNAMED);
                move || {
                    if slots.take(1) {
                        return;
                    }
                    count(&turned_away);
                    count(&refused);
                    made(Rejected::new(Pattern::AdaptiveLimit, Reason::Full).with_name(name));
                }
            }
        })
        .note("a load, two counts of the thread's own, a refusal");
}

// --- The peers ----------------------------------------------------------

fn tower_acc(what: &str) -> String {
    format!("{}, {what}", peer("tower-acc"))
}

fn tower_resilience(what: &str) -> String {
    format!("{}, {what}", peer("tower-resilience-adaptive"))
}

fn load_shed() -> String {
    peer("tower") + ", LoadShed over ConcurrencyLimit"
}

/// Services of a peer's, which all share one limit.
fn peer_ready<S>(operation: &mut Operation, subject: String, service: impl Fn() -> S + 'static)
where
    S: Service<u64> + Clone + Send + Sync + 'static,
{
    operation.case(subject, move || {
        let service = service();
        move || {
            let mut service = service.clone();
            move || by_hand(&mut service).is_ok()
        }
    });
}

/// The same under LoadShed, when the only slot is taken.
fn peer_refuses<S>(operation: &mut Operation, subject: String, service: impl Fn() -> S + 'static)
where
    S: Service<u64> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
{
    operation.case(subject, move || {
        let service = service();
        keep_ready(service.clone());
        let service = LoadShed::new(service);
        move || {
            let mut service = service.clone();
            assert!(by_hand(&mut service).is_err(), "it is full");
            move || made(by_hand(&mut service))
        }
    });
}

fn acc<A: tower_acc::Algorithm>(algorithm: A) -> tower_acc::ConcurrencyLimit<Bare<Infallible>, A> {
    tower_acc::ConcurrencyLimit::new(Bare::new(), algorithm)
}

fn resilient_service<A: resilient::ConcurrencyAlgorithm + 'static>(
    algorithm: A,
    inner: Bare<Infallible>,
) -> resilient::AdaptiveService<Bare<Infallible>, A> {
    resilient::AdaptiveLimiterLayer::new(algorithm).layer(inner)
}

fn little<S>(inner: S) -> little_loadshedder::LoadShed<S> {
    little_loadshedder::LoadShed::new(inner, 0.01, Duration::from_millis(1))
}
