//! Load shedding beside its floors and its peers.
//!
//! Judged is what a call pays that is let in, while everything is and while
//! some is shed, and what a refusal costs: of the mechanisms, of their parts,
//! and of their layers around a no-op service that is ready or never is. At the
//! end stands what 100,000 refusals a second take of one core, by the clock of
//! the thread's processor time.
//!
//! Levels are set by one period of an overload long ago, or rather in the
//! future: no period ends while it is measured. Not shown: what a period's end
//! costs, which is once in a tenth of a second; and how well load is shed, which
//! is what the simulations are for. Peers run at their defaults. It is one file,
//! as every bench is: one pattern, its operations, its peers.

mod harness;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Ready;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use axiomatic_capacity::load_shed::fail_fast::{self, FailFast, Verdict, Wait};
use axiomatic_capacity::load_shed::signal::Watched;
use axiomatic_capacity::load_shed::{
    Ask, Config, Fairness, LoadShedder, Prioritizer, Throttler, Upstream, fairness, prioritizer,
    throttle, upstream,
};
use axiomatic_core::context::{AdmissionLevel, Deadline, Priority};
use axiomatic_core::hash::mix;
use axiomatic_core::pressure::Pressure;
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{BoxError, Name, Outcome, Pattern, Ratio, Reason, Rejected};
use harness::{
    BARE, Bare, Busy, Kept, Line, OURS, Operation, PARTS, Slots, Suite, allocations, by_hand,
    coarse_nanos, enter_a_runtime, instructions, keep_ready, occupy, peer, poll_by_hand, ratio,
    runtime, thread_time, time,
};
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower_layer::Layer;
use tower_resilience_bulkhead::BulkheadLayer as ResilientLayer;
use tower_service::Service;

const SLOTS: usize = 1024;
const USERS: u64 = 10_000;
const HOUR: Duration = Duration::from_secs(3_600);
const BOXED: &str = "ours, boxed error";
const SHEDDING: &str = "ours, shedding";
const HALF: &str = "ours, half of them refused";
const PENDING: &str = "ours, inner pending";
const PARTS_SHEDDING: &str = "floor:parts, shedding";

fn main() -> ExitCode {
    let mut suite = Suite::new("load_shed");
    admit(suite.operation("mechanism/admit"));
    owned(suite.operation("mechanism/owned"));
    refused(suite.operation("mechanism/refused"));
    prioritizer_admit(suite.operation("prioritizer/admit"));
    prioritizer_refused(suite.operation("prioritizer/refused"));
    upstream_admit(suite.operation("upstream/admit"));
    upstream_refused(suite.operation("upstream/refused"));
    rank(suite.operation("fairness/rank"));
    layer_ready(suite.operation("layer/ready"));
    layer_refused(suite.operation("layer/refused"));
    fail_fast_ready(suite.operation("fail-fast/ready"));
    fail_fast_refused(suite.operation("fail-fast/refused"));
    throttle_admit(suite.operation("throttle/admit"));
    throttle_refused(suite.operation("throttle/refused"));
    throttle_layer_ready(suite.operation("throttle/layer/ready"));
    throttle_layer_refused(suite.operation("throttle/layer/refused"));
    goals(&mut suite);
    suite.run()
}

