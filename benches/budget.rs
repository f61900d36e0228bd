//! The four budgets beside their floors and tower's.
//!
//! Judged is what every call pays (`call`: it begins and succeeds), what an
//! extra attempt pays that is granted and then not sent (`extra`, so that the
//! budget stays as full as it was), and what a refusal costs (`refused`). The
//! time is an argument, and moves on by 100 ns a call, so that slices rotate as
//! they do in earnest; tower reads its clock itself.
//!
//! Not shown: what the layers add that use them, and a budget that is nearly
//! empty, where threads take back what others have just taken. It is one file,
//! as every bench is: one pattern, its operations, its peers.

mod harness;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axiomatic_core::budget::{
    Budget, Call, Class, Costs, Deposits, InFlight, Model, RetryBudget, Throttle,
};
use axiomatic_core::time::Instant;
use axiomatic_core::{Outcome, Ratio};
use harness::{FETCH_ADD, Line, Operation, PARTS, Suite, allocations, peer, ratio, time};
use tower::retry::budget::{Budget as _, TpsBudget};

const DEPOSITS: &str = "ours, deposits";
const IN_FLIGHT: &str = "ours, in flight";
const THROTTLE: &str = "ours, throttle";
const COSTS: &str = "ours, costs";
const NESTED: &str = "ours, deposits in deposits";
const MODELS: [&str; 4] = [DEPOSITS, IN_FLIGHT, THROTTLE, COSTS];
const IN_FLIGHT_PARTS: &str = "floor:parts, in flight";
/// Of the models that sum the threads' lines, once or twice: four of them, as
/// with two cores.
const SUMMED_PARTS: &str = "floor:parts, a sum";
const TWICE_SUMMED_PARTS: &str = "floor:parts, two sums";
const SUMS: [(&str, usize); 3] = [(PARTS, 0), (SUMMED_PARTS, 1), (TWICE_SUMMED_PARTS, 2)];
const LOAD: &str = "floor:load";

const HOUR: u64 = 3_600_000_000_000;
/// How far the time moves from call to call.
const STEP: u64 = 100;

fn main() -> ExitCode {
    let mut suite = Suite::new("budget");
    call(suite.operation("call"));
    extra(suite.operation("extra"));
    refused(suite.operation("refused"));
    goals(&mut suite);
    suite.run()
}

fn goals(suite: &mut Suite) {
    suite.goal(
        "call, deposits, to one fetch_add",
        ratio(time("call", DEPOSITS), time("call", FETCH_ADD)).at_most(2.0),
    );
    suite.goal(
        "call, deposits, two threads to one",
        ratio(time("call", DEPOSITS).threads(2), time("call", DEPOSITS)).at_most(1.5),
    );
    for (model, parts) in [(DEPOSITS, PARTS), (IN_FLIGHT, IN_FLIGHT_PARTS)] {
        suite.goal(
            &format!("call, {model}, to its parts"),
            ratio(time("call", model), time("call", parts)).at_most(1.4),
        );
    }
    for model in MODELS {
        suite.goal(
            &format!("call, {model}, to tower's deposit"),
            ratio(time("call", model), time("call", peer("tower"))).at_most(1.0),
        );
        suite.goal(
            &format!("call, {model}, two threads, to tower's deposit"),
            ratio(
                time("call", model).threads(2),
                time("call", peer("tower")).threads(2),
            )
            .at_most(0.5),
        );
    }
    for operation in ["extra", "refused"] {
        for (model, parts) in [
            (DEPOSITS, SUMMED_PARTS),
            (IN_FLIGHT, TWICE_SUMMED_PARTS),
            (THROTTLE, PARTS),
            (COSTS, PARTS),
        ] {
            suite.goal(
                &format!("{operation}, {model}, to its parts"),
                ratio(time(operation, model), time(operation, parts)).at_most(1.4),
            );
            suite.goal(
                &format!("{operation}, {model}, to tower"),
                ratio(time(operation, model), time(operation, peer("tower"))).at_most(0.5),
            );
        }
    }
    for operation in ["call", "extra", "refused"] {
        for model in MODELS {
            suite.goal(
                &format!("{operation}, {model}, allocations"),
                allocations(operation, model).at_most(0.0),
            );
        }
    }
}

// --- The operations -----------------------------------------------------

/// A call begins, and succeeds at once.
fn call(operation: &mut Operation) {
    let full = Deposits::of(Ratio::percent(20));
    calling(operation, DEPOSITS, begin_and_finish, move || budget(full));
    calling(operation, IN_FLIGHT, begin_and_finish, || {
        budget(InFlight::default())
    });
    calling(operation, THROTTLE, begin_and_finish, || {
        budget(Throttle::default())
    });
    calling(operation, COSTS, begin_and_finish, || {
        budget(Costs::default())
    });
    calling(operation, NESTED, begin_and_finish, move || {
        budget(full).within(budget(full))
    });
    operation.fetch_add();
    for (subject, additions) in [(PARTS, 1), (IN_FLIGHT_PARTS, 2)] {
        operation
            .case(subject, move || {
                let ends = Arc::new(Line::default());
                move || {
                    let ends = ends.clone();
                    let own: Box<[Line; 2]> = Box::default();
                    move || {
                        for line in &own[..additions] {
                            line.0.fetch_add(200, Relaxed);
                        }
                        ends.0.load(Relaxed)
                    }
                }
            })
            .note("a load, and additions to lines of the thread's own");
    }
    operation.case(LOAD, || {
        let stock = Arc::new(Line::default());
        move || {
            let stock = stock.clone();
            move || stock.0.load(Relaxed)
        }
    });
    operation
        .case(peer("tower"), || {
            let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 0.2));
            move || {
                let budget = budget.clone();
                move || budget.deposit()
            }
        })
        .note("TpsBudget, deposit: it reads the clock");
}

