//! A hedge: a second attempt beside one that is slow, and never more than a
//! share of the load.
//!
//! # The problem
//!
//! A dependency answers in 10 ms, but for one call in twenty, which takes 200:
//! a collection of garbage, a full queue, a cold page. Whoever makes ten such
//! calls for an answer waits for a slow one in 40 % of them. The same call, sent
//! once more after 11 ms, is answered after 21; and of twenty calls one was made
//! twice. But when all calls are slow at once, whoever makes each of them twice
//! is what the dependency dies of.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::repeat::Always;
//! use axiomatic_core::{BoxError, Ratio};
//! use axiomatic_latency::hedge::{Config, Delay};
//! # use std::cell::Cell;
//! # use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), BoxError> {
//! # let calls = Cell::new(0);
//! # let lookup = async |sku: u32| {
//! #     calls.set(calls.get() + 1);
//! #     let millis = if calls.get() == 201 { 200 } else { 10 };
//! #     tokio::time::sleep(Duration::from_millis(millis)).await;
//! #     Ok::<_, BoxError>(sku)
//! # };
//! let hedge = Config::new(Delay::adding_at_most(Ratio::percent(5)))
//!     .named("catalogue")
//!     .build()?;
//! let mut catalogue = ServiceBuilder::new()
//!     .layer(hedge.layer(Always)) // these are lookups: all may be sent twice
//!     .service(service_fn(lookup));
//!
//! // It learns how long calls take, and hedges nothing meanwhile.
//! for sku in 0..200 {
//!     catalogue.ready().await?.call(sku).await?;
//! }
//! // This one takes 200 ms; its second attempt takes 10.
//! assert_eq!(catalogue.ready().await?.call(7).await?, 7);
//! assert_eq!(hedge.snapshot().won(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Without tower and without a runtime: [`Hedge::begin`].
//!
//! # Guarantees
//!
//! - A call is hedged after the delay, which runs from the call, and not before
//!   (`a_slow_call_is_hedged_after_the_delay_and_not_before`,
//!   `the_delay_runs_from_the_call`); there is no third attempt
//!   (`there_is_no_third_attempt`).
//! - The first success wins, and an error waits for the other
//!   (`the_first_success_wins_and_an_error_waits_for_the_other`). Where both fail,
//!   the caller gets what the first said, as it would without a hedge
//!   (`where_both_fail_the_caller_gets_what_the_first_said`).
//! - A failure that may be repeated is hedged at once, and no other
//!   (`a_failure_that_may_be_repeated_is_hedged_at_once_and_no_other`); one that a
//!   retry further out repeats is left to it
//!   (`a_call_that_a_retry_repeats_is_hedged_when_slow_and_fails_at_once`).
//! - Losers are dropped before the answer is returned
//!   (`losers_are_dropped_before_the_answer_is_returned`), and nothing rings after
//!   it (`a_call_that_is_over_holds_nothing_though_it_is_still_held`).
//! - When all calls become slow, no more are added than the budget has, and once
//!   they are fast again, it hedges again
//!   (`slowness_throughout_adds_no_more_than_the_budget_and_ends`,
//!   `a_budget_of_its_own_is_as_large_as_it_says`).
//! - No token is lost, wherever a call is cancelled, and whatever panics
//!   (`wherever_a_call_is_cancelled_no_token_is_lost`,
//!   `a_token_whose_attempt_is_never_sent_is_returned`,
//!   `a_panic_of_the_service_leaks_no_token`). The budget is told what became of
//!   each attempt, once (`the_budget_is_told_what_became_of_each_attempt_once`).
//! - What is not known to be repeatable is sent once, and not even cloned
//!   (`only_what_may_be_sent_twice_is`); nor is anything while it learns, while
//!   the budget is drained, or where the deadline would come first
//!   (`while_it_learns_no_request_is_repeated_and_no_service_cloned`,
//!   `while_the_budget_is_drained_nothing_is_prepared`,
//!   `no_hedge_is_prepared_that_would_come_after_the_deadline`). What has become
//!   incomplete meanwhile is not sent
//!   (`what_is_no_longer_intact_is_neither_asked_for_nor_sent`).
//! - Hedging does not make it hedge more: losers, and calls whose caller left,
//!   count as taking at least that long
//!   (`losers_count_as_what_they_are_and_the_delay_does_not_drift`,
//!   `a_caller_that_gives_up_is_learned_from`), failures are no latencies
//!   (`failures_do_not_make_it_hedge_earlier`,
//!   `an_outage_of_quick_failures_does_not_make_it_hedge_earlier`), and calls
//!   that all take the same time are not slow
//!   (`calls_that_all_take_the_same_time_are_not_slow`).
//! - What was allowed and is not sent yet, since its instance is not ready, is
//!   called off by an answer that asks for less
//!   (`an_answer_that_asks_for_less_calls_off_what_is_not_sent`), by the deadline
//!   (`no_second_attempt_is_sent_after_the_deadline`), and by a switch
//!   (`switched_off_while_its_instance_becomes_ready_it_is_not_sent`).
//! - The second attempt is made by an instance that said it was ready
//!   (`the_second_attempt_is_made_by_an_instance_that_said_it_was_ready`), knows
//!   its number, and avoids the endpoint of the first
//!   (`the_second_attempt_says_which_it_is_and_the_first_is_as_it_came`,
//!   `the_second_attempt_avoids_the_endpoint_of_the_first`).
//! - An attempt that uses up the task's share of work starves neither the timer
//!   nor the other attempt
//!   (`an_attempt_that_spends_the_cooperative_budget_does_not_starve_the_other`).
//!
//! # Cost
//!
//! A call that is not hedged: a read of the precise clock, and a second one if
//! it was ever pending; a reference that the thread keeps; what the budget takes
//! for a call and one addition to a histogram, both on lines of the thread's
//! own; a clone of the service and one of the request, if it may be sent twice;
//! and one of tokio's timers, if it is pending. A delay that is fixed needs no
//! histogram, and no second read. Nothing is allocated, also where there are two
//! attempts: both lie in the future, beside the timer, which is most of its size.
//! (To [avoid endpoints](Config::avoiding_endpoints) that have not answered
//! costs an allocation a call.) Memory is that of a
//! [histogram](axiomatic_core::histogram), 6.6 kB on two cores. `cargo xtask
//! bench hedge` measures it beside its peers, and `tests/costs.rs` holds it to
//! its instructions.
//!
//! # When not to use it
//!
//! - For what must not happen twice: unlike a retry's, the second attempt does
//!   not even wait for the first to fail.
//! - Against a dependency that is slow as a whole. What it lacks is capacity,
//!   and a hedge takes some. It stops by itself at its budget; it does not help.
//! - Where both attempts end in the same queue: a single instance, a lock, a
//!   row. The second waits behind the first.
//! - For answers that are streamed: an answer wins with its head, and the rest
//!   may be slow.
//! - On every hop of a chain: three hops that add 5 % each add 16 % at the last
//!   one. The place is the hop with the long tail.
//!
//! # How it works
//!
//! | An attempt | Is |
//! |---|---|
//! | worked, or says that the request is wrong (`Permanent`) | the answer: it wins |
//! | is an answer that says nothing of the dependency (`Ok`, `Ignored`) | the answer too |
//! | was refused by a layer further in (`Err`, `Ignored`) | none: the other is waited for |
//! | was throttled | none: the other side asks for less, so none is added, nor sent if it was allowed and is not sent yet |
//! | failed, and the other side wants no other ([`Advice::Never`](axiomatic_core::Advice::Never)) | none |
//! | failed otherwise (`Transient`) | none; if it is the first and alone, another is made at once |
//!
//! A second attempt takes a token of the budget, as
//! [`Class::Hedge`](axiomatic_core::budget::Class::Hedge) if the first is slow,
//! or by how it failed; after one that never reached the other side it is free.
//! The token is taken when the timer rings, by one atomic step, and is given back
//! if the clone of the service does not become ready before there is an answer.
//!
//! The delay is a quantile of what calls took, second attempts included. A call
//! that is answered when it is first polled could not have been hedged, and
//! counts as taking no time. An estimate may be off by a sixteenth, which is
//! added.
//!
//! # The order of layers
//!
//! From the outside in: total timeout, retry, circuit breaker, hedge, attempt
//! timeout.
//!
//! | Around it | Because |
//! |---|---|
//! | a total timeout | its deadline says whether a second attempt can come in time |
//! | a retry | it waits before it repeats, and gives up; to it, two attempts of a hedge are one. A hedge around a retry would send its second attempt while the first one waits |
//! | a circuit breaker | a call that was saved is no failure |
//!
//! | Inside of it | Because |
//! |---|---|
//! | the timeout of an attempt | what hangs ends, and the other is still waited for |
//! | a balancer | it chooses another endpoint for the second attempt |
//! | a limit of calls in flight | both attempts take a place |
//!
//! Give the hedge the budget of the retry, by [`Config::sharing`]: then both
//! together add no more than it has.
//!
//! # Choosing parameters
//!
//! - **Share**: somewhat more than the share of calls that are slow. If one call
//!   in twenty is slow, then with 5 % it is chance whether the delay lies before
//!   the slow ones or among them; with 7 % it lies before. 5 % suits a tail of
//!   1 to 3 %.
//! - **Budget**: of its own as large as the share, or that of the retry. Deposits last ten seconds, so when all calls become slow, ten seconds'
//!   worth may be spent at once.
//! - **Half-life**: long enough for some multiple of the calls that an estimate
//!   needs: 80 at 95 %, 400 at 99 %. At 95 % a delay rises within a tenth of a
//!   half-life when all calls become slow, and takes four to come down again.
//! - **Bounds**: a shortest delay where the fast ones are faster than it is worth,
//!   and a longest one where the dependency has promised something.
//!
//! # Differences from
//!
//! - *tower*'s hedge lets the first to end win, be it by an error; forgets its
//!   losers, so that its percentile drifts down and it hedges more; counts in
//!   milliseconds, behind a mutex; stops hedging after a period without calls;
//!   has no bound, no `Layer`, and cannot be cloned.
//! - *tower-resilience*'s has a delay that is fixed or a function of the attempt,
//!   and no bound: 100 calls to a dependency that is slow throughout become 500
//!   with its preset `aggressive`. It boxes each attempt, and asks `Clone` of
//!   errors and `Sync` of requests.
//! - A *retry* waits for a failure. This one does not wait for it, and makes one
//!   attempt more and no other.
//!
//! # References
//!
//! - Dean, Barroso: *The Tail at Scale*, 2013: hedged requests, sent after the
//!   95th percentile, 2 % more load.
//! - gRPC proposal A6: hedging, and its throttle.

mod call;
mod config;
mod delay;
mod error;
#[cfg(feature = "tokio")]
mod future;
#[expect(
    clippy::module_inception,
    reason = "the mechanism of the pattern, in the file of its name"
)]
mod hedge;
#[cfg(feature = "tokio")]
mod layer;
#[cfg(feature = "tokio")]
mod second;
#[cfg(feature = "tokio")]
mod service;
mod settings;
mod sharing;
mod snapshot;
mod telemetry;
#[cfg(feature = "tokio")]
mod verdict;

pub use call::{Attempt, Call, Permit};
pub use config::{Config, OwnBudget};
pub use delay::Delay;
pub use error::{ConfigError, UpdateError};
#[cfg(feature = "tokio")]
pub use future::ResponseFuture;
pub use hedge::Hedge;
#[cfg(feature = "tokio")]
pub use layer::HedgeLayer;
#[cfg(feature = "tokio")]
pub use service::HedgeService;
pub use sharing::{BegunElsewhere, SharedAttempt, SharedToken, Sharing};
pub use snapshot::Snapshot;