fn goals(suite: &mut Suite) {
    let mechanisms = [
        "mechanism/admit",
        "mechanism/owned",
        "mechanism/refused",
        "prioritizer/admit",
        "prioritizer/refused",
        "upstream/admit",
        "upstream/refused",
        "fairness/rank",
        "layer/refused",
        "fail-fast/refused",
        "throttle/admit",
        "throttle/refused",
        "throttle/layer/refused",
    ];
    for operation in mechanisms {
        suite.goal(
            &format!("{operation} to its parts"),
            ratio(time(operation, OURS), time(operation, PARTS)).at_most(1.4),
        );
    }
    for operation in ["mechanism/admit", "mechanism/owned", "prioritizer/admit"] {
        suite.goal(
            &format!("{operation}, shedding, to its parts"),
            ratio(time(operation, SHEDDING), time(operation, PARTS_SHEDDING)).at_most(1.4),
        );
    }
    let ready = "layer/ready";
    let over = |subject: &str| time(ready, subject).over(BARE);
    suite.goal("layer/ready, over bare", over(OURS).at_most(25.0));
    suite.goal(
        "layer/ready, shedding, over bare",
        over(SHEDDING).at_most(25.0),
    );
    suite.goal(
        "layer/ready, over bare, to its parts",
        ratio(over(OURS), over(PARTS)).at_most(1.4),
    );
    suite.goal(
        "layer/ready, two threads to one",
        ratio(over(OURS).threads(2), over(OURS)).at_most(1.5),
    );
    for (peer, limit) in [
        (load_shed(), 0.75),
        (little_loadshedder(), 0.15),
        (resilient(), 0.15),
    ] {
        suite.goal(
            &format!("layer/ready, over bare, to {peer}"),
            ratio(over(OURS), over(&peer)).at_most(limit),
        );
    }
    suite.goal(
        "fail-fast/ready, over bare",
        time("fail-fast/ready", OURS).over(BARE).at_most(5.0),
    );
    let throttled = |subject| time("throttle/layer/ready", subject).over(BARE);
    suite.goal(
        "throttle/layer/ready, over bare, to its parts",
        ratio(throttled(OURS), throttled(PARTS)).at_most(1.4),
    );
    suite.goal(
        "throttle/layer/ready, over bare",
        throttled(OURS).at_most(25.0),
    );

    for operation in [
        "mechanism/refused",
        "upstream/refused",
        "fail-fast/refused",
        "throttle/refused",
        "throttle/layer/refused",
    ] {
        suite.goal(operation, time(operation, OURS).at_most(10.0));
    }
    let no = "layer/refused";
    for subject in [OURS, PENDING] {
        suite.goal(&format!("{no}, {subject}"), time(no, subject).at_most(10.0));
        for (peer, limit) in [
            (load_shed(), 0.4),
            (recloser(), 0.5),
            (little_loadshedder(), 0.25),
            (resilient(), 0.001),
        ] {
            suite.goal(
                &format!("{no}, {subject}, to {peer}"),
                ratio(time(no, subject), time(no, peer)).at_most(limit),
            );
        }
        suite.goal(
            &format!("{no}, {subject}, instructions"),
            instructions(no, subject).at_most(60.0),
        );
    }
    suite.goal(
        "layer/ready, instructions",
        instructions(ready, OURS).at_most(130.0),
    );
    for operation in
        mechanisms
            .into_iter()
            .chain([ready, "fail-fast/ready", "throttle/layer/ready"])
    {
        suite.goal(
            &format!("{operation}, allocations"),
            allocations(operation, OURS).at_most(0.0),
        );
    }
    suite.account(
        "100,000 refusals by a stack of layers, of a second",
        0.05,
        || refusing(1),
    );
    suite.account(
        "the same in 1,000 bursts, a millisecond apart",
        0.05,
        || refusing(1_000),
    );
}

// --- The operations -----------------------------------------------------

/// Ask, and tell that the call is over.
fn admit(operation: &mut Operation) {
    for (subject, level) in [(OURS, None), (SHEDDING, Some(Priority::SHEDDABLE))] {
        operation.case(subject, move || {
            let (shedder, now) = shedder(level);
            move || {
                let shedder = shedder.clone();
                move || {
                    shedder
                        .admit(black_box(now), Ask::default())
                        .map(drop)
                        .is_ok()
                }
            }
        });
    }
    operation
        .case(HALF, || {
            let (shedder, now) = shedder(Some(Priority::CRITICAL));
            move || {
                let shedder = shedder.clone();
                move || {
                    shedder
                        .admit(black_box(now), Ask::default())
                        .map(drop)
                        .is_ok()
                }
            }
        })
        .note("of those that matter as much, half are let in");
    operation.fetch_add();
    for (subject, level) in [(PARTS, 0), (PARTS_SHEDDING, 1)] {
        operation
            .case(subject, move || {
                let state = Arc::new(Parts::at(level));
                move || {
                    let parts = state.clone();
                    move || {
                        assert!(parts.asks(black_box(NOW), CRITICAL).is_ok());
                        parts.ended();
                    }
                }
            })
            .note("three loads, two counts of the thread's own, and its draw if shedding");
    }
}

