use std::fmt;
use std::time::Duration;

use super::ring_cell::{Lane, Ring, Rings, Tag};
use super::{Counts, Observation};
use crate::sync::{AtomicU64, Ordering};
use crate::time::{Instant, saturating_nanos};

/// The calls of the last so many seconds, in buckets.
///
/// It slides by a bucket: a window of 10 s in 10 buckets holds between 9 and
/// 10 seconds. Exact whenever nobody is recording.
///
/// ```
/// use axiomatic_core::time::Instant;
/// use axiomatic_core::window::{Observation, TimeWindow};
/// use std::time::Duration;
///
/// let window = TimeWindow::last(Duration::from_secs(10), 10);
/// let now = Instant::from_nanos(50_000_000_000);
/// window.record(0, now, Observation::Failed);
/// assert_eq!(window.counts(0, now).failed(), 1);
/// assert_eq!(window.counts(0, now + Duration::from_secs(10)).failed(), 0);
/// ```
pub struct TimeWindow {
    rings: Rings,
    /// The length of a bucket in nanoseconds.
    bucket: u64,
    /// How many buckets make the window.
    buckets: u64,
}

impl TimeWindow {
    /// The most buckets of a window.
    pub const MOST_BUCKETS: u32 = 1024;

    /// The shortest bucket.
    pub const SHORTEST_BUCKET: Duration = Duration::from_micros(1);

    /// The longest bucket that makes sense, which whoever configures a window
    /// should hold to; a window of longer ones can be made all the same.
    ///
    /// A bucket counts 16.7 million calls on each line and then no more, so an
    /// outage that begins after them is not seen before the next bucket. In
    /// a minute that takes 280,000 calls a second from one thread.
    pub const LONGEST_BUCKET: Duration = Duration::from_secs(60);

    /// A window over the last `span`, sliding in `buckets` steps, with a ring
    /// for each of the threads that are likely to write at a time.
    ///
    /// No buckets are taken as 1, more than
    /// [`MOST_BUCKETS`](TimeWindow::MOST_BUCKETS) as that; a bucket is never
    /// shorter than [`SHORTEST_BUCKET`](TimeWindow::SHORTEST_BUCKET), and
    /// should not be longer than
    /// [`LONGEST_BUCKET`](TimeWindow::LONGEST_BUCKET).
    pub fn last(span: Duration, buckets: u32) -> Self {
        Self::over(span, buckets, Rings::spread)
    }

    /// The same with one ring: a sixteenth of the memory on a large machine,
    /// and a contended line when threads meet. For windows by the thousand.
    pub fn compact(span: Duration, buckets: u32) -> Self {
        Self::over(span, buckets, Rings::single)
    }

    fn over(span: Duration, buckets: u32, rings: fn(u64) -> Rings) -> Self {
        let buckets = u64::from(buckets.clamp(1, Self::MOST_BUCKETS));
        let shortest = saturating_nanos(Self::SHORTEST_BUCKET);
        TimeWindow {
            rings: rings(buckets),
            bucket: saturating_nanos(span).div_ceil(buckets).max(shortest),
            buckets,
        }
    }

    /// The span it covers: what was asked for, rounded up to whole buckets.
    pub fn span(&self) -> Duration {
        Duration::from_nanos(self.bucket.saturating_mul(self.buckets))
    }

    /// How many buckets it slides by.
    pub fn buckets(&self) -> u32 {
        self.buckets as u32
    }

    /// Adds a call of this era that ended at `now`; if the window has moved
    /// on, to a later time or a later era, it is dropped. Eras are numbers
    /// below 2^38 that never decrease.
    #[inline(always)]
    pub fn record(&self, era: u64, now: Instant, observation: Observation) {
        let (ring, _) = self.rings.own();
        let era_start = self.rings.era_start(era);
        let head = self.rings.head(ring).load();
        // The head's bucket is nearly always the one of now: to see so takes
        // a multiplication, to compute it a division. Whoever comes from an
        // era before sees a head so far ahead that the product overflows.
        let is_now = head
            .checked_sub(era_start)
            .and_then(|passed| passed.checked_mul(self.bucket))
            .and_then(|began| now.as_nanos().checked_sub(began))
            .is_some_and(|into| into < self.bucket);
        if is_now && !observation.is_slow() {
            self.bucket(ring, Lane::First, head)
                .add(observation.is_failed());
        } else {
            self.record_anywhere(ring, self.epoch(era, now), observation);
        }
    }

    #[inline(never)]
    fn record_anywhere(&self, ring: Ring, epoch: u64, observation: Observation) {
        let mut head = self.rings.head(ring).load();
        if head < epoch {
            self.rings.advance(ring, head, epoch);
            head = epoch;
        }
        if head - epoch >= self.rings.places() {
            return;
        }
        let counted = self
            .bucket(ring, Lane::First, epoch)
            .add(observation.is_failed());
        if counted && observation.is_slow() {
            self.bucket(ring, Lane::Second, epoch)
                .add(observation.is_failed());
        }
    }

