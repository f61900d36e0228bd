//! Calls that wait in a queue that may be overloaded, in paused time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use axiomatic_capacity::bulkhead::{Bulkhead, Config, Order};
use axiomatic_core::context::{Deadline, Priority};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Context, Reason, Rejected};
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};

use super::config;
use crate::support::{Carried, Held, MILLI, slots, waiting};

/// How a call went.
#[derive(Clone, Copy, Debug)]
struct Went {
    priority: Priority,
    /// How long it waited until it was served or refused.
    waited: Duration,
    became: Result<(), Reason>,
}

type Log = Rc<RefCell<Vec<Went>>>;

/// Calls that take 2 ms each, one at a time, and how each of them went.
struct Traffic {
    bulkhead: Bulkhead,
    calls: tokio::task::LocalSet,
    log: Log,
}

impl Traffic {
    fn through(bulkhead: Bulkhead) -> Self {
        Traffic {
            bulkhead,
            calls: tokio::task::LocalSet::new(),
            log: Log::default(),
        }
    }

    fn call(&self, priority: Priority) {
        let came = tokio::time::Instant::now();
        let (served, log) = (Rc::clone(&self.log), Rc::clone(&self.log));
        let inner = service_fn(move |_: Context| {
            served.borrow_mut().push(Went {
                priority,
                waited: came.elapsed(),
                became: Ok(()),
            });
            async {
                sleep(2 * MILLI).await;
                Ok::<_, Rejected>(())
            }
        });
        let layer = self.bulkhead.queued_layer();
        let service = layer.with_error().with_binding(Carried).layer(inner);
        let call = service.oneshot(Context::default().with_priority(priority));
        self.calls.spawn_local(async move {
            if let Err(rejected) = call.await {
                log.borrow_mut().push(Went {
                    priority,
                    waited: came.elapsed(),
                    became: Err(rejected.reason()),
                });
            }
        });
    }

    /// A call in each millisecond of so many: twice what can be served.
    async fn overload(&self, millis: u32) {
        for _ in 0..millis {
            self.call(Priority::CRITICAL);
            self.calls.run_until(sleep(MILLI)).await;
        }
    }

    fn take_log(&self) -> Vec<Went> {
        self.log.take()
    }
}

fn waits_of_served(log: &[Went]) -> Vec<Duration> {
    let served = log.iter().filter(|one| one.became.is_ok());
    let mut waits: Vec<_> = served.map(|one| one.waited).collect();
    waits.sort();
    waits
}

fn refused(log: &[Went]) -> Vec<Went> {
    let refused = log.iter().filter(|one| one.became.is_err());
    refused.copied().collect()
}

#[tokio::test(start_paused = true)]
async fn in_an_overload_nobody_is_served_who_has_waited_longer_than_the_drop_age() {
    let traffic = Traffic::through(config(Order::Fifo).build().unwrap());
    traffic.overload(100).await;
    let begin = waits_of_served(&traffic.take_log());
    assert!(*begin.last().unwrap() < 60 * MILLI, "{begin:?}");
    assert!(traffic.bulkhead.snapshot().is_overloaded());

    traffic.overload(1_000).await;
    let log = traffic.take_log();
    let waits = waits_of_served(&log);
    assert!(*waits.last().unwrap() < 20 * MILLI, "{waits:?}");
    // Nothing that could be served was left undone.
    assert!((499..=501).contains(&waits.len()), "{}", waits.len());
    let refused = refused(&log);
    assert!(refused.iter().all(|one| one.became == Err(Reason::Shed)));
    assert!(refused.iter().all(|one| one.waited <= 21 * MILLI));
    assert!(refused.len() >= 490);
}

