//! The circuit breaker beside its floors and its peers.
//!
//! Judged is what a call pays while all is well (`closed`) and what a refusal
//! costs while it is not (`refuse`), as a plain mechanism and as a tower
//! layer around a ready no-op service.
//!
//! Peers run at their defaults, or with a count window of 100 where they have
//! none; when open, they stay open for an hour. Those without a tower layer
//! wrap the service's future by the call they offer for that. No peer sees
//! slow calls in flight, thins out, or keeps a breaker for each key: there is
//! only a floor. Not shown: half-open, and what a transition costs. It is one file, as every bench is:
//! one pattern, its operations, its peers.
//!
//! Where the time is an argument, it moves on by 100 ns a call, so that
//! windows rotate as they do in earnest.

mod harness;

use std::collections::HashMap;
use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use axiomatic_core::keyed::WhenFull;
use axiomatic_core::time::Instant;
use axiomatic_core::{BoxError, Outcome, Pattern, Ratio, Reason, Rejected};
use axiomatic_failure::circuit_breaker::{
    Adaptive, CircuitBreaker, CircuitBreakerLayer, Config, KeyedCircuitBreaker, OpenFor, TripWhen,
    Window,
};
use harness::{
    BARE, Bare, Case, FETCH_ADD, Line, OURS, Operation, PARTS, Suite, allocations, by_hand,
    coarse_nanos, peer, poll_by_hand, ratio, time,
};
use tower_layer::Layer;
use tower_service::Service;

const HOUR: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    let mut suite = Suite::new("circuit_breaker");
    mechanism_closed(suite.operation("mechanism/closed"));
    mechanism_refuse(suite.operation("mechanism/refuse"));
    mechanism_in_flight(suite.operation("mechanism/in-flight"));
    mechanism_thinning(suite.operation("mechanism/thinning"));
    mechanism_keyed(suite.operation("mechanism/keyed"));
    layer_closed(suite.operation("layer/closed"));
    layer_refuse_typed(suite.operation("layer/refuse-typed"));
    layer_refuse_boxed(suite.operation("layer/refuse-boxed"));
    window_size(suite.operation("mechanism/window-size"), Load::Healthy);
    window_size(suite.operation("mechanism/failing"), Load::OneInTenFails);
    goals(&mut suite);
    suite.run()
}

fn goals(suite: &mut Suite) {
    for operation in ["mechanism/closed", "mechanism/refuse"] {
        for (ours, parts) in [(OURS, PARTS), (OURS_AND_CLOCK, PARTS_AND_CLOCK)] {
            suite.goal(
                &format!("{operation}, {ours} to {parts}"),
                ratio(time(operation, ours), time(operation, parts)).at_most(1.4),
            );
        }
    }
    for operation in ["layer/closed", "layer/refuse-typed", "layer/refuse-boxed"] {
        suite.goal(
            &format!("{operation}, over bare, to {PARTS}"),
            ratio(
                time(operation, OURS).over(BARE),
                time(operation, PARTS).over(BARE),
            )
            .at_most(1.4),
        );
    }

    let closed = "mechanism/closed";
    suite.goal(
        "mechanism/closed to one fetch_add",
        ratio(time(closed, OURS), time(closed, FETCH_ADD)).at_most(2.0),
    );
    suite.goal(
        "mechanism/closed, two threads to one",
        ratio(time(closed, OURS).threads(2), time(closed, OURS)).at_most(1.5),
    );
    suite.goal(
        "mechanism/closed, two threads, to recloser",
        ratio(
            time(closed, OURS).threads(2),
            time(closed, peer("recloser")).threads(2),
        )
        .at_most(0.2),
    );

    let in_flight = "mechanism/in-flight";
    suite.goal(
        "mechanism/in-flight to one fetch_add",
        ratio(time(in_flight, OURS), time(in_flight, FETCH_ADD)).at_most(3.6),
    );
    suite.goal(
        "mechanism/in-flight, two threads to one",
        ratio(time(in_flight, OURS).threads(2), time(in_flight, OURS)).at_most(1.5),
    );

    let closed = "layer/closed";
    let over = |subject: &str| time(closed, subject).over(BARE);
    suite.goal(
        "layer/closed, over bare, to one fetch_add",
        ratio(over(OURS), time(closed, FETCH_ADD)).at_most(4.0),
    );
    suite.goal(
        "layer/closed, over bare, to recloser",
        ratio(over(OURS), over(&peer("recloser"))).at_most(0.8),
    );
    suite.goal(
        "layer/closed, over bare, to tower-resilience",
        ratio(over(OURS), over(&peer("tower-resilience-circuitbreaker"))).at_most(0.1),
    );
    suite.goal(
        "layer/closed, two threads to one",
        ratio(over(OURS).threads(2), over(OURS)).at_most(1.5),
    );
    suite.goal(
        "layer/closed, two threads, to recloser",
        ratio(over(OURS).threads(2), over(&peer("recloser")).threads(2)).at_most(0.2),
    );
    suite.goal(
        "layer/closed, allocations",
        allocations(closed, OURS).at_most(0.0),
    );

    let typed = "layer/refuse-typed";
    suite.goal("layer/refuse-typed", time(typed, OURS).at_most(10.0));
    suite.goal(
        "layer/refuse-typed, allocations",
        allocations(typed, OURS).at_most(0.0),
    );

    for operation in ["mechanism/window-size", "mechanism/failing"] {
        for (large, small) in [
            ("ours, 1000 buckets", "ours, 10 buckets"),
            ("ours, 1000000 calls", "ours, 100 calls"),
        ] {
            suite.goal(
                &format!("{operation}, {large} to {small}"),
                ratio(time(operation, large), time(operation, small)).at_most(1.2),
            );
        }
    }
}

