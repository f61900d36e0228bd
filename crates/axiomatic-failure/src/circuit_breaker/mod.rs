//! A circuit breaker: do not call what cannot answer.
//!
//! # The problem
//!
//! A dependency that is down still costs: each call to it waits for its
//! timeout, holds a task and a connection, and adds to the load under which
//! the dependency has to recover. At 200 calls a second and a timeout of a
//! second, 200 callers are waiting at any time for an answer that will not
//! come. Parts fail, and fail together; what can be saved is the waiting.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::{BoxError, Ratio};
//! use axiomatic_failure::circuit_breaker::{Config, TripWhen, Window};
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let breaker = Config::new(Window::last(Duration::from_secs(10)))
//!     .named("payment")
//!     .trip_when(TripWhen::failure_rate(Ratio::percent(50), 20))
//!     .build()?;
//! let mut payment = ServiceBuilder::new()
//!     .layer(breaker.layer())
//!     .service(service_fn(|cents: u64| async move { Ok::<_, BoxError>(cents) }));
//!
//! assert_eq!(payment.ready().await?.call(250).await?, 250);
//! println!("{}", breaker.snapshot());
//! # Ok(())
//! # }
//! ```
//!
//! Without tower, the same handle asks and tells:
//!
//! ```
//! use axiomatic_core::{Outcome, Rejected};
//! use axiomatic_failure::circuit_breaker::CircuitBreaker;
//!
//! # fn main() -> Result<(), Rejected> {
//! # let breaker = CircuitBreaker::default();
//! let permit = breaker.admit(breaker.now())?; // or: open, for another 1.2 s
//! let outcome = Outcome::Transient; // what became of the call
//! permit.record(breaker.now(), outcome);
//! # Ok(())
//! # }
//! ```
//!
//! One breaker for each host, in bounded memory: [`KeyedCircuitBreaker`].
//!
//! # Guarantees
//!
//! - It does what a breaker made of lists does, over any script of calls,
//!   verdicts, drops, waits and operators
//!   (`does_what_the_reference_does`).
//! - Never more probes of a half-open phase are under way than it has places
//!   (`never_more_probes_than_slots`).
//! - A result of an earlier state never moves a later one
//!   (`a_stale_result_never_moves_a_newer_state`).
//! - Every permit resolves once (`every_permit_resolves_once`), and one that
//!   is dropped gives its place back and decides nothing
//!   (`a_dropped_permit_returns_its_slot`).
//! - A probe that hangs fails at its lease, so no breaker ever wedges
//!   (`a_probe_that_hangs_fails_at_its_lease`,
//!   `a_claim_that_comes_late_takes_nobodys_lease`).
//! - No verdict and no transition is lost to a race
//!   (`no_transition_is_lost`).
//! - It closes with an empty window (`a_stale_result_decides_nothing`), and
//!   old successes do not hide a new outage
//!   (`old_successes_do_not_hide_a_new_outage`).
//! - While it is open, it does not wait for a service that hangs while it
//!   becomes ready (`an_open_breaker_does_not_wait_for_a_hanging_service`).
//! - A rate that is reached trips it, whichever threads' results reach it
//!   (`a_rate_that_is_reached_trips_whoever_comes_last`,
//!   `a_promise_to_wait_is_never_too_long`).
//! - Calls that are slow while they are under way trip it at the slow
//!   threshold, their own if they have one, and count once
//!   (`a_dependency_that_hangs_trips_at_the_threshold`,
//!   `a_call_has_the_threshold_of_its_context`,
//!   `a_slow_call_is_counted_once_and_its_failure_still_counts`).
//! - A ramp lets exactly its shares pass, and opens again when more fails than
//!   its guard forgives (`a_ramp_admits_its_shares_exactly`,
//!   `more_failures_than_the_guard_forgives_open_it_again`).
//! - The adaptive part refuses no more than the failures ask for, and does not
//!   wind up (`it_refuses_a_share_and_never_opens`,
//!   `nothing_winds_up_while_it_refuses_all_it_may`).
//! - A subscriber never holds a caller up, and learns how many transitions it
//!   missed (`a_subscriber_that_does_not_listen_is_told_how_many_it_missed`).
//! - With a breaker for each key, a bad key does not cost the good ones, and a
//!   million made-up keys cost neither memory nor time
//!   (`one_bad_host_costs_the_good_ones_nothing`,
//!   `a_million_made_up_keys_cost_neither_memory_nor_time`).
//! - A service that fails after it was ready is heard
//!   (`a_service_that_fails_after_it_was_ready_says_so`).
//! - A panic of the call counts as a failure, a neighbour's does not
//!   (`a_panic_of_the_call_is_a_failure_and_a_neighbours_is_not`).
//! - Any monotonic clock will do (`any_monotonic_clock_will_do`).
//! - Refusals of other layers are no failures
//!   (`refusals_of_other_layers_are_no_failures`).
//!
//! # Cost
//!
//! A closed breaker admits with loads of one cache line and records with one
//! compare-and-swap on a line of the thread's own, whatever the window holds;
//! the layer adds a reference that the thread keeps for its next call
//! and one read of the coarse clock, and allocates nothing. Refusing is a look
//! at one cache line and at most one read of the clock (the feature `metrics`
//! adds a shared counter). A failed or slow call adds two atomic steps: how
//! many more it takes until a rate can be reached is known, and only then is
//! the window read, O(buckets × lines). Memory is fixed at construction: 1.5
//! KiB of window and 0.5 KiB of references on two cores by default, eight times
//! that on sixteen or more; and up to four breakers that a thread used last
//! stay until it ends. To see slow calls in flight costs an addition more on
//! that line of the thread's own, and 16 KiB of window on two cores. Where only
//! a share of the calls passes, the turns are one word for all threads. `cargo
//! xtask bench circuit_breaker` measures it beside its peers, and
//! `tests/costs.rs` holds it to its instructions.
//!
//! # When not to use it
//!
//! - Where every call goes to another place: keep a breaker for each place,
//!   or one bad endpoint refuses calls to the good ones.
//! - As a rate limiter, or as the only answer to overload: a breaker learns
//!   from failures, after they were paid for. A bulkhead or a limiter says
//!   "less" before.
//! - Where nothing better can be done with a refusal than to try again at
//!   once: then it only changes the error's text.
//! - Against a service whose *readiness* fails or hangs: a breaker judges
//!   calls, and without readiness there is none.
//! - Alone against hangs: it can see a call that never ends, with
//!   [`Config::slow_in_flight`], but not end it. Put a timeout inside, whose
//!   [`Elapsed`](axiomatic_core::Reason::Elapsed) counts as a failure.
//!
//! # How it works
//!
//! | State | A call | Ends |
//! |---|---|---|
//! | closed | passes; its outcome enters the window | a condition of [`TripWhen`] is met: open |
//! | open | is refused, with the time that remains | its time, [`OpenFor`], is over: half-open, at the next call |
//! | half-open | passes as a probe while there is a place | enough good probes: closed, or the first stage of the [`Ramp`]; too many bad ones, or a lease that ran out: open |
//! | ramping | passes in turn: 5, 10, 25, 50 of a hundred | each stage is over and has worked: the next, closed after the last; too many failed: open |
//! | thinning | passes in turn, the share that [`Adaptive`] leaves | the share changes with every step of the controller, closed at none; [`TripWhen`], if it is dual: open |
//! | forced open, forced closed | is refused, or passes and is counted | the operator says so |
//!
//! State, generation and the counts of probes are one word, so that a verdict
//! and the transition that it causes are one atomic step. A generation is the
//! time at which a state began; a permit carries it, the window takes it as
//! its era, and so evidence never crosses from one to the next. Closed and
//! thinning are one generation, and so are the stages of a ramp.
//!
//! | Word | Means |
//! |---|---|
//! | stance | what a breaker does, with what it has to remember for that |
//! | generation | a stretch between two transitions, by its beginning |
//! | phase | stance and generation: the whole state, one word |
//! | ticket | what a permit remembers of its admission |
//! | era | a generation, to the window |
//! | stretch | a time in which the window's total does not shrink |
//! | patience | how many more bad results it takes until a rate can be reached |
//!
//! # Choosing parameters
//!
//! Which policy suits which failure stands, with numbers, in [`choosing`];
//! what was simulated, in [`simulations`].
//!
//! - **Window**: long enough for the sample at your quietest hour, short
//!   enough that you still care. At `r` calls a second, a total outage trips
//!   after `sample / r` seconds on an idle window, and on a full window of `w`
//!   seconds with a threshold `p` after `p × w` seconds.
//! - **Sample**: at a true failure rate `f`, a sample of `n` shows a rate of
//!   at least `p` by chance with a probability below
//!   `exp(−2n(p − f)²)` (Hoeffding, 1963). For `f` = 10 %, `p` = 50 % and
//!   `n` = 20, that is 0.2 %.
//! - **Open**: as long as the dependency needs for its shortest recovery, and
//!   doubling up to what your users bear: an outage that ends is noticed half
//!   of the longest opening later. In the simulations, doubling to 60 s instead
//!   of the default of 5 s cost 19 points of goodput in the plainest outage and
//!   five over all stories, and saved a hundredth of the calls that are wasted
//!   without a breaker. A large fleet wants longer: `n` clients send `n` times
//!   the probes.
//! - **Probes**: few, with a lease of two call timeouts.
//! - **Ramp**: where all the load at once would bring the dependency down
//!   again: cold caches, a pool that has to fill. Elsewhere it only delays.
//!
//! # Differences from
//!
//! - *tower* has no breaker.
//! - *Failing fast* when a service is not ready looks at readiness, a breaker
//!   at outcomes.
//!
//! # References
//!
//! Michael Nygard, *Release It!*, 2007, chapter "Stability patterns". For the
//! adaptive part: Beyer and others, *Site Reliability Engineering*, 2016,
//! chapter "Handling overload"; Shopify's Semian, 2025.

