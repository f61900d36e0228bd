//! Budgets: what retries and hedges may add to the load, shared between them.
//!
//! # The problem
//!
//! A retry helps against a failure of its own, and multiplies the load when
//! everything fails: three attempts a call are three times the load on a
//! dependency that could not carry it once, and three layers that do so are
//! twenty-seven times. What bounds that is not the number of attempts of one
//! call but the extra attempts of all of them together, and hedges draw on
//! the same.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::Outcome;
//! use axiomatic_core::budget::{Budget, Call, Class, Deposits, RetryBudget};
//! use axiomatic_core::budget::{Spent, Token};
//! use axiomatic_core::time::Instant;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = RetryBudget::new("payment", Deposits::default())?;
//! let process = RetryBudget::new("process", Deposits::default())?;
//! let budget = client.clone().within(process);
//!
//! let now = Instant::from_nanos(50_000_000_000); // time is an argument
//! let mut call = budget.begin(now);
//! call.record(now, Outcome::Transient); // what became of the first attempt
//! let token = budget.try_extra(now, Class::Transient)?; // before the wait
//! // … the backoff; if the caller gives up here, the token is returned …
//! let attempt = token.spend(); // as the second attempt is sent
//! attempt.record(now, Outcome::Success);
//! drop(call);
//! println!("{}", client.snapshot(now));
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - With [`Deposits`], in no stretch of time are more extra attempts granted
//!   than calls and the floor deposited in it and in the lifetime before it
//!   (`extra_attempts_never_exceed_what_calls_and_time_deposited`), also when
//!   threads race (`withdrawals_never_exceed_deposits`,
//!   `threads_spend_each_token_once`).
//! - With [`InFlight`], none is granted beyond the share of the calls in flight
//!   and the floor (`extra_attempts_never_exceed_a_share_of_the_calls_in_flight`);
//!   calls that follow one another are not counted as two
//!   (`of_calls_one_after_the_other_no_two_are_in_flight`).
//! - With [`Throttle`], none is granted while half of the tokens are gone
//!   (`extra_attempts_stop_while_half_of_the_tokens_are_gone`); those granted
//!   before are no more than the calls whose outcome was not known then
//!   (`a_throttle_overshoots_by_the_calls_whose_outcome_is_not_known`,
//!   `a_throttle_overshoots_by_no_more_than_the_calls_under_way`).
//! - With [`Costs`], what is paid never exceeds the capacity and what came back
//!   (`extra_attempts_never_cost_more_than_the_capacity_and_what_came_back`).
//! - Two threads never spend one token (`two_threads_never_spend_one_token`,
//!   `two_threads_never_spend_one_cost`, `two_threads_never_have_one_place`).
//! - A token whose attempt is never sent is returned, once
//!   (`a_token_is_returned_once`, `a_cost_is_returned_once`).
//! - A deposit expires (`an_expired_deposit_is_never_spent`,
//!   `a_deposit_that_expired_while_nobody_called_is_never_spent`), is not lost before
//!   (`a_deposit_is_not_lost_as_a_slice_begins`), and time deposits once
//!   (`time_deposits_once`).
//! - Ratios are exact at any percent (`every_percent_is_exact`), and a floor of
//!   less than a token a step is not rounded away
//!   (`a_slow_floor_loses_nothing_to_rounding`).
//! - Nested, an attempt takes a token of each budget or of none
//!   (`nested_budgets_grant_what_each_would_and_lose_nothing`,
//!   `nested_budgets_spend_one_token_of_each_or_none`).
//! - A budget that has refused says for 10 ms that it is
//!   [drained](Budget::is_drained), so that nobody prepares for an attempt that
//!   it will not get (`a_budget_is_drained_for_a_moment_after_a_refusal`), and
//!   one that refuses nothing never does (`who_refuses_nothing_is_not_drained`);
//!   of nested ones either does (`of_nested_budgets_either_may_be_drained`).
//! - Time that runs backwards, or stands still for years, gives nothing away
//!   (`time_that_runs_backwards_gives_nothing`,
//!   `a_long_idle_time_is_worth_one_lifetime_of_the_floor`).
//! - A setting that cannot work is refused, and then nothing has changed
//!   (`a_budget_that_cannot_work_is_not_made`,
//!   `settings_change_live_and_a_refused_change_changes_nothing`).
//!
//! # Cost
//!
//! A call with [`Deposits`] is one addition to a line of the thread's own, and
//! what stands for it has no size (`a_call_that_deposits_weighs_nothing`). One
//! with [`InFlight`] is two such additions, and a reference that the thread
//! keeps for its next call; with [`Throttle`] and [`Costs`] it is that
//! reference and, as long as all is well, loads of one line. Asking is an
//! exchange of one shared word, and for the first two models a sum over the
//! lines; being refused is the same without the exchange.
//!
//! Memory is fixed at construction: under a kilobyte, and 128 bytes for each of
//! up to 32 threads, twice that for the first two models.
//!
//! # When not to use it
//!
//! To bound how often one call is tried: that is the retry's own number of
//! attempts. To bound the rate of calls: a limiter does. Across processes: each
//! has its own budget, and calls that pass through several are amplified by
//! the product, unless an inner one leaves retries to the outermost.
//!
//! # How it works
//!
//! | | a call | an extra attempt | what decides |
//! |---|---|---|---|
//! | [`Deposits`] | deposits a share of a token | spends a token | one exchange of how far the deposits are spent |
//! | [`InFlight`] | is counted while it lasts | has a place while it lasts, its wait included | one exchange of the places taken |
//! | [`Throttle`] | puts back or takes, by its outcome | the same; asking takes nothing | one load of the tokens |
//! | [`Costs`] | puts 1 back, if it succeeds at once | takes a price by its [`Class`], refunded if it succeeds | one exchange of the tokens |
//!
//! Deposits lie on one line in the order in which they came. What has expired,
//! what is spent and what is deposited are three marks on it, so the oldest
//! deposit is spent first, expiry needs no list, and a token is spent by moving
//! one word. What is deposited is a sum of lines: a reader that races with
//! writers may miss some, and never has too many.
//!
//! The throttle is gRPC's, and as there attempts already under way when the
//! tokens reach half were all granted: it may overshoot by as many as there
//! are calls whose outcome is not known yet.
//!
//! # Choosing parameters
//!
//! With deposits of 20 % and every call failing, the load is 1.2 times the
//! calls, plus the floor. The floor is for clients of few calls: 10 a second
//! is a retry for each of 10 calls, and nothing beside 10,000. Take
//! [`InFlight`] where calls are long, since it follows the load at once,
//! [`Throttle`] to behave as a gRPC client does, and [`Costs`] where throttles
//! should be retried more freely than failures.
//!
//! # Differences from
//!
//! tower's `TpsBudget` decides and withdraws in two steps, and rounds ratios: 60 %
//! and 90 % are 100 % there. Finagle's withdrawals are negative deposits
//! that expire too; here the floor accrues by time instead, so that a burst
//! after a burst has what time gave and no more. Envoy counts retries among
//! the requests whose share they are; here a call counts once.
//!
//! # References
//!
//! - Finagle's `RetryBudget`: 20 %, 10 a second, 10 s.
//! - Envoy's `retry_budget`: 20 %, at least 3.
//! - gRPC proposal A6, `retryThrottling`: `maxTokens`, `tokenRatio`, half.
//! - The standard retry of the AWS SDKs: a capacity of 500; since version 2.1
//!   14 a retry, 5 after a throttle.

mod account_cell;
mod costs;
mod deposits;
mod error;
mod handle;
mod in_flight;
mod machine;
mod nested;
mod promise;
mod snapshot;
mod stock_cell;
mod throttle;
mod traffic_cell;

pub use costs::Costs;
pub use deposits::Deposits;
pub use error::{ConfigError, UpdateError};
pub use handle::RetryBudget;
pub use in_flight::InFlight;
pub use machine::{Deposited, ExtraToken, Model, SpentToken, UnderWay};
pub use nested::{Both, Nested};
pub use promise::{Budget, Call, Class, Exhausted, Spent, Token};
pub use snapshot::{Level, Snapshot, Tokens};
pub use throttle::Throttle;