// --- The operations -----------------------------------------------------

/// Admit a call and record its success.
fn mechanism_closed(operation: &mut Operation) {
    calling(operation, OURS, Load::Healthy, || {
        ours(Window::last(TEN_SECONDS))
    })
    .note("10 s in 10 buckets, the time an argument");
    operation
        .case(OURS_AND_CLOCK, || {
            let breaker = ours(Window::last(TEN_SECONDS));
            move || {
                let breaker = breaker.clone();
                move || {
                    let now = breaker.now();
                    let permit = breaker.admit(now)?;
                    permit.record(now, Outcome::Success);
                    Ok::<_, Rejected>(())
                }
            }
        })
        .note("10 s in 10 buckets, one clock read a call");
    calling(operation, "ours, 100 calls", Load::Healthy, || {
        ours(Window::calls(100))
    })
    .note("a count window is one line for all threads");
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = Arc::new(Line::default());
            move || {
                let floor = Floor::new(&state);
                let mut now = HOUR_NANOS;
                move || {
                    now += STEP;
                    floor.count_a_success(now)
                }
            }
        })
        .note("a load, and a CAS on the thread's own line");
    operation
        .case(PARTS_AND_CLOCK, || {
            let state = Arc::new(Line::default());
            move || {
                let floor = Floor::new(&state);
                move || floor.count_a_success(coarse_nanos())
            }
        })
        .note("the same, and a coarse clock read");

    operation.case(peer("recloser"), || {
        let breaker = Arc::new(recloser_breaker(100));
        move || {
            let breaker = breaker.clone();
            move || breaker.call(succeed)
        }
    });
    operation
        .case(peer("failsafe"), || {
            let breaker = failsafe::Config::new().build();
            move || {
                let breaker = breaker.clone();
                move || failsafe::CircuitBreaker::call(&breaker, succeed)
            }
        })
        .note("its default: success rate over 30 s, or failures in a row");
    operation
        .case(peer("failsafe") + ", in a row", || {
            let breaker = failsafe_breaker();
            move || {
                let breaker = breaker.clone();
                move || failsafe::CircuitBreaker::call(&breaker, succeed)
            }
        })
        .note("failures in a row: no window, no clock");
    operation.case(peer("throttle-net"), || {
        let breaker = Arc::new(throttle_breaker(100));
        move || {
            let breaker = breaker.clone();
            move || {
                if let Ok(Some(permit)) = breaker.try_acquire() {
                    permit.success();
                }
            }
        }
    });
}

