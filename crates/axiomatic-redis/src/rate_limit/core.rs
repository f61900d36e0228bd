use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::mode_cell::ModeCell;
use axiomatic_core::number_cell::{SpreadTally, Tally};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Mode, Name, Pattern, Reason, Rejected};
use tokio::time::timeout;

use super::asking::Leasing;
use super::gcra::{Limit, Verdict};
use super::key::Prefix;
use super::leases::{Asking, Entry, Leased, Leases};
use super::script::{Answer, Question};
use super::shares::Shares;
use super::store::{Away, Store};
use super::telemetry::Telemetry;
use super::{Claim, Decision, OnFailure, SharedQuota, Snapshot, Source, Standing};

/// What the handles of a limiter share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) name: Name,
    pub(super) mode: ModeCell,
    pub(super) clock: Clock,
    pub(super) on_failure: OnFailure,
    pub(super) prefix: Prefix,
    pub(super) own: SharedQuota,
    pub(super) store: Store,
    pub(super) leases: Option<Leases>,
    pub(super) shares: Option<Shares>,
    pub(super) telemetry: Telemetry,
    pub(super) counts: Counts,
}

#[derive(Debug)]
pub(super) struct Counts {
    admitted: [SpreadTally; Source::ALL.len()],
    limited: SpreadTally,
    unreachable: SpreadTally,
    expired: SpreadTally,
    would_refuse: SpreadTally,
    given_back: Tally,
}

impl Counts {
    pub(super) fn new() -> Self {
        Counts {
            admitted: Source::ALL.map(|_| SpreadTally::new()),
            limited: SpreadTally::new(),
            unreachable: SpreadTally::new(),
            expired: SpreadTally::new(),
            would_refuse: SpreadTally::new(),
            given_back: Tally::new(),
        }
    }
}

/// What can be said without waiting.
pub(super) enum AtOnce {
    Decided(Result<Decision, Rejected>),
    /// Redis is to be asked for more tokens than the call needs.
    Refill(Asking),
    /// Another call asks already, for more than it needs.
    Wait(Arc<Entry>),
    /// Redis is to be asked for what the call needs.
    Ask,
}

impl Core {
    /// Decides if Redis need not be asked. What nobody waits for any more
    /// costs nothing.
    #[inline]
    pub(super) fn at_once_before(
        &self,
        deadline: Option<Instant>,
        key: &[u8],
        cost: NonZeroU32,
    ) -> AtOnce {
        match deadline {
            Some(deadline) if !self.mode.is_off() && deadline <= self.clock.now() => {
                AtOnce::Decided(self.refuse(Reason::Expired, None))
            }
            _ => self.at_once(key, cost),
        }
    }

    /// The same for a call without a deadline.
    #[inline]
    pub(super) fn at_once(&self, key: &[u8], cost: NonZeroU32) -> AtOnce {
        if self.mode.is_off() {
            return AtOnce::Decided(Ok(Decision::by(Source::Off)));
        }
        if !self.own.limit.is_satisfiable(cost) {
            return AtOnce::Decided(self.refuse(Reason::Limited, None));
        }
        let Some(leases) = &self.leases else {
            return AtOnce::Ask;
        };
        let now = self.clock.now();
        match leases.spend(key, now, cost) {
            Leased::Paid(left) => {
                let mut decision = Decision::by(Source::Lease);
                decision.remaining = Some(left);
                AtOnce::Decided(Ok(self.admit(decision)))
            }
            Leased::Limited(until) => {
                AtOnce::Decided(self.refuse(Reason::Limited, Some(until - now)))
            }
            Leased::Refill(asking) => AtOnce::Refill(asking),
            Leased::Wait(entry) => AtOnce::Wait(entry),
            Leased::None => AtOnce::Ask,
        }
    }