/// The same without, for comparison.
#[tokio::test(start_paused = true)]
async fn without_controlled_delay_everybody_waits_as_long_as_anybody_can() {
    let bulkhead = Config::new(slots(1)).when_full(waiting(Order::Fifo));
    let traffic = Traffic::through(bulkhead.build().unwrap());
    traffic.overload(1_000).await;
    let waits = waits_of_served(&traffic.take_log());
    assert!(waits[waits.len() / 2] > 80 * MILLI, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_burst_that_drains_within_the_interval_loses_nobody() {
    // The last of 28 is served after 54 ms: none is old for longer than 44 ms.
    let traffic = Traffic::through(config(Order::Fifo).build().unwrap());
    (0..28).for_each(|_| traffic.call(Priority::CRITICAL));
    traffic.calls.run_until(sleep(200 * MILLI)).await;
    assert_eq!(waits_of_served(&traffic.take_log()).len(), 28);

    // Of 40, those are refused who are there after 60 ms.
    (0..40).for_each(|_| traffic.call(Priority::CRITICAL));
    traffic.calls.run_until(sleep(200 * MILLI)).await;
    let log = traffic.take_log();
    let served = waits_of_served(&log).len();
    assert!((29..=31).contains(&served), "{served}");
    let refused = refused(&log);
    assert!(refused.iter().all(|one| one.became == Err(Reason::Shed)));
    assert_eq!(refused.len(), 40 - served);
}

#[tokio::test(start_paused = true)]
async fn who_comes_last_is_served_at_once_and_who_came_first_is_not_left_to_wait() {
    let adaptive = Order::Adaptive {
        standing: 30 * MILLI,
    };
    let traffic = Traffic::through(config(adaptive).build().unwrap());
    traffic.overload(100).await;
    traffic.take_log();
    traffic.overload(1_000).await;
    let log = traffic.take_log();
    let waits = waits_of_served(&log);
    assert!(waits[waits.len() * 9 / 10] <= 2 * MILLI, "{waits:?}");
    assert!(*waits.last().unwrap() < 20 * MILLI, "{waits:?}");
    assert!((499..=501).contains(&waits.len()), "{}", waits.len());
    // By the sojourn of those who are served, there would be no overload.
    assert!(traffic.bulkhead.is_overloaded());
    let refused = refused(&log);
    assert!(refused.iter().all(|one| one.became == Err(Reason::Shed)));
    assert!(refused.iter().all(|one| one.waited <= 21 * MILLI));
    assert!(traffic.bulkhead.snapshot().waiting() <= 22);
}

#[tokio::test(start_paused = true)]
async fn what_matters_least_ages_out_while_what_matters_is_served() {
    let traffic = Traffic::through(config(Order::Fifo).build().unwrap());
    // All that can be served is critical, and batch work comes on top.
    for round in 0..200 {
        traffic.call(Priority::CRITICAL);
        if round % 4 == 0 {
            traffic.call(Priority::SHEDDABLE);
        }
        traffic.calls.run_until(sleep(2 * MILLI)).await;
    }
    assert!(traffic.bulkhead.is_overloaded());
    let log = traffic.take_log();
    let (critical, batch): (Vec<_>, Vec<_>) = log
        .into_iter()
        .partition(|one| one.priority == Priority::CRITICAL);
    let waits = waits_of_served(&critical);
    assert_eq!(waits.len(), critical.len());
    assert!(waits.len() >= 198, "{}", waits.len());
    assert!(*waits.last().unwrap() <= 4 * MILLI, "{waits:?}");
    let refused = refused(&batch);
    assert!(refused.iter().all(|one| one.became == Err(Reason::Shed)));
    assert!(refused.len() >= 45, "{}", refused.len());
}

/// Nobody comes and nobody goes: the calls' own timers see to it.
#[tokio::test(start_paused = true)]
async fn calls_behind_a_stuck_one_leave_when_they_are_overdue_although_nothing_happens() {
    let bulkhead = config(Order::Fifo).build().unwrap();
    let _stuck = bulkhead.admit().unwrap();
    let layer = bulkhead.queued_layer().with_error::<Rejected>();
    let held = Held::new();
    let service = layer.with_binding(Carried).layer(held.service());
    let begun = tokio::time::Instant::now();
    let after = |comes: u32, deadline: Option<u32>| {
        let service = service.clone();
        async move {
            sleep(comes * MILLI).await;
            let context = match deadline {
                None => Context::default(),
                Some(millis) => Context::default()
                    .with_deadline(Deadline::at(Clock::Precise.now() + millis * MILLI)),
            };
            let refused = service.oneshot(context).await.unwrap_err();
            (refused.reason(), begun.elapsed().as_millis())
        }
    };
    let all = [
        after(0, None),
        after(25, None),
        after(45, None),
        after(57, None),
        after(57, Some(9)),
        after(57, Some(15)),
        after(120, None),
    ];
    assert_eq!(
        futures::future::join_all(all).await,
        [
            // The first is old from 10 ms on, and the queue overloaded from 60
            // ms on. The third is old then, and leaves after 20 ms.
            (Reason::Shed, 60),
            (Reason::Shed, 60),
            (Reason::Shed, 65),
            // After it nobody is old, until the next one is after 67 ms.
            (Reason::Shed, 117),
            (Reason::Expired, 66),
            (Reason::Expired, 72),
            (Reason::Shed, 180),
        ]
    );
    assert_eq!(bulkhead.snapshot().refused(), 7);
    assert_eq!(bulkhead.queue_delay(), Duration::ZERO);
}

/// The timer is the one that is right: asked again by a clock that lags, the
/// call would set the same timer for ever.
#[tokio::test(start_paused = true)]
async fn a_clock_that_lags_by_a_tick_keeps_no_call_in_an_overloaded_queue() {
    fn lagging() -> Instant {
        Instant::from_nanos(Clock::Precise.now().as_nanos() - 4_000_000)
    }
    let config = config(Order::Fifo).clock(Clock::Source(lagging));
    let bulkhead = config.build().unwrap();
    let _stuck = bulkhead.admit().unwrap();
    let layer = bulkhead.queued_layer().with_error::<Rejected>();
    let held = Held::new();
    let begun = tokio::time::Instant::now();
    let call = layer.layer(held.service()).oneshot(());
    assert_eq!(call.await.unwrap_err().reason(), Reason::Shed);
    assert!(begun.elapsed() >= 56 * MILLI);
}
