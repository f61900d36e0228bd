//! The bulkhead beside its floors and its peers.
//!
//! Judged is what a slot costs that is free, taken and given back, as a plain
//! mechanism and as a tower layer around a ready no-op service; what a refusal
//! costs when none is; and what it costs to hand a slot to who waits for it.
//!
//! There are 1024 slots, so that nobody is refused, or none is left, so that
//! all are. The queue hands over by hand: a future is polled once, a slot is
//! given back, and the future is polled again; at two threads until it has its
//! slot, which the other may still be busy with. No peer has weights with
//! guarantees, or slots by key: there are only floors. With ten thousand keys
//! what is measured is mostly caches, so those figures vary from run to run.
//! Not shown: what a runtime adds to a wait, priorities, and long queues. It is
//! one file, as every bench is: one pattern, its operations, its peers.

mod harness;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axiomatic_capacity::bulkhead::{
    Admission, Ask, Bulkhead, Config, KeyedBulkhead, Order, Partitions, Sharing, WhenFull,
};
use axiomatic_core::keyed::WhenFull as WhenCrowded;
use axiomatic_core::{BoxError, Name, Pattern, Ratio, Reason, Rejected};
use harness::{
    BARE, Bare, Busy, Line, OURS, Operation, PARTS, Slots, Suite, allocations, by_hand,
    coarse_nanos, enter_a_runtime, instructions, keep_ready, occupy, peer, ratio, runtime, time,
};
use tokio::sync::Semaphore;
use tower::limit::{ConcurrencyLimit, GlobalConcurrencyLimitLayer};
use tower::load_shed::LoadShed;
use tower_layer::Layer;
use tower_resilience_bulkhead::BulkheadLayer as ResilientLayer;
use tower_service::Service;

const SLOTS: NonZeroU32 = NonZeroU32::new(1024).unwrap();
const WEIGHT: NonZeroU32 = NonZeroU32::new(3).unwrap();
const KEYS: u64 = 10_000;
const HOUR: Duration = Duration::from_secs(3_600);
const BOXED: &str = "ours, boxed error";
const BORROWING: &str = "ours, borrowing";
const PARTS_BORROWING: &str = "floor:parts, borrowing";

fn main() -> ExitCode {
    let mut suite = Suite::new("bulkhead");
    admit(suite.operation("mechanism/admit"));
    owned(suite.operation("mechanism/owned"));
    weighted(suite.operation("mechanism/weighted"));
    partition(suite.operation("mechanism/partition"));
    keyed(suite.operation("mechanism/keyed"));
    refused(suite.operation("mechanism/refused"));
    layer_ready(suite.operation("layer/ready"));
    layer_refused(suite.operation("layer/refused"));
    queued_ready(suite.operation("queued/ready"));
    hand_over(suite.operation("queue/hand-over"));
    goals(&mut suite);
    suite.run()
}

fn goals(suite: &mut Suite) {
    let mechanisms = [
        "mechanism/admit",
        "mechanism/owned",
        "mechanism/weighted",
        "mechanism/partition",
        "mechanism/keyed",
        "mechanism/refused",
        "layer/refused",
        "queue/hand-over",
    ];
    for operation in mechanisms {
        suite.goal(
            &format!("{operation} to its parts"),
            ratio(time(operation, OURS), time(operation, PARTS)).at_most(1.4),
        );
    }
    let partition = "mechanism/partition";
    suite.goal(
        "mechanism/partition, borrowing, to its parts",
        ratio(time(partition, BORROWING), time(partition, PARTS_BORROWING)).at_most(1.4),
    );

    let over = |operation: &str, subject: &str| time(operation, subject).over(BARE);
    let resilient = peer("tower-resilience-bulkhead");
    for operation in ["layer/ready", "queued/ready"] {
        suite.goal(
            &format!("{operation}, over bare, to its parts"),
            ratio(over(operation, OURS), over(operation, PARTS)).at_most(1.4),
        );
        suite.goal(
            &format!("{operation}, over bare, to tower's ConcurrencyLimit"),
            ratio(over(operation, OURS), over(operation, &concurrency_limit())).at_most(0.6),
        );
    }
    let ready = "layer/ready";
    suite.goal(
        "layer/ready, two threads, to tower's GlobalConcurrencyLimit",
        ratio(
            over(ready, OURS).threads(2),
            over(ready, &global_limit()).threads(2),
        )
        .at_most(0.5),
    );
    suite.goal(
        "layer/ready, over bare, to tower-resilience",
        ratio(over(ready, OURS), over(ready, &resilient)).at_most(0.1),
    );
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
    for operation in mechanisms
        .into_iter()
        .chain(["layer/ready", "queued/ready"])
    {
        suite.goal(
            &format!("{operation}, allocations"),
            allocations(operation, OURS).at_most(0.0),
        );
    }
}