    /// Decides, and waits for that no longer than until the deadline.
    pub(super) async fn decide(
        self: &Arc<Self>,
        key: &[u8],
        cost: NonZeroU32,
        at_once: AtOnce,
        deadline: Option<Instant>,
    ) -> Result<Decision, Rejected> {
        if let AtOnce::Decided(decided) = at_once {
            return decided;
        }
        let hurry = deadline
            .map(|deadline| deadline - self.clock.now())
            .filter(|left| *left < self.store.timeout());
        if hurry == Some(Duration::ZERO) {
            return self.refuse(Reason::Expired, None);
        }
        let longest = match (&at_once, hurry) {
            (_, Some(left)) => Some(left),
            // A question has a timeout of its own.
            (AtOnce::Ask, None) => None,
            // Who waited for another's answer has less time for its own.
            (_, None) => Some(self.store.timeout()),
        };
        let asking = self.look_or_ask(key, cost, at_once, hurry.is_some());
        let came = match longest {
            Some(longest) => timeout(longest, asking).await.ok(),
            None => Some(asking.await),
        };
        let answer = match came {
            Some(Leasing::Decided(decided)) => return decided,
            Some(Leasing::Told(answer)) => answer,
            None if hurry.is_some() => return self.refuse(Reason::Expired, None),
            None => Err(Away::TimedOut),
        };
        match answer {
            Ok(answer) => self.told(&answer, &[(self.own.limit, cost)]),
            Err(away) => self.decide_alone(away, &[(key, self.own, cost)]),
        }
    }