/// The same with a permit that outlives the borrow.
fn owned(operation: &mut Operation) {
    for (subject, level) in [(OURS, None), (SHEDDING, Some(Priority::SHEDDABLE))] {
        operation.case(subject, move || {
            let (shedder, now) = shedder(level);
            move || {
                let shedder = shedder.clone();
                move || {
                    let permit = shedder.admit_owned(black_box(now), Ask::default());
                    permit.map(drop).is_ok()
                }
            }
        });
    }
    operation.fetch_add();
    for (subject, level) in [(PARTS, 0), (PARTS_SHEDDING, 1)] {
        operation
            .case(subject, move || {
                let state = Arc::new(Parts::at(level));
                move || {
                    let parts = state.clone();
                    move || {
                        assert!(parts.asks(black_box(NOW), CRITICAL).is_ok());
                        let held = black_box(parts.hold());
                        parts.ended();
                        drop(held);
                    }
                }
            })
            .note("the same, and a reference that the thread keeps");
    }
}

/// Ask in vain.
fn refused(operation: &mut Operation) {
    operation.case(OURS, || {
        let (shedder, now) = shedder(Some(Priority::CRITICAL_PLUS));
        move || {
            let shedder = shedder.clone();
            move || made(shedder.admit(black_box(now), Ask::default()).err())
        }
    });
    operation.case("ours, expired", || {
        let (shedder, now) = shedder(None);
        move || {
            let shedder = shedder.clone();
            move || {
                let ask = Ask::default().with_deadline(black_box(Deadline::at(now)));
                made(shedder.admit(now, ask).err());
            }
        }
    });
    operation.fetch_add();
    parts_of_no(operation, || black_box(NOW));
}

/// Ask the prioritizer alone.
fn prioritizer_admit(operation: &mut Operation) {
    for (subject, level) in [
        (OURS, None),
        (SHEDDING, Some(Priority::SHEDDABLE)),
        (HALF, Some(Priority::CRITICAL)),
    ] {
        operation.case(subject, move || {
            let (prioritizer, now) = prioritizer(level);
            move || {
                let prioritizer = prioritizer.clone();
                move || {
                    let priority = black_box(Priority::CRITICAL);
                    prioritizer.admit(now, priority).is_ok()
                }
            }
        });
    }
    operation.fetch_add();
    for (subject, level) in [(PARTS, 0), (PARTS_SHEDDING, 1)] {
        operation
            .case(subject, move || {
                let state = Arc::new(Parts::at(level));
                move || {
                    let parts = state.clone();
                    move || parts.asks(black_box(NOW), black_box(CRITICAL)).is_ok()
                }
            })
            .note("two loads, a count of the thread's own, and its draw if shedding");
    }
}

fn prioritizer_refused(operation: &mut Operation) {
    operation.case(OURS, || {
        let (prioritizer, now) = prioritizer(Some(Priority::CRITICAL_PLUS));
        move || {
            let prioritizer = prioritizer.clone();
            move || {
                let priority = black_box(Priority::CRITICAL);
                made(prioritizer.admit(now, priority).err());
            }
        }
    });
    operation.fetch_add();
    parts_of_no(operation, || black_box(NOW));
}

/// Ask whether to send.
fn upstream_admit(operation: &mut Operation) {
    for (subject, level) in [(OURS, None), (SHEDDING, Some(Priority::SHEDDABLE))] {
        operation.case(subject, move || {
            let upstream = upstream(level);
            move || {
                let upstream = upstream.clone();
                move || {
                    let priority = black_box(Priority::CRITICAL);
                    upstream.admit(at(NOW), priority).is_ok()
                }
            }
        });
    }
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = Arc::new(Parts::at(0));
            move || {
                let parts = state.clone();
                move || parts.level(black_box(NOW)) == 0
            }
        })
        .note("two loads");
}

fn upstream_refused(operation: &mut Operation) {
    operation.case(OURS, || {
        let upstream = upstream(Some(Priority::CRITICAL_PLUS));
        move || {
            let upstream = upstream.clone();
            move || {
                let priority = black_box(Priority::CRITICAL);
                made(upstream.admit(at(NOW), priority).err());
            }
        }
    });
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = Arc::new(Parts::at(REFUSING));
            move || {
                let parts = state.clone();
                let name = black_box(Name::UNNAMED);
                move || {
                    let level = parts.level(black_box(NOW));
                    let mine = parts.mine();
                    let luck = add(&mine.luck, 0x9e37_79b9_7f4a_7c15);
                    if CRITICAL + (luck >> 48) >= level {
                        return;
                    }
                    add(&mine.refused, 1);
                    made(Rejected::new(Pattern::LoadShedder, Reason::Shed).with_name(name));
                }
            }
        })
        .note("two loads, a draw and a count of the thread's own, a refusal");
}