/// Ask while open.
fn mechanism_refuse(operation: &mut Operation) {
    operation
        .case(OURS, || {
            let breaker = ours_open();
            move || {
                let breaker = breaker.clone();
                let mut now = breaker.now().as_nanos();
                move || {
                    now += STEP;
                    breaker.admit(Instant::from_nanos(now)).err()
                }
            }
        })
        .note("the time an argument");
    operation
        .case(OURS_AND_CLOCK, || {
            let breaker = ours_open();
            move || {
                let breaker = breaker.clone();
                move || breaker.admit(breaker.now()).err()
            }
        })
        .note("one clock read a call");
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = open_state();
            move || {
                let floor = Floor::new(&state);
                let mut now = HOUR_NANOS;
                move || {
                    now += STEP;
                    floor.refuse(now)
                }
            }
        })
        .note("a load");
    operation
        .case(PARTS_AND_CLOCK, || {
            let state = open_state();
            move || {
                let floor = Floor::new(&state);
                move || floor.refuse(coarse_nanos())
            }
        })
        .note("a load and a coarse clock read");

    operation.case(peer("recloser"), || {
        let breaker = Arc::new(open_recloser_breaker());
        move || {
            let breaker = breaker.clone();
            move || breaker.call(succeed)
        }
    });
    operation.case(peer("failsafe") + ", in a row", || {
        let breaker = open_failsafe_breaker();
        move || {
            let breaker = breaker.clone();
            move || failsafe::CircuitBreaker::call(&breaker, succeed)
        }
    });
    operation.case(peer("throttle-net"), || {
        let breaker = Arc::new(open_throttle_breaker());
        move || {
            let breaker = breaker.clone();
            move || breaker.try_acquire().is_err()
        }
    });
}

/// Admit a call and record its success, where it is watched in between.
fn mechanism_in_flight(operation: &mut Operation) {
    calling(operation, OURS, Load::Healthy, || {
        watching(Window::last(TEN_SECONDS))
    })
    .note("10 s, slow after 1 s: steps of 268 ms, the time an argument");
    calling(
        operation,
        "ours, one in ten fails",
        Load::OneInTenFails,
        || watching(Window::last(TEN_SECONDS)),
    );
    calling(operation, "ours, not watched", Load::Healthy, || {
        let config = Config::new(Window::last(TEN_SECONDS)).slow_after(Duration::from_secs(1));
        config.build().expect("the configuration is valid")
    })
    .note("slowness is measured when a call ends");
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = Arc::new(Line::default());
            move || {
                let floor = Floor::new(&state);
                let mut now = HOUR_NANOS;
                move || {
                    now += STEP;
                    floor.own.0.fetch_add(1 << 32, Release);
                    floor.count_a_success(now)
                }
            }
        })
        .note("a load, a fetch_add and a CAS on the thread's own line");
}

fn watching(window: Window) -> CircuitBreaker {
    let config = Config::new(window)
        .open_for(OpenFor::fixed(HOUR))
        .slow_after(Duration::from_secs(1))
        .slow_in_flight();
    config.build().expect("the configuration is valid")
}

/// Ask while half of the calls pass, and record the success of those.
fn mechanism_thinning(operation: &mut Operation) {
    operation
        .case(OURS, || {
            let breaker = thinning();
            move || {
                let breaker = breaker.clone();
                let mut now = breaker.now().as_nanos();
                move || {
                    now += STEP;
                    let now = Instant::from_nanos(now);
                    let permit = breaker.admit(now)?;
                    permit.record(now, Outcome::Success);
                    Ok::<_, Rejected>(())
                }
            }
        })
        .note("the turn is one word for all threads");
    operation.fetch_add();
}

/// Thinned out by half, and steered so seldom that it stays so.
fn thinning() -> CircuitBreaker {
    let adaptive = Adaptive::accepting(Ratio::percent(100))
        .every(HOUR)
        .sample(1);
    let config = Config::new(Window::last(TEN_SECONDS)).adaptive(adaptive);
    let breaker = config.build().expect("the configuration is valid");
    let now = breaker.now();
    let permit = breaker.admit(now).expect("a new breaker is closed");
    permit.record(now, Outcome::Transient);
    assert_eq!(breaker.snapshot().admitting(), Ratio::percent(50));
    breaker
}