    /// Decides over several keys.
    pub(super) async fn decide_all(&self, claims: &[Claim<'_>]) -> Result<Decision, Rejected> {
        if self.mode.is_off() || claims.is_empty() {
            return Ok(Decision::by(Source::Off));
        }
        let claims: Vec<_> = claims
            .iter()
            .map(|claim| (claim.key, claim.quota.unwrap_or(self.own), claim.cost))
            .collect();
        let mut question = Question::take_all();
        for (key, quota, cost) in &claims {
            if !quota.limit.is_satisfiable(*cost) {
                return self.refuse(Reason::Limited, None);
            }
            question = question.about(self.prefix.name(key), &quota.limit, &[*cost]);
        }
        match self.store.ask(&question, &self.telemetry).await {
            Ok(answer) => {
                let limits: Vec<_> = claims
                    .iter()
                    .map(|(_, quota, cost)| (quota.limit, *cost))
                    .collect();
                self.told(&answer, &limits)
            }
            Err(away) => self.decide_alone(away, &claims),
        }
    }

    /// Where a key stands; none while Redis is away.
    pub(super) async fn peek(&self, key: &[u8]) -> Option<Standing> {
        let question = Question::look(self.prefix.name(key), &self.own.limit);
        let answer = self.store.ask(&question, &self.telemetry).await.ok()?;
        let ahead = *answer.ahead.first()?;
        Some(Standing {
            remaining: self.own.limit.remaining(ahead),
            full_after: self.own.limit.full_after(ahead),
        })
    }

    /// Gives tokens back, and says whether Redis was told.
    pub(super) async fn give(&self, key: &[u8], limit: &Limit, count: NonZeroU32) -> bool {
        let question = Question::give(self.prefix.name(key), limit, count);
        let told = self.store.ask(&question, &self.telemetry).await.is_ok();
        if told {
            self.counts.given_back.count();
        }
        told
    }

    /// Gives back what a call had taken.
    pub(super) async fn refund(&self, key: &[u8], count: NonZeroU32) -> bool {
        let told = self.give(key, &self.own.limit, count).await;
        if let Some(leases) = &self.leases {
            leases.forget_refusal(key, self.clock.now());
        }
        told
    }

    /// Gives back what has expired, or everything.
    pub(super) async fn give_leases(&self, expired_by: Option<Instant>) {
        let Some(leases) = &self.leases else {
            return;
        };
        loop {
            let taken = leases.take(expired_by);
            let may_be_more = taken.len() == Leases::MOST_AT_ONCE;
            for (key, tokens) in taken {
                // What Redis is not told of lapses: fewer pass, never more.
                self.give(&key, &self.own.limit, tokens).await;
            }
            if !may_be_more {
                return;
            }
        }
    }

    /// What Redis said.
    fn told(&self, answer: &Answer, limits: &[(Limit, NonZeroU32)]) -> Result<Decision, Rejected> {
        let standing = limits.iter().zip(&answer.ahead);
        if answer.taken.is_some() {
            let mut decision = Decision::by(Source::Store);
            for ((limit, _), ahead) in standing {
                decision.count(limit, *ahead);
            }
            return Ok(self.admit(decision));
        }
        let waits = standing.map(|((limit, cost), ahead)| match limit.judge(*ahead, *cost) {
            Verdict::Fits(_) => Duration::ZERO,
            Verdict::After(wait) => wait,
        });
        self.refuse(Reason::Limited, waits.max())
    }

    /// What becomes of a call without Redis.
    fn decide_alone(
        &self,
        away: Away,
        claims: &[(&[u8], SharedQuota, NonZeroU32)],
    ) -> Result<Decision, Rejected> {
        match (self.on_failure, &self.shares) {
            (OnFailure::FailOpen, _) => Ok(self.admit(Decision::by(Source::FailedOpen))),
            (OnFailure::LocalShare { .. }, Some(shares)) => self.share(shares, claims),
            (OnFailure::FailClosed | OnFailure::LocalShare { .. }, _) => {
                let wait = match away {
                    Away::LeftAlone(wait) => wait,
                    Away::TimedOut | Away::Broken | Away::Unable => None,
                };
                self.refuse(Reason::Unreachable, wait)
            }
        }
    }

    /// Takes all of them from the shares of this process, or nothing. Of two
    /// calls that do so at a time, one may be refused for what the other gives
    /// back at once.
    fn share(
        &self,
        shares: &Shares,
        claims: &[(&[u8], SharedQuota, NonZeroU32)],
    ) -> Result<Decision, Rejected> {
        let now = self.clock.now();
        let mut decision = Decision::by(Source::LocalShare);
        for (n, (key, quota, cost)) in claims.iter().enumerate() {
            let limit = quota.share.unwrap_or(quota.limit);
            match shares.take(key, now, &limit, *cost) {
                Ok(ahead) => decision.count(&limit, ahead),
                Err(wait) => {
                    for (key, quota, cost) in &claims[..n] {
                        let limit = quota.share.unwrap_or(quota.limit);
                        shares.give(key, now, &limit, *cost);
                    }
                    return self.refuse(Reason::Limited, wait);
                }
            }
        }
        Ok(self.admit(decision))
    }

    #[inline]
    fn admit(&self, decision: Decision) -> Decision {
        self.counts.admitted[decision.source as usize].count();
        self.telemetry.admitted(decision.source);
        decision
    }

    fn refuse(&self, reason: Reason, wait: Option<Duration>) -> Result<Decision, Rejected> {
        if self.mode.load() != Mode::Enforce {
            self.counts.would_refuse.count();
            self.telemetry.would_refuse();
            return Ok(self.admit(Decision::by(Source::Shadow)));
        }
        match reason {
            Reason::Unreachable => self.counts.unreachable.count(),
            Reason::Expired => self.counts.expired.count(),
            _ => self.counts.limited.count(),
        }
        self.telemetry.refused(reason);
        let rejected = Rejected::new(Pattern::RateLimiter, reason).with_name(self.name);
        Err(match wait {
            Some(wait) => rejected.with_retry_after(wait),
            None => rejected,
        })
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let [asked, failed, loaded] = self.store.counts();
        let counts = &self.counts;
        Snapshot {
            name: self.name,
            mode: self.mode.load(),
            breaker: self.store.breaker().snapshot(),
            asked,
            failed,
            loaded,
            admitted: Source::ALL.map(|source| counts.admitted[source as usize].load()),
            limited: counts.limited.load(),
            unreachable: counts.unreachable.load(),
            expired: counts.expired.load(),
            would_refuse: counts.would_refuse.load(),
            given_back: counts.given_back.load(),
            held: self.leases.as_ref().map_or(0, Leases::held),
            leases: self.leases.as_ref().map(Leases::snapshot),
            shares: self.shares.as_ref().map(Shares::snapshot),
        }
    }
}
