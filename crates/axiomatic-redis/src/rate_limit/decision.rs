use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_capacity::rate_limit::Quota;
use axiomatic_core::Name;
use axiomatic_core::allowance::Allowance;

use super::gcra::{Limit, Span};

/// Who let a call pass.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Redis was asked.
    Store,
    /// A token that this process had taken before.
    Lease,
    /// This process's share, since Redis is away.
    LocalShare,
    /// Nobody: Redis is away, and that was chosen.
    FailedOpen,
    /// Nobody: it would have been refused, and is not enforced.
    Shadow,
    /// Nobody: the limiter is off.
    Off,
}

impl Source {
    pub(super) const ALL: [Source; 6] = [
        Source::Store,
        Source::Lease,
        Source::LocalShare,
        Source::FailedOpen,
        Source::Shadow,
        Source::Off,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Source::Store => "store",
            Source::Lease => "lease",
            Source::LocalShare => "local share",
            Source::FailedOpen => "failed open",
            Source::Shadow => "shadow",
            Source::Off => "off",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that may be made: who said so, and what is left.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub(super) source: Source,
    pub(super) remaining: Option<u32>,
    pub(super) full_after: Option<Duration>,
    /// Of the limit with the least left, and how long until there is more.
    pub(super) policy: Option<(Quota, Duration)>,
}

impl Decision {
    pub(super) const fn by(source: Source) -> Self {
        Decision {
            source,
            remaining: None,
            full_after: None,
            policy: None,
        }
    }

    /// Who let it pass.
    pub fn source(&self) -> Source {
        self.source
    }

    /// How many more would pass at once now, where that is known: of the whole
    /// quota if Redis was asked, otherwise of this process's lease or share. Of
    /// several limits, of the one with the least.
    pub fn remaining(&self) -> Option<u32> {
        self.remaining
    }

    /// What is left to who asked, to be told by a limiter of this name, if
    /// Redis said it.
    pub fn allowance(&self, name: Name) -> Option<Allowance> {
        let (quota, more_after) = self.policy?;
        let remaining = u64::from(self.remaining?);
        let is_whole = self.source == Source::Store;
        is_whole.then(|| Allowance::new(quota.policy(name), remaining, more_after))
    }

    /// Takes a limit into account: the one with the least left counts.
    pub(super) fn count(&mut self, limit: &Limit, ahead: Span) {
        let remaining = limit.remaining(ahead);
        if self.remaining.is_none_or(|least| remaining < least) {
            self.remaining = Some(remaining);
            self.policy = Some((limit.quota(), limit.more_after(ahead)));
        }
        self.full_after = self.full_after.max(Some(limit.full_after(ahead)));
    }

    /// How long until a whole burst may pass again, where that is known.
    pub fn full_after(&self) -> Option<Duration> {
        self.full_after
    }
}

/// Where the quota of a key stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub(super) remaining: u32,
    pub(super) full_after: Duration,
}

impl Standing {
    /// How many would pass at once. What leases hold counts as spent.
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// How long until a whole burst may pass.
    pub fn full_after(&self) -> Duration {
        self.full_after
    }
}

/// A quota beside the limiter's own, for decisions over several keys:
/// [`RedisRateLimiter::quota`](super::RedisRateLimiter::quota) makes it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SharedQuota {
    pub(super) limit: Limit,
    /// The share of one process, where that is what becomes of calls while
    /// Redis is away.
    pub(super) share: Option<Limit>,
}

impl SharedQuota {
    /// The quota.
    pub fn quota(&self) -> Quota {
        self.limit.quota()
    }
}

/// One of the limits that a call has to meet, all of them or none.
#[derive(Copy, Clone, Debug)]
pub struct Claim<'a> {
    pub(super) key: &'a [u8],
    pub(super) quota: Option<SharedQuota>,
    pub(super) cost: NonZeroU32,
}

impl<'a> Claim<'a> {
    /// One cell of a key, by the limiter's own quota.
    pub fn of<K: AsRef<[u8]> + ?Sized>(key: &'a K) -> Self {
        Claim {
            key: key.as_ref(),
            quota: None,
            cost: NonZeroU32::MIN,
        }
    }

    /// By another quota. A key has one quota, wherever it is claimed.
    #[must_use]
    pub fn by(mut self, quota: SharedQuota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// So many cells.
    #[must_use]
    pub fn weighing(mut self, cost: NonZeroU32) -> Self {
        self.cost = cost;
        self
    }
}