/// Look the breaker of a key up, admit a call and record its success.
fn mechanism_keyed(operation: &mut Operation) {
    for keys in [1, 10_000_u64] {
        operation.case(format!("ours, {keys} keys"), move || {
            let cap = NonZeroU32::new(20_000).expect("not zero");
            let config = Config::new(Window::last(TEN_SECONDS));
            let breakers = KeyedCircuitBreaker::<u64>::new(config, cap, WhenFull::Refuse)
                .expect("the configuration is valid");
            let begun = breakers.now();
            for key in 0..keys {
                let permit = breakers.admit_owned(&key, begun).expect("a new breaker");
                permit.record(begun, Outcome::Success);
            }
            move || {
                let breakers = breakers.clone();
                let mut now = breakers.now().as_nanos();
                let mut key = 0;
                move || {
                    now += STEP;
                    key = (key + 7) % keys;
                    let now = Instant::from_nanos(now);
                    let permit = breakers.admit_owned(&key, now)?;
                    permit.record(now, Outcome::Success);
                    Ok::<_, Rejected>(())
                }
            }
        });
    }
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let breakers: HashMap<u64, CircuitBreaker> = (0..10_000)
                .map(|key| (key, ours(Window::last(TEN_SECONDS))))
                .collect();
            let breakers = Arc::new(breakers);
            move || {
                let breakers = breakers.clone();
                let mut now = HOUR_NANOS;
                let mut key = 0;
                move || {
                    now += STEP;
                    key = (key + 7) % 10_000;
                    let now = Instant::from_nanos(now);
                    let permit = breakers[&key].admit_owned(now)?;
                    permit.record(now, Outcome::Success);
                    Ok::<_, Rejected>(())
                }
            }
        })
        .note("a map of 10,000 breakers that never changes");
}

/// `ready().await` and `call().await` while closed; the call succeeds.
fn layer_closed(operation: &mut Operation) {
    operation.over(BARE);
    operation
        .case(OURS, || {
            let breaker = ours(Window::last(TEN_SECONDS));
            move || {
                let mut service = breaker.layer().layer(Bare::<BoxError>::new());
                let before = breaker.snapshot().counts().total();
                by_hand(&mut service).expect("a closed breaker lets it pass");
                assert!(breaker.snapshot().counts().total() > before);
                move || by_hand(&mut service)
            }
        })
        .note("10 s in 10 buckets");
    operation
        .case("ours, typed error", || {
            let breaker = ours(Window::last(TEN_SECONDS));
            move || {
                let layer = CircuitBreakerLayer::new(breaker.clone()).with_error::<Rejected>();
                let mut service = layer.layer(Bare::<Infallible>::new());
                move || by_hand(&mut service)
            }
        })
        .note("10 s in 10 buckets");
    bare::<BoxError>(operation);
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = Arc::new(Line::default());
            move || {
                let mut service = Bare::<BoxError>::new();
                let floor = Floor::new(&state);
                move || {
                    let held = Arc::clone(&floor.held);
                    let answer = by_hand(&mut service);
                    floor.count_a_success(coarse_nanos());
                    drop(black_box(held));
                    answer
                }
            }
        })
        .note("a load, a CAS and an Arc on lines of the thread's own, a coarse clock read");

    operation
        .case(peer("recloser"), || {
            let breaker = recloser::AsyncRecloser::from(recloser_breaker(100));
            move || {
                let breaker = breaker.clone();
                let mut inner = Bare::<Infallible>::new();
                move || poll_by_hand(breaker.call(inner.call(black_box(1))))
            }
        })
        .note("no layer of its own");
    operation
        .case(peer("failsafe"), || {
            let breaker = failsafe::Config::new().build();
            move || {
                let breaker = breaker.clone();
                let mut inner = Bare::<Infallible>::new();
                move || {
                    let future = inner.call(black_box(1));
                    poll_by_hand(failsafe::futures::CircuitBreaker::call(&breaker, future))
                }
            }
        })
        .note("no layer of its own; default policy");
    operation
        .case(peer("failsafe") + ", in a row", || {
            let breaker = failsafe_breaker();
            move || {
                let breaker = breaker.clone();
                let mut inner = Bare::<Infallible>::new();
                move || {
                    let future = inner.call(black_box(1));
                    poll_by_hand(failsafe::futures::CircuitBreaker::call(&breaker, future))
                }
            }
        })
        .note("no layer of its own; failures in a row");
    operation
        .case(peer("throttle-net"), || {
            let breaker = Arc::new(throttle_breaker(100));
            move || {
                let breaker = breaker.clone();
                let mut inner = Bare::<Infallible>::new();
                move || poll_by_hand(breaker.call(|| inner.call(black_box(1))))
            }
        })
        .note("no layer of its own");
    operation
        .case(peer("tower-resilience-circuitbreaker"), || {
            let service = resilient_service();
            move || {
                let mut service = service.clone();
                move || by_hand(&mut service)
            }
        })
        .note("its count window never slides; parks in an async lock at 2 threads");
}