    /// What the window holds in this era at `now`. If it has moved on to a
    /// later time, what it holds then; nothing if that is later by a ring or
    /// more, as a later era is.
    ///
    /// An era is known only by how far ahead it lies: who still asks for one
    /// that is over when two rings of time have passed may be told what the
    /// next one counted at its beginning.
    pub fn counts(&self, era: u64, now: Instant) -> Counts {
        let mut counts = Counts::default();
        let asked = self.epoch(era, now);
        let end = self.rings.newest(asked);
        if end - asked >= self.rings.places() {
            return counts;
        }
        for ring in self.rings.all() {
            let head = self.rings.head(ring).load();
            for epoch in (end + 1).saturating_sub(self.buckets)..=end.min(head) {
                // Slow before all: a call is counted in that order reversed,
                // so a racing reader never sees more slow calls than calls.
                // If the bucket is reused in between, both are gone.
                let slow = self.bucket(ring, Lane::Second, epoch).read();
                let Some(all) = self.bucket(ring, Lane::First, epoch).read() else {
                    continue;
                };
                let slow = slow.unwrap_or_default();
                counts.total += all.calls;
                counts.failed += all.failed;
                counts.slow += slow.calls;
                counts.slow_and_failed += slow.failed;
            }
        }
        counts
    }

    /// A number that changes whenever calls may have slid out of the window:
    /// as long as it stays, the window's total does not shrink.
    ///
    /// It is the newest bucket's: a thread with a later time, or in a later
    /// era, may have been here, and then its window is the one that counts.
    /// For whoever it left behind by a ring there is nothing to count.
    pub fn stretch(&self, era: u64, now: Instant) -> u64 {
        self.rings.newest(self.epoch(era, now))
    }

    #[inline(always)]
    fn bucket(&self, ring: Ring, lane: Lane, epoch: u64) -> Bucket<'_> {
        let (word, tag) = self.rings.word(ring, lane, epoch);
        Bucket { word, tag }
    }

    fn epoch(&self, era: u64, now: Instant) -> u64 {
        self.rings.era_start(era) + now.as_nanos() / self.bucket
    }
}

impl fmt::Debug for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeWindow")
            .field("span", &self.span())
            .field("buckets", &self.buckets)
            .field("rings", &self.rings.len())
            .finish_non_exhaustive()
    }
}

/// The calls of one bucket in one ring. The first lane counts all calls, the
/// second the slow ones among them, so that a call in time is one step and
/// the overlap of slow and failed is known.
///
/// Layout    | 63..48 tag | 47..24 calls | 23..0 failed |
/// Invariant failed <= calls; a bucket that has counted 2^24 - 1 calls counts
///           no more, and is blind until it is over.
/// Writers   `add`, `clear`. Readers `read`.
/// Orderings `add` releases the head it was shown and the other lane, `clear`
///           and `read` acquire them.
struct Bucket<'w> {
    word: &'w AtomicU64,
    tag: Tag,
}

const CALLS_SHIFT: u32 = 24;
const MOST: u64 = (1 << 24) - 1;

#[derive(Default)]
struct Tally {
    calls: u64,
    failed: u64,
}

impl Bucket<'_> {
    /// Counts a call, if the bucket still has this tag and is not full, and
    /// says whether it did.
    ///
    /// Linearises at the exchange; a lost race repeats it, and means that
    /// another call was counted or the bucket was reused: lock-free.
    #[inline(always)]
    fn add(&self, failed: bool) -> bool {
        // ORDERING: Relaxed: the exchange fails on any stale value, and the
        // head's Acquire shows this thread the tag it must at least see.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if !self.tag.is_on(word) || calls(word) == MOST {
                return false;
            }
            let counted = word + (1 << CALLS_SHIFT) + u64::from(failed);
            // ORDERING: Release: a reader that sees the slow lane counted
            // sees the lane of all calls counted before it, and who reads a
            // bucket to clear it sees the head that was read before it
            // counted; pairs with the Acquire in `read` and in `clear`.
            // Relaxed on failure: the next exchange judges the value.
            match self.word.compare_exchange_weak(
                word,
                counted,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(current) => word = current,
            }
        }
    }

    /// What was counted; nothing if the word has another tag.
    fn read(&self) -> Option<Tally> {
        // ORDERING: Acquire: pairs with the Release in `add`, slow before all.
        let word = self.word.load(Ordering::Acquire);
        self.tag.is_on(word).then_some(Tally {
            calls: calls(word),
            failed: word & MOST,
        })
    }
}

const fn calls(word: u64) -> u64 {
    word >> CALLS_SHIFT & MOST
}
