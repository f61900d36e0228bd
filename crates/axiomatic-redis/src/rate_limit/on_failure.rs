use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;

use super::ConfigError;
use super::gcra::Limit;

/// What becomes of a call while Redis does not answer.
///
/// There is no default: each choice is wrong somewhere, and whoever limits a
/// rate knows what the limit is for.
///
/// | | A call while Redis is away | Beyond burst + rate × t, for each time it was away |
/// |---|---|---|
/// | `FailOpen` | passes | no bound |
/// | `FailClosed` | is refused, with [`Reason::Unreachable`](axiomatic_core::Reason::Unreachable) | a burst, and only if Redis came back without its data |
/// | `LocalShare` | passes if the process's share has room | a burst, `overshoot`, and what comes while some have not noticed that it is back |
///
/// A burst comes back with Redis, since it was told of nothing that passed
/// meanwhile, or forgot. [`Config::most_admitted`](super::Config::most_admitted)
/// computes the whole.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It passes: the limit is for fairness or for cost, and a call that is
    /// refused costs more than one too many.
    FailOpen,
    /// It is refused: what is behind the limit does not survive without it, or
    /// what passes must be paid for.
    FailClosed,
    /// Each process keeps to its share: the rate divided by `peers`, and
    /// `overshoot` divided by `peers` at once, both rounded down.
    LocalShare {
        /// How many processes share the quota. If there are more, they admit
        /// more in the same proportion.
        peers: NonZeroU32,
        /// How many calls of a key all processes together may let pass at once
        /// when Redis goes away. It must be one for each at least. The burst
        /// of the quota is a good choice, less a stricter one.
        overshoot: NonZeroU32,
    },
}

impl OnFailure {
    /// The limit of one process.
    pub(super) fn share(&self, quota: Quota) -> Result<Option<Limit>, ConfigError> {
        let OnFailure::LocalShare { peers, overshoot } = *self else {
            return Ok(None);
        };
        let too_few = ConfigError::Overshoot { peers, overshoot };
        let at_once = NonZeroU32::new(overshoot.get() / peers.get()).ok_or(too_few)?;
        let period = quota.period().checked_mul(peers.get());
        let share = Quota::new(quota.count(), period.unwrap_or(Duration::MAX)).burst(at_once);
        Limit::new(share).map(Some).map_err(ConfigError::Quota)
    }
}
