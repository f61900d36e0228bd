//! The retry beside its floors and its peers.
//!
//! Judged is what a call pays that is not repeated, which is nearly all of
//! them: through a tower layer around a ready no-op service, once as a request
//! that might have been repeated and once as one that must not be; and what a
//! failure costs when the budget has nothing left, which is what an outage
//! consists of. Functions that are tried are beside backon.
//!
//! tower's `Retry` has no policy of its own: the one here is the shortest that
//! consults its `TpsBudget`. Not shown: what a repeated call costs, which is
//! the wait.

mod harness;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::context::Deadline;
use axiomatic_core::repeat::{Always, WhenDeclared};
use axiomatic_core::time::Clock;
use axiomatic_core::{Advise, Classify};
use axiomatic_core::{Carrier, Outcome, Plain, Ratio, Rejected};
use axiomatic_failure::retry::{Config, Retry};
use backon::Retryable;
use harness::{
    BARE, Bare, Line, OURS, Operation, PARTS, Suite, allocations, by_hand, coarse_nanos, peer,
    poll_by_hand, ratio, time,
};
use tower::retry::budget::{Budget, TpsBudget};
use tower_layer::Layer;
use tower_service::Service;

fn main() -> ExitCode {
    let mut suite = Suite::new("retry");
    layer_answered(suite.operation("layer/answered"));
    layer_deadline(suite.operation("layer/answered-with-deadline"));
    layer_exhausted(suite.operation("layer/exhausted"));
    function_answered(suite.operation("function/answered"));
    goals(&mut suite);
    suite.run()
}

const ONCE: &str = "ours, not repeatable";

fn goals(suite: &mut Suite) {
    let tower = || peer("tower");
    let tr = || peer("tower-resilience-retry");
    for operation in [
        "layer/answered",
        "layer/answered-with-deadline",
        "layer/exhausted",
    ] {
        let over = |subject: &str| time(operation, subject).over(BARE);
        suite.goal(
            &format!("{operation}, over bare, to {PARTS}"),
            ratio(over(OURS), over(PARTS)).at_most(1.4),
        );
        suite.goal(
            &format!("{operation}, allocations"),
            allocations(operation, OURS).at_most(0.0),
        );
    }
    let over = |subject: &str| time("layer/answered", subject).over(BARE);
    suite.goal(
        "layer/answered, over bare, to tower",
        ratio(over(OURS), over(&tower())).at_most(0.35),
    );
    suite.goal(
        "layer/answered, over bare, to tower-resilience",
        ratio(over(OURS), over(&tr())).at_most(0.35),
    );
    suite.goal(
        "layer/answered, two threads to one",
        ratio(over(OURS).threads(2), over(OURS)).at_most(1.5),
    );
    suite.goal(
        "layer/answered, two threads, to tower",
        ratio(over(OURS).threads(2), over(&tower()).threads(2)).at_most(0.35),
    );
    suite.goal(
        "layer/exhausted, over bare, to tower",
        ratio(
            time("layer/exhausted", OURS).over(BARE),
            time("layer/exhausted", tower()).over(BARE),
        )
        .at_most(1.0),
    );
}

/// A call that succeeds at once.
fn layer_answered(operation: &mut Operation) {
    operation.over(BARE);
    operation
        .case(OURS, || {
            let retry = Retry::default();
            move || {
                let layer = retry.layer(Always).with_error::<Rejected>();
                let mut service = layer.layer(Bare::<Infallible>::new());
                move || by_hand(&mut service)
            }
        })
        .note("20 % and 10 a second; the request may be repeated");
    operation
        .case(ONCE, || {
            let retry = Retry::default();
            move || {
                let layer = retry.layer(WhenDeclared).with_error::<Rejected>();
                let mut service = layer.layer(Bare::<Infallible>::new());
                move || by_hand(&mut service)
            }
        })
        .note("it deposits, and must not be repeated");
    bare(operation);
    operation.fetch_add();
    operation
        .case(PARTS, || {
            || {
                let mut service = Bare::<Infallible>::new();
                let (own, held) = (Box::<Line>::default(), Arc::<Line>::default());
                move || {
                    let held = Arc::clone(&held);
                    own.0.fetch_add(black_box(coarse_nanos()) & 1, Relaxed);
                    let answer = by_hand(&mut service);
                    drop(black_box(held));
                    answer
                }
            }
        })
        .note("a coarse clock read, a deposit and an Arc on lines of the thread's own");
    operation
        .case(peer("tower"), || {
            let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 0.2));
            move || {
                let policy = TowerPolicy {
                    budget: Arc::clone(&budget),
                    left: 2,
                };
                let mut service = tower::retry::Retry::new(policy, Bare::<Rejected>::new());
                move || by_hand(&mut service)
            }
        })
        .note("Retry with its TpsBudget, which a success deposits in");
    operation
        .case(peer("tower-resilience-retry"), || {
            let budget = tower_resilience_retry::RetryBudgetBuilder::new()
                .token_bucket()
                .tokens_per_second(10.0)
                .max_tokens(100)
                .build()
                .expect("a valid configuration");
            let layer = tower_resilience_retry::RetryLayer::<u64, u64, Rejected>::builder()
                .max_attempts(3)
                .budget(budget)
                .build();
            let service = layer.layer(Bare::<Rejected>::new());
            move || {
                let mut service = service.clone();
                move || by_hand(&mut service)
            }
        })
        .note("with its token bucket");
}

