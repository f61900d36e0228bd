use std::fmt;
use std::time::Duration;

use super::clear_cell::clear;
use super::{Counts, Observation};
use crate::sync::{AtomicU64, Ordering, spread, thread_index};
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
    /// Words of all rings, one after the other; each ring begins a line.
    lines: Box<[Line]>,
    /// The length of a bucket in nanoseconds.
    bucket: u64,
    /// How many buckets make the window.
    buckets: u64,
    /// Words of one lane of a ring are a power of two.
    places_shift: u32,
    lines_per_ring: usize,
    rings: usize,
}

/// Two cache lines, because processors fetch them in pairs: what one thread
/// writes, no other thread's ring shares.
#[repr(align(128))]
struct Line([AtomicU64; WORDS]);

const WORDS: usize = 16;

/// Eras are numbers below 2^38.
const ERA_MASK: u64 = (1 << 38) - 1;

impl TimeWindow {
    /// The most buckets of a window.
    pub const MOST_BUCKETS: u32 = 1024;

    /// The shortest bucket.
    pub const SHORTEST_BUCKET: Duration = Duration::from_micros(1);

    /// A window over the last `span`, sliding in `buckets` steps, with a ring
    /// for each of the threads that are likely to write at a time.
    ///
    /// No buckets are taken as 1, more than
    /// [`MOST_BUCKETS`](TimeWindow::MOST_BUCKETS) as that; a bucket is never
    /// shorter than [`SHORTEST_BUCKET`](TimeWindow::SHORTEST_BUCKET).
    pub fn last(span: Duration, buckets: u32) -> Self {
        Self::with_rings(span, buckets, spread())
    }

    /// The same with one ring: a sixteenth of the memory on a large machine,
    /// and a contended line when threads meet. For windows by the thousand.
    pub fn compact(span: Duration, buckets: u32) -> Self {
        Self::with_rings(span, buckets, 1)
    }

