//! Calls by when they are due. Its two cells serve nobody else, and are
//! understood by what the window does with them: hence one file.

use std::fmt;
use std::num::NonZeroU8;
use std::time::Duration;

use super::Counts;
use super::ring_cell::{Lane, Ring, Rings, Tag};
use crate::sync::{AtomicU64, Ordering};
use crate::time::{Instant, saturating_nanos};

/// The calls of the last so many seconds, by the time at which each was
/// *due*: so that one that is still under way when its time is over counts as
/// slow then, and not when it ends.
///
/// A call lives in one word, that of the step in which it is due. It begins
/// there as pending. If it ends in time, it is moved, by one exchange, to
/// those that did. What is still pending when the step is over is a slow call
/// by definition, and stays one: nobody collects it, nothing is counted
/// twice. So a call that hangs is seen at its due time, to a step.
///
/// A call is usually due a certain time after its begin: so by their due
/// times the calls of the last 10 s are those due within 10 s that end that
/// time ahead of now.
///
/// ```
/// use axiomatic_core::time::Instant;
/// use axiomatic_core::window::DueWindow;
/// use std::time::Duration;
///
/// let window = DueWindow::last(Duration::from_secs(10), Duration::from_secs(1));
/// let begun = Instant::from_nanos(50_000_000_000);
/// let due = begun + Duration::from_secs(1);
/// let seat = window.begin(0, begun, due).expect("a second is not far ahead");
/// assert_eq!(window.counts(0, begun).total(), 0);
///
/// // It does not come back.
/// let later = due + window.step();
/// assert_eq!(window.counts(0, later).slow(), 1);
///
/// // When it does, it failed; it does not become slow again.
/// window.end(0, seat, due, later, true);
/// let counts = window.counts(0, later);
/// assert_eq!((counts.total(), counts.slow(), counts.failed()), (1, 1, 1));
/// ```
pub struct DueWindow {
    rings: Rings,
    present: Present,
    /// A step is this power of two in nanoseconds: the path of a call has two
    /// instants to place, and no time for two divisions.
    step_shift: u32,
    /// How many steps make the window, and how many lie ahead of it.
    steps: u64,
    /// How many steps ahead of its begin a call is usually due: the window
    /// ends so far ahead of the present.
    ahead: u64,
}

/// Where a call is watched.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Seat(NonZeroU8);

impl Seat {
    /// A number to keep it by.
    #[inline(always)]
    pub const fn number(self) -> NonZeroU8 {
        self.0
    }

    /// The seat of that number.
    #[inline(always)]
    pub const fn from_number(number: NonZeroU8) -> Self {
        Seat(number)
    }
}

impl DueWindow {
    /// The most steps of a window.
    pub const MOST_STEPS: u32 = 128;

    /// The shortest step: about a microsecond.
    pub const SHORTEST_STEP: Duration = Duration::from_nanos(1 << 10);

    /// A window over the calls that begin in the last `span` and are usually
    /// due after `usual`; those due up to `span` ahead are watched. It sees
    /// that a call is overdue within a quarter of `usual`, or a 64th of the
    /// span if that is longer. A `usual` of more than half of the span is
    /// taken as that: an overdue call would have left the window.
    ///
    /// A step is never shorter than
    /// [`SHORTEST_STEP`](DueWindow::SHORTEST_STEP), and should not be longer
    /// than [`TimeWindow::LONGEST_BUCKET`](super::TimeWindow::LONGEST_BUCKET):
    /// it holds 16.7 million calls on each line, half as many under way, and
    /// then no more.
    pub fn last(span: Duration, usual: Duration) -> Self {
        Self::over(span, usual, Rings::spread)
    }

    /// The same with one ring, for windows by the thousand.
    pub fn compact(span: Duration, usual: Duration) -> Self {
        Self::over(span, usual, Rings::single)
    }

