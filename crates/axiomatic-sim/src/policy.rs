use std::time::Duration;

use axiomatic_core::time::Instant;
use axiomatic_core::{Outcome, Reason, Rejected};

/// What is judged: whoever stands between a request and the call that it
/// needs. A breaker, a limiter, a shedder, a retry, a budget for retries.
///
/// It is given the time, as the mechanisms themselves are. Two of them make
/// one, the outer first: `(retry, breaker)`. `()` is none at all, which every
/// run should be compared with.
pub trait Policy {
    /// What a call carries from its admission to its end.
    type Permit;

    /// Asks whether the call may be sent.
    ///
    /// # Errors
    ///
    /// The refusal.
    fn admit(&mut self, call: Call, now: Instant) -> Result<Self::Permit, Rejected>;

    /// Tells how a call ended that was admitted.
    fn record(&mut self, permit: Self::Permit, now: Instant, end: End);

    /// Whether a request whose call ended badly or was refused is tried
    /// again, and after which wait. It keeps its worker meanwhile.
    fn again(&mut self, call: Call, now: Instant, end: End) -> Option<Duration> {
        let _ = (call, now, end);
        None
    }
}

/// A call that a request needs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which request, counted from zero.
    pub request: u64,
    /// Which of the dependencies.
    pub dependency: usize,
    /// How often it was tried before.
    pub attempt: u32,
}

/// How a call ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The dependency answered in time, with this.
    Answered(Outcome),
    /// The caller gave up waiting.
    TimedOut,
    /// A policy refused it; it was not sent.
    Refused(Reason),
}

impl End {
    /// Whether it is what was asked for.
    pub const fn is_good(self) -> bool {
        matches!(self, End::Answered(Outcome::Success))
    }

    /// What it is worth as evidence.
    pub const fn outcome(self) -> Outcome {
        match self {
            End::Answered(outcome) => outcome,
            End::TimedOut => Reason::Elapsed.outcome(),
            End::Refused(reason) => reason.outcome(),
        }
    }
}

/// No policy.
impl Policy for () {
    type Permit = ();

    fn admit(&mut self, _: Call, _: Instant) -> Result<(), Rejected> {
        Ok(())
    }

    fn record(&mut self, (): (), _: Instant, _: End) {}
}

/// The first outside of the second. A refusal by the inner one is the end of
/// the call for the outer one.
impl<A: Policy, B: Policy> Policy for (A, B) {
    type Permit = (A::Permit, B::Permit);

    fn admit(&mut self, call: Call, now: Instant) -> Result<Self::Permit, Rejected> {
        let outer = self.0.admit(call, now)?;
        match self.1.admit(call, now) {
            Ok(inner) => Ok((outer, inner)),
            Err(rejected) => {
                let end = End::Refused(rejected.reason());
                self.0.record(outer, now, end);
                Err(rejected)
            }
        }
    }

    fn record(&mut self, (outer, inner): Self::Permit, now: Instant, end: End) {
        self.1.record(inner, now, end);
        self.0.record(outer, now, end);
    }

    fn again(&mut self, call: Call, now: Instant, end: End) -> Option<Duration> {
        let inner = self.1.again(call, now, end);
        inner.or_else(|| self.0.again(call, now, end))
    }
}

/// Tries what failed or timed out again, at once: what is easily written, and
/// what multiplies the load on a dependency that has enough of it. A refusal
/// is final.
///
/// ```
/// use axiomatic_sim::{Client, Dependency, NaiveRetry, Rate, Arrivals, Scenario, ServiceTime};
/// use axiomatic_core::Ratio;
/// use std::time::Duration;
///
/// let coin = Dependency::new(ServiceTime::Constant(Duration::from_millis(10)))
///     .failing(Ratio::percent(50));
/// let client = Client::new(100, Duration::from_secs(1));
/// let run = Scenario::new(Arrivals::evenly(Rate::per_second(100)), client, coin)
///     .run(1, Duration::from_secs(100), |_| NaiveRetry { attempts: 3 });
/// // 7 of 8 requests are lucky in three tosses; 1.75 tosses are needed.
/// let total = run.total();
/// assert!((860..890).contains(&(total.served * 1_000 / total.offered)));
/// assert!((170..180).contains(&(total.sent * 100 / total.offered)));
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct NaiveRetry {
    /// How often a request is tried in all.
    pub attempts: u32,
}

impl Policy for NaiveRetry {
    type Permit = ();

    fn admit(&mut self, _: Call, _: Instant) -> Result<(), Rejected> {
        Ok(())
    }

    fn record(&mut self, (): (), _: Instant, _: End) {}

    fn again(&mut self, call: Call, _: Instant, end: End) -> Option<Duration> {
        let is_left = call.attempt + 1 < self.attempts;
        (is_left && !matches!(end, End::Refused(_))).then_some(Duration::ZERO)
    }
}
