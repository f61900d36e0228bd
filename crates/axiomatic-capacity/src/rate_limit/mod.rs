//! A rate limit: so many in a time, and the rest is refused, shed or waits.
//!
//! # The problem
//!
//! A service has four workers, and a call takes them 5 ms: it can do 800 a
//! second. Fifty clients send eight a second each. Then a crawler comes with
//! 2,000 a second, and everybody stands in its queue: of the fifty's 8,000 calls
//! in twenty seconds 11 are answered in time. With 16 a second for each client
//! all 8,000 are, and of the crawler's 40,000 calls 323
//! (`examples/rate_limit.rs` prints the numbers).
//!
//! # Example
//!
//! ```
//! use axiomatic_capacity::rate_limit::{Config, Quota, WhenLimited};
//! use axiomatic_core::BoxError;
//! use std::num::NonZeroU32;
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # async fn search(text: &'static str) -> Result<usize, BoxError> { Ok(text.len()) }
//! let rate = NonZeroU32::new(640).ok_or("nothing")?;
//! let burst = NonZeroU32::new(40).ok_or("nothing")?;
//! let limiter = Config::new(Quota::per_second(rate).burst(burst))
//!     .named("search")
//!     .when_limited(WhenLimited::Wait {
//!         max_wait: Duration::from_millis(50),
//!         max_waiting: burst,
//!     })
//!     .build()?;
//!
//! // What is beyond the limit is refused, and told when to come back.
//! let mut service = ServiceBuilder::new()
//!     .layer(limiter.layer())
//!     .service(service_fn(search));
//! assert_eq!(service.ready().await?.call("slow").await?, 4);
//!
//! // Or it waits, if that is worth it.
//! let mut patient = ServiceBuilder::new()
//!     .layer(limiter.waiting_layer())
//!     .service(service_fn(search));
//! assert_eq!(patient.ready().await?.call("paced").await?, 5);
//! println!("{}", limiter.snapshot());
//! # Ok(())
//! # }
//! ```
//!
//! Without tower and without a runtime: [`RateLimiter::admit`] and
//! [`RateLimiter::reserve`]. One for each client, in memory that never grows:
//! [`KeyedRateLimiter`]. Several that decide as one: a tuple of them is a
//! [`Gate`]. A client that keeps to what a server says:
//! [`RateLimiter::learning_layer`]. One for many processes: the crate
//! `axiomatic-redis`.
//!
//! # Guarantees
//!
//! - Within any time there are never more than a burst, what comes at the rate,
//!   and a unit of virtual time, which is 2 ns at most and less than a call's
//!   part (`never_more_than_a_burst_and_the_rate`,
//!   `admitted_never_exceeds_a_burst_and_the_rate`,
//!   `many_threads_never_admit_more_than_there_is`), also where clocks are out of
//!   step or run backwards (`clocks_out_of_step_admit_no_more`,
//!   `time_that_runs_backwards_is_harmless`).
//! - Rates are exact: nothing is rounded that adds up, at any rate and for 584
//!   years (`rates_are_exact_over_many_operations`,
//!   `seven_hundred_million_a_second_are_seven_hundred_million`,
//!   `virtual_time_is_the_fraction_rounded_down`,
//!   `the_largest_quotas_work_to_the_end_of_time`); it decides as a bucket of
//!   fractions does (`does_what_a_bucket_of_exact_fractions_does`).
//! - What is given up, put back, drained or paused is that much and no more,
//!   also together, and however long nobody has asked
//!   (`what_is_put_back_and_what_is_given_up_are_together_no_more_than_a_burst`,
//!   `what_is_given_back_in_a_pause_does_not_end_it`,
//!   `what_is_changed_holds_however_long_nobody_has_asked`).
//! - A refusal takes nothing (`a_refusal_takes_nothing`) and says when: it is
//!   admitted then, and not a nanosecond before
//!   (`the_wait_that_is_told_suffices_and_is_the_least`). What costs more than a
//!   burst is not told to wait
//!   (`what_costs_more_than_a_burst_is_never_admitted_and_not_told_to_wait`).
//! - Who waits is served in the order of coming
//!   (`who_waits_is_served_in_the_order_of_coming_and_at_the_rate`), no more than
//!   so many do (`so_many_wait_and_no_more`), and who cannot be due in time is
//!   told so at once (`who_cannot_be_due_in_time_is_refused_at_once`).
//! - Who leaves gives its place to who comes next
//!   (`who_leaves_gives_its_place_to_who_comes_next`,
//!   `what_is_given_back_is_there_once`), and when all leave nothing of them
//!   stays (`when_all_who_wait_leave_nothing_of_them_stays`,
//!   `wherever_a_waiting_call_is_cancelled_nothing_is_lost`).
//! - A quota is changed live: each decision is by the old one or by the new one
//!   (`who_is_asked_while_a_quota_changes_decides_by_one_of_them`,
//!   `terms_of_two_minds_decide_nothing`), and what was left is inherited as it
//!   is told (`a_new_quota_inherits_as_it_is_told`).
//! - Several limits take all or nothing
//!   (`several_limits_decide_as_one_and_take_all_or_nothing`,
//!   `who_waits_for_several_limits_is_due_when_it_is_by_all`).
//! - Clones, and services of one layer, share the limit, which those of tower's
//!   cannot be made to (`clones_and_layers_share_one_limit`).
//! - What was idle begins slowly, if that is asked for
//!   (`what_was_idle_begins_slowly_and_gets_warm`, `what_is_cold_gets_warm_once`).
//! - A server's word makes a client ask for less, and never for more
//!   (`a_client_asks_for_no_more_than_a_server_allows_and_never_for_more_than_its_own`).
//! - In shadow what would be refused consumes nothing
//!   (`in_shadow_what_would_be_refused_consumes_nothing_and_is_counted`).
//!
//! # Cost
//!
//! A decision is one compare-and-swap on one word, a multiplication, and loads
//! from a line that nobody writes; a layer reads the precise clock once, which
//! costs more than all the rest. A refusal is loads, and a count on a line of
//! the thread's own. No lock is taken and nothing allocated, but where somebody
//! gives back what it did not use, or puts some back: there a lock is held for a
//! few steps, and by who would otherwise be refused as long as such places are
//! there.
//!
//! On one core of an EPYC, with the time given, a decision takes 3.5 ns, which is
//! what governor takes and 1.5 times a compare-and-swap, and a refusal that says
//! when 7.7. Of the layer's 31 ns 22 are the clock, and with the coarse one it
//! takes 7. Memory is about 3 kB. `cargo xtask bench rate_limit` measures it beside
//! its peers, and `tests/costs.rs` holds it to its instructions.
//!
//! # When not to use it
//!
//! - To bound how many there are at a time: that is a
//!   [bulkhead](crate::bulkhead). A rate that is right while calls take 5 ms is
//!   ten times too high when they take 50.
//! - Where what can be borne moves: the [adaptive limit](crate::adaptive) finds
//!   it.
//! - In each of many processes, for a quota of all of them together: ten with
//!   100 a second are 1,000.
//!
//! # How it works
//!
//! Everything that was granted stands in a line, in a time that runs at the
//! quota's rate. The line ends where all of it has arrived. Whoever comes is
//! granted its cost at the end, at once if that is within a burst from now, and
//! else for when it is.
//!
//! ```text
//!            now                          now + burst
//!  ───────────┼─────────────────┼──────────────┼───────▶ virtual time
//!             │◀── granted ────▶│◀ available ─▶│
//!                              end
//! ```
//!
//! That is one number, and time that goes by changes nothing of it. The unit of
//! virtual time is a cell over a power of two, as small as can be without there
//! being more than one a nanosecond: so a cell is a whole number of units at any
//! rate, and the clock is turned into units by one multiplication. With the
//! number goes that of the terms it was granted by: who decides by a quota that
//! is no longer good fails at its exchange, and decides anew.
//!
//! | [`Algorithm`] | Within any period of a quota of ten | What comes back |
//! |---|---|---|
//! | [`Gcra`](Algorithm::Gcra) | a burst and ten | evenly |
//! | [`TokenBucket`](Algorithm::TokenBucket) | a burst and ten | ten at the end of each period |
//! | [`FixedWindow`](Algorithm::FixedWindow) | twenty around an end | all at the end of each period |
//! | [`SlidingWindow`](Algorithm::SlidingWindow) | ten, if those of the last period came evenly | as it is no longer looked back on |
//! | [`WarmUp`](Algorithm::WarmUp) | as `Gcra`, and less after it was idle | evenly, and slower while it gets warm |
//!
//! A quota that is [paced](Quota::paced) has no burst: calls come as far apart as
//! the rate says, which with [`WhenLimited::Wait`] smooths what comes in bursts.
//! A timer of tokio's rings at whole milliseconds: those that are due within one
//! are called together.
//!
//! # Choosing parameters
//!
//! Measure how long a call is in service, and how many are served at a time. By
//! Little's law, L = λW, with all of L workers busy for W each λ = L / W come
//! out a second: four workers and 5 ms are 800. Queues get long before that, so
//! the rate is four fifths of it: 640.
//!
//! What comes at once waits for what came before it. If a call may wait 50 ms,
//! then as many may come at once as are served in that time: 800 × 0.05 = 40. A
//! smaller burst refuses what could have been served, a larger one lets in what
//! is served too late.
//!
//! A client's share is what it needs, and some more for being early: twice its
//! average, and a burst of what it sends together, a page with its pictures. The
//! shares may add up to more than there is, since not all come at once; then a
//! limit of all, as one decision with theirs, keeps the sum.
//!
//! # Differences from
//!
//! - governor decides by whole nanoseconds between two calls, so that 700
//!   million a second are 1,000 million and 30 million are 1 % more. Its default
//!   clock is not monotonic between cores, its quota cannot be changed, its waits
//!   sleep and race, and its keys stay until they are swept.
//! - tower's `RateLimit` is a fixed window that is not `Clone`.
//! - leaky-bucket has who waits move up when one leaves; here the place goes to
//!   who comes next.
//! - Guava's warm-up gets warm by calls, and here by time, as Envoy's slow start.
//!
//! # References
//!
//! - ITU-T I.371, *Traffic control and congestion control in B-ISDN*: the generic
//!   cell rate algorithm, as virtual scheduling.
//! - J. Turner, *New directions in communications*, IEEE Communications 24(10),
//!   1986: the leaky bucket.
//! - J. D. C. Little, *A Proof for the Queuing Formula L = λW*, Operations
//!   Research 9(3), 1961.

