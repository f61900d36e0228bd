//! What stands between a story and an algorithm: the limit as it is shipped, and
//! a log of what it was.

use std::cell::RefCell;
use std::rc::Rc;

use axiomatic_capacity::adaptive::{AdaptiveLimit, Ask, Config, LimitAlgorithm, OwnedPermit};
use axiomatic_core::Rejected;
use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_sim::{Call, End, Policy};

/// The limits, and from when on.
pub(crate) type Log = Rc<RefCell<Vec<(Instant, u32)>>>;

pub(crate) struct Limiter {
    limit: AdaptiveLimit,
    log: Option<Log>,
}

impl Limiter {
    pub(crate) fn new(
        algorithm: Box<dyn LimitAlgorithm>,
        clock: &ManualClock,
        log: Option<Log>,
    ) -> Self {
        let config = Config::new(algorithm).clock(Clock::Manual(clock.clone()));
        Limiter {
            limit: config.build().expect("it works"),
            log,
        }
    }
}

impl Policy for Limiter {
    type Permit = OwnedPermit;

    fn admit(&mut self, _: Call, now: Instant) -> Result<OwnedPermit, Rejected> {
        self.limit.admit_owned(Ask::default(), now)
    }

    fn record(&mut self, permit: OwnedPermit, now: Instant, end: End) {
        permit.record(now, end.outcome());
        let Some(log) = &self.log else {
            return;
        };
        let limit = self.limit.limit();
        let mut log = log.borrow_mut();
        if log.last().is_none_or(|last| last.1 != limit) {
            log.push((now, limit));
        }
    }
}
