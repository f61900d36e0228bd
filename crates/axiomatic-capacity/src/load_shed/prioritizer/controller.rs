//! How much is to be refused: one period after the other, a pure step.

use axiomatic_core::Ratio;
use axiomatic_core::pressure::Pressure;

/// What is known of a period that is over.
#[derive(Copy, Clone, Debug)]
pub(super) struct Period {
    pub(super) nanos: u64,
    /// Requests that came.
    pub(super) offered: u64,
    /// Those that were let in and refused further in.
    pub(super) turned_away: u64,
    /// Those that were served: that were answered, if somebody tells; if not,
    /// that were not refused.
    pub(super) served: u64,
    /// The highest pressure, if that is too much.
    pub(super) overload: Option<Pressure>,
}

/// By how much it moves.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Law {
    pub(super) decrease: Ratio,
    pub(super) increase: Ratio,
    pub(super) most_refused: Ratio,
}

/// Looks for how many requests a second can be borne.
///
/// | Found | Admits from now on, a second |
/// |---|---|
/// | too much pressure | what was served, less a step; more steps the more pressure there is; three quarters at least |
/// | the same, but it was lowered shortly before, or the pressure eases | as before: what that does is not seen yet, or is enough |
/// | no such pressure, but some were turned away further in | what was served, and a twentieth more, so that it stays busy |
/// | the same, and to be lowered had not helped | as before, and a step more after a while |
/// | nothing of the kind | a step more, the next time two, four, and so on, as far as is known to be borne; from there on a step, and two after a while |
/// | nothing, and no more came for long than it would admit | everything |
///
/// What is served while too many wait is what can be borne, so a single look
/// tells it; DAGOR, which does not look at what was served, comes there five
/// percent at a time.
#[derive(Clone, Debug)]
pub(super) struct Controller {
    law: Law,
    /// Calls a second, in thousandths, of late.
    served: Option<u64>,
    /// Turned away a second, in thousandths, of late.
    turned_away: u64,
    /// What part was turned away when it was lowered for that, in millionths; for
    /// how many periods it was not lowered again because it had not helped.
    blamed: u64,
    vain: u32,
    /// How many to admit, if not all.
    most: Option<u64>,
    /// How many were served when it was too much the last time.
    known: u64,
    /// Periods since it was lowered, and since it was not calm.
    since_lowered: u32,
    /// The pressure then, and each so many periods after.
    lowered_at: Pressure,
    calm: u32,
    /// Calm periods in which all that came would have been admitted.
    idle: u32,
}

/// For so many periods after it was lowered it is not lowered again: a queue
/// has to drain, and a measure of busy processors looks back at a second of
/// them. With 2, a signal that lags loses a fifth of goodput for five seconds
/// under twice the load, and a twentieth with 5. With 10, one per cent more is
/// served under twice the load, and one less under ten times as much.
const SETTLES: u32 = 5;
/// Fewer than so many turned away are chance: two that came at once.
const MANY: Ratio = Ratio::percent(1);
/// So much more is admitted than was served while some are turned away. By
/// chance alone a bulkhead without a queue turns away one in twenty while nine
/// of ten of its slots are taken (Erlang's formula, for a hundred), so with less
/// it would stand half empty.
const FURTHER: Ratio = Ratio::percent(5);
/// So many calm periods with room to spare, and everything is admitted.
const SPARE: u32 = 10;
/// Steps up double so often: 2, 4, 8, 16, 32 percent.
const DOUBLED: u32 = 4;
/// And beyond what is known to be borne not before so many periods. With 1 it
/// swings by a third; the more, the later it finds that more can be borne: a
/// server that comes back from a quarter of its capacity is at 95 % of goodput
/// after 0.8 s with 3, 1.3 s with 5 and 2 s with 10, and under a lasting overload
/// goodput is the same.
const TRIES: u32 = 5;
/// However high the pressure, it is lowered by so many parts of a million of what
/// was served at most. That is what can be borne, and the queue loses its dead
/// by itself: with a half in the place of a quarter, the shedder alone has 93 %
/// of goodput and not 97 % under twice the load, 86 % and not 91 % under ten
/// times as much. With no more than a tenth a long queue of calls that became
/// four times as slow is not drained: 83 %, not 92 %.
const DEEPEST: u128 = MILLION / 4;
/// Of how many periods what is served is the mean, more or less. From 2 to 8
/// goodput is the same within two per cent; 16 loses three under ten times the
/// load.
const SMOOTHED: u64 = 4;

const MILLION: u128 = 1_000_000;

impl Controller {
    pub(super) fn new(law: Law) -> Self {
        Controller {
            law,
            served: None,
            turned_away: 0,
            blamed: 0,
            vain: 0,
            most: None,
            known: 0,
            since_lowered: SETTLES,
            lowered_at: Pressure::NONE,
            calm: 0,
            idle: 0,
        }
    }

    pub(super) fn set_law(&mut self, law: Law) {
        self.law = law;
    }

    /// How many are admitted a second, in thousandths; all, if none.
    pub(super) fn admitting(&self) -> Option<u64> {
        self.most
    }