/// The level of one of ten thousand users.
fn rank(operation: &mut Operation) {
    operation.case(OURS, || {
        let fairness: Fairness = fairness::Config::new().build().expect("valid");
        move || {
            let fairness = fairness.clone();
            let mut user = 0;
            move || {
                user = (user + 7) % USERS;
                fairness.rank(at(NOW), mix(user), Priority::CRITICAL)
            }
        }
    });
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let rows: Arc<[Box<[std::sync::atomic::AtomicU32]>; 2]> =
                Arc::new([(); 2].map(|()| (0..1 << 12).map(|_| 0.into()).collect()));
            let state = Arc::new(Parts::at(1));
            move || {
                let rows = rows.clone();
                let parts = state.clone();
                let mut user = 0;
                move || {
                    user = (user + 7) % USERS;
                    let hash = mix(user);
                    let places = [hash, hash >> 32].map(|hash| hash as usize % (1 << 12));
                    let first = rows[0][places[0]].fetch_add(1, Relaxed);
                    let second = rows[1][places[1]].fetch_add(1, Relaxed);
                    let fair = parts.level(black_box(NOW));
                    (u64::from(first.min(second)) > fair, mix(hash ^ 1))
                }
            }
        })
        .note("two fetch_adds in 32 kB, two loads, two hashes");
}

/// `ready().await` and `call().await`; the call is let in and succeeds.
fn layer_ready(operation: &mut Operation) {
    operation.over(BARE);
    for (subject, level) in [(OURS, None), (SHEDDING, Some(Priority::SHEDDABLE))] {
        operation.case(subject, move || {
            let layer = shedder(level).0.layer().with_error::<Rejected>();
            move || {
                let mut service = layer.layer(Bare::<Infallible>::new());
                by_hand(&mut service).expect("it is let in");
                move || by_hand(&mut service).is_ok()
            }
        });
    }
    operation.case(BOXED, || {
        let layer = shedder(None).0.layer();
        move || {
            let mut service = layer.layer(Bare::<BoxError>::new());
            by_hand(&mut service).expect("it is let in");
            move || by_hand(&mut service).is_ok()
        }
    });
    bare(operation);
    operation.fetch_add();
    for (subject, level) in [(PARTS, 0), (PARTS_SHEDDING, 1)] {
        operation
            .case(subject, move || {
                let state = Arc::new(Parts::at(level));
                move || {
                    let parts = state.clone();
                    let mut service = Bare::<Infallible>::new();
                    move || {
                        assert!(parts.asks(coarse_nanos(), CRITICAL).is_ok());
                        let held = black_box(parts.hold());
                        let answer = by_hand(&mut service).is_ok();
                        parts.ended();
                        drop(held);
                        answer
                    }
                }
            })
            .note(
                "a coarse clock read, three loads, two counts and a reference of the thread's own",
            );
    }
    operation.case(load_shed(), || {
        let service = ConcurrencyLimit::new(Bare::<Infallible>::new(), SLOTS);
        move || {
            let mut service = LoadShed::new(service.clone());
            move || by_hand(&mut service).is_ok()
        }
    });
    operation.case(little_loadshedder(), || {
        let service = little(Bare::<Infallible>::new());
        move || {
            let mut service = service.clone();
            move || by_hand(&mut service).is_ok()
        }
    });
    operation.case(resilient(), || {
        let config = ResilientLayer::builder().max_concurrent_calls(SLOTS);
        let layer = config.reject_when_full().build().expect("there are slots");
        let service = layer.layer(Bare::<Infallible>::new());
        move || {
            enter_a_runtime();
            let mut service = service.clone();
            move || by_hand(&mut service).is_ok()
        }
    });
}

