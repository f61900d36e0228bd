//! The layers of capacity: what rejects, what waits, what reserves.

use axiomatic_capacity::adaptive::{self, AdaptiveLimit, LimitAlgorithm, Sample, Step, Why};
use axiomatic_capacity::bulkhead::{
    Bulkhead, Config, KeyedBulkhead, Order, Partitions, Sharing, WhenFull,
};
use axiomatic_capacity::load_shed::fail_fast::{self, FailFast};

use super::*;

/// Longer than the kit ever lets pass, so that nobody gives up waiting.
const PATIENT: Duration = Duration::from_secs(1_000_000);

/// Whether a call would be refused is known once there is a request.
const KNOWS_NO_REQUEST: &str = "readiness knows no key and no partition";

fn slots(count: usize) -> NonZeroU32 {
    NonZeroU32::new(u32::try_from(count).unwrap()).unwrap()
}

fn waits(order: Order) -> WhenFull {
    WhenFull::Wait {
        max_waiting: 20,
        max_wait: PATIENT,
        order,
    }
}

fn bulkhead(limit: usize) -> Bulkhead {
    Config::new(slots(limit)).build().unwrap()
}

fn queued(limit: usize, order: Order) -> Bulkhead {
    Config::new(slots(limit))
        .when_full(waits(order))
        .build()
        .unwrap()
}

/// A limit that stays where it is.
#[derive(Debug)]
struct Fixed(u32);

impl LimitAlgorithm for Fixed {
    fn initial(&self) -> u32 {
        self.0
    }

    fn step(&mut self, _: &Sample) -> Step {
        Step {
            limit: self.0,
            why: Why::Steady,
        }
    }
}

fn adaptive(limit: usize, when_full: WhenFull) -> AdaptiveLimit {
    let limit = u32::try_from(limit).unwrap();
    let config = adaptive::Config::new(Fixed(limit)).when_full(when_full);
    config.build().unwrap()
}

/// It has so many slots, all of which can be taken from outside.
fn bulkhead_subject<'a, L>(bulkhead: &Bulkhead, limit: usize, layer: L) -> Subject<'a, L::Service>
where
    L: Layer<Probe> + 'a,
{
    let (counted, taken) = (bulkhead.clone(), Rc::new(RefCell::new(None)));
    let (taker, given) = (bulkhead.clone(), Rc::clone(&taken));
    Subject::new(layer)
        .limit_in_flight(limit)
        .held(move || counted.snapshot().in_flight() as usize)
        .refuse(move || {
            let all = axiomatic_capacity::bulkhead::Ask::default().weighing(slots(limit));
            *taken.borrow_mut() = Some(taker.admit_owned(all).unwrap());
        })
        .relent(move || drop(given.take()))
}

#[test]
fn a_bulkhead_keeps_the_contract() {
    for limit in [1, 2] {
        Contract::new(Class::Direct, || {
            let bulkhead = bulkhead(limit);
            bulkhead_subject(&bulkhead, limit, bulkhead.layer())
        })
        .assert();
        Contract::new(Class::Direct, || {
            let bulkhead = bulkhead(limit);
            bulkhead_subject(&bulkhead, limit, bulkhead.layer().with_error::<Typed>())
        })
        .assert();
    }
}

#[test]
fn a_bulkhead_by_weight_key_or_partition_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let bulkhead = bulkhead(6);
        let layer = bulkhead.layer().weighing(|_: &Request| slots(3));
        let counted = bulkhead.clone();
        Subject::new(layer)
            .limit_in_flight(2)
            .held(move || counted.snapshot().in_flight() as usize)
    })
    .assert();
    Contract::new(Class::Direct, || {
        let tenants: KeyedBulkhead<u64> =
            KeyedBulkhead::new(Config::new(slots(2)), slots(9), WhenFullOfKeys::Refuse).unwrap();
        let counted = tenants.bulkhead(&7).unwrap();
        Subject::new(tenants.layer(|_: &Request| 7))
            .limit_in_flight(2)
            .held(move || counted.snapshot().in_flight() as usize)
    })
    .except(Obligation::RefusalSkipsInner, KNOWS_NO_REQUEST)
    .assert();
    for sharing in [Sharing::Reserved, Sharing::Borrowing] {
        Contract::new(Class::Direct, || {
            let shares = Partitions::new(sharing).with("own", Ratio::percent(50));
            let bulkhead = Config::new(slots(2)).partitions(shares).build().unwrap();
            let own = bulkhead.partition("own");
            let layer = bulkhead.layer().partitioned(move |_: &Request| own);
            let counted = bulkhead.clone();
            Subject::new(layer)
                .limit_in_flight(2)
                .held(move || counted.snapshot().in_flight() as usize)
        })
        .except(Obligation::RefusalSkipsInner, KNOWS_NO_REQUEST)
        .assert();
    }
}

#[test]
fn a_bulkhead_that_refuses_nobody_keeps_the_contract() {
    for mode in [Mode::Shadow, Mode::Off] {
        Contract::new(Class::Direct, || {
            let bulkhead = bulkhead(1);
            bulkhead.set_mode(mode);
            Subject::new(bulkhead.layer())
        })
        .assert();
        let runtime = paused();
        let _entered = runtime.enter();
        Contract::new(Class::Waiting, || {
            let bulkhead = queued(1, Order::Fifo);
            bulkhead.set_mode(mode);
            Subject::new(bulkhead.queued_layer())
        })
        .passing_time(|time| pass(&runtime, time))
        .assert();
    }
}

