use std::ops::{AddAssign, Range};
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::time::saturating_nanos;

use crate::End;

/// What became of a run, in bins of 100 ms.
///
/// A request is booked where it arrived, whenever it ends: so a bin adds up,
/// and says what became of those who came then. A call is booked where it was
/// sent.
///
/// The essay of the crate has an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    bins: Vec<Bin>,
}

/// What became of the requests of a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// Requests that arrived.
    pub offered: u64,
    /// Those that got what they came for.
    pub served: u64,
    /// Those that got an error from the dependency.
    pub failed: u64,
    /// Those that got no answer in time.
    pub timed_out: u64,
    /// Those that a policy turned away.
    pub refused: u64,
    /// Those that got no worker.
    pub starved: u64,
    /// Calls that were sent, with repetitions.
    pub sent: u64,
    /// Calls that were sent and brought nothing, neither in time nor at all:
    /// what the dependency was burdened with in vain.
    pub wasted: u64,
    /// When a policy first turned a call away.
    first_refusal: Option<Duration>,
    /// How long those that were served took, in no order.
    latencies: Vec<Duration>,
}

/// What became of a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It got what it came for, after so long.
    Served(Duration),
    /// The dependency answered with an error.
    Failed,
    /// The dependency did not answer in time.
    TimedOut,
    /// A policy turned it away.
    Refused,
    /// It got no worker.
    Starved,
}

impl Series {
    /// The width of a bin.
    pub const BIN: Duration = Duration::from_millis(100);

    /// Nothing yet. [`Scenario::run`](crate::Scenario::run) fills one; the
    /// methods that do are there for stories of another kind.
    pub fn new() -> Self {
        Self::default()
    }

    /// A request arrived.
    pub fn offered(&mut self, at: Duration) {
        self.bin(at).offered += 1;
    }

    /// A request that arrived then had this fate.
    pub fn fate(&mut self, arrived: Duration, fate: Fate) {
        let bin = self.bin(arrived);
        match fate {
            Fate::Served(after) => {
                bin.served += 1;
                bin.latencies.push(after);
            }
            Fate::Failed => bin.failed += 1,
            Fate::TimedOut => bin.timed_out += 1,
            Fate::Refused => bin.refused += 1,
            Fate::Starved => bin.starved += 1,
        }
    }

    /// A call that was sent then ended so.
    pub fn sent(&mut self, at: Duration, end: End) {
        let bin = self.bin(at);
        bin.sent += 1;
        bin.wasted += u64::from(!end.is_good());
    }

    /// A policy turned a call away.
    pub fn refused(&mut self, at: Duration) {
        self.bin(at).first_refusal.get_or_insert(at);
    }

    /// All bins as one.
    pub fn total(&self) -> Bin {
        self.within(Duration::ZERO..Duration::MAX)
    }

    /// The bins of a stretch as one, those that it cuts included.
    pub fn within(&self, stretch: Range<Duration>) -> Bin {
        let width = saturating_nanos(Series::BIN);
        let first = saturating_nanos(stretch.start) / width;
        let end = saturating_nanos(stretch.end).div_ceil(width);
        let [first, end] = [first, end].map(|bin| (bin as usize).min(self.bins.len()));
        let mut sum = Bin::default();
        for bin in &self.bins[first.min(end)..end] {
            sum += bin;
        }
        sum
    }

    /// The run in wider bins, as for a chart: bin `i` begins at `i × width`.
    pub fn every(&self, width: Duration) -> Vec<Bin> {
        let bins = saturating_nanos(width) / saturating_nanos(Series::BIN);
        let wide = self.bins.chunks(bins.max(1) as usize).map(|bins| {
            let mut sum = Bin::default();
            for bin in bins {
                sum += bin;
            }
            sum
        });
        wide.collect()
    }

    /// How long after the onset of a fault a policy first turned a call away,
    /// if it did before the fault was over. Of a bin only the first refusal is
    /// known, so a fault should begin where a bin does.
    pub fn detection(&self, fault: Range<Duration>) -> Option<Duration> {
        let refusals = self.bins.iter().filter_map(|bin| bin.first_refusal);
        let first = refusals.filter(|at| fault.contains(at)).min()?;
        Some(first - fault.start)
    }

    /// How long after the end of a fault the first second begins in which
    /// this share of the requests that arrived is served, if one does before
    /// the end of the run.
    pub fn recovery(&self, end: Duration, share: Ratio) -> Option<Duration> {
        let width = Series::BIN;
        let first = saturating_nanos(end).div_ceil(saturating_nanos(width)) as usize;
        let second = (saturating_nanos(Duration::from_secs(1)) / saturating_nanos(width)) as usize;
        let (mut offered, mut served) = (0, 0);
        for (last, bin) in self.bins.iter().enumerate().skip(first) {
            offered += bin.offered;
            served += bin.served;
            let begin = (last + 1).saturating_sub(second);
            if begin < first {
                continue;
            }
            if offered > 0 && share.is_reached_by(served, offered) {
                let begin = width.saturating_mul(begin as u32);
                return Some(begin.saturating_sub(end));
            }
            offered -= self.bins[begin].offered;
            served -= self.bins[begin].served;
        }
        None
    }