// --- The operations -----------------------------------------------------

/// Take a slot and give it back.
fn admit(operation: &mut Operation) {
    operation.case(OURS, || {
        let bulkhead = ours();
        move || {
            let bulkhead = bulkhead.clone();
            move || bulkhead.admit().map(drop).is_ok()
        }
    });
    operation.fetch_add();
    parts(operation, 1);
    operation.case(semaphore(), || {
        let semaphore = Arc::new(Semaphore::new(SLOTS.get() as usize));
        move || {
            let semaphore = semaphore.clone();
            move || semaphore.try_acquire().map(drop).is_ok()
        }
    });
}

/// The same with a permit that outlives the borrow.
fn owned(operation: &mut Operation) {
    operation.case(OURS, || {
        let bulkhead = ours();
        move || {
            let bulkhead = bulkhead.clone();
            move || bulkhead.admit_owned(Ask::default()).map(drop).is_ok()
        }
    });
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let slots = Slots::new(SLOTS.get());
            move || {
                let slots = slots.clone();
                move || {
                    assert!(slots.take(1));
                    let held = black_box(slots.hold());
                    slots.give_back(1);
                    drop(held);
                }
            }
        })
        .note("a CAS, a fetch_sub, a reference that the thread keeps");
    operation.case(semaphore(), || {
        let semaphore = Arc::new(Semaphore::new(SLOTS.get() as usize));
        move || {
            let semaphore = semaphore.clone();
            move || semaphore.clone().try_acquire_owned().map(drop).is_ok()
        }
    });
}

/// Take three slots at once.
fn weighted(operation: &mut Operation) {
    operation.case(OURS, || {
        let bulkhead = ours();
        move || {
            let bulkhead = bulkhead.clone();
            move || bulkhead.admit_weighing(black_box(WEIGHT)).map(drop).is_ok()
        }
    });
    operation.fetch_add();
    parts(operation, WEIGHT.get());
    operation.case(semaphore(), || {
        let semaphore = Arc::new(Semaphore::new(SLOTS.get() as usize));
        move || {
            let semaphore = semaphore.clone();
            move || {
                let weight = black_box(WEIGHT).get();
                semaphore.try_acquire_many(weight).map(drop).is_ok()
            }
        }
    });
}

/// Take a slot that is guaranteed to a partition.
fn partition(operation: &mut Operation) {
    for (subject, sharing) in [(OURS, Sharing::Reserved), (BORROWING, Sharing::Borrowing)] {
        operation.case(subject, move || {
            let shares = Partitions::new(sharing)
                .with("search", Ratio::percent(20))
                .with("checkout", Ratio::percent(50));
            let bulkhead = built(Config::new(SLOTS).partitions(shares));
            let checkout = bulkhead.partition("checkout").expect("it was named");
            let checkout = bulkhead.within(checkout);
            move || {
                let checkout = checkout.clone();
                move || checkout.admit().map(drop).is_ok()
            }
        });
    }
    operation.fetch_add();
    parts(operation, 1);
    operation
        .case(PARTS_BORROWING, || {
            let (own, common) = (Slots::new(SLOTS.get() / 2), Slots::new(SLOTS.get()));
            move || {
                let (own, common) = (own.clone(), common.clone());
                move || {
                    assert!(own.take(1));
                    common.take_beyond(1);
                    own.give_back(1);
                    common.give_back(1);
                }
            }
        })
        .note("a CAS, a fetch_add, two fetch_subs");
}

/// Look the bulkhead of a key up, take a slot of it, and give it back.
fn keyed(operation: &mut Operation) {
    operation.case(OURS, || {
        let cap = NonZeroU32::new(20_000).expect("not zero");
        let bulkheads = KeyedBulkhead::<u64>::new(Config::new(SLOTS), cap, WhenCrowded::Refuse)
            .expect("the configuration is valid");
        for key in 0..KEYS {
            drop(bulkheads.admit(&key, Ask::default()).expect("a new key"));
        }
        move || {
            let bulkheads = bulkheads.clone();
            let mut key = 0;
            move || {
                key = (key + 7) % KEYS;
                bulkheads.admit(&key, Ask::default()).map(drop).is_ok()
            }
        }
    });
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let map = papaya::HashMap::<u64, Slots>::new();
            for key in 0..KEYS {
                map.pin().insert(key, Slots::new(SLOTS.get()));
            }
            let map = Arc::new(map);
            move || {
                let map = map.clone();
                let mut key = 0;
                move || {
                    key = (key + 7) % KEYS;
                    let held = {
                        let map = map.pin();
                        let slots = map.get(&key).expect("it was inserted");
                        assert!(slots.take(1));
                        slots.count()
                    };
                    black_box(&held).give_back(1);
                }
            }
        })
        .note("papaya's lookup, a CAS, a fetch_sub, an Arc");
}

