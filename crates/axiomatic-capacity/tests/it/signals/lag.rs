use std::sync::mpsc;

use axiomatic_capacity::load_shed::signal::{Lag, SignalError};
use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::{Clock, Instant};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::yield_now;
use tokio::time::{advance, sleep};

use crate::support::{MILLI, SECOND};

fn now() -> Instant {
    Clock::Precise.now()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_is_on_time_has_no_lag() {
    let lag = Lag::watch(10 * MILLI, 50 * MILLI).unwrap();
    for _ in 0..100 {
        sleep(7 * MILLI).await;
        // A millisecond, which is the timer's tick.
        assert!(lag.lateness(now()) <= MILLI, "{:?}", lag.lateness(now()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_worst_lag_is_remembered_for_a_second() {
    let lag = Lag::watch(10 * MILLI, 50 * MILLI).unwrap();
    yield_now().await;
    // All that time somebody had the runtime to himself.
    advance(110 * MILLI).await;
    sleep(MILLI).await;
    assert_eq!(lag.pressure(now()), Pressure::percent(200));
    sleep(800 * MILLI).await;
    assert_eq!(lag.pressure(now()), Pressure::percent(200));
    sleep(400 * MILLI).await;
    assert!(lag.pressure(now()) <= Pressure::percent(2));
}

#[tokio::test(start_paused = true)]
async fn a_waking_that_is_overdue_counts_as_it_grows() {
    let lag = Lag::watch(10 * MILLI, 50 * MILLI).unwrap();
    // Also before the task has run at all.
    assert_eq!(lag.pressure(now() + 60 * MILLI), Pressure::percent(100));
    yield_now().await;
    assert_eq!(lag.pressure(now() + 9 * MILLI), Pressure::NONE);
    assert_eq!(lag.pressure(now() + 35 * MILLI), Pressure::percent(50));
    assert_eq!(lag.pressure(now() + SECOND), Pressure::percent(1_980));
}

#[test]
fn a_runtime_that_is_blocked_is_seen_while_it_is() {
    let (tell, told) = mpsc::channel();
    let (seen, wait) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            runtime().block_on(async {
                let lag = Lag::watch(MILLI, 20 * MILLI).unwrap();
                sleep(MILLI).await;
                tell.send(lag).unwrap();
                // Which nobody should do here.
                wait.recv().unwrap();
            });
        });
        let lag = told.recv().unwrap();
        while !lag.pressure(now()).is_full() {
            std::thread::yield_now();
        }
        seen.send(()).unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_last_handle() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let lag = Lag::watch(10 * MILLI, 50 * MILLI).unwrap();
    let clone = lag.clone();
    drop(lag);
    sleep(SECOND).await;
    assert_eq!(tasks(), before + 1);
    assert_eq!(clone.name(), "runtime lag");
    drop(clone);
    sleep(20 * MILLI).await;
    assert_eq!(tasks(), before);
}

#[test]
fn a_runtime_that_has_ended_has_no_lag() {
    let runtime = runtime();
    let lag = runtime.block_on(async {
        let lag = Lag::watch(10 * MILLI, 50 * MILLI).unwrap();
        yield_now().await;
        lag
    });
    assert!(lag.pressure(now() + SECOND).is_full());
    drop(runtime);
    assert_eq!(lag.pressure(now() + SECOND), Pressure::NONE);
}

#[test]
fn a_runtime_without_a_timer_has_no_lag() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let lag = runtime.block_on(async {
        let lag = Lag::watch(10 * MILLI, 50 * MILLI).unwrap();
        yield_now().await;
        lag
    });
    assert_eq!(lag.pressure(now() + SECOND), Pressure::NONE);
}

#[test]
fn outside_a_runtime_there_is_nothing_to_watch() {
    let lag = Lag::watch(10 * MILLI, 50 * MILLI);
    assert_eq!(lag.unwrap_err(), SignalError::NoRuntime);
}
