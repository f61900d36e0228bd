//! How Redis comes to be asked for one key: for a call, or for a batch that
//! others wait for too.

use std::num::NonZeroU32;
use std::sync::Arc;

use axiomatic_core::Rejected;
use axiomatic_failure::circuit_breaker::State;

use super::Decision;
use super::core::{AtOnce, Core};
use super::gcra::Verdict;
use super::leases::Asking;
use super::script::{Answer, Question};
use super::store::Away;

/// What came of looking at a lease, or of asking.
pub(super) enum Leasing {
    Decided(Result<Decision, Rejected>),
    /// What Redis said.
    Told(Result<Answer, Away>),
}

impl Core {
    /// Asks for a batch, or waits for what another call is told and looks
    /// again: so a batch makes one round trip, however many call at a time.
    pub(super) async fn look_or_ask(
        self: &Arc<Self>,
        key: &[u8],
        cost: NonZeroU32,
        mut at_once: AtOnce,
        in_a_hurry: bool,
    ) -> Leasing {
        loop {
            at_once = match at_once {
                AtOnce::Decided(decided) => return Leasing::Decided(decided),
                // A refill is a task of its own, so that a caller who leaves
                // does not lose a batch. Who only learns that Redis is away
                // needs none.
                AtOnce::Refill(asking) if self.store.breaker().state() == State::Closed => {
                    let refill = Arc::clone(self).refill(key.into(), cost, asking);
                    let answer = tokio::spawn(refill).await;
                    return Leasing::Told(answer.unwrap_or(Err(Away::Broken)));
                }
                AtOnce::Refill(asking) => {
                    drop(asking);
                    return Leasing::Told(self.ask(key, cost, in_a_hurry).await);
                }
                AtOnce::Ask => return Leasing::Told(self.ask(key, cost, in_a_hurry).await),
                AtOnce::Wait(entry) => {
                    // Before it looks again: what is told from here on is
                    // heard.
                    let told = entry.told();
                    match self.at_once(key, cost) {
                        AtOnce::Wait(_) => {
                            told.await;
                            self.at_once(key, cost)
                        }
                        other => other,
                    }
                }
            };
        }
    }

    /// Asks for what a call needs.
    async fn ask(
        self: &Arc<Self>,
        key: &[u8],
        cost: NonZeroU32,
        in_a_hurry: bool,
    ) -> Result<Answer, Away> {
        let question = Question::take(self.prefix.name(key), &self.own.limit, &[cost]);
        if !in_a_hurry {
            return self.store.ask(&question, &self.telemetry).await;
        }
        // The question goes on without who asked it, and has its own time: or
        // the breaker would never learn of a Redis that is away, as long as
        // nobody has the time to find out.
        let permit = self.store.admit()?;
        let core = Arc::clone(self);
        let asked = async move { core.store.ask_by(permit, &question, &core.telemetry).await };
        tokio::spawn(asked).await.unwrap_or(Err(Away::Broken))
    }

    /// Takes a batch for a call and the lease, or what there is of it.
    async fn refill(
        self: Arc<Self>,
        key: Box<[u8]>,
        cost: NonZeroU32,
        asking: Asking,
    ) -> Result<Answer, Away> {
        let Some(leases) = &self.leases else {
            return Err(Away::Unable);
        };
        let limit = &self.own.limit;
        let lasting = leases.lease().lasting;
        let sums = leases.sums(cost);
        let question = Question::take(self.prefix.name(&key), limit, &sums);
        let now = self.clock.now();
        let answer = self.store.ask(&question, &self.telemetry).await?;
        let back = match answer.taken.and_then(|taken| sums.get(taken)) {
            Some(sum) => {
                let rest = sum.get() - cost.get();
                asking.granted(rest, self.clock.now(), now + lasting)
            }
            None => match limit.judge(answer.ahead[0], NonZeroU32::MIN) {
                Verdict::After(wait) => asking.limited(now + wait.min(lasting)),
                // One would pass, only not so many: others may ask.
                Verdict::Fits(_) => asking.expired,
            },
        };
        if let Some(back) = NonZeroU32::new(back) {
            let core = Arc::clone(&self);
            tokio::spawn(async move { core.give(&key, &core.own.limit, back).await });
        }
        Ok(answer)
    }
}