    fn over(span: Duration, usual: Duration, rings: fn(u64) -> Rings) -> Self {
        let span = saturating_nanos(span).max(1);
        let shortest = span.div_ceil(u64::from(Self::MOST_STEPS));
        let finest = (usual / 4).max(Self::SHORTEST_STEP);
        let finest = saturating_nanos(finest).ilog2();
        let step_shift = finest.max(shortest.next_power_of_two().ilog2());
        let steps = span.div_ceil(1 << step_shift);
        DueWindow {
            // The window, as much ahead of it, and the step of the present.
            rings: rings(2 * steps + 1),
            present: Present(AtomicU64::new(0)),
            step_shift,
            steps,
            ahead: (saturating_nanos(usual) >> step_shift).min(steps / 2),
        }
    }

    /// The span it covers, rounded up to whole steps.
    pub fn span(&self) -> Duration {
        Duration::from_nanos(self.steps << self.step_shift)
    }

    /// By how much it slides, and how long after its due time at most a call
    /// under way counts as slow.
    pub fn step(&self) -> Duration {
        Duration::from_nanos(1 << self.step_shift)
    }

    /// A call of this era begins at `now`. Nothing, if it is due further
    /// ahead than [`span`](DueWindow::span), or was due before somebody's
    /// present already, or the window has moved on: such
    /// a call is not watched, and is [`record`](DueWindow::record)ed when it
    /// ends.
    #[inline(always)]
    pub fn begin(&self, era: u64, now: Instant, due: Instant) -> Option<Seat> {
        let epoch = self.epoch(era, due);
        let (ring, index) = self.rings.own();
        let head = self.rings.head(ring).load();
        if head < epoch {
            if epoch.saturating_sub(self.epoch(era, now)) > self.steps {
                return None;
            }
            self.rings.advance(ring, head, epoch);
        } else if head - epoch >= self.rings.places() {
            return None;
        }
        // By a clock that is behind, it would be slow as it begins.
        if epoch < self.present.load() {
            return None;
        }
        self.calls(ring, epoch).begin().then(|| seat(index))
    }

    /// A call that was begun with this due time ends at `now`.
    ///
    /// If it is overdue it has been counted as slow, and only its failure is
    /// added.
    #[inline(always)]
    pub fn end(&self, era: u64, seat: Seat, due: Instant, now: Instant, failed: bool) {
        let ring = self.ring_of(seat);
        let epoch = self.epoch(era, due);
        let is_late = now >= due;
        if !is_late && !failed {
            self.calls(ring, epoch).end_in_time();
        } else {
            self.end_badly(era, ring, epoch, now, is_late, failed);
        }
    }

    #[inline(never)]
    fn end_badly(
        &self,
        era: u64,
        ring: Ring,
        epoch: u64,
        now: Instant,
        is_late: bool,
        failed: bool,
    ) {
        if !is_late {
            if self.calls(ring, epoch).end_in_time() {
                self.failures(ring, epoch).add_in_time();
            }
        } else if failed && !self.failures(ring, epoch).add_late() {
            // It was slow so long ago that the window has forgotten it: its
            // failure is news all the same.
            self.record(era, now, true, false);
        }
    }

    /// A call that was begun ends without a verdict: if it is not overdue, it
    /// was never there.
    pub fn forget(&self, era: u64, seat: Seat, due: Instant) {
        let epoch = self.epoch(era, due);
        if epoch >= self.present.load() {
            self.calls(self.ring_of(seat), epoch).forget();
        }
    }

    /// Adds a call that was not watched and ended at `now`.
    pub fn record(&self, era: u64, now: Instant, failed: bool, slow: bool) {
        let (ring, _) = self.rings.own();
        let present = self.epoch(era, now);
        // A slow call belongs to a step that is over, any other where one
        // that begins now is due.
        let epoch = if slow {
            present.saturating_sub(1)
        } else {
            present + self.ahead
        };
        let head = self.rings.head(ring).load();
        if head < epoch {
            self.rings.advance(ring, head, epoch);
        } else if head - epoch >= self.rings.places() {
            return;
        }
        let counted = self.calls(ring, epoch).add(slow);
        if counted && failed {
            let failures = self.failures(ring, epoch);
            if slow {
                failures.add_late();
            } else {
                failures.add_in_time();
            }
        }
    }

