//! A simulator for control loops: what a mechanism does over minutes, judged
//! in milliseconds.
//!
//! # The problem
//!
//! A breaker, a limiter or a retry budget is a control loop, and a loop is
//! judged by what it does over time: how soon it notices, how much it sends in
//! vain, how soon all is well again, and whether it does harm where nothing
//! was wrong. One run at 200 requests a second over two minutes is 24 000
//! requests; a verdict takes some seeds, some stories and each with and without
//! the mechanism. On a live system that takes days and is never the same
//! twice. With virtual time it is a unit test.
//!
//! # Example
//!
//! A dependency is down for ten seconds, and a policy that looks at the last
//! call alone keeps requests from it.
//!
//! ```
//! use axiomatic_core::time::Instant;
//! use axiomatic_core::{Outcome, Pattern, Ratio, Reason, Rejected};
//! use axiomatic_sim::{
//!     Arrivals, Call, Client, Dependency, End, Policy, Rate, Scenario, ServiceTime, Timeline,
//! };
//! use std::time::Duration;
//!
//! /// After a bad call, nothing for a while.
//! struct OnceBitten {
//!     shy_for: Duration,
//!     until: Option<Instant>,
//! }
//!
//! impl Policy for OnceBitten {
//!     type Permit = ();
//!
//!     fn admit(&mut self, _: Call, now: Instant) -> Result<(), Rejected> {
//!         match self.until {
//!             Some(until) if now < until => {
//!                 Err(Rejected::new(Pattern::CircuitBreaker, Reason::Open))
//!             }
//!             _ => Ok(()),
//!         }
//!     }
//!
//!     fn record(&mut self, (): (), now: Instant, end: End) {
//!         if end.outcome() == Outcome::Transient {
//!             self.until = Some(now + self.shy_for);
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let second = Duration::from_secs;
//! let fault = second(20)..second(30);
//! let takes = Timeline::always(ServiceTime::Exponential { mean: Duration::from_millis(50) })
//!     .during(fault.clone(), ServiceTime::Never);
//! let story = Scenario::new(
//!     Arrivals::poisson(Rate::per_second(100)),
//!     Client::new(50, second(1)).with_queue(50, second(1)),
//!     Dependency::new(takes),
//! );
//!
//! let without = story.run(1, second(60), |_| ());
//! let with = story.run(1, second(60), |_| OnceBitten { shy_for: second(1), until: None });
//!
//! let detection = with.detection(fault.clone()).ok_or("never noticed")?;
//! assert!(detection < second(2));
//! let recovery = with.recovery(fault.end, Ratio::percent(95)).ok_or("never again well")?;
//! assert!(recovery < second(2));
//! assert!(with.total().wasted < without.total().wasted);
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! | | |
//! |---|---|
//! | [`Agenda`] | the virtual clock and the heap of events; usable alone, for stories of another shape |
//! | [`Random`] | chance from a seed, with independent streams |
//! | [`Timeline`] | a value over time: steps, stretches, ramps |
//! | [`Arrivals`], [`Rate`] | when requests come |
//! | [`ServiceTime`], [`Dependency`], [`Restart`] | how long work takes, how often it fails, how much of it can be done at once, what too much of it does, and when that changes |
//! | [`Policy`], [`Client`], [`Scenario`] | what is judged, who calls, and the story |
//! | [`Series`], [`Bin`] | what became of each request, detection, recovery, goodput, percentiles |
//! | [`Table`], [`Chart`], [`Panel`] | Markdown and SVG that a test can compare with a file |
//! | [`compare_or_bless`] | does that |
//!
//! # Guarantees
//!
//! - The same seed gives the same run, on every machine
//!   (`the_same_seed_gives_the_same_run`): all is computed with integers and
//!   the exact operations of IEEE 754
//!   (`logarithm_and_exponential_agree_with_std`), and no number comes from
//!   elsewhere (`a_run_is_what_it_was_when_it_was_written_down`).
//! - Events come in the order of their times, and then of their scheduling
//!   (`events_come_in_the_order_of_time_and_then_of_scheduling`).
//! - Every request has one fate (`every_request_has_one_fate`).
//! - Two policies meet the same requests and the same luck
//!   (`policies_meet_the_same_requests_and_the_same_luck`), and so does a
//!   client next to others (`clients_meet_at_the_dependency_and_nowhere_else`).
//! - Loads and service times are those that were asked for
//!   (`poisson_arrivals_have_the_rate_and_the_variance_of_a_poisson_process`,
//!   `steps_and_ramps_of_the_rate_are_followed`,
//!   `service_times_have_the_moments_they_were_asked_for`), and queues are
//!   those of the textbook
//!   (`the_wait_in_an_m_m_1_queue_is_that_of_the_formula`,
//!   `the_wait_in_an_m_m_c_queue_is_that_of_erlang`).
//!
//! # Cost
//!
//! Two events for each call, O(log n) each for n calls under way. A request
//! that is served leaves its latency, 16 bytes, so that percentiles are exact;
//! memory grows with the length of the run.
//!
//! # When not to use it
//!
//! - To find races: it has one thread. Loom and shuttle look for those.
//! - To learn how fast a mechanism is: that is what benches measure.
//! - To predict a system. It says what a loop does in a story; whether the
//!   story is yours, only your own measurements say.
#![forbid(unsafe_code)]

mod agenda;
mod arrivals;
mod chart;
mod dependency;
mod float;
mod golden;
mod judged;
mod policy;
mod random;
mod scenario;
mod series;
mod service_time;
mod table;
mod timeline;

pub use agenda::Agenda;
pub use arrivals::{Arrivals, Rate};
pub use chart::{Chart, Color, Panel};
pub use dependency::{Answer, Dependency, Restart};
pub use golden::{BLESS, compare_or_bless};
pub use policy::{Call, End, NaiveRetry, Policy};
pub use random::Random;
pub use scenario::{Client, Scenario};
pub use series::{Bin, Fate, Series};
pub use service_time::ServiceTime;
pub use table::Table;
pub use timeline::{Blend, Timeline};
