use std::fmt;
use std::time::Duration;

use super::Snapshot;
use super::keeper_cell::{Again, Estimate, Keeper, Notes};
use super::scale::bucket;
use super::tally_cell::Tallies;
use crate::Ratio;
use crate::time::{Instant, saturating_nanos};

/// How long calls take, of late: a plain object, shared by reference.
///
/// ```
/// use axiomatic_core::Ratio;
/// use axiomatic_core::histogram::LatencyHistogram;
/// use axiomatic_core::time::Instant;
/// use std::time::Duration;
///
/// let histogram = LatencyHistogram::new(Ratio::percent(90), Duration::from_secs(10));
/// let now = Instant::from_nanos(5_000_000_000);
/// for millis in 1..=100 {
///     histogram.record(now, Duration::from_millis(millis));
/// }
/// let within = histogram.watched().unwrap().as_millis();
/// assert!((85..=96).contains(&within), "{within}"); // off by 6.25 % at most
/// ```
pub struct LatencyHistogram {
    tallies: Tallies,
    keeper: Keeper,
    watched: Estimate,
    median: Estimate,
    share: Ratio,
    /// How many calls make a first estimate.
    warm_up: u64,
    half_life: u64,
    /// How long estimates last.
    refresh: u64,
}

/// So many calls are to be expected beyond the watched quantile before there
/// is an estimate. The chance that none is, so that the estimate is nothing
/// but the largest, is then e^-4, 2 %.
const BEYOND: u64 = 4;

/// At least so many calls make a first estimate, for the median's sake, and
/// none has to wait for more than so many: of a thousandth nobody can say
/// more than how long the slowest took.
const FEWEST: u64 = if cfg!(axiomatic_loom) { 2 } else { 20 };
const MOST: u64 = if cfg!(axiomatic_loom) { 2 } else { 1_000 };

/// So often in a half-life the estimates are made anew, each time at the price
/// of some microseconds; what they are made of moves by a few per cent
/// between two. Not measured.
const REFRESHES: u64 = 16;

impl LatencyHistogram {
    /// The shortest half-life.
    pub const SHORTEST: Duration = Duration::from_millis(1);

    /// The longest half-life.
    pub const LONGEST: Duration = Duration::from_secs(24 * 3_600);

    /// What keeps the quantile `watched` at hand, and in which a call counts
    /// half after each `half_life`.
    ///
    /// More than the whole is taken as the whole, and a half-life beyond
    /// [`SHORTEST`](Self::SHORTEST) or [`LONGEST`](Self::LONGEST) as that.
    pub fn new(watched: Ratio, half_life: Duration) -> Self {
        let share = watched.min(Ratio::ONE);
        let half_life = saturating_nanos(half_life.clamp(Self::SHORTEST, Self::LONGEST));
        // A bucket has room for what comes in a second.
        let second = 1_000_000_000;
        LatencyHistogram {
            tallies: Tallies::new(),
            keeper: Keeper::new(),
            watched: Estimate::none(),
            median: Estimate::none(),
            share,
            warm_up: warm_up(share),
            half_life,
            refresh: (half_life / REFRESHES).min(second),
        }
    }

    /// A call ended at `now`, and took so long.
    #[inline]
    pub fn record(&self, now: Instant, latency: Duration) {
        self.record_nanos(now, saturating_nanos(latency));
    }

    /// The same in nanoseconds, for the project's own hot paths: a duration
    /// costs a division to make and a multiplication to read.
    #[doc(hidden)]
    #[inline(always)]
    pub fn record_nanos(&self, now: Instant, latency: u64) {
        let is_full = self.tallies.add_ended(bucket(latency));
        if is_full | self.is_due(now) {
            self.tend(now);
        }
    }

    /// A call was given up or cancelled at `now` after so long: it takes at
    /// least that, and nobody will know how much more.
    #[inline]
    pub fn record_at_least(&self, now: Instant, elapsed: Duration) {
        let is_full = self
            .tallies
            .add_cut_short(bucket(saturating_nanos(elapsed)));
        if is_full | self.is_due(now) {
            self.tend(now);
        }
    }

    /// The watched quantile, once there are enough calls: one load.
    #[inline]
    pub fn watched(&self) -> Option<Duration> {
        self.watched_nanos().map(Duration::from_nanos)
    }

    /// The same in nanoseconds, as [`record_nanos`](Self::record_nanos).
    #[doc(hidden)]
    #[inline(always)]
    pub fn watched_nanos(&self) -> Option<u64> {
        self.watched.load()
    }