    /// Whether a step is over since anybody last asked: calls that are still
    /// pending may have become slow. Only one thread a step is told so.
    #[inline(always)]
    pub fn begins_step(&self, era: u64, now: Instant) -> bool {
        let epoch = self.epoch(era, now);
        self.present.load() < epoch && self.present.advance_to(epoch)
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
        let present = self.stretch(era, now);
        let newest = self.rings.newest(present);
        if newest - self.epoch(era, now) >= self.rings.places() {
            return counts;
        }
        let first = (present + self.ahead + 1).saturating_sub(self.steps);
        for ring in self.rings.all() {
            let head = self.rings.head(ring).load().min(newest);
            for epoch in first..=head {
                // Failures before calls: a call is counted in that order
                // reversed, so a racing reader never sees more failures than
                // calls. If the step's word is reused in between, both are
                // gone.
                let failures = self.failures(ring, epoch).read();
                let Some(calls) = self.calls(ring, epoch).read() else {
                    continue;
                };
                let failures = failures.unwrap_or_default();
                counts.total += calls.second;
                counts.failed += failures.second;
                if epoch < present {
                    counts.total += calls.first;
                    counts.slow += calls.first;
                    counts.failed += failures.first;
                    counts.slow_and_failed += failures.first;
                }
            }
        }
        counts
    }

    /// A number that changes whenever calls may have slid out of the window
    /// or become slow: as long as it stays, the window's total does not
    /// shrink, and no call becomes slow but by ending. This holds from
    /// [`begins_step`](DueWindow::begins_step) at this time on: a call that is
    /// forgotten before anybody has asked so was never there.
    pub fn stretch(&self, era: u64, now: Instant) -> u64 {
        self.present.load().max(self.epoch(era, now))
    }

    #[inline(always)]
    fn epoch(&self, era: u64, instant: Instant) -> u64 {
        self.rings.era_start(era) + (instant.as_nanos() >> self.step_shift)
    }

    #[inline(always)]
    fn ring_of(&self, seat: Seat) -> Ring {
        self.rings
            .at(usize::from(seat.0.get() - 1) & (self.rings.len() - 1))
    }

    /// Calls pending, and ended in time.
    #[inline(always)]
    fn calls(&self, ring: Ring, epoch: u64) -> Pair<'_> {
        let (word, tag) = self.rings.word(ring, Lane::First, epoch);
        Pair { word, tag }
    }

    /// Failures of calls that were late, and of calls in time.
    #[inline(always)]
    fn failures(&self, ring: Ring, epoch: u64) -> Pair<'_> {
        let (word, tag) = self.rings.word(ring, Lane::Second, epoch);
        Pair { word, tag }
    }
}

#[inline(always)]
fn seat(index: usize) -> Seat {
    // Rings are at most 32.
    Seat(NonZeroU8::MIN.saturating_add(index as u8))
}

impl fmt::Debug for DueWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DueWindow")
            .field("span", &self.span())
            .field("step", &self.step())
            .finish_non_exhaustive()
    }
}

/// The step that somebody last found to be the present one.
///
/// Layout    | 63..0 epoch |
/// Invariant never decreases.
/// Writers   `advance_to`. Readers `load`.
/// Orderings Relaxed: it says whose turn it is to look; the words that are
///           looked at have orderings of their own.
struct Present(AtomicU64);

impl Present {
    #[inline(always)]
    fn load(&self) -> u64 {
        // ORDERING: Relaxed: a turn.
        self.0.load(Ordering::Relaxed)
    }

    /// Moves on, and says whether this thread did. Wait-free.
    fn advance_to(&self, epoch: u64) -> bool {
        // ORDERING: Relaxed: a turn.
        self.0.fetch_max(epoch, Ordering::Relaxed) < epoch
    }
}

