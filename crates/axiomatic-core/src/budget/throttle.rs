use std::thread::LocalKey;

use super::account_cell::TOKEN;
use super::deposits::{is_exact, thousandths};
use super::machine::{Core, Machine, Model, UnderWay};
use super::stock_cell::Stock;
use super::{Class, ConfigError, Level, Tokens, UpdateError};
use crate::number_cell::Setting;
use crate::shared::{Shared, Stash};
use crate::time::Instant;
use crate::{Outcome, Ratio};

/// A throttle by the ratio of successes: an attempt that fails takes a token,
/// one that is answered puts a share of one back, and extra attempts are made
/// while more than half of the tokens are there. gRPC's `retryThrottling`
/// (proposal A6).
///
/// Asking takes nothing here: attempts that are under way when the tokens
/// reach half have been granted, and each of them was one call's. By default
/// 10 tokens and 10 %, gRPC's own example.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Throttle {
    most: u32,
    ratio: Ratio,
}

#[derive(Debug)]
#[expect(unnameable_types, reason = "the inside of `RetryBudget`")]
pub struct Valve {
    stock: Stock,
    most: Setting,
    ratio: Setting,
}

impl Throttle {
    /// So many tokens, and such a share of one for each success, in steps of
    /// 0.1 %.
    pub const fn of(tokens: u32, ratio: Ratio) -> Self {
        Throttle {
            most: tokens,
            ratio,
        }
    }

    fn most(&self) -> u64 {
        u64::from(self.most) * TOKEN
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Throttle::of(10, Ratio::percent(10))
    }
}

impl Valve {
    /// Whether more than half of the tokens are there.
    #[inline]
    fn is_open(&self) -> bool {
        2 * self.stock.load() > self.most.load()
    }

    #[inline]
    fn record(&self, outcome: Outcome) {
        match outcome {
            Outcome::Success | Outcome::Permanent => {
                self.stock.add(self.ratio.load(), self.most.load());
            }
            Outcome::Transient | Outcome::Throttled { .. } => self.stock.lose(TOKEN),
            Outcome::Ignored => {}
        }
    }
}

impl Model for Throttle {}

impl Machine for Throttle {
    type Cells = Valve;
    type Call = UnderWay<Self>;

    fn check(&self) -> Result<(), ConfigError> {
        if self.most == 0 {
            return Err(ConfigError::Empty);
        }
        if self.ratio == Ratio::ZERO || !is_exact(self.ratio) {
            return Err(ConfigError::Ratio(self.ratio));
        }
        Ok(())
    }

    fn cells(&self) -> Valve {
        Valve {
            stock: Stock::new(self.most()),
            most: Setting::new(self.most()),
            ratio: Setting::new(thousandths(self.ratio)),
        }
    }

    fn update(&self, valve: &Valve) -> Result<(), UpdateError> {
        valve.most.store(self.most());
        valve.ratio.store(thousandths(self.ratio));
        valve.stock.cut(self.most());
        Ok(())
    }

    #[inline(always)]
    fn begin(core: &Shared<Core<Self>>, _: Instant) -> UnderWay<Self> {
        UnderWay(core.hold())
    }

    #[inline]
    fn first(valve: &Valve, outcome: Outcome) {
        valve.record(outcome);
    }

    fn extra(valve: &Valve, outcome: Outcome, _: u32, _: Class) {
        valve.record(outcome);
    }

    fn take(valve: &Valve, _: Instant, _: Class) -> Option<u32> {
        valve.is_open().then_some(0)
    }

    #[inline]
    fn is_drained(valve: &Valve, _: bool) -> bool {
        !valve.is_open()
    }

    fn give_back(_: &Valve, _: u32) {}

    fn level(valve: &Valve, _: Instant) -> Level {
        Level::Stock {
            balance: Tokens::thousandths(valve.stock.load()),
            capacity: Tokens::thousandths(valve.most.load()),
        }
    }

    fn stash() -> &'static LocalKey<Stash<Core<Self>>> {
        thread_local!(static STASH: Stash<Core<Throttle>> = const { Stash::new() });
        &STASH
    }
}
