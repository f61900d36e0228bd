use std::time::Duration;

use axiomatic_core::Rejected;
use axiomatic_core::time::Instant;

use crate::{Call, End, Policy};

/// A policy whose permits are numbers.
///
/// So a run is one type, which is compiled here and once, and not in the
/// caller's crate for each policy: tests are not optimised, and this is.
pub(crate) trait Numbered {
    fn admit(&mut self, call: Call, now: Instant) -> Result<usize, Rejected>;
    fn record(&mut self, permit: usize, now: Instant, end: End);
    fn again(&mut self, call: Call, now: Instant, end: End) -> Option<Duration>;
}

/// A policy, and the permits that it gave out, each at its number.
pub(crate) struct Judged<P: Policy> {
    policy: P,
    permits: Vec<Option<P::Permit>>,
    free: Vec<usize>,
}

impl<P: Policy> Judged<P> {
    pub(crate) fn new(policy: P) -> Self {
        Judged {
            policy,
            permits: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<P: Policy> Numbered for Judged<P> {
    fn admit(&mut self, call: Call, now: Instant) -> Result<usize, Rejected> {
        let permit = Some(self.policy.admit(call, now)?);
        if let Some(number) = self.free.pop() {
            self.permits[number] = permit;
            return Ok(number);
        }
        self.permits.push(permit);
        Ok(self.permits.len() - 1)
    }

    fn record(&mut self, number: usize, now: Instant, end: End) {
        if let Some(permit) = self.permits[number].take() {
            self.free.push(number);
            self.policy.record(permit, now, end);
        }
    }

    fn again(&mut self, call: Call, now: Instant, end: End) -> Option<Duration> {
        self.policy.again(call, now, end)
    }
}