/// A call that is not let in.
fn layer_refused(operation: &mut Operation) {
    operation.case(OURS, || {
        let layer = refuses_all().layer().with_error::<Rejected>();
        move || {
            let mut service = layer.layer(Bare::<Infallible>::new());
            by_hand(&mut service).expect_err("it is shed");
            move || made(by_hand(&mut service))
        }
    });
    operation
        .case(PENDING, || {
            let layer = shedder(None).0.layer().with_error::<Rejected>();
            move || {
                let mut service = layer.layer(Never);
                by_hand(&mut service).expect_err("it is not ready");
                move || made(by_hand(&mut service))
            }
        })
        .note("whatever a clone of the inner service costs is added");
    operation
        .case(BOXED, || {
            let layer = refuses_all().layer();
            move || {
                let mut service = layer.layer(Bare::<BoxError>::new());
                by_hand(&mut service).expect_err("it is shed");
                move || made(by_hand(&mut service))
            }
        })
        .note("a refusal that says what it knows needs a box of its own");
    operation.fetch_add();
    parts_of_no(operation, coarse_nanos);
    operation
        .case(load_shed(), || {
            let limited = ConcurrencyLimit::new(Bare::<Infallible>::new(), 1);
            keep_ready(limited.clone());
            let service = LoadShed::new(limited);
            move || {
                let mut service = service.clone();
                by_hand(&mut service).expect_err("it is full");
                move || made(by_hand(&mut service))
            }
        })
        .note("its boxed error is of no size, and needs no memory");
    operation.case(recloser(), || {
        let breaker = recloser::AsyncRecloser::from(open_recloser());
        move || {
            let breaker = breaker.clone();
            let mut inner = Bare::<Infallible>::new();
            move || made(poll_by_hand(breaker.call(inner.call(black_box(1)))))
        }
    });
    operation
        .case(little_loadshedder(), || {
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
    operation
        .case(resilient(), || {
            let config = ResilientLayer::builder().max_concurrent_calls(1);
            let layer = config.reject_when_full().build().expect("there is a slot");
            let mut service = layer.layer(Busy);
            enter_a_runtime();
            occupy(&mut service);
            move || {
                let mut service = service.clone();
                let runtime = runtime();
                move || made(runtime.block_on(service.call(1)))
            }
        })
        .note("waits for a timer of no time, in a runtime");
}

/// Through the layer that fails fast, in front of what is ready.
fn fail_fast_ready(operation: &mut Operation) {
    operation.over(BARE);
    operation.case(OURS, || {
        let layer = fail_fast().layer().with_error::<Rejected>();
        move || {
            let mut service = layer.layer(Bare::<Infallible>::new());
            by_hand(&mut service).expect("it is ready");
            move || by_hand(&mut service).is_ok()
        }
    });
    bare(operation);
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let unready = Arc::new(Line::default());
            move || {
                let unready = unready.clone();
                let mut service = Bare::<Infallible>::new();
                move || unready.0.load(Relaxed) == 0 && by_hand(&mut service).is_ok()
            }
        })
        .note("a load");
    operation
        .case(peer("tower") + ", LoadShed", || {
            || {
                let mut service = LoadShed::new(Bare::<Infallible>::new());
                move || by_hand(&mut service).is_ok()
            }
        })
        .note("does not wait");
}

/// The same in front of what has not been ready for too long.
fn fail_fast_refused(operation: &mut Operation) {
    operation.case(OURS, || {
        let layer = fails_fast().layer().with_error::<Rejected>();
        move || {
            let mut service = layer.layer(Never);
            move || made(by_hand(&mut service))
        }
    });
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let unready = Arc::new(Parts::at(1));
            move || {
                let unready = unready.clone();
                let name = black_box(Name::UNNAMED);
                move || {
                    if unready.0.level.0.load(Relaxed) == 0 {
                        return;
                    }
                    add(&unready.mine().refused, 1);
                    made(Rejected::new(Pattern::FailFast, Reason::Shed).with_name(name));
                }
            }
        })
        .note("a load, a count of the thread's own, a refusal");
    operation
        .case(load_shed(), || {
            let limited = ConcurrencyLimit::new(Bare::<Infallible>::new(), 1);
            keep_ready(limited.clone());
            let service = LoadShed::new(limited);
            move || {
                let mut service = service.clone();
                move || made(by_hand(&mut service))
            }
        })
        .note("refuses what is not ready at once");
}

/// Ask a throttler, and tell that the call succeeded.
fn throttle_admit(operation: &mut Operation) {
    operation.case(OURS, || {
        let throttler = throttler(THROTTLE);
        move || {
            let throttler = throttler.clone();
            let mut now = throttler.now();
            move || {
                now = now + STEP;
                let permit = throttler.admit(now, Priority::CRITICAL);
                permit
                    .map(|permit| permit.record(now, Outcome::Success))
                    .is_ok()
            }
        }
    });
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = Arc::new(Parts::at(0));
            move || {
                let parts = state.clone();
                let mut now = NOW;
                move || {
                    now += 100;
                    assert!(parts.level(now) == 0);
                    parts.records(now)
                }
            }
        })
        .note("two loads, a CAS on the thread's own line");
}

