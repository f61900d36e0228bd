//! What became of the requests of a run, and what can be measured in it.

use std::ops::Range;
use std::time::Duration;

use crate::world::{WORKERS, World};

/// How a run went.
pub(crate) struct Run {
    bins: Vec<Bin>,
    /// Of the answers in time: when, and how long after the request was sent.
    pub(crate) latencies: Vec<(Duration, Duration)>,
}

/// A tenth of a second.
#[derive(Clone, Default)]
pub(crate) struct Bin {
    /// Requests that came for the first time, of each class.
    pub(crate) offered: [u32; 4],
    /// How many of these were answered in time, now or later.
    pub(crate) served: [u32; 4],
    /// The same of other users, and of the one that asks for most.
    pub(crate) offered_of: [u32; 2],
    pub(crate) served_of: [u32; 2],
    /// Answers in time that were given now.
    pub(crate) good: u32,
    /// Work that was done now and that nobody waited for any more.
    pub(crate) in_vain: u32,
    /// Requests that were sent, also once more.
    pub(crate) attempts: u32,
    pub(crate) refused: u32,
    /// How many could be served, in thousandths.
    can: u32,
}

const BIN: Duration = Duration::from_millis(100);
/// Goodput is looked at over so many bins: five seconds.
const WINDOW: usize = 50;

impl Run {
    pub(crate) fn new(world: &World) -> Self {
        let bins = world.end.as_millis().div_ceil(BIN.as_millis()) as u32;
        let bin = |at: u32| {
            let takes = world.takes.at(BIN * at).as_micros() as u32;
            let is_stuck = world.stuck.contains(&(BIN * at));
            Bin {
                can: if is_stuck {
                    0
                } else {
                    WORKERS * 100_000_000 / takes
                },
                ..Bin::default()
            }
        };
        Run {
            bins: (0..bins).map(bin).collect(),
            latencies: Vec::new(),
        }
    }

    pub(crate) fn bin(&mut self, at: Duration) -> &mut Bin {
        &mut self.bins[index(at)]
    }

    fn bins(&self, stretch: &Range<Duration>) -> &[Bin] {
        &self.bins[index(stretch.start)..index(stretch.end)]
    }

    /// Answers in time, in thousandths of what could be served, or of what was
    /// asked for, if that is less.
    pub(crate) fn goodput(&self, stretch: Range<Duration>) -> u64 {
        goodput(self.bins(&stretch))
    }

    /// The same of the worst five seconds.
    pub(crate) fn least_goodput(&self, stretch: Range<Duration>) -> u64 {
        let windows = self.bins(&stretch).windows(WINDOW);
        windows.map(goodput).min().unwrap_or(0)
    }

    pub(crate) fn most_goodput(&self, stretch: Range<Duration>) -> u64 {
        let windows = self.bins(&stretch).windows(WINDOW);
        windows.map(goodput).max().unwrap_or(0)
    }

    /// After how many milliseconds from the beginning of the stretch there is
    /// 95 % of goodput, and for good, seen over five seconds from then on.
    pub(crate) fn back(&self, stretch: Range<Duration>) -> u64 {
        let windows = self.bins(&stretch).windows(WINDOW);
        let last = windows.map(goodput).collect::<Vec<_>>();
        let bins = match last.iter().rposition(|share| *share < 950) {
            None => 0,
            Some(last_one) if last_one + 1 == last.len() => last_one + WINDOW,
            Some(last_one) => last_one + 1,
        };
        bins as u64 * BIN.as_millis() as u64
    }

    /// How many of the requests of a class were answered, at once or later.
    pub(crate) fn served(&self, class: usize, stretch: Range<Duration>) -> u64 {
        let bins = self.bins(&stretch);
        share(
            sum(bins, |bin| bin.served[class]),
            sum(bins, |bin| bin.offered[class]),
        )
    }

    /// The same of all users but the one that asks for most.
    pub(crate) fn served_of_others(&self, stretch: Range<Duration>) -> u64 {
        let bins = self.bins(&stretch);
        share(
            sum(bins, |bin| bin.served_of[0]),
            sum(bins, |bin| bin.offered_of[0]),
        )
    }

    /// Answers to a class, in thousandths of what could be served.
    pub(crate) fn share_of(&self, class: usize, stretch: Range<Duration>) -> u64 {
        let bins = self.bins(&stretch);
        sum(bins, |bin| bin.served[class]) * 1_000_000 / sum(bins, |bin| bin.can).max(1)
    }

    /// How many of the requests that were sent were refused.
    pub(crate) fn refused(&self, stretch: Range<Duration>) -> u64 {
        let bins = self.bins(&stretch);
        share(sum(bins, |bin| bin.refused), sum(bins, |bin| bin.attempts))
    }

    /// Answers in time, of what could be served or was sent, if that is less.
    pub(crate) fn answered(&self, stretch: Range<Duration>) -> u64 {
        let seconds = self.bins(&stretch).chunks(10);
        let could = |bins: &[Bin]| {
            let sent = sum(bins, |bin| bin.attempts) * 1_000;
            sent.min(sum(bins, |bin| bin.can))
        };
        let could: u64 = seconds.map(could).sum();
        sum(self.bins(&stretch), |bin| bin.good) * 1_000_000 / could.max(1)
    }

    /// How much of the work that was done nobody waited for any more.
    pub(crate) fn in_vain(&self, stretch: Range<Duration>) -> u64 {
        let bins = self.bins(&stretch);
        let in_vain = sum(bins, |bin| bin.in_vain);
        share(in_vain, in_vain + sum(bins, |bin| bin.good))
    }

    /// Of the answers in time, 99 in a hundred took no longer than so many
    /// milliseconds.
    pub(crate) fn p99(&self, stretch: Range<Duration>) -> u64 {
        let within = self.latencies.iter().filter(|(at, _)| stretch.contains(at));
        let mut took: Vec<_> = within.map(|(_, took)| *took).collect();
        took.sort_unstable();
        took.get(took.len() * 99 / 100)
            .map_or(0, |took| took.as_millis() as u64)
    }

    /// What was sent, of what came for the first time.
    pub(crate) fn amplified(&self, stretch: Range<Duration>) -> u64 {
        let bins = self.bins(&stretch);
        share(
            sum(bins, |bin| bin.attempts),
            sum(bins, |bin| bin.offered.iter().sum()),
        )
    }

    /// The most requests that were sent in a second, in thousandths of what
    /// can be served in one.
    pub(crate) fn peak(&self, stretch: Range<Duration>) -> u64 {
        let seconds = self.bins(&stretch).windows(10);
        let share = |bins: &[Bin]| {
            sum(bins, |bin| bin.attempts) * 1_000_000 / sum(bins, |bin| bin.can).max(1)
        };
        seconds.map(share).max().unwrap_or(0)
    }
}

fn index(at: Duration) -> usize {
    (at.as_millis() / BIN.as_millis()) as usize
}

fn goodput(bins: &[Bin]) -> u64 {
    let offered = sum(bins, |bin| bin.offered.iter().sum()) * 1_000;
    let can = sum(bins, |bin| bin.can);
    sum(bins, |bin| bin.good) * 1_000_000 / offered.min(can).max(1)
}

fn sum(bins: &[Bin], what: impl Fn(&Bin) -> u32) -> u64 {
    bins.iter().map(|bin| u64::from(what(bin))).sum()
}

fn share(part: u64, of: u64) -> u64 {
    part * 1_000 / of.max(1)
}