    fn bin(&mut self, at: Duration) -> &mut Bin {
        let index = (saturating_nanos(at) / saturating_nanos(Series::BIN)) as usize;
        if index >= self.bins.len() {
            self.bins.resize_with(index + 1, Bin::default);
        }
        &mut self.bins[index]
    }
}

impl Bin {
    /// The share of the requests that got what they came for; all, of none.
    pub fn goodput(&self) -> Ratio {
        let millionths = u128::from(self.served) * 1_000_000;
        let share = millionths.checked_div(u128::from(self.offered));
        share.map_or(Ratio::ONE, |share| {
            Ratio::parts_per_million(share.min(u128::from(u32::MAX)) as u32)
        })
    }

    /// The latency that this share of those who were served did not exceed;
    /// none, if nobody was served.
    pub fn latency(&self, share: Ratio) -> Option<Duration> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = share.ceil_of(sorted.len() as u64).max(1) as usize;
        sorted.get(rank.min(sorted.len()).wrapping_sub(1)).copied()
    }
}

impl AddAssign<&Bin> for Bin {
    fn add_assign(&mut self, other: &Bin) {
        self.offered += other.offered;
        self.served += other.served;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.refused += other.refused;
        self.starved += other.starved;
        self.sent += other.sent;
        self.wasted += other.wasted;
        self.first_refusal = self.first_refusal.or(other.first_refusal);
        self.latencies.extend_from_slice(&other.latencies);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axiomatic_core::{Outcome, Reason};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A hundred requests a second for ten seconds; those from 2 s to 5 s
    /// fail.
    fn outage() -> Series {
        let mut series = Series::new();
        for at in (0..10_000).step_by(10).map(ms) {
            series.offered(at);
            let fails = (ms(2_000)..ms(5_000)).contains(&at);
            series.fate(
                at,
                if fails {
                    Fate::Failed
                } else {
                    Fate::Served(at / 100)
                },
            );
        }
        series
    }

    #[test]
    fn a_stretch_adds_up() {
        let series = outage();
        let bin = series.within(ms(1_000)..ms(3_000));
        assert_eq!((bin.offered, bin.served, bin.failed), (200, 100, 100));
        assert_eq!(bin.goodput(), Ratio::percent(50));
        let by_second: Vec<_> = series
            .every(ms(1_000))
            .iter()
            .map(|bin| bin.failed)
            .collect();
        assert_eq!(by_second, [0, 0, 100, 100, 100, 0, 0, 0, 0, 0]);
        assert_eq!(series.total().goodput(), Ratio::percent(70));
        assert_eq!(series.within(ms(20_000)..ms(30_000)).goodput(), Ratio::ONE);
    }

    #[test]
    fn recovery_is_the_way_to_the_first_good_second() {
        let series = outage();
        let share = Ratio::percent(95);
        assert_eq!(series.recovery(ms(5_000), share), Some(Duration::ZERO));
        // Five of a hundred may be bad: in whole bins, none.
        assert_eq!(series.recovery(ms(3_000), share), Some(ms(2_000)));
        assert_eq!(
            series.recovery(ms(3_000), Ratio::percent(90)),
            Some(ms(1_900))
        );
        assert_eq!(series.recovery(ms(9_500), share), None);
    }

    #[test]
    fn detection_is_the_way_to_the_first_refusal_of_the_fault() {
        let mut series = outage();
        for at in [500, 3_210, 3_280, 7_000] {
            series.refused(ms(at));
        }
        let during = |from, until| series.detection(ms(from)..ms(until));
        assert_eq!(during(2_000, 5_000), Some(ms(1_210)));
        assert_eq!(during(5_000, 6_000), None);
        assert_eq!(during(400, 1_000), Some(ms(100)));
    }

    #[test]
    fn a_percentile_is_a_latency_that_occurred() {
        let bin = outage().within(ms(0)..ms(1_000));
        // 0, 0.1, …, 9.9 ms.
        assert_eq!(
            bin.latency(Ratio::percent(50)),
            Some(Duration::from_micros(4_900))
        );
        assert_eq!(
            bin.latency(Ratio::percent(99)),
            Some(Duration::from_micros(9_800))
        );
        assert_eq!(bin.latency(Ratio::ONE), Some(Duration::from_micros(9_900)));
        assert_eq!(bin.latency(Ratio::ZERO), Some(Duration::ZERO));
        assert_eq!(Bin::default().latency(Ratio::ONE), None);
    }

    #[test]
    fn a_call_is_wasted_unless_it_brought_what_was_asked_for() {
        let mut series = Series::new();
        for end in [
            End::Answered(Outcome::Success),
            End::Answered(Outcome::Transient),
            End::TimedOut,
        ] {
            series.sent(Duration::ZERO, end);
        }
        let total = series.total();
        assert_eq!((total.sent, total.wasted), (3, 2));
        assert_eq!(End::Refused(Reason::Open).outcome(), Outcome::Ignored);
    }
}