    fn with_rings(span: Duration, buckets: u32, rings: usize) -> Self {
        let buckets = u64::from(buckets.clamp(1, Self::MOST_BUCKETS));
        let shortest = saturating_nanos(Self::SHORTEST_BUCKET);
        let places = buckets.next_power_of_two();
        let rings = rings.next_power_of_two();
        let lines_per_ring = (1 + 2 * places as usize).div_ceil(WORDS);
        TimeWindow {
            lines: (0..rings * lines_per_ring).map(|_| Line::new()).collect(),
            bucket: saturating_nanos(span).div_ceil(buckets).max(shortest),
            buckets,
            places_shift: places.trailing_zeros(),
            lines_per_ring,
            rings,
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
        let ring = self.ring(thread_index() & (self.rings - 1));
        let era_start = self.era_start(era);
        let head = self.head(ring).load();
        // The head's bucket is nearly always the one of now: to see so takes
        // a multiplication, to compute it a division.
        let began = head.wrapping_sub(era_start).wrapping_mul(self.bucket);
        let is_now = head >= era_start && now.as_nanos().wrapping_sub(began) < self.bucket;
        if is_now && !observation.is_slow() {
            let (bucket, tag) = self.bucket(ring, Lane::All, head);
            bucket.add(tag, observation.is_failed());
        } else {
            self.record_anywhere(ring, self.epoch(era, now), observation);
        }
    }

    #[inline(never)]
    fn record_anywhere(&self, ring: Ring, epoch: u64, observation: Observation) {
        let mut head = self.head(ring).load();
        if head < epoch {
            self.advance(ring, head, epoch);
            head = epoch;
        }
        if head - epoch >= self.places() {
            return;
        }
        let (all, tag) = self.bucket(ring, Lane::All, epoch);
        let counted = all.add(tag, observation.is_failed());
        if counted && observation.is_slow() {
            let (slow, tag) = self.bucket(ring, Lane::Slow, epoch);
            slow.add(tag, observation.is_failed());
        }
    }

    /// Empties every bucket that the head passes on its way from `head` to
    /// `epoch`, then moves it.
    fn advance(&self, ring: Ring, head: u64, epoch: u64) {
        let first = (head + 1).max((epoch + 1).saturating_sub(self.places()));
        for passed in first..=epoch {
            for lane in [Lane::All, Lane::Slow] {
                let (bucket, tag) = self.bucket(ring, lane, passed);
                bucket.clear(tag, || self.head(ring).load() < passed);
            }
        }
        self.head(ring).advance_to(epoch);
    }

    /// What the window holds in this era at `now`.
    pub fn counts(&self, era: u64, now: Instant) -> Counts {
        let mut counts = Counts::default();
        let end = self.stretch(era, now);
        for ring in self.all_rings() {
            let head = self.head(ring).load();
            for epoch in (end + 1).saturating_sub(self.buckets)..=end.min(head) {
                // Slow before all: a call is counted in that order reversed,
                // so a racing reader never sees more slow calls than calls.
                let (slow, tag) = self.bucket(ring, Lane::Slow, epoch);
                let slow = slow.read(tag);
                let (all, tag) = self.bucket(ring, Lane::All, epoch);
                let all = all.read(tag);
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
    pub fn stretch(&self, era: u64, now: Instant) -> u64 {
        self.all_rings()
            .map(|ring| self.head(ring).load())
            .fold(self.epoch(era, now), u64::max)
    }

    fn all_rings(&self) -> impl Iterator<Item = Ring> + use<> {
        let lines = self.lines_per_ring;
        (0..self.rings).map(move |index| Ring(index * lines))
    }

    #[inline]
    fn ring(&self, index: usize) -> Ring {
        Ring(index * self.lines_per_ring)
    }

    #[inline(always)]
    fn word(&self, ring: Ring, index: usize) -> &AtomicU64 {
        &self.lines[ring.0 + index / WORDS].0[index % WORDS]
    }

    #[inline]
    fn head(&self, ring: Ring) -> Head<'_> {
        Head(self.word(ring, 0))
    }

    /// The bucket of an epoch in a lane, and the tag it must have: how often
    /// the ring had been filled before.
    #[inline(always)]
    fn bucket(&self, ring: Ring, lane: Lane, epoch: u64) -> (Bucket<'_>, u64) {
        let place = epoch & (self.places() - 1);
        let index = match lane {
            Lane::All => 1 + place,
            Lane::Slow => 1 + self.places() + place,
        };
        (
            Bucket(self.word(ring, index as usize)),
            epoch >> self.places_shift,
        )
    }

    /// Words of one lane of a ring.
    #[inline]
    fn places(&self) -> u64 {
        1 << self.places_shift
    }

    /// An era is a jump of a whole ring, so that it finds nothing of the one
    /// before.
    #[inline]
    fn era_start(&self, era: u64) -> u64 {
        (era & ERA_MASK) << self.places_shift
    }

    fn epoch(&self, era: u64, now: Instant) -> u64 {
        self.era_start(era) + now.as_nanos() / self.bucket
    }
}

impl fmt::Debug for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeWindow")
            .field("span", &self.span())
            .field("buckets", &self.buckets)
            .field("rings", &self.rings)
            .finish_non_exhaustive()
    }
}

impl Line {
    fn new() -> Self {
        Line(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// One thread's part of a window, by its first line: a head, then two lanes
/// of buckets. The first lane counts all calls, the second the slow ones
/// among them, so that a call in time is one step and the overlap of slow and
/// failed is known.
#[derive(Copy, Clone)]
struct Ring(usize);

#[derive(Copy, Clone)]
enum Lane {
    All,
    Slow,
}

/// The newest bucket of a ring, as an ever-growing number.
///
/// Layout    | 63..0 epoch |
/// Invariant never decreases; the buckets up to it carry its tags.
/// Writers   `advance_to`. Readers `load`.
/// Orderings `advance_to` releases the cleared buckets, `load` acquires them.
struct Head<'w>(&'w AtomicU64);

impl Head<'_> {
    #[inline]
    fn load(&self) -> u64 {
        // ORDERING: Acquire: observes the buckets that `advance_to`
        // published, so that one with a strange tag is one of the future.
        self.0.load(Ordering::Acquire)
    }

    /// Moves the head on. Wait-free; a thread that went further wins.
    fn advance_to(&self, epoch: u64) {
        // ORDERING: Release: publishes the buckets cleared before; pairs with
        // the Acquire in `load`.
        self.0.fetch_max(epoch, Ordering::Release);
    }
}

/// The calls of one bucket in one ring.
///
/// Layout    | 63..48 tag | 47..24 calls | 23..0 failed |
/// Invariant failed <= calls; a bucket that has counted 2^24 - 1 calls counts
///           no more, which keeps its ratio.
/// Writers   `add`, `clear`. Readers `read`.
/// Orderings `add` releases the head it was shown and the other lane, `clear`
///           and `read` acquire them.
struct Bucket<'w>(&'w AtomicU64);

const CALLS_SHIFT: u32 = 24;
const TAG_SHIFT: u32 = 48;
const TAG_MASK: u64 = (1 << 16) - 1;
const MOST: u64 = (1 << 24) - 1;

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
    fn add(&self, tag: u64, failed: bool) -> bool {
        // ORDERING: Relaxed: the exchange fails on any stale value, and the
        // head's Acquire shows this thread the tag it must at least see.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word >> TAG_SHIFT != tag & TAG_MASK || calls(word) == MOST {
                return false;
            }
            let counted = word + (1 << CALLS_SHIFT) + u64::from(failed);
            // ORDERING: Release: a reader that sees the slow lane counted
            // sees the lane of all calls counted before it, and who reads a
            // bucket to clear it sees the head that was read before it
            // counted; pairs with the Acquire in `read` and in `clear`.
            // Relaxed on failure: the next exchange judges the value.
            match self
                .0
                .compare_exchange_weak(word, counted, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(current) => word = current,
            }
        }
    }

    /// Makes the bucket empty under a new tag, as long as `is_due`.
    fn clear(&self, tag: u64, is_due: impl Fn() -> bool) {
        clear(self.0, (tag & TAG_MASK) << TAG_SHIFT, is_due);
    }

    fn read(&self, tag: u64) -> Tally {
        // ORDERING: Acquire: pairs with the Release in `add`, slow before all.
        // SURVIVES: loom 0.7 explores no stale load behind an exchange (with
        // plain stores instead, it finds this one). Without it a processor
        // may show the slow lane's count before the other lane's.
        let word = self.0.load(Ordering::Acquire);
        if word >> TAG_SHIFT != tag & TAG_MASK {
            return Tally {
                calls: 0,
                failed: 0,
            };
        }
        Tally {
            calls: calls(word),
            failed: word & MOST,
        }
    }
}

const fn calls(word: u64) -> u64 {
    word >> CALLS_SHIFT & MOST
}