    /// The median, once there are enough calls: one load.
    #[inline]
    pub fn median(&self) -> Option<Duration> {
        self.median.load().map(Duration::from_nanos)
    }

    /// Within how long such a share of the calls ends: of what there is,
    /// however little, in some microseconds.
    pub fn quantile(&self, share: Ratio) -> Option<Duration> {
        self.tallies.counts().quantile(share)
    }

    /// How many calls make a first estimate: as many as let four be expected
    /// beyond the watched quantile, from 20 to 1,000.
    pub fn warm_up(&self) -> u64 {
        self.warm_up
    }

    /// What the histogram is like.
    pub fn snapshot(&self) -> Snapshot {
        let counts = self.tallies.counts();
        Snapshot {
            median: self.median(),
            watched: self.watched(),
            share: self.share,
            ended: counts.ended(),
            cut_short: counts.cut_short(),
        }
    }

    #[inline(always)]
    fn is_due(&self, now: Instant) -> bool {
        // Threads' clocks may differ by a little.
        self.keeper.is_due(now, 2 * self.refresh)
    }

    /// Halves what is due to be, and makes the estimates anew, unless another
    /// is at it.
    #[cold]
    fn tend(&self, now: Instant) {
        if let Some(mut notes) = self.keeper.claim() {
            let again = self.keep(&mut notes, now);
            self.keeper.release(notes, again);
        }
    }

    fn keep(&self, notes: &mut Notes, now: Instant) -> Again {
        if notes.calls == 0 {
            notes.half_life_began = now;
            notes.began = now;
        }
        let mut halvings = notes.halvings(now, self.half_life);
        if !notes.is_warm && halvings == 0 {
            notes.calls += 1;
            if notes.calls < self.warm_up {
                return Again::AtOnce;
            }
        }
        if self.tallies.is_full() {
            halvings = halvings.max(1);
        }
        if halvings > 0 {
            self.tallies.halve(halvings);
        }
        let counts = self.tallies.counts();
        notes.calls = counts.total();
        // Half of them suffice to stay warm, so that a halving does not cool
        // down what is as busy as ever.
        let enough = self.warm_up / if notes.is_warm { 2 } else { 1 };
        if notes.calls < enough {
            notes.began = now;
            self.watched.set(None);
            self.median.set(None);
            return Again::AtOnce;
        }
        self.watched.set(counts.quantile(self.share));
        self.median.set(counts.quantile(Ratio::percent(50)));
        // Young estimates are made anew whenever their age has doubled.
        let age = now - notes.began;
        Again::At(now + age.min(Duration::from_nanos(self.refresh)))
    }
}

impl Notes {
    /// How often to halve at `now`, which is then done. Time that steps back
    /// begins the half-life anew.
    fn halvings(&mut self, now: Instant, half_life: u64) -> u32 {
        self.began = self.began.min(now);
        self.half_life_began = self.half_life_began.min(now);
        let passed = now.as_nanos() - self.half_life_began.as_nanos();
        let halvings = passed / half_life;
        self.half_life_began = Instant::from_nanos(now.as_nanos() - passed % half_life);
        u32::try_from(halvings).unwrap_or(u32::MAX)
    }
}

fn warm_up(share: Ratio) -> u64 {
    let whole = u64::from(Ratio::ONE.as_parts_per_million());
    let beyond = whole - u64::from(share.as_parts_per_million());
    (BEYOND * whole)
        .checked_div(beyond)
        .unwrap_or(MOST)
        .clamp(FEWEST, MOST)
}

impl fmt::Debug for LatencyHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LatencyHistogram")
            .field("half_life", &Duration::from_nanos(self.half_life))
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_is_halved_before_its_time() {
        let histogram = LatencyHistogram::new(Ratio::percent(95), LatencyHistogram::LONGEST);
        let milli = Duration::from_millis(1);
        (0..80).for_each(|_| histogram.record(Instant::from_nanos(1), milli));
        // The estimates are made anew, and then not for a while.
        let now = Instant::from_nanos(2_000_000_000);
        histogram.record(now, milli);
        assert!(!histogram.is_due(now));
        histogram.tallies.fill(bucket(saturating_nanos(milli)));
        histogram.record_at_least(now, milli);
        let snapshot = histogram.snapshot();
        assert_eq!((snapshot.ended(), snapshot.cut_short()), (40, 1 << 30));
    }
}
