//! A latency histogram that forgets, and that counts what was not waited for.
//!
//! # The problem
//!
//! When to hedge, when to give up and whether an attempt is worth starting
//! depend on how long calls take now. A list of latencies costs a lock and a
//! sort; an average says nothing of the slow ones. And whoever acts on a
//! quantile cuts off the calls beyond it: where those are left out of the
//! count, each estimate is lower than the one before, and the next one cuts
//! off more. A deadline at the 95th percentile of what ended before it is at
//! the 60th after ten rounds.
//!
//! # Example
//!
//! ```
//! use axiomatic_core::Ratio;
//! use axiomatic_core::histogram::LatencyHistogram;
//! use axiomatic_core::time::Instant;
//! use std::time::Duration;
//!
//! let histogram = LatencyHistogram::new(Ratio::percent(95), Duration::from_secs(10));
//! let now = Instant::from_nanos(5_000_000_000); // time is an argument
//! for _ in 0..90 {
//!     histogram.record(now, Duration::from_millis(10));
//! }
//! for _ in 0..10 {
//!     // Given up after 50 ms: they would have taken that or more.
//!     histogram.record_at_least(now, Duration::from_millis(50));
//! }
//! assert!(histogram.watched() > Some(Duration::from_millis(45)));
//! println!("{}", histogram.snapshot());
//! ```
//!
//! # Guarantees
//!
//! - An estimate is off from the list's by at most 6.25 % of the latency, where
//!   that lies between 0 and 68 minutes
//!   (`the_middle_is_off_by_a_sixteenth_at_most`, `quantiles_equal_those_of_a_list`);
//!   also with calls that were cut short
//!   (`quantiles_with_calls_cut_short_equal_those_of_a_list`).
//! - Calls that were given up do not lower the estimate
//!   (`what_was_cut_short_does_not_lower_the_estimate`), and where too many
//!   were, it is the longest time seen
//!   (`where_too_many_were_cut_short_the_longest_wait_is_told`).
//! - After a half-life a call counts half, and a tail of single calls is
//!   thinned out like the rest (`after_a_half_life_a_call_counts_half`,
//!   `a_sum_is_halved_whatever_the_counts`).
//! - No record is lost to a halving that races with it, and two that find one
//!   due halve once (`a_racing_halving_takes_half_and_no_record`,
//!   `two_that_find_a_halving_due_halve_once`).
//! - There is no estimate before there are enough calls, nor after so long an
//!   idle time that too few of them count still
//!   (`there_is_no_estimate_before_there_are_enough_calls`,
//!   `after_an_idle_time_it_begins_anew`); who is as busy as ever does not lose
//!   it to a halving (`a_halving_does_not_cool_down_what_is_as_busy_as_ever`).
//! - Time that steps back is harmless (`time_that_steps_back_is_harmless`).
//! - No setting is refused and none panics (`nonsense_is_taken_as_the_nearest_sense`).
//! - A bucket never overflows (`a_full_bucket_says_so`,
//!   `a_full_bucket_is_halved_before_its_time`).
//!
//! # Cost
//!
//! To record is one addition to a line of the thread's own and one load; to
//! ask for the watched quantile or the median is one load. Sixteen times in a
//! half-life, and at least once a second, one record among all makes the
//! estimates anew: some microseconds, while the others go on. Nothing is
//! allocated after construction.
//!
//! Memory: 1,280 bytes for each of up to 32 threads (twice the cores, rounded
//! up to a power of two), as much for all calls that were cut short, and 200:
//! 6.6 kB with two cores, 42 kB with sixteen or more.
//!
//! # When not to use it
//!
//! For counts of failures: that is [`window`](crate::window). For a report: a
//! quantile that decays is of no stretch of time that could be named, and
//! cannot be added to another process's.
//!
//! # How it works
//!
//! Buckets are linear up to eight nanoseconds, and from there on eight to an
//! octave; an answer is the middle of one. A record looks whether the estimates
//! are due, and whoever finds them so claims to be the *keeper* by one exchange.
//! It halves what it sees, if a half-life has passed, by subtraction, so that
//! what others add meanwhile stays; rounds so that sums are halved, and not each
//! bucket by itself; sums the threads' lines; and says when it is due again.
//! Until then nobody looks.
//!
//! Quantiles are the product-limit estimator's (Kaplan and Meier), in integers:
//! of the calls that were seen to last until a bucket, a share ends in it, and
//! what lasts longer is the product of what remains. A call cut short after
//! 50 ms is one of those that last until 50 ms, and then is neither for nor
//! against.
//!
//! # Choosing parameters
//!
//! The half-life is how long a change takes to be half believed: 10 s for a
//! dependency of many calls. It has to hold some multiple of
//! [`warm_up`](LatencyHistogram::warm_up) calls: 80 for the 95th percentile, 400
//! for the 99th.
//!
//! # Differences from
//!
//! tower's hedge rotates two HDR histograms behind a mutex, and records what the
//! winner took only, so that its percentile drifts down as it hedges. HDR
//! histograms are more exact and larger; nothing here decides anything by a per
//! cent.
//!
//! # References
//!
//! - Kaplan, Meier: Nonparametric Estimation from Incomplete Observations, 1958.
//! - Dean, Barroso: The Tail at Scale, 2013.

mod counts;
mod keeper_cell;
mod latency_histogram;
mod scale;
mod snapshot;
mod tally_cell;

pub use latency_histogram::LatencyHistogram;
pub use snapshot::Snapshot;