mod announcing;
mod by_key;
mod changes;
mod config;
mod core;
mod error;
mod future;
mod gate;
mod holes;
mod inheritance;
pub mod keyed;
mod layer;
mod learning;
mod limiter;
mod line;
mod permit;
mod quota;
mod reservation;
mod returns;
mod rule;
mod service;
mod sliding;
mod snapshot;
mod telemetry;
mod terms;
mod together;
#[cfg(feature = "tokio")]
mod waiting;
#[cfg(feature = "tokio")]
mod waiting_service;
mod word_cell;

pub use announcing::Announcing;
pub use by_key::{Borrowing, ByKey, Computing, KeyedRateLimitLayer, LimitsByKey, Selector};
pub use config::{Algorithm, Config, WhenLimited};
pub use error::ConfigError;
pub use future::ResponseFuture;
pub use gate::{ByCost, Gate, WaitingGate};
pub use inheritance::Inheritance;
#[cfg(feature = "keyed")]
pub use keyed::ExactKeyedRateLimiter;
pub use keyed::KeyedRateLimiter;
pub use layer::RateLimitLayer;
#[cfg(feature = "tokio")]
pub use layer::WaitingRateLimitLayer;
pub use learning::{HeedingFuture, HeedingService, LearningRateLimitLayer};
pub use limiter::RateLimiter;
pub use permit::Permit;
pub use quota::Quota;
pub use reservation::Reservation;
pub use service::RateLimitService;
pub use snapshot::{Snapshot, Standing};
#[cfg(feature = "tokio")]
pub use waiting_service::{WaitingRateLimitService, WaitingResponseFuture};