#[test]
fn a_queued_bulkhead_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    for order in [Order::Fifo, Order::Lifo, Order::default()] {
        for limit in [1, 2] {
            Contract::new(Class::Waiting, || {
                let bulkhead = queued(limit, order);
                let counted = bulkhead.clone();
                Subject::new(bulkhead.queued_layer())
                    .limit_in_flight(limit)
                    .held(move || {
                        let snapshot = counted.snapshot();
                        (snapshot.in_flight() + snapshot.waiting()) as usize
                    })
            })
            .passing_time(|time| pass(&runtime, time))
            .assert();
        }
    }
    Contract::new(Class::Waiting, || {
        let layer = queued(2, Order::Fifo).queued_layer().with_error::<Typed>();
        Subject::new(layer).limit_in_flight(2)
    })
    .passing_time(|time| pass(&runtime, time))
    .assert();
}

/// A queue without a place to wait in refuses.
#[test]
fn a_queued_bulkhead_where_nobody_waits_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Waiting, || {
        let bulkhead = bulkhead(1);
        bulkhead_subject(&bulkhead, 1, bulkhead.queued_layer())
    })
    .passing_time(|time| pass(&runtime, time))
    .assert();
}

#[test]
fn a_reserving_bulkhead_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let bulkhead = queued(2, Order::Fifo);
        Subject::new(bulkhead.reserving_layer()).limit_in_flight(2)
    })
    .except(
        Obligation::IdleHoldsNothing,
        "who asks for readiness as backpressure asks for this",
    )
    .assert();
}

#[test]
fn an_adaptive_limit_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    for limit in [1, 2] {
        Contract::new(Class::Direct, || {
            let adaptive = adaptive(limit, WhenFull::Reject);
            let counted = adaptive.clone();
            Subject::new(adaptive.layer())
                .limit_in_flight(limit)
                .held(move || counted.snapshot().in_flight() as usize)
        })
        .assert();
        Contract::new(Class::Waiting, || {
            let adaptive = adaptive(limit, waits(Order::Fifo));
            let counted = adaptive.clone();
            Subject::new(adaptive.queued_layer().with_error::<Typed>())
                .limit_in_flight(limit)
                .held(move || counted.snapshot().in_flight() as usize)
        })
        .passing_time(|time| pass(&runtime, time))
        .assert();
    }
    for mode in [Mode::Shadow, Mode::Off] {
        Contract::new(Class::Direct, || {
            let adaptive = adaptive(1, WhenFull::Reject);
            adaptive.set_mode(mode);
            Subject::new(adaptive.layer())
        })
        .assert();
    }
}

/// The slot is given back at the end of the body.
#[test]
fn a_bulkhead_to_the_end_of_the_body_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let bulkhead = bulkhead(2);
        let layer = bulkhead.layer().with_binding(Http.to_body_end());
        let counted = bulkhead.clone();
        at_body_end(layer).held(move || counted.snapshot().in_flight() as usize)
    })
    .assert();
}

fn failing_after(time: Duration) -> FailFast {
    fail_fast::Config::new(time).build().unwrap()
}

#[test]
fn a_fail_fast_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    Contract::new(Class::Shedding, || {
        Subject::new(failing_after(Duration::ZERO).layer())
    })
    .assert();
    Contract::new(Class::Shedding, || {
        Subject::new(failing_after(SECOND).layer().with_error::<Typed>())
    })
    .passing_time(|time| pass(&runtime, time))
    .except(
        Obligation::ShedLeavesQueue,
        "for a second it is no shed call, and waits",
    )
    .assert();
}

#[test]
fn a_fail_fast_that_refuses_nobody_keeps_the_contract() {
    let runtime = paused();
    let _entered = runtime.enter();
    for mode in [Mode::Shadow, Mode::Off] {
        Contract::new(Class::Shedding, || {
            let fail_fast = failing_after(SECOND);
            fail_fast.set_mode(mode);
            Subject::new(fail_fast.layer())
        })
        .passing_time(|time| pass(&runtime, time))
        .except(Obligation::ShedLeavesQueue, "it sheds nobody")
        .assert();
    }
}

#[test]
fn layers_of_capacity_ask_for_nothing_but_clones_where_they_wait() {
    let runtime = paused();
    let _entered = runtime.enter();
    let direct = bulkhead(9).layer();
    local::accepts_local(&direct);
    local::accepts_local(&direct.clone().with_error::<Typed>());
    local::stays_send(&direct);
    let adaptive = adaptive(9, WhenFull::Reject).layer();
    local::accepts_local(&adaptive);
    local::stays_send(&adaptive);
    let reserving = bulkhead(9).reserving_layer();
    local::accepts_local(&reserving);
    local::stays_send(&reserving);
    let queued = queued(9, Order::Fifo).queued_layer();
    local::accepts_local_clone(&queued);
    local::accepts_local_clone(&queued.clone().with_error::<Typed>());
    local::stays_send(&queued);
    let fail_fast = failing_after(SECOND).layer();
    local::accepts_local_clone(&fail_fast);
    local::accepts_local_clone(&fail_fast.clone().with_error::<Typed>());
    local::stays_send(&fail_fast);
}
