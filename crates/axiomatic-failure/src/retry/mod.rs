//! A retry: ask again, and never more than can be borne.
//!
//! # The problem
//!
//! Of a thousand calls one fails for no reason that lasts, and asking again
//! is the whole cure. But when all of them fail, three attempts a call are
//! three times the load on a dependency that could not bear it once; and of
//! three services in a row of which each tries three times, the last one is
//! asked twenty-seven times for every request of a user. A retry that is not
//! bounded as a whole turns a short fault into a long outage.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::budget::{Deposits, RetryBudget};
//! use axiomatic_core::repeat::Always;
//! use axiomatic_core::{BoxError, Ratio};
//! use axiomatic_failure::retry::Config;
//! # use std::cell::Cell;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), BoxError> {
//! # let calls = Cell::new(0);
//! # let lookup = async |_: u32| {
//! #     calls.set(calls.get() + 1);
//! #     if calls.get() == 1 { Err(BoxError::from("reset")) } else { Ok("12.50") }
//! # };
//! // Shared with whatever else adds to the load: with a hedge inside of the
//! // retry by `hedge::Config::sharing`, so that no call deposits twice.
//! let budget = RetryBudget::new("prices", Deposits::of(Ratio::percent(20)))?;
//! let retry = Config::new(budget).named("prices").build()?;
//! let mut prices = ServiceBuilder::new()
//!     .layer(retry.layer(Always)) // these are lookups: all may be sent twice
//!     .service(service_fn(lookup));
//!
//! assert_eq!(prices.ready().await?.call(17).await?, "12.50");
//! assert_eq!(retry.snapshot().recovered(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - A call is tried until it is answered, three times by default, and no
//!   longer (`tries_until_it_is_answered_and_no_longer`,
//!   `three_attempts_by_default_and_no_more`).
//! - What nobody declared repeatable is sent once, and not even cloned
//!   (`a_request_that_nobody_declared_repeatable_is_sent_once`).
//! - A request is cloned before each attempt but the last
//!   (`a_request_is_cloned_before_each_attempt_but_the_last`), and not while
//!   there is nothing in the budget to send it again with
//!   (`no_request_is_cloned_while_the_budget_is_drained`).
//! - Extra attempts are what the budget grants, whatever it counts by
//!   (`every_model_of_a_budget_bounds_a_retry`,
//!   `a_budget_bounds_what_all_calls_add_together`). A token is taken before
//!   the wait, and returned if its attempt is not sent, wherever the caller
//!   leaves (`whoever_leaves_at_any_point_takes_no_token_along`,
//!   `nothing_that_a_caller_does_loses_a_token_or_starts_too_much`).
//! - Of retries around one another one repeats, the outermost
//!   (`an_inner_retry_leaves_the_call_to_the_outer_one`), also of functions
//!   that hand their context on (`functions_do_not_multiply`): over three hops
//!   a dependency that fails everything is asked 1.1 times a call, and not 27
//!   (`three_hops_that_retry_ask_a_dead_dependency_little_more_than_once`).
//!   Who does not repeat, in shadow, off or with one attempt, keeps nobody
//!   from it (`a_retry_in_shadow_leaves_those_further_in_and_out_alone`,
//!   `who_tries_once_forbids_nobody_to_try_again`).
//! - A refusal by a layer further in is returned; a call that was given up is
//!   repeated (`a_refusal_is_returned_and_an_abandoned_call_repeated`).
//! - What never reached the other side is repeated at once, and free, once
//!   (`what_was_never_sent_is_repeated_at_once_and_free`), unless its request
//!   was not kept because the budget was drained. So where every connection
//!   is refused, which costs who refuses it little, it is tried twice. Who asks not to be
//!   asked again is not (`who_says_never_is_not_asked_again`).
//! - A server's hint is heeded up to an envelope, 5 s by default: nobody comes
//!   before it, or before the envelope if the hint is longer
//!   (`a_hint_is_clamped_to_an_envelope_and_jittered_upward`).
//! - No wait is begun that leaves no time for an attempt, and none starts that
//!   has no time left
//!   (`no_wait_is_begun_that_leaves_no_time_for_an_attempt`,
//!   `no_attempt_starts_when_readiness_took_the_time_for_it`); how much time
//!   an attempt needs, the good ones show
//!   (`the_least_attempt_is_what_good_calls_take`).
//! - Each attempt knows its number, its deadline, that it is repeated, and
//!   which endpoints to avoid
//!   (`attempts_are_told_their_number_and_who_repeats_them`).
//! - Nothing waits in vain: a service's response that failed is dropped before
//!   the wait (`a_failed_response_is_dropped_before_the_wait`), no timer is made
//!   before there is one (`no_timer_and_no_runtime_before_a_retry`), and a call
//!   that is over holds nothing, though its future is kept
//!   (`a_call_that_is_over_holds_nothing`).
//! - Switched off, it sends nothing more, not even after a wait that has begun
//!   (`a_retry_that_is_switched_off_in_a_wait_sends_nothing_more`).
//!
//! # Cost
//!
//! A call that succeeds: one coarse clock read, what the budget takes for a
//! call, a reference that the thread keeps, a clone of the service and of the
//! request if it may be repeated, and no allocation. A call with a deadline
//! reads the precise clock twice instead and adds one to a histogram. `cargo
//! xtask bench retry` says what that comes to. Marking the request for those
//! further in is what the binding makes of it: for HTTP an extension, which
//! allocates if there is none yet.
//!
//! # When not to use it
//!
//! - For what must not happen twice and cannot be told apart: a payment
//!   without an idempotency key. No rule should declare it repeatable.
//! - Inside of another retry, as a matter of course: it would leave the call
//!   alone. The place for a retry is the outermost one that can still repeat
//!   the whole request.
//! - Against slowness: a [hedge] does that, and spends from the same budget.
//! - To wait for what takes long: that is polling.
//!
//! # How it works
//!
//! | The attempt | Then |
//! |---|---|
//! | worked, or the request is wrong (`Permanent`), or says nothing (`Ignored`) | it is returned |
//! | was refused by a layer further in | it is returned, unless [`Refusals::Repeat`] |
//! | failed, and the other side wants no other ([`Advice::Never`](axiomatic_core::Advice::Never)) | it is returned |
//! | never reached the other side ([`Advice::Unsent`](axiomatic_core::Advice::Unsent)), for the first time | again, at once, free of budget |
//! | was given up when its time was over | again; the budget knows it as a timeout |
//! | was throttled | again, later than asked |
//! | failed otherwise | again |
//!
//! Again means: if attempts are left, if the request can be sent once more,
//! if the time left exceeds the wait and the [least](LeastAttempt) that an
//! attempt takes, and if the budget grants it, in this order; so no token is
//! taken for what would not happen. [`GaveUp`] says which of them failed.
//!
//! The attempt is made by a clone of the service that is readied after the
//! wait. Should the deadline have come too near by then, the call ends with
//! the error of the attempt before; or, if that was a response, with
//! [`Reason::Elapsed`](axiomatic_core::Reason::Elapsed). It is the same with a
//! request that was lost meanwhile, a body that outgrew what is kept of it, and
//! the reason [`Unrepeated`](axiomatic_core::Reason::Unrepeated).
//!
//! # The order of layers
//!
//! From the outside in, for a client:
//!
//! | Layer | Because |
//! |---|---|
//! | total timeout | it bounds the whole, waits included, and hands its deadline to all further in |
//! | what makes bodies repeatable, for HTTP `ReplayLayer` | the second request is made before the first is sent |
//! | retry | it repeats what is inside, and sees that deadline |
//! | circuit breaker | it counts every attempt, and its refusals are returned at once instead of being retried |
//! | hedge, if there is one | it makes two of an attempt, which count as one for the breaker |
//! | attempt timeout | what hangs ends as a failed attempt, which the breaker counts and the retry repeats |
//! | what writes the context on the wire, for HTTP `OutboundLayer` | each attempt is written as the one that it is |
//!
//! A breaker around the retry would see three failures as one, and open
//! late; a total timeout inside of the retry would not be total. A timeout of
//! an attempt is an ordinary timeout layer further in.
//!
//! # Choosing parameters
//!
//! - **Attempts**: three. If an attempt fails with probability `p` for reasons
//!   of its own, `n` fail with `pⁿ`: at 1 % three attempts leave one call in a
//!   million. More of them help only when the fault is longer than the waits,
//!   and then the budget is spent.
//! - **Budget**: 20 % is more than all independent failures need. It is also
//!   what an outage is made worse by, so where that matters choose 10 %.
//! - **Backoff**: see [`backoff`](axiomatic_core::backoff).
//!
//! # Differences from
//!
//! - *tower*'s `Retry` has no policy ready to use, and its budget rounds: 60 %
//!   and 90 % are 100 %.
//! - *tower-resilience*'s clones the request also for a single attempt,
//!   retries every error, refusals of a breaker included, and deposits a
//!   token for each success.
//! - *backon* and *reqwest-retry* have no budget.
//!
//! None of them looks at the deadline of the request or knows of retries
//! further out.
//!
//! # References
//!
//! - Google, *Site Reliability Engineering*, chapters 21 and 22: budgets of
//!   retries, and "overloaded; don't retry".
//! - Marc Brooker, *Timeouts, retries, and backoff with jitter*, Amazon
//!   Builders' Library.
//! - gRPC proposal A6: transparent retries, pushback, the attempt number.
//! - Bronson and others, *Metastable Failures in Distributed Systems*, HotOS
//!   2021.
//!
//! [hedge]: https://docs.rs/axiomatic-latency/latest/axiomatic_latency/hedge/

mod config;
mod error;
#[cfg(feature = "tokio")]
mod future;
#[cfg(feature = "tokio")]
mod layer;
#[expect(
    clippy::module_inception,
    reason = "the mechanism of the pattern, in the file of its name"
)]
mod retry;
mod run;
#[cfg(feature = "tokio")]
mod service;
mod session;
mod settings;
mod snapshot;
mod step;
mod telemetry;

pub use config::{Config, LeastAttempt, Refusals};
pub use error::ConfigError;
#[cfg(feature = "tokio")]
pub use future::ResponseFuture;
#[cfg(feature = "tokio")]
pub use layer::RetryLayer;
pub use retry::Retry;
#[cfg(feature = "tokio")]
pub use run::retry;
pub use run::retry_blocking;
#[cfg(feature = "tokio")]
pub use service::RetryService;
pub use session::{Session, Verdict};
pub use snapshot::Snapshot;
pub use step::{Ended, GaveUp};