#[inline(always)]
fn begin_and_finish(budget: &impl Budget, now: Instant) {
    budget.begin(now).finish(now, Outcome::Success);
}

/// An extra attempt is granted, and not sent.
fn extra(operation: &mut Operation) {
    // A floor of a thousand a second, ten seconds' worth of which is there.
    let full = Deposits::of(Ratio::percent(20)).floor(1_000);
    calling(operation, DEPOSITS, ask, move || budget(full));
    calling(operation, IN_FLIGHT, ask, || budget(InFlight::default()));
    calling(operation, THROTTLE, ask, || budget(Throttle::default()));
    calling(operation, COSTS, ask, || budget(Costs::default()));
    calling(operation, NESTED, ask, move || {
        budget(full).within(budget(full))
    });
    operation.fetch_add();
    for (subject, sums) in SUMS {
        operation
            .case(subject, move || {
                let words: Arc<[Line; 7]> = Arc::default();
                move || {
                    let words = words.clone();
                    move || {
                        let [stock, granted, returned, spread @ ..] = &*words;
                        let sum = sum(spread, sums);
                        let had = stock.0.load(Relaxed);
                        let took = stock.0.compare_exchange(had, had + 1, Relaxed, Relaxed);
                        granted.0.fetch_add(1, Relaxed);
                        stock.0.fetch_sub(1, Relaxed);
                        returned.0.fetch_add(1, Relaxed);
                        (sum, took)
                    }
                }
            })
            .note("an exchange and a subtraction of one word, and two counts");
    }
    operation
        .case(peer("tower"), || {
            let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 1.0));
            move || {
                let budget = budget.clone();
                move || {
                    budget.deposit();
                    budget.withdraw()
                }
            }
        })
        .note("TpsBudget cannot return: a deposit of one and a withdrawal");
}

#[inline(always)]
fn ask(budget: &impl Budget, now: Instant) {
    let token = budget.try_extra(now, Class::Transient);
    assert!(token.is_ok(), "there is enough");
}

/// An extra attempt is refused.
fn refused(operation: &mut Operation) {
    calling(operation, DEPOSITS, refuse, || {
        budget(Deposits::of(Ratio::ZERO).floor(0))
    });
    calling(operation, IN_FLIGHT, refuse, || {
        budget(InFlight::of(Ratio::ZERO).at_least(0))
    });
    calling(operation, THROTTLE, refuse, || {
        let budget = budget(Throttle::default());
        for _ in 0..10 {
            let now = Instant::from_nanos(HOUR);
            budget.begin(now).finish(now, Outcome::Transient);
        }
        budget
    });
    calling(operation, COSTS, refuse, || {
        let budget = budget(Costs::of(14));
        let now = Instant::from_nanos(HOUR);
        let token = budget.try_extra(now, Class::Transient);
        let _spent = token.map(axiomatic_core::budget::Token::spend);
        budget
    });
    operation.fetch_add();
    for (subject, sums) in SUMS {
        operation
            .case(subject, move || {
                let words: Arc<[Line; 7]> = Arc::default();
                move || {
                    let words = words.clone();
                    let mut now = HOUR;
                    move || {
                        now += STEP;
                        let [stock, refused, drained, spread @ ..] = &*words;
                        let had = stock.0.load(Relaxed) + sum(spread, sums);
                        refused.0.fetch_add(1, Relaxed);
                        drained.0.store(now, Relaxed);
                        had
                    }
                }
            })
            .note("a load, a count, and a store of until when it is drained");
    }
    operation
        .case(peer("tower"), || {
            let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 0, 0.0));
            move || {
                let budget = budget.clone();
                move || {
                    assert!(!budget.withdraw());
                }
            }
        })
        .note("TpsBudget counts no refusals");
}

#[inline(always)]
fn refuse(budget: &impl Budget, now: Instant) {
    let token = budget.try_extra(now, Class::Transient);
    assert!(token.is_err(), "there is nothing");
}

fn sum(lines: &[Line], times: usize) -> u64 {
    let sum = |_| lines.iter().map(|line| line.0.load(Relaxed)).sum::<u64>();
    (0..times).map(sum).sum()
}

fn budget<M: Model>(model: M) -> RetryBudget<M> {
    RetryBudget::new("bench", model).expect("the model works")
}

/// Threads that do something with one budget; their time moves on.
fn calling<B: Budget + Send + Sync + 'static>(
    operation: &mut Operation,
    subject: &str,
    does: impl Fn(&B, Instant) + Copy + Send + Sync + 'static,
    budget: impl Fn() -> B + 'static,
) {
    operation.case(subject, move || {
        let budget = budget();
        move || {
            let budget = budget.clone();
            let mut now = HOUR;
            move || {
                now += STEP;
                does(&budget, Instant::from_nanos(now));
            }
        }
    });
}
