//! Retries of functions.

use super::*;

use std::cell::RefCell;
use std::io;

use axiomatic_core::Plain;
use axiomatic_core::time::ManualClock;

use axiomatic_failure::retry::{retry, retry_blocking};

#[tokio::test(start_paused = true)]
async fn a_function_is_tried_until_it_succeeds() {
    let policy = config().build().unwrap();
    let calls = Cell::new(0);
    let began = Clock::Precise.now();
    let answer: io::Result<u32> = retry(&policy, || async {
        calls.set(calls.get() + 1);
        match calls.get() {
            3 => Ok(7),
            _ => Err(io::Error::other("reset")),
        }
    })
    .await;
    assert_eq!(answer.unwrap(), 7);
    assert_eq!(Clock::Precise.now() - began, 2 * SECOND);
    assert_eq!(policy.snapshot().recovered(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_function_has_the_error_of_its_last_attempt() {
    let policy = config().build().unwrap();
    let calls = Cell::new(0);
    let answer: io::Result<()> = policy
        .run(|| async {
            calls.set(calls.get() + 1);
            Err(io::Error::other(format!("{}", calls.get())))
        })
        .await;
    assert_eq!(answer.unwrap_err().to_string(), "3");
}

#[tokio::test(start_paused = true)]
async fn a_function_keeps_to_the_time_of_its_context() {
    let policy = config().build().unwrap();
    let deadline = Deadline::at(Clock::Precise.now() + SECOND / 2);
    let context = Context::default().with_deadline(deadline);
    let calls = Cell::new(0);
    let answer: io::Result<()> = policy
        .run_within(&context, &Plain, |_| async {
            calls.set(calls.get() + 1);
            Err(io::Error::other("reset"))
        })
        .await;
    assert!(answer.is_err());
    assert_eq!(calls.get(), 1);
    assert_eq!(policy.snapshot().gave_up(GaveUp::Deadline), 1);
}

#[tokio::test(start_paused = true)]
async fn a_classification_serves_any_error() {
    let policy = config().build().unwrap();
    let calls = Cell::new(0);
    let by_size = |answer: Result<&u32, &&str>| match answer {
        Ok(2..) => Outcome::Success,
        _ => Outcome::Transient,
    };
    let answer = policy
        .run_by(by_size, || async {
            calls.set(calls.get() + 1);
            Ok(calls.get())
        })
        .await;
    assert_eq!(answer, Ok(2));

    let policy = config().backoff(every(Duration::ZERO)).build().unwrap();
    let mut calls = 0;
    let answer = policy.block_by(by_size, || {
        calls += 1;
        if calls == 1 { Err("reset") } else { Ok(calls) }
    });
    assert_eq!(answer, Ok(2));
}

/// Also of functions around one another one repeats, if the inner one is
/// handed its context.
#[tokio::test(start_paused = true)]
async fn functions_do_not_multiply() {
    let outer = config().build().unwrap();
    let inner = config().build().unwrap();
    let told = RefCell::new(Vec::new());
    let answer: Result<(), Rejected> = outer
        .run_within(&Context::default(), &Plain, |context| {
            let (inner, told) = (&inner, &told);
            async move {
                inner
                    .run_within(&context, &Plain, |context| {
                        told.borrow_mut().push(context.attempt());
                        ready(Err(Rejected::new(Pattern::Timeout, Reason::Elapsed)))
                    })
                    .await
            }
        })
        .await;
    assert!(answer.is_err());
    assert_eq!(*told.borrow(), [1, 2, 3], "and not nine");
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_is_off_calls_a_function_once() {
    let policy = config().build().unwrap();
    policy.set_mode(Mode::Off);
    let calls = Cell::new(0);
    let answer: io::Result<()> = policy
        .run(|| async {
            calls.set(calls.get() + 1);
            Err(io::Error::other("reset"))
        })
        .await;
    assert!(answer.is_err());
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_function_is_not_called_when_the_wait_took_its_time() {
    let clock = ManualClock::new();
    let policy = config()
        .clock(Clock::Manual(clock.clone()))
        .build()
        .unwrap();
    let deadline = Deadline::at(clock.now() + 2 * SECOND);
    let context = Context::default().with_deadline(deadline);
    let calls = Cell::new(0);
    let run = policy.run_within(&context, &Plain, |_| async {
        calls.set(calls.get() + 1);
        Err::<(), _>(io::Error::other("reset"))
    });
    let (answer, ()) = tokio::join!(run, async {
        tokio::time::sleep(SECOND / 2).await;
        clock.advance(10 * SECOND);
    });
    assert_eq!(answer.unwrap_err().to_string(), "reset");
    assert_eq!(calls.get(), 1);
    let budget = policy.budget().snapshot(clock.now());
    assert_eq!((budget.granted(), budget.returned()), (1, 1));
}

#[test]
fn a_function_that_blocks_is_tried_as_well() {
    let policy = config().backoff(every(Duration::ZERO)).build().unwrap();
    let mut calls = 0;
    let answer: io::Result<u32> = retry_blocking(&policy, || {
        calls += 1;
        if calls < 3 {
            Err(io::Error::other("reset"))
        } else {
            Ok(calls)
        }
    });
    assert_eq!(answer.unwrap(), 3);

    let refused = || Err::<(), _>(Rejected::new(Pattern::CircuitBreaker, Reason::Open));
    let mut calls = 0;
    let answer = policy.block(|| {
        calls += 1;
        refused()
    });
    assert_eq!(
        answer.unwrap_err().rejected().unwrap().reason(),
        Reason::Open
    );
    assert_eq!(calls, 1);
}

/// The future of a run can be spawned if its parts can.
#[tokio::test(start_paused = true)]
async fn a_run_can_be_spawned() {
    let policy = config().build().unwrap();
    let task = tokio::spawn(async move { policy.run(|| async { Ok::<_, io::Error>(7) }).await });
    assert_eq!(task.await.unwrap().unwrap(), 7);
}