/// Refuse through the layer with a typed error.
fn layer_refuse_typed(operation: &mut Operation) {
    operation.over(BARE);
    operation.case(OURS, || {
        let breaker = ours_open();
        move || {
            let layer = CircuitBreakerLayer::new(breaker.clone()).with_error::<Rejected>();
            let mut service = layer.layer(Bare::<Infallible>::new());
            by_hand(&mut service).expect_err("it is open");
            move || by_hand(&mut service)
        }
    });
    bare::<Rejected>(operation);
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = open_state();
            move || {
                let floor = Floor::new(&state);
                move || floor.refuse(coarse_nanos())
            }
        })
        .note("a load and a coarse clock read");

    operation
        .case(peer("recloser"), || {
            let breaker = recloser::AsyncRecloser::from(open_recloser_breaker());
            move || {
                let breaker = breaker.clone();
                let mut inner = Bare::<Infallible>::new();
                move || poll_by_hand(breaker.call(inner.call(black_box(1))))
            }
        })
        .note("no layer of its own");
    operation
        .case(peer("failsafe") + ", in a row", || {
            let breaker = open_failsafe_breaker();
            move || {
                let breaker = breaker.clone();
                let mut inner = Bare::<Infallible>::new();
                move || {
                    let future = inner.call(black_box(1));
                    poll_by_hand(failsafe::futures::CircuitBreaker::call(&breaker, future))
                }
            }
        })
        .note("no layer of its own");
    operation
        .case(peer("throttle-net"), || {
            let breaker = Arc::new(open_throttle_breaker());
            move || {
                let breaker = breaker.clone();
                let mut inner = Bare::<Infallible>::new();
                move || poll_by_hand(breaker.call(|| inner.call(black_box(1))))
            }
        })
        .note("no layer of its own");
    operation
        .case(peer("tower-resilience-circuitbreaker"), || {
            let service = resilient_service();
            poll_by_hand(service.force_open());
            move || {
                let mut service = service.clone();
                move || by_hand(&mut service)
            }
        })
        .threads(&[1])
        .note("while open, two threads that meet need tokio's timer");
}

/// Refuse through the layer with the error that tower boxes.
fn layer_refuse_boxed(operation: &mut Operation) {
    operation.over(BARE);
    operation.case(OURS, || {
        let breaker = ours_open();
        move || {
            let mut service = breaker.layer().layer(Bare::<BoxError>::new());
            by_hand(&mut service).expect_err("it is open");
            move || by_hand(&mut service)
        }
    });
    bare::<BoxError>(operation);
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = open_state();
            move || {
                let floor = Floor::new(&state);
                move || floor.refuse(coarse_nanos()).map_err(BoxError::from)
            }
        })
        .note("a load, a coarse clock read and a box");

    operation
        .case(peer("tower-resilience-circuitbreaker"), || {
            let service = resilient_service();
            poll_by_hand(service.force_open());
            move || {
                let mut service = service.clone();
                move || by_hand(&mut service).map_err(BoxError::from)
            }
        })
        .threads(&[1])
        .note("its typed error, boxed behind it");
}