/// One that has refused nearly all.
fn throttle_refused(operation: &mut Operation) {
    for (subject, rule) in [(OURS, THROTTLE), ("ours, by the book", BOOK)] {
        operation.case(subject, move || {
            let (throttler, now) = throttling(rule);
            move || {
                let throttler = throttler.clone();
                move || made(throttler.admit(black_box(now), Priority::CRITICAL).err())
            }
        });
    }
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = Arc::new(Parts::at(REFUSING));
            move || {
                let parts = state.clone();
                let name = black_box(Name::UNNAMED);
                move || {
                    let level = parts.level(black_box(NOW));
                    let mine = parts.mine();
                    let luck = add(&mine.luck, 0x9e37_79b9_7f4a_7c15);
                    if CRITICAL + (luck >> 48) >= level {
                        return;
                    }
                    add(&mine.refused, 1);
                    made(Rejected::new(Pattern::Throttler, Reason::Shed).with_name(name));
                }
            }
        })
        .note("two loads, a draw and a count of the thread's own, a refusal");
}

fn throttle_layer_ready(operation: &mut Operation) {
    operation.over(BARE);
    operation.case(OURS, || {
        let layer = throttler(THROTTLE).layer().with_error::<Rejected>();
        move || {
            let mut service = layer.layer(Bare::<Infallible>::new());
            by_hand(&mut service).expect("it is let in");
            move || by_hand(&mut service).is_ok()
        }
    });
    bare(operation);
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = Arc::new(Parts::at(0));
            move || {
                let parts = state.clone();
                let mut service = Bare::<Infallible>::new();
                move || {
                    assert!(parts.level(coarse_nanos()) == 0);
                    let held = black_box(parts.hold());
                    let answer = by_hand(&mut service).is_ok();
                    parts.records(coarse_nanos());
                    drop(held);
                    answer
                }
            }
        })
        .note("two coarse clock reads, two loads, a CAS and a reference of the thread's own");
}

fn throttle_layer_refused(operation: &mut Operation) {
    operation.case(OURS, || {
        let layer = throttling(THROTTLE).0.layer().with_error::<Rejected>();
        move || {
            let mut service = layer.layer(Bare::<Infallible>::new());
            move || made(by_hand(&mut service))
        }
    });
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let state = Arc::new(Parts::at(REFUSING));
            move || {
                let parts = state.clone();
                let name = black_box(Name::UNNAMED);
                move || {
                    let level = parts.level(coarse_nanos());
                    let mine = parts.mine();
                    let luck = add(&mine.luck, 0x9e37_79b9_7f4a_7c15);
                    if CRITICAL + (luck >> 48) >= level {
                        return;
                    }
                    add(&mine.refused, 1);
                    made(Rejected::new(Pattern::Throttler, Reason::Shed).with_name(name));
                }
            }
        })
        .note("the same as the mechanism's, and a coarse clock read");
}

/// The processor time that 100,000 refusals take, as a share of a second,
/// through layers as they stand in a server.
fn refusing(bursts: u32) -> f64 {
    let inner = fail_fast().layer().with_error::<Rejected>();
    let inner = inner.layer(ConcurrencyLimit::new(Bare::<Infallible>::new(), SLOTS));
    let layer = refuses_all().layer().with_error::<Rejected>();
    let mut service = layer.layer(inner);
    by_hand(&mut service).expect_err("it is shed");
    let mut taken = Duration::ZERO;
    for burst in 0..bursts {
        if burst > 0 {
            // Refusals come in bursts, with other work between that takes the
            // caches: nothing is waited for that could be awaited.
            std::thread::sleep(Duration::from_millis(1));
        }
        let before = thread_time();
        for _ in 0..100_000 / bursts {
            made(by_hand(&mut service));
        }
        taken += thread_time() - before;
    }
    taken.as_secs_f64()
}

// --- Ours ---------------------------------------------------------------

/// The time, where it is an argument: the same throughout.
const NOW: u64 = 7_200_000_000_000;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(black_box(nanos))
}