/// Ask when none is left.
fn refused(operation: &mut Operation) {
    operation.case(OURS, || {
        let bulkhead = full();
        move || {
            let bulkhead = bulkhead.clone();
            move || made(bulkhead.admit().err())
        }
    });
    operation.fetch_add();
    parts_of_no(operation);
    operation
        .case(semaphore(), || {
            let semaphore = Arc::new(Semaphore::new(0));
            move || {
                let semaphore = semaphore.clone();
                move || made(semaphore.try_acquire().err())
            }
        })
        .note("counts no refusals, and names nobody");
}

/// `ready().await` and `call().await` with slots to spare; the call succeeds.
fn layer_ready(operation: &mut Operation) {
    operation.over(BARE);
    operation.case(OURS, || {
        let layer = ours().layer().with_error::<Rejected>();
        move || {
            let mut service = layer.layer(Bare::<Infallible>::new());
            by_hand(&mut service).expect("there are slots");
            move || by_hand(&mut service).is_ok()
        }
    });
    operation.case(BOXED, || {
        let layer = ours().layer();
        move || {
            let mut service = layer.layer(Bare::<BoxError>::new());
            by_hand(&mut service).expect("there are slots");
            move || by_hand(&mut service).is_ok()
        }
    });
    bare(operation);
    operation.fetch_add();
    parts_of_call(operation);
    tower_ready(operation);
    for (subject, rejects) in [("", false), (", reject_when_full", true)] {
        operation.case(peer("tower-resilience-bulkhead") + subject, move || {
            let config = ResilientLayer::builder().max_concurrent_calls(SLOTS.get() as usize);
            let config = if rejects {
                config.reject_when_full()
            } else {
                config
            };
            let layer = config.build().expect("there are slots");
            let service = layer.layer(Bare::<Infallible>::new());
            move || {
                enter_a_runtime();
                let mut service = service.clone();
                move || by_hand(&mut service).is_ok()
            }
        });
    }
}

/// The same through the layer whose calls wait where there is none.
fn queued_ready(operation: &mut Operation) {
    operation.over(BARE);
    operation.case(OURS, || {
        let bulkhead = built(Config::new(SLOTS).when_full(WAIT));
        let layer = bulkhead.queued_layer().with_error::<Rejected>();
        move || {
            let mut service = layer.layer(Bare::<Infallible>::new());
            by_hand(&mut service).expect("there are slots");
            move || by_hand(&mut service).is_ok()
        }
    });
    bare(operation);
    operation.fetch_add();
    parts_of_call(operation);
    tower_ready(operation);
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
    operation
        .case(BOXED, || {
            let layer = full().layer();
            move || {
                let mut service = layer.layer(Bare::<BoxError>::new());
                by_hand(&mut service).expect_err("it is full");
                move || made(by_hand(&mut service))
            }
        })
        .note("a refusal that says what it knows needs a box of its own");
    operation.fetch_add();
    parts_of_no(operation);
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
    operation
        .case(
            peer("tower-resilience-bulkhead") + ", reject_when_full",
            || {
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
            },
        )
        .note("waits for a timer of no time, in a runtime");
}

/// Wait in the queue, and be handed the slot that is given back.
fn hand_over(operation: &mut Operation) {
    operation.case(OURS, || {
        let two = NonZeroU32::new(THREADS).expect("not zero");
        let bulkhead = built(Config::new(two).when_full(WAIT));
        // Each thread has one slot between two operations, and the rest is
        // taken: here all others, and one at two threads.
        let spare = Arc::new(Mutex::new(Vec::new()));
        while let Ok(permit) = bulkhead.admit_owned(Ask::default()) {
            spare.lock().expect("nobody panics").push(permit);
        }
        move || {
            let bulkhead = bulkhead.clone();
            let mut held = spare.lock().expect("nobody panics").pop();
            assert!(held.is_some(), "there is a slot for each thread");
            move || {
                let asked = bulkhead.admit_or_wait(Ask::default());
                let Ok(Admission::Waiting(waiting)) = asked else {
                    unreachable!("every slot is taken");
                };
                let mut waiting = pin!(waiting);
                let mut context = Context::from_waker(Waker::noop());
                let early = waiting.as_mut().poll(&mut context);
                drop(held.take());
                held = match early {
                    Poll::Ready(permit) => permit.ok(),
                    Poll::Pending => until_ready(waiting).ok(),
                };
            }
        }
    });
    operation.fetch_add();
    operation
        .case(PARTS, || {
            let slots = Slots::new(THREADS + 1);
            let queue = Arc::new(Mutex::new(VecDeque::<Waker>::with_capacity(16)));
            let is_waited_for = Arc::new(Line::default());
            move || {
                let (slots, queue) = (slots.clone(), queue.clone());
                let is_waited_for = is_waited_for.clone();
                assert!(slots.take(1));
                move || {
                    let locked = || queue.lock().expect("nobody panics");
                    black_box(coarse_nanos());
                    locked().push_back(Waker::noop().clone());
                    is_waited_for.0.fetch_or(1, Relaxed);
                    slots.give_back(1);
                    let waker = {
                        let mut queue = locked();
                        assert!(slots.take(1));
                        is_waited_for.0.fetch_and(!1, Relaxed);
                        queue.pop_front()
                    };
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                    black_box(locked().len());
                }
            }
        })
        .note("three locks, a CAS, a fetch_sub, a bit set and cleared, a coarse clock read");
    operation.case(semaphore(), || {
        // Without a permit that nobody has: each thread has one.
        let semaphore = Arc::new(Semaphore::new(0));
        move || {
            let semaphore = semaphore.clone();
            move || {
                let mut acquire = pin!(semaphore.acquire());
                let mut context = Context::from_waker(Waker::noop());
                let early = acquire.as_mut().poll(&mut context);
                semaphore.add_permits(1);
                let permit = match early {
                    Poll::Ready(permit) => permit,
                    Poll::Pending => until_ready(acquire),
                };
                permit.expect("nobody closes it").forget();
            }
        }
    });
}

