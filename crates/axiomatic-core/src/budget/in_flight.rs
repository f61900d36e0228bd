use std::thread::LocalKey;

use super::machine::{Core, Machine, Model, UnderWay};
use super::traffic_cell::Traffic;
use super::{Class, ConfigError, Level, UpdateError};
use crate::Ratio;
use crate::number_cell::Setting;
use crate::shared::{Shared, Stash};
use crate::time::Instant;

/// A share of the calls in flight, with a floor: so many extra attempts may
/// be under way beside them, those included that wait for their moment.
/// Envoy's `retry_budget`.
///
/// By default, as there: 20 %, and at least 3. Envoy counts requests, and so
/// its retries too; here a call counts once, whatever it sends.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct InFlight {
    ratio: Ratio,
    at_least: u32,
}

#[derive(Debug)]
#[expect(unnameable_types, reason = "the inside of `RetryBudget`")]
pub struct Flight {
    traffic: Traffic,
    ratio: Setting,
    at_least: Setting,
}

impl InFlight {
    /// So many extra attempts beside the calls in flight.
    pub const fn of(ratio: Ratio) -> Self {
        InFlight { ratio, at_least: 3 }
    }

    /// So many in any case.
    pub const fn at_least(mut self, extras: u32) -> Self {
        self.at_least = extras;
        self
    }
}

impl Default for InFlight {
    fn default() -> Self {
        InFlight::of(Ratio::percent(20))
    }
}

impl Flight {
    fn most(&self, calls: u64) -> u64 {
        let share = u128::from(calls) * u128::from(self.ratio.load()) / 1_000_000;
        u64::try_from(share)
            .unwrap_or(u64::MAX)
            .max(self.at_least.load())
    }
}

impl Model for InFlight {}

impl Machine for InFlight {
    type Cells = Flight;
    type Call = UnderWay<Self>;

    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    fn cells(&self) -> Flight {
        Flight {
            traffic: Traffic::new(),
            ratio: Setting::new(u64::from(self.ratio.as_parts_per_million())),
            at_least: Setting::new(u64::from(self.at_least)),
        }
    }

    fn update(&self, flight: &Flight) -> Result<(), UpdateError> {
        let ratio = self.ratio.as_parts_per_million();
        flight.ratio.store(u64::from(ratio));
        flight.at_least.store(u64::from(self.at_least));
        Ok(())
    }

    #[inline(always)]
    fn begin(core: &Shared<Core<Self>>, _: Instant) -> UnderWay<Self> {
        core.cells.traffic.begin();
        UnderWay(core.hold())
    }

    #[inline(always)]
    fn end(flight: &Flight) {
        flight.traffic.end();
    }

    fn take(flight: &Flight, _: Instant, _: Class) -> Option<u32> {
        let allows = |extras, calls| extras <= flight.most(calls);
        flight.traffic.take(allows).then_some(1)
    }

    #[inline]
    fn is_drained(_: &Flight, _: bool) -> bool {
        // A place that is not taken now is not there twice later, and to count
        // the calls is a load for each thread.
        false
    }

    fn give_back(flight: &Flight, _: u32) {
        flight.traffic.give_back();
    }

    fn extra_ended(flight: &Flight) {
        flight.traffic.give_back();
    }

    fn level(flight: &Flight, _: Instant) -> Level {
        let calls = flight.traffic.calls();
        Level::InFlight {
            calls,
            extras: flight.traffic.extras(),
            most: flight.most(calls),
        }
    }

    fn stash() -> &'static LocalKey<Stash<Core<Self>>> {
        thread_local!(static STASH: Stash<Core<InFlight>> = const { Stash::new() });
        &STASH
    }
}