/// With the time at which it decided that half of this priority and all that
/// matters less is refused; or nothing.
fn prioritizer(level: Option<Priority>) -> (Prioritizer, Instant) {
    let pressure = match level {
        Some(_) => Pressure::percent(1_000),
        None => Pressure::NONE,
    };
    let prioritizer = prioritizer::Config::new()
        .named("bench")
        .signal(Watched::new("bench", move |_| pressure))
        .most_refused(Ratio::percent(50))
        .build()
        .expect("a valid configuration");
    (prioritizer.clone(), decided(&prioritizer, level))
}

/// Has a period end far in the future: the real time does not come there.
fn decided(prioritizer: &Prioritizer, level: Option<Priority>) -> Instant {
    let mut now = Clock::Coarse.now() + HOUR;
    for _ in 0..100 {
        now = now + Duration::from_secs(1);
        for _ in 0..100 {
            let _ = prioritizer.admit(now, level.unwrap_or_default());
        }
    }
    let found = prioritizer.level();
    match level {
        None => assert_eq!(found, AdmissionLevel::ALL),
        Some(level) => {
            assert_eq!(found.priority(), level, "{found}");
            assert!((30_000..36_000).contains(&found.refused()), "{found}");
        }
    }
    now
}

fn shedder(level: Option<Priority>) -> (LoadShedder, Instant) {
    let (prioritizer, now) = prioritizer(level);
    (Config::new(&prioritizer).named("bench").build(), now)
}

/// All that a layer asks for, since it carries no other priority.
fn refuses_all() -> LoadShedder {
    shedder(Some(Priority::CRITICAL_PLUS)).0
}

fn upstream(level: Option<Priority>) -> Upstream {
    let config = upstream::Config::new().named("bench").probes(Ratio::ZERO);
    let upstream = config.build().expect("a valid configuration");
    if let Some(priority) = level {
        upstream.hear(at(NOW), AdmissionLevel::at(priority, 32_768));
    }
    upstream
}

/// As much time as passes between two calls, where it is an argument.
const STEP: Duration = Duration::from_nanos(100);

/// By Envoy's rule, which does not count what is refused.
const THROTTLE: fn() -> throttle::Config =
    || throttle::Config::success_rate(Ratio::percent(95)).most_refused(NEARLY_ALL);
/// By Google's, which does.
const BOOK: fn() -> throttle::Config =
    || throttle::Config::accepting(Ratio::percent(200)).most_refused(NEARLY_ALL);
const NEARLY_ALL: Ratio = Ratio::parts_per_million(999_000);

fn throttler(rule: fn() -> throttle::Config) -> Throttler {
    rule()
        .named("bench")
        .build()
        .expect("a valid configuration")
}

/// After calls that all failed, with the time at which it computed its share.
fn throttling(rule: fn() -> throttle::Config) -> (Throttler, Instant) {
    let throttler = throttler(rule);
    let mut now = throttler.now();
    for _ in 0..100_000 {
        if let Ok(permit) = throttler.admit(now, Priority::CRITICAL) {
            permit.record(now, Outcome::Transient);
        }
    }
    now = now + Duration::from_secs(2);
    let _ = throttler.admit(now, Priority::CRITICAL);
    let share = throttler.refused_share();
    assert!(share.ratio() >= Ratio::percent(99), "{share:?}");
    (throttler, now)
}

fn fail_fast() -> FailFast {
    let config = fail_fast::Config::new(Duration::from_secs(1)).named("bench");
    config.build().expect("a valid configuration")
}

/// It has not been ready for too long.
fn fails_fast() -> FailFast {
    let fail_fast = fail_fast();
    let mut wait = Wait::default();
    let now = Clock::Precise.now();
    let _ = fail_fast.found_unready(&mut wait, now);
    let verdict = fail_fast.found_unready(&mut wait, now + Duration::from_secs(1));
    assert_eq!(verdict, Verdict::Refuse);
    fail_fast
}

/// A service that is never ready.
#[derive(Copy, Clone)]
struct Never;

impl Service<u64> for Never {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    #[inline]
    fn call(&mut self, _: u64) -> Self::Future {
        unreachable!("it was never ready")
    }
}

// --- The floors ---------------------------------------------------------

/// A priority as a level compares it.
const CRITICAL: u64 = 128 << 16;
/// A level below which that one is.
const REFUSING: u64 = 192 << 16;

/// What the semantics need: what all threads read, and a line for each, found
/// by the thread's number.
struct Parts(Arc<Shared>);

struct Shared {
    due: Line,
    level: Line,
    lines: [Own; 4],
    held: Slots,
}

