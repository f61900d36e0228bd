//! A client-side throttle: do not send what will be refused.
//!
//! # The problem
//!
//! To refuse a call costs a server something too: it is read before it is
//! refused. Where that takes a millisecond of the ten that a call takes, a
//! server that can do a hundred a second is busy with refusing alone when a
//! thousand come, and answers none; and those who were refused try again.
//! Clients that keep back what will be refused let it answer 90 a second, and
//! 98 if they are strict (`tests/simulations/throttle.rs`).
//!
//! # Example
//!
//! ```
//! use axiomatic_capacity::load_shed::throttle::Config;
//! use axiomatic_core::{BoxError, Ratio};
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # async fn search(text: &'static str) -> Result<usize, BoxError> { Ok(text.len()) }
//! let throttler = Config::accepting(Ratio::percent(200))
//!     .named("search")
//!     .window(Duration::from_secs(30), 30)
//!     .build()?;
//! let mut service = ServiceBuilder::new()
//!     .layer(throttler.layer())
//!     .service(service_fn(search));
//!
//! assert_eq!(service.ready().await?.call("late").await?, 4);
//! println!("{}", throttler.snapshot());
//! # Ok(())
//! # }
//! ```
//!
//! Without tower and without a runtime: [`Throttler::admit`] asks, and
//! [`Permit::record`] tells.
//!
//! # Guarantees
//!
//! - What is refused is what the published formulas say, without rounding but
//!   to 2^-32 (`the_rule_of_the_book_is_the_published_formula`,
//!   `the_rule_of_envoy_is_the_published_formula`,
//!   `a_share_without_a_power_is_exact`,
//!   `aggression_takes_the_power_to_a_part_of_two_to_the_thirty_second`), over
//!   any script of calls, verdicts and waits
//!   (`it_does_what_a_throttler_of_lists_does`); over many calls as many are
//!   refused, give or take a handful
//!   (`the_refused_share_is_that_of_the_formula`).
//! - More accepted calls refuse less and more requests more
//!   (`more_accepts_refuse_less_and_more_requests_more`), nothing is refused
//!   while all are accepted (`nothing_is_refused_when_all_are_accepted`,
//!   `all_pass_while_all_are_accepted`), and never more than the cap
//!   (`never_more_is_refused_than_the_cap`).
//! - While calls come, one passes in every probe interval, whatever the share
//!   (`a_call_passes_in_every_probe_interval`,
//!   `one_passes_as_a_probe_in_an_interval`); so who calls less often than that
//!   is not throttled (`who_calls_rarely_always_passes`), and recovery is always
//!   seen
//!   (`recovery_is_seen_within_three_windows_by_the_book_and_within_one_by_envoy`).
//! - A share is computed by one caller a turn, for whom nobody waits
//!   (`one_caller_a_turn_computes_its_share`), and from counts that there were
//!   (`a_share_is_never_of_torn_counts`,
//!   `a_turn_that_two_begin_has_the_share_of_its_counts`); one of an earlier turn
//!   never replaces one of a later
//!   (`what_was_computed_for_an_earlier_turn_never_replaces_a_later_one`).
//! - However long nobody came, the first call goes by what is in the window then
//!   (`however_long_nobody_came_the_share_is_out_of_date`).
//! - A call that is given up counts as nothing
//!   (`what_was_given_up_counts_as_nothing`,
//!   `wherever_a_call_is_cancelled_it_counts_as_nothing`), and so does one that
//!   somebody further in refused
//!   (`a_refusal_from_further_in_counts_as_nothing`). One that panics was not
//!   accepted (`a_call_that_panics_was_not_accepted`).
//! - A refused call leaves the inner service ready
//!   (`a_refused_call_keeps_the_readied_service`).
//! - In shadow all pass and what would be refused is counted
//!   (`in_shadow_all_pass_and_what_would_be_refused_is_counted`).
//! - Under ten times its capacity a server keeps answering
//!   (`throttled_clients_leave_an_overloaded_server_the_time_to_answer`), and
//!   when that is over all is well after a window
//!   (`when_the_overload_is_over_all_is_well_after_a_window`).
//!
//! # Cost
//!
//! While nothing is refused, a call costs what the window's record does, one
//! compare-and-swap on a line of the thread's own, and a nanosecond more: 4.6 ns
//! in all where the record alone takes 3.8, and 8.6 with the permit of a future.
//! A refusal is loads, a draw, and a count on the thread's own lines: 5.7 ns. By
//! the book it is recorded, too, and takes 9 to 12. (Processor time, measured on
//! a busy machine, as the mechanism alone.)
//!
//! Once in a turn, of a second by default and never of less than 10
//! microseconds, one call reads the window: its buckets times the lines they
//! are spread over. Memory is what the window takes: 1.2 kB for each of up to 32
//! lines by default. No call allocates, and no lock is taken.
//!
//! # When not to use it
//!
//! - Where a call that is refused costs the other side nothing, or the calls
//!   are few: then it may as well refuse them itself, and knows better which.
//! - For a dependency that fails whatever is sent to it. A
//!   circuit breaker stops calling it, and probes; here a twentieth goes on to
//!   fail.
//! - In a server against its clients: what it has read, it has paid for. That
//!   is load shedding.
//! - Where calls are given up before they are answered, and nothing tells that
//!   they were: what was cancelled counts as nothing. A timeout has to stand
//!   inside of the throttle, so that it sees what ran out of time.
//!
//! # How it works
//!
//! A window counts requests and those that were accepted. A success was
//! accepted, and so was a request that was wrong ([`Permanent`]: sending less
//! would not make it right); [`Transient`] and [`Throttled`] were not. A call
//! counts when its verdict is known, at that time. The window says which share
//! is refused, by one of two rules ([`Rule`]), within a cap and above a least
//! rate. Time is cut into turns, and the first call in each computes it for
//! all. Whose turn it is to be refused is drawn, from numbers that are spread
//! evenly: of a hundred calls 30 % are 30, give or take two.
//!
//! | | Google's | Envoy's |
//! |---|---|---|
//! | refused | `max(0, (requests − K × accepts) / (requests + 1))` | `max(0, (requests − accepts / threshold) / (requests + 1)) ^ (1 / aggression)` |
//! | requests | those made, and those refused here | those made |
//! | begins | when fewer than 1 / K are accepted | when fewer than the threshold are |
//! | under overload | sends K times what is accepted | sends what the cap leaves |
//! | recovers | each window lets through K times as much as the last | as the failures leave the window |
//! | defaults | K = 200 %, two minutes, at most 95 % | 95 %, aggression 100 %, 30 seconds, at most 80 % |
//!
//! Besides, if none has passed for the probe interval, the next call does.
//! That matters where the cap is near 100 %, where a call comes now and then,
//! and where some priority is refused as a whole.
//!
//! [`Permanent`]: axiomatic_core::Outcome::Permanent
//! [`Transient`]: axiomatic_core::Outcome::Transient
//! [`Throttled`]: axiomatic_core::Outcome::Throttled
//!
//! # Choosing parameters
//!
//! *K.* A server that is sent K times what it accepts refuses (K − 1) of each
//! K. If a refusal takes a share c of what a call takes, it keeps
//! 1 / (1 + (K − 1) c) of its capacity: with K = 200 % and c = 10 % it is 91 %,
//! with 110 % it is 99 %. A low K refuses sooner, 110 % when a tenth fails for
//! any reason, and comes back later. The book's 200 % is for servers whose
//! refusals are cheap.
//!
//! *Window.* What was refused is remembered as long as it lasts. After an
//! overload, that is how long calls are refused that could be served; from 95 %
//! refused it takes two windows by the book until none are. The book's two
//! minutes are for large services; 10 to 30 seconds forget sooner, and need a
//! few calls a second to judge by.
//!
//! *Aggression.* With a threshold of 95 % and a success rate of 90 %, 100 %
//! refuses 5 of a hundred, 200 % 23 and 400 % 48. It is for clients that matter
//! less than others.
//!
//! *Least rate.* By either formula the first call that fails, alone in the
//! window, has half of those after it refused. Where few calls come, a few a
//! second as the least keep it from judging by so little.
//!
//! # Differences from
//!
//! - tower has none. Its load shed refuses when the inner service is not
//!   ready, which knows nothing of the other side.
//! - Envoy's filter draws at random to four digits and computes the share anew
//!   for each request, with one window for each worker thread; its aggression
//!   below 1 is taken as 1, and here it is not built. Its default cap and
//!   window are the same.
//! - failsafe-go's adaptive throttler has Envoy's threshold, at 90 %, and a cap
//!   of 90 %, over a minute, and no aggression; each call computes the share
//!   anew, under a lock.
//! - The circuit breaker's adaptive mode, in `axiomatic-failure`, has the
//!   book's rule as well, in steps of a millionth and with a least sample, and
//!   can be opened by hand. It has neither probes nor Envoy's rule.
//!
//! # References
//!
//! - B. Beyer and others, *Site Reliability Engineering*, O'Reilly 2016,
//!   chapter 21, "Handling Overload": client-side throttling.
//! - Envoy, *Admission Control*, and the comments of
//!   `api/envoy/extensions/filters/http/admission_control/v3/admission_control.proto`;
//!   what is counted and when is `admission_control.cc`'s.

mod config;
mod core;
mod error;
mod future;
mod layer;
mod permit;
mod probe_cell;
mod rule;
mod service;
mod share;
mod share_cell;
mod snapshot;
mod telemetry;
mod throttler;

pub use config::Config;
pub use error::{ConfigError, UpdateError};
pub use future::ResponseFuture;
pub use layer::ThrottleLayer;
pub use permit::{OwnedPermit, Permit};
pub use rule::Rule;
pub use service::ThrottleService;
pub use share::Share;
pub use snapshot::Snapshot;
pub use throttler::Throttler;