/// Admit and record with windows of several sizes, full at the start.
fn window_size(operation: &mut Operation, load: Load) {
    operation.fetch_add();
    for buckets in [10, 100, 1000] {
        let window = Window::last(TEN_SECONDS).in_buckets(buckets);
        let subject = format!("ours, {buckets} buckets");
        calling(operation, &subject, load, move || filled(ours(window))).threads(&[1]);
    }
    for calls in [100, 10_000, 1_000_000] {
        let subject = format!("ours, {calls} calls");
        let window = Window::calls(calls);
        calling(operation, &subject, load, move || filled(ours(window))).threads(&[1]);
    }
    for calls in [100, 1_000_000] {
        operation
            .case(format!("{}, {calls} calls", peer("recloser")), move || {
                let breaker = Arc::new(recloser_breaker(calls));
                for _ in 0..calls {
                    let _ = breaker.call(succeed);
                }
                move || {
                    let breaker = breaker.clone();
                    let mut fails = load.pattern();
                    move || breaker.call(|| if fails() { Err(()) } else { Ok(1_u64) })
                }
            })
            .threads(&[1]);
    }
}

/// What becomes of the calls.
#[derive(Copy, Clone)]
enum Load {
    Healthy,
    /// Too few to open anything.
    OneInTenFails,
}

impl Load {
    fn pattern(self) -> impl FnMut() -> bool {
        let mut calls = 0_u32;
        move || match self {
            Load::Healthy => false,
            Load::OneInTenFails => {
                calls = if calls == 9 { 0 } else { calls + 1 };
                calls == 0
            }
        }
    }
}

// --- Ours ---------------------------------------------------------------

const OURS_AND_CLOCK: &str = "ours, coarse clock";
const TEN_SECONDS: Duration = Duration::from_secs(10);

fn ours(window: Window) -> CircuitBreaker {
    let config = Config::new(window).open_for(OpenFor::fixed(HOUR));
    config.build().expect("the configuration is valid")
}

/// Opened by a failure, not by an operator: a refusal has to tell until when.
fn ours_open() -> CircuitBreaker {
    let config = Config::new(Window::last(TEN_SECONDS))
        .trip_when(TripWhen::consecutive_failures(1))
        .open_for(OpenFor::fixed(HOUR));
    let breaker = config.build().expect("the configuration is valid");
    let now = breaker.now();
    let permit = breaker.admit(now).expect("a new breaker is closed");
    permit.record(now, Outcome::Transient);
    breaker.admit(now).expect_err("one failure has opened it");
    breaker
}

/// A million calls that worked, spread over the last ten seconds.
fn filled(breaker: CircuitBreaker) -> CircuitBreaker {
    let end = breaker.now().as_nanos();
    for call in (0..1_000_000).rev() {
        let now = Instant::from_nanos(end - call * 10_000);
        if let Ok(permit) = breaker.admit(now) {
            permit.record(now, Outcome::Success);
        }
    }
    breaker
}

/// Threads that call and call; their time moves on from call to call.
fn calling<'a>(
    operation: &'a mut Operation,
    subject: &str,
    load: Load,
    breaker: impl Fn() -> CircuitBreaker + 'static,
) -> &'a mut Case {
    operation.case(subject, move || {
        let breaker = breaker();
        move || {
            let breaker = breaker.clone();
            let mut now = breaker.now().as_nanos();
            let mut fails = load.pattern();
            move || {
                now += STEP;
                let now = Instant::from_nanos(now);
                let permit = breaker.admit(now)?;
                let failed = fails();
                permit.record(
                    now,
                    if failed {
                        Outcome::Transient
                    } else {
                        Outcome::Success
                    },
                );
                Ok::<_, Rejected>(())
            }
        }
    })
}

// --- The floors ---------------------------------------------------------

/// The floor of an operation that is told the time, plus a clock read.
const PARTS_AND_CLOCK: &str = "floor:parts, coarse clock";
const HOUR_NANOS: u64 = HOUR.as_nanos() as u64;
/// How far the time moves from call to call where it is an argument.
const STEP: u64 = 100;

/// One thread's view of the least that a breaker is made of.
struct Floor {
    /// Zero while closed, else until when it is open.
    state: Arc<Line>,
    /// What nobody else writes: a counter and a reference count.
    own: Box<Line>,
    held: Arc<Line>,
}