/// A thread's own.
#[derive(Default)]
#[repr(align(128))]
struct Own {
    luck: AtomicU64,
    offered: AtomicU64,
    ended: AtomicU64,
    shed: AtomicU64,
    refused: AtomicU64,
}

impl Parts {
    fn at(level: u64) -> Self {
        Parts(Arc::new(Shared {
            due: Line(u64::MAX.into()),
            level: Line(level.into()),
            lines: Default::default(),
            held: Slots::new(1),
        }))
    }

    /// The level, unless it is time for another.
    #[inline(always)]
    fn level(&self, now: u64) -> u64 {
        assert!(now < self.0.due.0.load(Relaxed));
        self.0.level.0.load(Relaxed)
    }

    #[inline(always)]
    fn mine(&self) -> &Own {
        thread_local!(static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) });
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let mut number = NUMBER.get();
        if number == usize::MAX {
            number = NUMBERS.fetch_add(1, Relaxed) as usize;
            NUMBER.set(number);
        }
        &self.0.lines[number]
    }

    #[inline(always)]
    fn asks(&self, now: u64, priority: u64) -> Result<(), u64> {
        let level = self.level(now);
        let mine = self.mine();
        add(&mine.offered, 1);
        if level == 0 {
            return Ok(());
        }
        let luck = add(&mine.luck, 0x9e37_79b9_7f4a_7c15);
        if priority + (luck >> 48) >= level {
            return Ok(());
        }
        add(&mine.shed, 1);
        Err(luck)
    }

    #[inline(always)]
    fn ended(&self) {
        add(&self.mine().ended, 1);
    }

    /// Counts one in a window, unless it slides.
    #[inline(always)]
    fn records(&self, now: u64) -> bool {
        let line = &self.mine().ended;
        let seen = line.load(Relaxed);
        now >= seen >> 32
            && line
                .compare_exchange_weak(
                    seen,
                    seen.wrapping_add(1) & u64::from(u32::MAX),
                    Relaxed,
                    Relaxed,
                )
                .is_ok()
    }

    #[inline(always)]
    fn hold(&self) -> Kept {
        self.0.held.hold()
    }
}

/// On a line that only this thread writes.
#[inline(always)]
fn add(to: &AtomicU64, more: u64) -> u64 {
    let sum = to.load(Relaxed).wrapping_add(more);
    to.store(sum, Relaxed);
    sum
}

fn bare(operation: &mut Operation) {
    operation.case(BARE, || {
        || {
            let mut service = Bare::<Infallible>::new();
            move || by_hand(&mut service).is_ok()
        }
    });
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

fn parts_of_no(operation: &mut Operation, now: impl Fn() -> u64 + Copy + Send + Sync + 'static) {
    operation
        .case(PARTS, move || {
            let state = Arc::new(Parts::at(REFUSING));
            move || {
                let parts = state.clone();
                let name = black_box(Name::UNNAMED);
                let wait = black_box(1_000_000_000_u64);
                move || {
                    let Err(luck) = parts.asks(now(), CRITICAL) else {
                        return;
                    };
                    add(&parts.mine().refused, 1);
                    let jitter = (u128::from(wait) * u128::from(luck)) >> 64;
                    let rejected = Rejected::new(Pattern::LoadShedder, Reason::Shed);
                    let rejected = rejected.with_name(name);
                    made(rejected.with_retry_after_nanos(wait + jitter as u64));
                }
            }
        })
        .note("the loads, three counts and a draw of the thread's own, a refusal; in layers the clock");
}

// --- The peers ----------------------------------------------------------

fn load_shed() -> String {
    peer("tower") + ", LoadShed over ConcurrencyLimit"
}

fn little_loadshedder() -> String {
    peer("little-loadshedder")
}

fn little<S>(inner: S) -> little_loadshedder::LoadShed<S> {
    little_loadshedder::LoadShed::new(inner, 0.01, Duration::from_millis(1))
}

fn resilient() -> String {
    peer("tower-resilience-bulkhead") + ", reject_when_full"
}

fn recloser() -> String {
    peer("recloser") + ", open"
}

fn open_recloser() -> recloser::Recloser {
    let breaker = recloser::Recloser::custom()
        .closed_len(10)
        .open_wait(HOUR)
        .build();
    while !matches!(
        breaker.call(|| Err::<(), _>(())),
        Err(recloser::Error::Rejected)
    ) {}
    breaker
}