/// The same, of a request that has a deadline: its duration is recorded.
fn layer_deadline(operation: &mut Operation) {
    operation.over(BARE);
    operation
        .case(OURS, || {
            let retry = Retry::default();
            move || {
                let layer = retry.layer(Always).with_error::<Rejected>();
                let mut service = layer
                    .with_binding(InAnHour(deadline()))
                    .layer(Bare::<Infallible>::new());
                move || by_hand(&mut service)
            }
        })
        .note("two reads of the precise clock, and one more in a histogram");
    bare(operation);
    operation.fetch_add();
    operation
        .case(PARTS, || {
            || {
                let mut service = Bare::<Infallible>::new();
                let (own, held) = (Box::<[Line; 2]>::default(), Arc::<Line>::default());
                move || {
                    let held = Arc::clone(&held);
                    let began = Clock::Precise.now();
                    own[0].0.fetch_add(black_box(began).as_nanos() & 1, Relaxed);
                    let answer = by_hand(&mut service);
                    let took = Clock::Precise.now() - began;
                    own[1].0.fetch_add(took.as_nanos() as u64, Relaxed);
                    drop(black_box(held));
                    answer
                }
            }
        })
        .note("two precise clock reads, a deposit, a count and an Arc");
}

/// A call that fails while nothing is left in the budget.
fn layer_exhausted(operation: &mut Operation) {
    operation.over(BARE);
    operation
        .case(OURS, || {
            let retry = Config::new(empty()).build().expect("a valid configuration");
            move || {
                let layer = retry.layer(Always).with_error::<Rejected>();
                let mut service = layer
                    .with_binding(Plain.classified_by(failing))
                    .layer(Bare::<Infallible>::new());
                move || by_hand(&mut service)
            }
        })
        .note("it counts, and tells who listens");
    bare(operation);
    operation.fetch_add();
    operation
        .case(PARTS, || {
            || {
                let mut service = Bare::<Infallible>::new();
                let (own, held) = (Box::<[Line; 2]>::default(), Arc::<Line>::default());
                move || {
                    let held = Arc::clone(&held);
                    own[0].0.fetch_add(black_box(coarse_nanos()) & 1, Relaxed);
                    let answer = by_hand(&mut service);
                    black_box(Clock::Precise.now());
                    own[1].0.fetch_add(1, Relaxed);
                    drop(black_box(held));
                    answer
                }
            }
        })
        .note("a coarse and a precise clock read, a deposit, a count and an Arc");
    operation
        .case(peer("tower"), || {
            let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 0, 0.0));
            move || {
                let policy = TowerPolicy {
                    budget: Arc::clone(&budget),
                    left: 2,
                };
                let mut service = tower::retry::Retry::new(policy, AlwaysFails);
                move || by_hand(&mut service).is_err()
            }
        })
        .note("its budget of nothing, asked at each failure");
}

/// A function that succeeds at once.
fn function_answered(operation: &mut Operation) {
    operation.case(OURS, || {
        let retry = Retry::default();
        move || {
            let retry = retry.clone();
            move || poll_by_hand(retry.run(|| ready(succeed())))
        }
    });
    operation
        .case(BARE, || || || poll_by_hand(ready(succeed())))
        .note("the function alone");
    operation.fetch_add();
    operation
        .case(peer("backon"), || {
            || {
                || {
                    let builder = backon::ExponentialBuilder::default().with_jitter();
                    poll_by_hand((|| ready(succeed())).retry(builder).sleep(|_| ready(())))
                }
            }
        })
        .note("no budget, and so nothing that is shared");
}

// --- Ours ---------------------------------------------------------------

/// Nothing for any call, and nothing for time.
fn empty() -> RetryBudget<Deposits> {
    RetryBudget::new("empty", Deposits::of(Ratio::ZERO).floor(0)).expect("a valid configuration")
}

fn failing(_: Result<&u64, &Rejected>) -> Outcome {
    Outcome::Transient
}

fn deadline() -> Deadline {
    Deadline::at(Clock::Precise.now() + Duration::from_secs(3600))
}

/// Gives every request a deadline.
#[derive(Clone)]
struct InAnHour(Deadline);

impl Carrier<u64> for InAnHour {
    #[inline]
    fn context(&self, _: &u64) -> axiomatic_core::Context {
        axiomatic_core::Context::default().with_deadline(self.0)
    }

    #[inline]
    fn set_context(&self, _: &mut u64, _: axiomatic_core::Context) {}
}

impl Classify<u64, Rejected> for InAnHour {
    #[inline]
    fn classify(&self, result: Result<&u64, &Rejected>) -> Outcome {
        Plain.classify(result)
    }
}

impl Advise<u64, Rejected> for InAnHour {}

// --- The floor and the peers --------------------------------------------

fn bare(operation: &mut Operation) {
    operation.case(BARE, || {
        || {
            let mut service = Bare::<Rejected>::new();
            move || by_hand(&mut service)
        }
    });
}

fn succeed() -> Result<u64, std::io::Error> {
    Ok(black_box(1))
}

/// Two retries, if the budget has them.
#[derive(Clone)]
struct TowerPolicy {
    budget: Arc<TpsBudget>,
    left: u32,
}

impl tower::retry::Policy<u64, u64, Rejected> for TowerPolicy {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, Rejected>) -> Option<Ready<()>> {
        if result.is_ok() {
            self.budget.deposit();
            return None;
        }
        if self.left == 0 || !self.budget.withdraw() {
            return None;
        }
        self.left -= 1;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

/// Ready, and fails at once.
#[derive(Clone)]
struct AlwaysFails;

impl Service<u64> for AlwaysFails {
    type Response = u64;
    type Error = Rejected;
    type Future = Ready<Result<u64, Rejected>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u64) -> Self::Future {
        ready(Err(Rejected::new(
            axiomatic_core::Pattern::Timeout,
            axiomatic_core::Reason::Elapsed,
        )))
    }
}