#[cfg(doc)]
#[doc = include_str!("../../docs/rustdoc/choosing.md")]
pub mod choosing {}
#[cfg(doc)]
#[doc = include_str!("../../docs/rustdoc/simulations.md")]
pub mod simulations {}

mod adaptive;
mod admission;
mod breaker;
mod cell;
mod config;
mod counter_cell;
mod error;
mod evidence;
mod gate;
mod generation;
#[cfg(feature = "keyed")]
mod kept;
#[cfg(feature = "keyed")]
mod keyed;
mod layer;
mod lease_cell;
mod mechanism;
mod origin_cell;
mod patience_cell;
mod permit;
mod policy;
mod ramp;
mod service;
mod settings_cell;
mod shares;
mod signal;
mod snapshot;
mod state;
mod steering;
#[cfg(feature = "subscribe")]
mod subscription;
mod telemetry;
mod ticket;
mod turns_cell;
mod verdict;
#[cfg(feature = "keyed")]
mod version_cell;

pub use adaptive::Adaptive;
pub use breaker::CircuitBreaker;
pub use config::{Config, Window};
pub use error::{ConfigError, UpdateError};
pub use gate::Gate;
#[cfg(feature = "keyed")]
pub use keyed::{ByKey, KeyedCircuitBreaker, KeyedCircuitBreakerLayer, KeyedCircuitBreakerService};
pub use layer::CircuitBreakerLayer;
pub use permit::{OwnedPermit, Permit};
pub use policy::{HalfOpen, OpenFor, ThrottledCounts, TripWhen};
pub use ramp::Ramp;
pub use service::CircuitBreakerService;
pub use snapshot::Snapshot;
pub use state::State;
#[cfg(feature = "subscribe")]
pub use subscription::{Missed, Transition, Transitions};

/// The response of a [`CircuitBreakerService`]: a refusal, or the inner call with its permit.
pub type ResponseFuture<F, E, B> = axiomatic_core::response::ResponseFuture<F, E, B, OwnedPermit>;
