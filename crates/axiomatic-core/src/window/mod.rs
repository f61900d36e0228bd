//! Sliding windows: what the last N calls or the last T seconds were like.
//!
//! # The problem
//!
//! A decision about a dependency needs recent evidence, and every caller
//! adds to it. A list of calls costs memory and time by the load (the nearest
//! neighbour's takes 39 µs a call at 71,000 records); a pair of counters that
//! only grows lets yesterday's successes hide today's outage (another's needs
//! 100,000 failures to notice after 100,000 successes).
//!
//! # Example
//!
//! ```
//! use axiomatic_core::window::{CountWindow, Observation};
//!
//! let window = CountWindow::last(3);
//! for observation in [Observation::Failed, Observation::Fine, Observation::Fine] {
//!     window.record(0, observation);
//! }
//! assert_eq!(window.counts(0).failed(), 1);
//! window.record(0, Observation::Fine); // the failure slides out
//! assert_eq!(window.counts(0).failed(), 0);
//! ```
//!
//! # Guarantees
//!
//! - What is counted equals what a list of all calls would count
//!   (`count_window_equals_a_list`, `time_window_equals_a_list`).
//! - No record is lost and none is counted twice while buckets rotate
//!   (`no_record_is_lost_across_a_rotation`,
//!   `no_outcome_is_lost_across_words`).
//! - A late writer never adds to a bucket that was reused, unless it slept for
//!   exactly 65,536 laps of the ring, 2,048 in a window of calls
//!   (`a_late_writer_never_touches_a_reused_bucket`,
//!   `a_late_begin_never_stays_in_a_reused_step`).
//! - An idle stretch of any length revives nothing
//!   (`idle_for_a_multiple_of_the_tag_period_revives_nothing`).
//! - A new era begins empty, also if time steps back by less than the window
//!   lasts as it begins
//!   (`a_new_era_begins_empty_although_time_stepped_back`). A writer of an
//!   old one cannot reach it, however old
//!   (`a_stale_era_never_reaches_a_newer_one`,
//!   `an_era_however_old_never_reaches_a_newer_one`), and a reader of the old
//!   one sees nothing as the new one begins
//!   (`counts_are_of_the_era_asked_for`, `due_counts_are_of_the_era_asked_for`).
//! - Time that steps back a little is harmless; a time window that sees it step
//!   back by more than it lasts counts nothing until the clock has caught up
//!   (`time_going_backwards_is_harmless`).
//! - A reader never sees more slow calls than calls, nor more failures
//!   (`a_reader_never_sees_more_slow_calls_than_calls`,
//!   `a_reader_never_sees_more_slow_calls_than_calls_across_a_rotation`,
//!   `a_reader_never_sees_more_failures_than_calls`).
//! - A call in a [`DueWindow`] is counted once, as slow from the end of the
//!   step in which it was due (`due_window_equals_a_list`,
//!   `a_call_that_ends_as_it_becomes_due_is_counted_once`).
//!
//! # Cost
//!
//! Recording is one compare-and-swap: on a line of the thread's own in a
//! [`TimeWindow`], on a line shared by all in a [`CountWindow`], whose order
//! is what it counts by. (A slow call in a time window takes a second one.)
//! Reading is O(buckets × lines), and nobody reads on behalf of a success.
//! Memory is fixed at construction: 16 bytes a bucket a line, or 1 byte for 3
//! calls. A bucket has room for 16.7 million calls on each line. One that is full
//! counts no more: what happens then is not seen until the next begins
//! (`a_full_bucket_counts_no_more`), so buckets should not be longer than
//! [`TimeWindow::LONGEST_BUCKET`].
//!
//! # When not to use it
//!
//! For latencies: these windows count verdicts, not durations. For exact
//! history at call granularity over time: a time window slides by buckets.
//!
//! # How it works
//!
//! Both windows are rings of words with an ever-growing position, the head.
//! Whoever advances the head first *retags* the words it passes, so a word
//! whose tag is not the expected one belongs to the future, and its late
//! writer turns away. The owner of a window may declare an **era**, a number
//! that never decreases: a new era is a head that jumps by at least a whole
//! ring, so that forgetting everything is the ordinary rotation, done by the
//! first who records in it.

mod clear_cell;
mod count_cell;
mod due_cell;
mod ring_cell;
mod time_cell;

use std::fmt;

pub use count_cell::CountWindow;
pub use due_cell::{DueWindow, Seat};
pub use time_cell::TimeWindow;

/// What a window learns of one call.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Observation {
    /// It worked, in time.
    Fine = 0b00,
    /// It failed, in time.
    Failed = 0b01,
    /// It worked, and took too long.
    Slow = 0b10,
    /// It failed, and took too long.
    SlowAndFailed = 0b11,
}

impl Observation {
    /// The observation of a call that failed or not and was slow or not.
    #[inline]
    pub const fn of(failed: bool, slow: bool) -> Self {
        match (failed, slow) {
            (false, false) => Observation::Fine,
            (true, false) => Observation::Failed,
            (false, true) => Observation::Slow,
            (true, true) => Observation::SlowAndFailed,
        }
    }

    /// Whether the call failed.
    #[inline]
    pub const fn is_failed(self) -> bool {
        self as u8 & 0b01 != 0
    }

    /// Whether the call was slow.
    #[inline]
    pub const fn is_slow(self) -> bool {
        self as u8 & 0b10 != 0
    }
}

/// What a window holds.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    total: u64,
    failed: u64,
    slow: u64,
    slow_and_failed: u64,
}

impl Counts {
    /// Calls.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Calls that failed, slow or not.
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// Calls that were slow, failed or not.
    pub const fn slow(&self) -> u64 {
        self.slow
    }

    /// Calls that failed or were slow, each counted once.
    pub const fn failed_or_slow(&self) -> u64 {
        self.failed + self.slow - self.slow_and_failed
    }

    /// Adds one call: how a naive reference counts.
    pub fn add(&mut self, observation: Observation) {
        self.total += 1;
        self.failed += u64::from(observation.is_failed());
        self.slow += u64::from(observation.is_slow());
        self.slow_and_failed += u64::from(observation == Observation::SlowAndFailed);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls, {} failed, {} slow",
            self.total, self.failed, self.slow
        )
    }
}
