//! Load shedding: what cannot be served in time is refused before anything is
//! done for it, and what matters least is refused first.
//!
//! # The problem
//!
//! A server can do a thousand requests a second, and two thousand come. Nothing
//! is refused, so all wait; each waits longer than the one before, callers give
//! up after half a second and come again, and soon the server works on nothing
//! but requests that nobody waits for any more. Then the load goes back to seven
//! hundred, and the server stays where it is, for what it does not answer in time
//! comes again: seventy seconds later not one in two is answered, and nothing is
//! wrong any more. Its throughput is a thousand all the while. What counts is
//! goodput: answers in time. With what is here that server has 96 % of it under
//! twice the load, and all of it as soon as that is over (`docs/overload.md`, from a
//! simulator).
//!
//! # Which of them to choose
//!
//! | It is too much because | Then | It needs to know | It refuses |
//! |---|---|---|---|
//! | something finite is in use | [`bulkhead`](crate::bulkhead) | how many at a time | who finds no slot |
//! | the same, and nobody knows how many are too many | [`adaptive`](crate::adaptive) | nothing: it measures | who finds no slot |
//! | somebody takes more than was agreed | [`rate_limit`](crate::rate_limit) | how many in a time | what is beyond that, however idle the server |
//! | more comes than can be served, and not all of it matters the same | a [`LoadShedder`], outermost in the server, over a bulkhead with a queue and [`CoDel`](crate::bulkhead::CoDel) | a signal, or what is turned away further in | what matters least, of all that comes |
//! | the server that one calls is overloaded, and says so | an [`Upstream`], in the client | the level in its answers | what the server would refuse |
//! | the server that one calls is overloaded, and says nothing | a [`Throttler`], in the client | how many of its calls are accepted | the share that would not be |
//! | the server that one calls does not answer at all | a circuit breaker (`axiomatic-failure`) | how many of its calls fail | everything, for a while |
//! | what stands behind is not ready, and waiting for that is no use | `FailFast` ([`fail_fast`]) | for how long it may not be | everything, until it is |
//!
//! A server has the first, third and fourth of them, in the order: shedder,
//! rate limit, bulkhead. The limit and the bulkhead
//! [report](crate::bulkhead::Config::reporting_to) to the shedder's
//! [`Prioritizer`]: so what they would refuse, whatever it is, becomes the same
//! number of requests that matter least.
//!
//! # Example
//!
//! ```
//! use axiomatic_capacity::bulkhead::{self, CoDel, Order, WhenFull};
//! use axiomatic_capacity::load_shed::signal::QueueDelay;
//! use axiomatic_capacity::load_shed::{Config, EstimatedWait, prioritizer};
//! use axiomatic_core::BoxError;
//! use std::num::NonZeroU32;
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[cfg(feature = "tokio")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # async fn answer(id: u32) -> Result<u32, BoxError> { Ok(id) }
//! let prioritizer = prioritizer::Config::new().named("api").build()?;
//! let workers = bulkhead::Config::new(NonZeroU32::new(20).ok_or("none")?)
//!     .when_full(WhenFull::Wait {
//!         max_waiting: 200,
//!         max_wait: Duration::from_millis(500),
//!         order: Order::default(),
//!     })
//!     .codel(CoDel::new(Duration::from_millis(20), Duration::from_millis(100)))
//!     .reporting_to(&prioritizer)
//!     .build()?;
//! prioritizer.watch(QueueDelay::of(workers.clone(), Duration::from_millis(100)));
//! let shedder = Config::new(&prioritizer)
//!     .estimating(EstimatedWait::of(workers.clone()))
//!     .build();
//!
//! let mut service = ServiceBuilder::new()
//!     .layer(shedder.layer().exempting(|id: &u32| *id == 0)) // a health check
//!     .layer(workers.queued_layer())
//!     .service(service_fn(answer));
//! assert_eq!(service.ready().await?.call(7).await?, 7);
//! println!("{}", shedder.snapshot());
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! Without tower and without a runtime: [`LoadShedder::admit`].
//!
//! # Guarantees
//!
//! - What matters least is shed first: by class, by level in a class
//!   (`what_matters_least_is_shed_first`, `within_a_class_the_level_decides`), and
//!   as many as must be, to a part in 65,536 of a priority
//!   (`refuses_the_share_and_those_that_matter_least`,
//!   `a_share_ends_where_so_many_matter_less`).
//! - One decides for all: what a rate limit, a bulkhead, an adaptive limit or a
//!   queue turns away is shed at the door from the next period on
//!   (`what_a_rate_limit_refuses_is_shed_at_the_door`,
//!   `what_a_bulkhead_refuses_is_shed_at_the_door`,
//!   `what_an_adaptive_limit_refuses_is_shed_at_the_door`,
//!   `what_waits_too_long_is_reported`), and a throttler refuses by the same order
//!   (`a_throttler_refuses_what_matters_least`).
//! - It sheds while a signal says that it is too much, and its end ends it
//!   (`a_signal_has_it_shed_and_its_end_ends_it`); one that panics takes nothing
//!   with it (`a_signal_that_panics_takes_nothing_with_it`).
//! - One call a period decides, and no other waits for it
//!   (`one_call_a_period_decides`). Nothing is uncounted
//!   (`no_request_is_uncounted`,
//!   `nothing_is_lost_whatever_the_threads_and_counts_may_wrap`).
//! - Something always passes, so that the end is seen
//!   (`something_always_passes`), and what can be borne again is found within
//!   some periods (`it_finds_what_can_be_borne_again_within_some_periods`,
//!   `in_calm_it_comes_fast_to_what_is_known_and_slowly_beyond`).
//! - Heavier users lose first (`heavier_users_lose_first`,
//!   `heavier_users_are_shed_first`), are forgiven
//!   (`a_heavy_user_that_stops_is_forgiven`), and nobody is unlucky for ever
//!   (`nobody_is_unlucky_for_ever`). A user's level goes with its request
//!   (`the_level_of_a_user_goes_with_its_request`).
//! - What would wait longer than its caller does is refused at once
//!   (`what_would_be_too_late_is_refused_at_once`), as is what has expired
//!   (`a_deadline_that_has_passed_is_refused`).
//! - A refusal asks nobody behind (`refusals_do_not_ask_the_service_behind`), and
//!   unlike with tower's `LoadShed` a shed call leaves the queue it stood in
//!   (`a_call_that_is_shed_leaves_the_queue_it_stood_in`).
//! - A refusal says when to come again, longer while much is refused, and not to
//!   all the same
//!   (`who_is_refused_long_is_asked_to_wait_long_and_not_all_the_same_time`,
//!   `doubles_while_much_is_refused_and_comes_back_after`).
//! - Answers say what is admitted, if they are to
//!   (`answers_say_what_is_admitted_if_they_are_to`), clients that heed it keep
//!   back what would be refused (`what_would_be_refused_is_not_sent`,
//!   `a_client_heeds_the_answers_that_it_gets`), and what is not heard again is not
//!   believed for long (`what_is_not_heard_again_is_not_believed_for_long`).
//! - Health checks are exempt (`health_checks_are_exempt`).
//! - What failed, was dropped or was refused further in was not served
//!   (`a_call_that_is_answered_was_served_and_no_other`), and what is turned away
//!   whatever comes does not have all refused
//!   (`what_is_turned_away_whatever_comes_does_not_have_all_refused`).
//! - What callers keep back is not taken for gone
//!   (`what_callers_keep_back_is_remembered_and_reckoned_with`,
//!   `what_the_server_would_shed_its_client_keeps_back`).
//! - Goodput stays under twice and ten times the load
//!   (`twice_the_load_leaves_its_goodput_and_what_matters_most`,
//!   `ten_times_the_load_leaves_its_goodput`), and comes back within seconds where
//!   without shedding it does not
//!   (`a_server_that_was_stuck_is_back_within_seconds_and_without_shedding_is_not`,
//!   `a_retry_storm_ends_with_its_cause_and_without_shedding_does_not`); where there
//!   is no overload nothing is refused (`without_an_overload_nothing_is_refused`).
//! - In shadow all pass, and what would be refused is counted
//!   (`in_shadow_all_pass_and_off_nothing_is_seen`).
//!
//! # Cost
//!
//! A call that is let in counts itself on a line of the thread's own, reads the
//! level, and tells what became of it: 10 ns behind a layer. A refusal draws its
//! luck and counts itself, 8 to 10 ns, of which the coarse clock is 3 to 5; a
//! hundred thousand of them a second take half a percent of a processor. No lock is
//! taken and nothing allocated. One call a period, ten times a second, reads all
//! counts, asks the signals and decides, which takes microseconds and what the
//! signals take. A prioritizer has 1.1 KiB for each line of its counts, five lines on
//! two processors; users are ranked in 32 KiB, by two atomic additions. `cargo xtask
//! bench load_shed` measures it beside its peers, and `tests/costs.rs` holds it to
//! its instructions.
//!
//! # When not to use it
//!
//! - For fairness by contract: a rate limit says beforehand who may have how
//!   much. Here it is decided by what there is.
//! - Where all that comes matters the same and a bulkhead refuses soon enough:
//!   it sheds too, only not by what matters.
//! - Without priorities that mean something. If every caller says that it is
//!   critical plus, none is: `axiomatic_http::InboundLayer` bounds what a caller may
//!   claim.
//! - In front of what can be asked again for nothing, a cache for example: there
//!   refusing costs as much as answering.
//!
//! # How it works
//!
//! ```text
//! request ─▶ LoadShedder ─▶ rate limit ─▶ bulkhead, queue ─▶ work
//!               │  ▲            │ turned away  │ ▲
//!       offered │  │ level      ▼              ▼ │ pressure: queue delay, in flight,
//!       ended   ▼  │                             │ lag, processors, memory, a breaker
//!              Prioritizer ◀─────────────────────┘
//! ```
//!
//! The [`Prioritizer`] counts what comes, by priority. Ten times a second it
//! compares what was served with what came, and decides how many it admits: less
//! than was served while a signal says that it is too much, what was served if
//! something was turned away further in, more and more otherwise. What that leaves
//! of those that came is a share, and the counts say at which priority the share
//! ends: that is the [level](axiomatic_core::context::AdmissionLevel).
//!
//! | What | Where it comes from |
//! |---|---|
//! | classes and levels | Google's criticality; a level is one of 64 in a class |
//! | the level as a place in a count of priorities, told to callers | DAGOR |
//! | how much is admitted | what is served while too many wait is what can be borne, so one look tells it; DAGOR comes there five percent at a time |
//! | ranks of users | DAGOR's hash that changes by the hour, and before it how much they use, as failsafe-go has it |
//! | longer waits for who is refused | Kubernetes' API priority and fairness |
//!
//! # Choosing parameters
//!
//! - Report what is turned away ([`reporting_to`](crate::bulkhead::Config::reporting_to))
//!   where there is a bulkhead: that finds what can be borne in a period, while a
//!   signal has to build up first. A signal is for what no limit stands in front
//!   of: processors, memory, a runtime that lags.
//! - What reports should have a queue: a bulkhead without one turns away one in
//!   twenty by chance when nine of ten of its slots are taken, and there it settles.
//! - A queue's delay should be too much well before callers give up: a fifth of
//!   what they wait.
//! - The period should be some times what a request takes, so that what was
//!   decided is seen.
//! - A user's level is one of 64 in the class. Where the next hop believes no more
//!   than the class, as `axiomatic_http::InboundLayer` does by default, it is lost:
//!   believe what comes from one's own edge up to level 63. A request of no user keeps
//!   the level it came with, by default the lowest of its class.
//! - Refusals that are made answers of further out tell
//!   [`LoadShedder::level`], which is everything while it does not enforce.
//! - What is announced shows to whoever calls how busy the server is: announce it
//!   to callers of one's own, and strip it at the edge.
//!
//! # Differences from
//!
//! - tower's `LoadShed` sheds what the service behind is not ready for, knows no
//!   priorities, boxes its error, and leaves its place in the queue behind.
//! - little-loadshedder finds a limit for a queue by Little's law, learns from those
//!   that stayed, and knows no priorities.
//! - failsafe-go's prioritizer is shared by limiters in a process; ours also tells
//!   the callers.
//!
//! # References
//!
//! - H. Zhou et al., *Overload Control for Scaling WeChat Microservices*, SoCC
//!   2018: DAGOR.
//! - B. Beyer et al., *Site Reliability Engineering*, 2016, chapters 21 and 22:
//!   criticality, throttling by clients, cascading failures.
//! - N. Bronson et al., *Metastable Failures in Distributed Systems*, HotOS 2021.
//! - K. Nichols, V. Jacobson, *Controlling Queue Delay*, ACM Queue 10(5), 2012, and
//!   RFC 8289.

mod config;
mod error;
mod estimated_wait;
#[cfg(feature = "tokio")]
pub mod fail_fast;
pub mod fairness;
mod future;
mod layer;
mod permit;
pub mod prioritizer;
mod service;
mod shedder;
pub mod signal;
mod snapshot;
mod sorting;
mod telemetry;
pub mod throttle;
pub mod upstream;

pub use crate::gate::Ask;
pub use config::{Config, Estimate};
pub use error::ConfigError;
pub use estimated_wait::EstimatedWait;
pub use fairness::Fairness;
pub use future::ResponseFuture;
pub use layer::LoadShedLayer;
pub use permit::{OwnedPermit, Permit};
pub use prioritizer::Prioritizer;
pub use service::LoadShedService;
pub use shedder::LoadShedder;
pub use snapshot::Snapshot;
pub use sorting::{AsCarried, ByUser, Exempting, Sorting};
pub use throttle::Throttler;
pub use upstream::Upstream;