    /// A period is over. What share of the requests is to be refused in the
    /// next one.
    pub(super) fn step(&mut self, period: &Period) -> Ratio {
        let offered = rate(period.offered, period.nanos);
        let served = self.smooth(rate(period.served, period.nanos));
        self.turned_away = mean(self.turned_away, rate(period.turned_away, period.nanos));
        let passed = period.served.saturating_add(period.turned_away);
        self.since_lowered = self.since_lowered.saturating_add(1);
        if let Some(pressure) = period.overload {
            self.too_much(served);
            self.lower(less(served, self.steps(pressure)), pressure);
        } else if MANY.is_reached_by(period.turned_away, passed) && period.turned_away > 0 {
            self.too_much(served);
            self.follow(more(served, FURTHER), served, offered);
        } else {
            self.raise(offered);
        }
        let Some(most) = self.most else {
            return Ratio::ZERO;
        };
        let refused = u128::from(offered.saturating_sub(most)) * MILLION;
        let refused = refused / u128::from(offered.max(1));
        Ratio::parts_per_million(refused as u32).min(self.law.most_refused)
    }

    fn smooth(&mut self, served: u64) -> u64 {
        let smoothed = self.served.map_or(served, |before| mean(before, served));
        self.served = Some(smoothed);
        smoothed
    }

    /// So many were served in a period that was not calm. What is news takes
    /// the place of what was known by half: when nothing ends for a while, it is
    /// not that nothing can be borne ever after.
    fn too_much(&mut self, served: u64) {
        let is_news = self.calm > 0 || self.most.is_none();
        let before = if is_news {
            self.known / 2 + served / 2
        } else {
            self.known
        };
        self.known = served.max(before);
        self.calm = 0;
        self.idle = 0;
    }

    /// One step for a pressure of up to twice as much as can be borne, and one
    /// more for each time more.
    fn steps(&self, pressure: Pressure) -> Ratio {
        let times = u128::from(pressure.as_parts_per_million()).saturating_sub(MILLION);
        let step = u128::from(self.law.decrease.as_parts_per_million());
        let all = (step * times / MILLION).clamp(step, DEEPEST.max(step));
        Ratio::parts_per_million(all as u32)
    }

    fn lower(&mut self, to: u64, pressure: Pressure) {
        let eases = pressure < self.lowered_at;
        match self.most {
            Some(most) if to < most && (eases || self.since_lowered < SETTLES) => {}
            Some(most) if to >= most => self.most = Some(to),
            _ => {
                self.most = Some(to);
                self.since_lowered = 0;
            }
        }
        if self.since_lowered % SETTLES == 0 {
            self.lowered_at = pressure;
        }
    }

    /// Some were turned away further in, and this is a little more than what was
    /// served. It is lowered to that once, and again only if that helped, or if
    /// it is much worse now: what is turned away whatever comes, behind one bad
    /// dependency of several, is no reason to serve nobody.
    fn follow(&mut self, to: u64, served: u64, offered: u64) {
        let Some(most) = self.most.filter(|most| to < *most) else {
            if self.most.is_none() {
                self.blamed = share(self.turned_away, served);
            }
            self.most = Some(to.min(more(offered, Ratio::ONE)));
            return;
        };
        let turned_away = share(self.turned_away, served);
        if turned_away <= self.blamed / 4 * 3 || turned_away >= self.blamed / 3 * 4 {
            self.blamed = turned_away;
            self.vain = 0;
            self.most = Some(to);
            return;
        }
        self.vain += 1;
        if self.vain >= SPARE {
            self.vain = 0;
            self.most = Some(more(most, self.law.increase));
        }
    }

    fn raise(&mut self, offered: u64) {
        self.lowered_at = Pressure::NONE;
        let Some(most) = self.most else {
            return;
        };
        self.idle = if offered <= most { self.idle + 1 } else { 0 };
        if self.idle >= SPARE {
            self.most = None;
            self.idle = 0;
            return;
        }
        let is_known = most < less(self.known, self.law.increase);
        let doubled = if is_known {
            self.calm
        } else {
            self.calm / TRIES
        };
        let doubled = doubled.min(DOUBLED);
        self.calm = self.calm.saturating_add(1);
        let step = u128::from(self.law.increase.as_parts_per_million()) << doubled;
        let step = Ratio::parts_per_million(step.min(MILLION / 2) as u32);
        let highest = if is_known {
            more(self.known, self.law.increase)
        } else {
            // Not out of sight of what comes: that many more at once are news.
            more(offered, Ratio::ONE).max(most)
        };
        self.most = Some(more(most, step).saturating_add(1_000).min(highest));
    }
}

/// Of what there was before, and of what there is.
fn mean(before: u64, now: u64) -> u64 {
    let sum = u128::from(before) * u128::from(SMOOTHED - 1) + u128::from(now);
    (sum / u128::from(SMOOTHED)) as u64
}

/// Which part was turned away of those that were, and of others, in millionths.
fn share(turned_away: u64, served: u64) -> u64 {
    let all = u128::from(turned_away) + u128::from(served);
    (u128::from(turned_away) * MILLION / all.max(1)) as u64
}

/// Calls a second, in thousandths.
fn rate(calls: u64, nanos: u64) -> u64 {
    let rate = u128::from(calls) * 1_000_000_000_000 / u128::from(nanos.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

fn less(rate: u64, share: Ratio) -> u64 {
    rate - part(rate, share.min(Ratio::ONE))
}

fn more(rate: u64, share: Ratio) -> u64 {
    rate.saturating_add(part(rate, share))
}

fn part(rate: u64, share: Ratio) -> u64 {
    let part = u128::from(rate) * u128::from(share.as_parts_per_million()) / MILLION;
    u64::try_from(part).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