// --- Ours ---------------------------------------------------------------

/// How many threads there are at most.
const THREADS: u32 = 2;

const WAIT: WhenFull = WhenFull::Wait {
    max_waiting: 16,
    max_wait: HOUR,
    order: Order::Fifo,
};

fn ours() -> Bulkhead {
    built(Config::new(SLOTS).named("database"))
}

fn built(config: Config) -> Bulkhead {
    config.build().expect("the configuration is valid")
}

/// Its only slot is taken for ever.
fn full() -> Bulkhead {
    let bulkhead = built(Config::new(NonZeroU32::MIN).named("database"));
    let permit = bulkhead.admit_owned(Ask::default());
    std::mem::forget(permit.expect("there is a slot"));
    bulkhead
}

/// A future's output, where another thread is about to bring it about.
fn until_ready<F: Future + Unpin>(mut future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = std::pin::Pin::new(&mut future).poll(&mut context) {
            return output;
        }
        std::hint::spin_loop();
    }
}

// --- The floors ---------------------------------------------------------

fn bare(operation: &mut Operation) {
    operation.case(BARE, || {
        || {
            let mut service = Bare::<Infallible>::new();
            move || by_hand(&mut service).is_ok()
        }
    });
}

fn parts(operation: &mut Operation, weight: u32) {
    operation
        .case(PARTS, move || {
            let slots = Slots::new(SLOTS.get());
            move || {
                let slots = slots.clone();
                move || {
                    let weight = black_box(weight);
                    assert!(slots.take(weight));
                    slots.give_back(weight);
                }
            }
        })
        .note("a CAS and a fetch_sub");
}

fn parts_of_call(operation: &mut Operation) {
    operation
        .case(PARTS, || {
            let slots = Slots::new(SLOTS.get());
            move || {
                let slots = slots.clone();
                let mut service = Bare::<Infallible>::new();
                move || {
                    assert!(slots.take(1));
                    let held = black_box(slots.hold());
                    let answer = by_hand(&mut service).is_ok();
                    slots.give_back(1);
                    drop(held);
                    answer
                }
            }
        })
        .note("a CAS, a fetch_sub, a reference that the thread keeps");
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
                let refused = Box::new(Line::default());
                let name = black_box(Name::UNNAMED);
                move || {
                    if slots.take(1) {
                        return;
                    }
                    refused.0.store(refused.0.load(Relaxed) + 1, Relaxed);
                    made(Rejected::new(Pattern::Bulkhead, Reason::Full).with_name(name));
                }
            }
        })
        .note("a load, a count of the thread's own, a refusal");
}

// --- The peers ----------------------------------------------------------

fn semaphore() -> String {
    peer("tokio") + ", Semaphore"
}

fn concurrency_limit() -> String {
    peer("tower") + ", ConcurrencyLimit"
}

fn global_limit() -> String {
    peer("tower") + ", GlobalConcurrencyLimit"
}

fn load_shed() -> String {
    peer("tower") + ", LoadShed over ConcurrencyLimit"
}

fn tower_ready(operation: &mut Operation) {
    operation.case(concurrency_limit(), || {
        let service = ConcurrencyLimit::new(Bare::<Infallible>::new(), SLOTS.get() as usize);
        move || {
            let mut service = service.clone();
            move || by_hand(&mut service).is_ok()
        }
    });
    operation.case(global_limit(), || {
        let layer = GlobalConcurrencyLimitLayer::new(SLOTS.get() as usize);
        move || {
            let mut service = layer.layer(Bare::<Infallible>::new());
            move || by_hand(&mut service).is_ok()
        }
    });
}