impl Floor {
    fn new(state: &Arc<Line>) -> Self {
        Floor {
            state: state.clone(),
            own: Box::default(),
            held: Arc::default(),
        }
    }

    #[inline]
    fn count_a_success(&self, now: u64) -> bool {
        if self.state.0.load(Acquire) > now {
            return false;
        }
        let counted = self.own.0.load(Relaxed);
        let next = counted.wrapping_add(1) ^ (now & 1);
        self.own
            .0
            .compare_exchange(counted, next, Relaxed, Relaxed)
            .is_ok()
    }

    #[inline]
    fn refuse(&self, now: u64) -> Result<u64, Rejected> {
        match self.state.0.load(Acquire).checked_sub(now) {
            None => Ok(now),
            Some(left) => Err(Rejected::new(Pattern::CircuitBreaker, Reason::Open)
                .with_retry_after(Duration::from_nanos(left))),
        }
    }
}

fn open_state() -> Arc<Line> {
    Arc::new(Line(u64::MAX.into()))
}

fn bare<E: 'static>(operation: &mut Operation) {
    operation.case(BARE, || {
        || {
            let mut service = Bare::<E>::new();
            move || by_hand(&mut service)
        }
    });
}

// --- The peers ----------------------------------------------------------

fn succeed() -> Result<u64, Infallible> {
    Ok(black_box(1))
}

fn recloser_breaker(calls: usize) -> recloser::Recloser {
    recloser::Recloser::custom()
        .closed_len(calls)
        .open_wait(HOUR)
        .build()
}

fn open_recloser_breaker() -> recloser::Recloser {
    let breaker = recloser_breaker(10);
    while !matches!(
        breaker.call(|| Err::<(), _>(())),
        Err(recloser::Error::Rejected)
    ) {}
    breaker
}

type Failsafe = failsafe::StateMachine<
    failsafe::failure_policy::ConsecutiveFailures<std::iter::Repeat<Duration>>,
    (),
>;

fn failsafe_breaker() -> Failsafe {
    let policy = failsafe::failure_policy::consecutive_failures(5, std::iter::repeat(HOUR));
    failsafe::Config::new().failure_policy(policy).build()
}

fn open_failsafe_breaker() -> Failsafe {
    let breaker = failsafe_breaker();
    while failsafe::CircuitBreaker::is_call_permitted(&breaker) {
        let _ = failsafe::CircuitBreaker::call(&breaker, || Err::<(), _>(()));
    }
    breaker
}

/// throttle-net's breaker always wraps a limiter; this one costs nothing.
struct Unlimited;

impl throttle_net::Limiter for Unlimited {
    #[inline]
    fn peek(&self, _: u32) -> throttle_net::Decision {
        throttle_net::Decision::Acquired
    }
    #[inline]
    fn acquire_cost(&self, _: u32) -> throttle_net::Decision {
        throttle_net::Decision::Acquired
    }
    #[inline]
    fn available(&self) -> u32 {
        u32::MAX
    }
    #[inline]
    fn capacity(&self) -> u32 {
        u32::MAX
    }
}

fn throttle_breaker(window: u32) -> throttle_net::CircuitBreaker<Unlimited> {
    throttle_net::CircuitBreaker::builder()
        .trip(throttle_net::Trip::Ratio {
            window,
            ratio: 0.5,
            min_calls: window,
        })
        .cooldown(HOUR)
        .build(Unlimited)
}

fn open_throttle_breaker() -> throttle_net::CircuitBreaker<Unlimited> {
    let breaker = throttle_breaker(1);
    while breaker.state() == throttle_net::BreakerState::Closed {
        breaker.record_failure();
    }
    breaker
}

fn resilient_service() -> tower_resilience_circuitbreaker::CircuitBreaker<
    Bare<Infallible>,
    tower_resilience_circuitbreaker::DefaultClassifier,
> {
    tower_resilience_circuitbreaker::CircuitBreakerLayer::builder()
        .wait_duration_in_open(HOUR)
        .build()
        .expect("its defaults are valid")
        .layer(Bare::new())
}
