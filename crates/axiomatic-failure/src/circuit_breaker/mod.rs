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
//! # Guarantees
//!
//! - It does what a breaker made of lists does, over any script of calls,
//!   verdicts, drops, waits and operators
//!   (`does_what_the_reference_does`).
//! - Never more probes are under way than it has places
//!   (`never_more_probes_than_slots`).
//! - A result of an earlier state never moves a later one
//!   (`a_stale_result_never_moves_a_newer_state`).
//! - Every permit resolves once (`every_permit_resolves_once`), and one that
//!   is dropped gives its place back and decides nothing
//!   (`a_dropped_permit_returns_its_slot`).
//! - A probe that hangs fails at its lease, so no breaker ever wedges
//!   (`a_probe_that_hangs_fails_at_its_lease`).
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
//! stay until it ends. `cargo
//! xtask bench circuit_breaker` measures it beside its peers, and
//! `tests/costs.rs` holds it to its instructions.
//!
//! # When not to use it
//!
//! - Where every call goes to another place: keep a breaker for each place,
//!   or one bad endpoint refuses calls to the good ones.
//! - As a rate limiter or against overload: it knows two answers, all and
//!   nothing. A bulkhead or a limiter says "less".
//! - Where nothing better can be done with a refusal than to try again at
//!   once: then it only changes the error's text.
//! - Against a service whose *readiness* fails or hangs: a breaker judges
//!   calls, and without readiness there is none.
//! - Alone against hangs: a call that never ends says nothing. Put a timeout
//!   inside, whose [`Elapsed`](axiomatic_core::Reason::Elapsed) counts as a
//!   failure, or measure slowness with [`Config::slow_after`].
//!
//! # How it works
//!
//! | State | A call | Ends |
//! |---|---|---|
//! | closed | passes; its outcome enters the window | a condition of [`TripWhen`] is met: open |
//! | open | is refused, with the time that remains | its time, [`OpenFor`], is over: half-open, at the next call |
//! | half-open | passes as a probe while there is a place | enough good probes: closed; too many bad ones, or a lease that ran out: open |
//! | forced open, forced closed | is refused, or passes and is counted | the operator says so |
//!
//! State, generation and the counts of probes are one word, so that a verdict
//! and the transition that it causes are one atomic step. A generation is the
//! time at which a state began; a permit carries it, the window takes it as
//! its era, and so evidence never crosses a transition.
//!
//! # Choosing parameters
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
//!   doubling up to what your users bear.
//! - **Probes**: few, with a lease of two call timeouts.
//!
//! # Differences from
//!
//! - *tower* has no breaker.
//! - *Failing fast* when a service is not ready looks at readiness, a breaker
//!   at outcomes.
//!
//! # References
//!
//! Michael Nygard, *Release It!*, 2007, chapter "Stability patterns".

mod adaptive;
mod admission;
mod breaker;
mod cell;
mod config;
mod counter_cell;
mod error;
mod evidence;
mod future;
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
pub use future::ResponseFuture;
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