/// Two counts of one step in one ring: of calls, those pending and those that
/// ended in time; of failures, those of late calls and of calls in time.
///
/// Layout    | 63..48 tag | 47..24 first | 23..0 second |
/// Invariant a count that is full counts no more.
/// Writers   all but `read`. Readers `read`.
/// Orderings writers release the head they were shown and the other lane;
///           `read`, and the rings when they clear, acquire them.
struct Pair<'w> {
    word: &'w AtomicU64,
    tag: Tag,
}

const FIRST: u64 = 1 << 24;
const SECOND: u64 = 1;
const MOST: u64 = (1 << 24) - 1;

#[derive(Default)]
struct Two {
    first: u64,
    second: u64,
}

impl Pair<'_> {
    /// One more call is pending, if there is room and the step is still on.
    ///
    /// Linearises at the addition, which is blind, since that costs half of
    /// an exchange. The step may end between the look and the addition only
    /// if this thread slept for the length of the whole ring; then the
    /// addition is taken back from whichever step it hit, which for that
    /// moment counts one too many.
    #[inline(always)]
    fn begin(&self) -> bool {
        // ORDERING: Relaxed: judged again by the addition.
        let word = self.word.load(Ordering::Relaxed);
        // Half of the room is left to threads that look at the same time.
        if !self.tag.is_on(word) || first(word) > MOST / 2 {
            return false;
        }
        // ORDERING: Release: who clears the word sees the head that was read
        // before; pairs with the Acquire in `clear`.
        let found = self.word.fetch_add(FIRST, Ordering::Release);
        self.tag.is_on(found) || self.take_back(found)
    }

    #[cold]
    fn take_back(&self, found: u64) -> bool {
        let hit = Pair {
            word: self.word,
            tag: Tag::of(found),
        };
        hit.forget();
        false
    }

    /// A pending call ended in time. That its step was still on.
    #[inline(always)]
    fn end_in_time(&self) -> bool {
        self.change(|word| match word {
            _ if first(word) == 0 => None,
            _ if second(word) == MOST => Some(word - FIRST),
            _ => Some(word - FIRST + SECOND),
        })
    }

    /// A pending call was none.
    fn forget(&self) {
        self.change(|word| (first(word) > 0).then(|| word - FIRST));
    }

    /// A call that was not watched: one that was late stays pending for
    /// ever, which is what late calls are.
    fn add(&self, late: bool) -> bool {
        if late {
            self.add_late()
        } else {
            self.add_in_time()
        }
    }

    fn add_late(&self) -> bool {
        self.change(|word| (first(word) < MOST).then(|| word + FIRST))
    }

    fn add_in_time(&self) -> bool {
        self.change(|word| (second(word) < MOST).then(|| word + SECOND))
    }

    /// Changes the word, as long as its step is on, and says whether it did.
    ///
    /// Linearises at the exchange; a lost race repeats it, and means that
    /// another call was counted or the step was reused: lock-free.
    #[inline(always)]
    fn change(&self, to: impl Fn(u64) -> Option<u64>) -> bool {
        // ORDERING: Relaxed: the exchange fails on any stale value.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if !self.tag.is_on(word) {
                return false;
            }
            let Some(next) = to(word) else {
                return false;
            };
            // ORDERING: Release: a reader that sees a failure sees its call,
            // which was counted before it, and who reads the word to clear it
            // sees the head that was read before; pairs with the Acquire in
            // `read` and in `clear`. Relaxed on failure: judged anew.
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(current) => word = current,
            }
        }
    }

    /// Both counts; nothing if the word has another tag.
    fn read(&self) -> Option<Two> {
        // ORDERING: Acquire: pairs with the Release in `change`, failures
        // before calls.
        let word = self.word.load(Ordering::Acquire);
        self.tag.is_on(word).then_some(Two {
            first: first(word),
            second: second(word),
        })
    }
}

const fn first(word: u64) -> u64 {
    word >> 24 & MOST
}

const fn second(word: u64) -> u64 {
    word & MOST
}
