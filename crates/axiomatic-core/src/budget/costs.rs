use std::thread::LocalKey;

use super::account_cell::TOKEN;
use super::machine::{Core, Machine, Model, UnderWay};
use super::stock_cell::Stock;
use super::{Class, ConfigError, Level, Tokens, UpdateError};
use crate::Outcome;
use crate::number_cell::Setting;
use crate::shared::{Shared, Stash};
use crate::time::Instant;

/// Cost by class: an extra attempt takes what its class costs, a retry that
/// succeeds is refunded, and a first attempt that succeeds puts one token
/// back. The standard retry of the AWS SDKs.
///
/// By default, as its version 2.1: a capacity of 500, and a retry costs 14,
/// after a throttle 5. Versions before asked 5 for each, and 10 after a
/// timeout: `Costs::of(500).transient(5).timeout(10)`. There are no hedges
/// there; here one costs 14 and is not refunded, or else it would be free as
/// long as all is well.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Costs {
    capacity: u32,
    transient: u32,
    throttled: u32,
    timeout: u32,
    hedge: u32,
}

#[derive(Debug)]
#[expect(unnameable_types, reason = "the inside of `RetryBudget`")]
pub struct Purse {
    stock: Stock,
    capacity: Setting,
    transient: Setting,
    throttled: Setting,
    timeout: Setting,
    hedge: Setting,
    cheapest: Setting,
}

/// What a first attempt that succeeds puts back.
const REWARD: u64 = 1;

impl Costs {
    /// At most so many tokens, which are there at first.
    pub const fn of(capacity: u32) -> Self {
        Costs {
            capacity,
            transient: 14,
            throttled: 5,
            timeout: 14,
            hedge: 14,
        }
    }

    /// What a retry after a transient failure costs.
    pub const fn transient(mut self, tokens: u32) -> Self {
        self.transient = tokens;
        self
    }

    /// What a retry after a throttle costs.
    pub const fn throttled(mut self, tokens: u32) -> Self {
        self.throttled = tokens;
        self
    }

    /// What a retry after a timeout costs.
    pub const fn timeout(mut self, tokens: u32) -> Self {
        self.timeout = tokens;
        self
    }

    /// What a hedge costs.
    pub const fn hedge(mut self, tokens: u32) -> Self {
        self.hedge = tokens;
        self
    }

    fn cheapest(&self) -> u32 {
        self.transient
            .min(self.throttled)
            .min(self.timeout)
            .min(self.hedge)
    }

    fn dearest(&self) -> u32 {
        self.transient
            .max(self.throttled)
            .max(self.timeout)
            .max(self.hedge)
    }
}

impl Default for Costs {
    fn default() -> Self {
        Costs::of(500)
    }
}

impl Purse {
    fn price(&self, class: Class) -> u64 {
        match class {
            Class::Transient => self.transient.load(),
            Class::Throttled => self.throttled.load(),
            Class::Timeout => self.timeout.load(),
            Class::Hedge => self.hedge.load(),
            Class::Unsent => 0,
        }
    }

    #[inline]
    fn add(&self, tokens: u64) {
        self.stock.add(tokens, self.capacity.load());
    }
}

impl Model for Costs {}

impl Machine for Costs {
    type Cells = Purse;
    type Call = UnderWay<Self>;

    fn check(&self) -> Result<(), ConfigError> {
        if self.capacity == 0 {
            return Err(ConfigError::Empty);
        }
        if self.dearest() > self.capacity {
            return Err(ConfigError::Cost(self.dearest()));
        }
        Ok(())
    }

    fn cells(&self) -> Purse {
        let setting = |tokens| Setting::new(u64::from(tokens));
        Purse {
            stock: Stock::new(u64::from(self.capacity)),
            capacity: setting(self.capacity),
            transient: setting(self.transient),
            throttled: setting(self.throttled),
            timeout: setting(self.timeout),
            hedge: setting(self.hedge),
            cheapest: setting(self.cheapest()),
        }
    }

    fn update(&self, purse: &Purse) -> Result<(), UpdateError> {
        purse.capacity.store(u64::from(self.capacity));
        purse.transient.store(u64::from(self.transient));
        purse.throttled.store(u64::from(self.throttled));
        purse.timeout.store(u64::from(self.timeout));
        purse.hedge.store(u64::from(self.hedge));
        purse.cheapest.store(u64::from(self.cheapest()));
        purse.stock.cut(u64::from(self.capacity));
        Ok(())
    }

    #[inline(always)]
    fn begin(core: &Shared<Core<Self>>, _: Instant) -> UnderWay<Self> {
        UnderWay(core.hold())
    }

    #[inline]
    fn first(purse: &Purse, outcome: Outcome) {
        if outcome == Outcome::Success {
            purse.add(REWARD);
        }
    }

    fn extra(purse: &Purse, outcome: Outcome, taken: u32, class: Class) {
        if outcome == Outcome::Success && class != Class::Hedge {
            purse.add(u64::from(taken));
        }
    }

    fn take(purse: &Purse, _: Instant, class: Class) -> Option<u32> {
        let price = purse.price(class);
        purse.stock.take(price).then_some(price as u32)
    }

    #[inline]
    fn is_drained(purse: &Purse, _: bool) -> bool {
        // Not enough for the cheapest: others may cost more than there is.
        purse.stock.load() < purse.cheapest.load()
    }

    fn give_back(purse: &Purse, taken: u32) {
        purse.add(u64::from(taken));
    }

    fn level(purse: &Purse, _: Instant) -> Level {
        Level::Stock {
            balance: Tokens::thousandths(purse.stock.load() * TOKEN),
            capacity: Tokens::thousandths(purse.capacity.load() * TOKEN),
        }
    }

    fn stash() -> &'static LocalKey<Stash<Core<Self>>> {
        thread_local!(static STASH: Stash<Core<Costs>> = const { Stash::new() });
        &STASH
    }
}
