//! What the loop keeps between two turns, and what it makes of each answer.

use std::time::Duration;

use axiomatic_core::backoff::Delays;
use axiomatic_core::time::Instant;

use super::tending::{Appetite, Tended};
use super::{Relay, RelayError};
use crate::StoreError;
use crate::outbox::desk::{Desk, FetchPlan};
use crate::outbox::lane::Bucket;
use crate::outbox::publisher::Verdict;
use crate::outbox::record::{Attempt, Envelope};
use crate::outbox::store::{Cause, Fate, Fetched, Lease, Settled, Settlement, Store};

/// What the loop keeps between two turns.
pub(super) struct State<'a, S, P> {
    relay: &'a Relay<S, P>,
    desk: Desk,
    /// There may be something to fetch.
    hungry: bool,
    polls: Delays,
    poll_at: Instant,
    /// When a lane that failed is ready again.
    due_at: Option<Instant>,
    tend_at: Instant,
    outages: Delays,
    outage_until: Instant,
    /// The store failed, and is asked again from then on.
    store_until: Instant,
    store_errors: Delays,
    drain_until: Option<Instant>,
}

impl<'a, S: Store, P> State<'a, S, P> {
    pub(super) fn new(relay: &'a Relay<S, P>, now: Instant) -> Self {
        let config = &relay.config;
        State {
            relay,
            desk: Desk::new(config.clone(), relay.store.buckets()),
            hungry: true,
            polls: config.poll.start(),
            poll_at: now,
            due_at: None,
            tend_at: now,
            outages: config.outage.start(),
            outage_until: now,
            store_until: now,
            store_errors: config.outage.start(),
            drain_until: None,
        }
    }

    /// Time has passed.
    pub(super) fn pass(&mut self, now: Instant) {
        let lost = self.desk.expire(now);
        self.lost(lost);
        if self.due_at.is_some_and(|due| now >= due) {
            self.due_at = None;
            self.hungry = true;
        }
        if now >= self.poll_at {
            self.hungry = true;
            self.poll_at = now + self.polls.next_after(None);
        }
    }

    /// Leases to renew, and whether to look for more, if it is time to.
    pub(super) fn next_tending(&mut self, now: Instant) -> Option<(Vec<Lease>, Appetite)> {
        if now < self.tend_at {
            return None;
        }
        let appetite = match self.drain_until {
            None => Appetite::Share,
            Some(_) => Appetite::Nothing,
        };
        // Until it is known what came of this.
        self.tend_at = now + self.relay.config.lease;
        Some((self.desk.tenure().all(), appetite))
    }

    pub(super) fn next_fetch(&mut self, now: Instant) -> Option<FetchPlan> {
        if !self.hungry || self.is_draining() || now < self.store_until {
            return None;
        }
        let plan = self.desk.plan_fetch(now)?;
        self.hungry = false;
        Some(plan)
    }

    pub(super) fn next_start(&mut self, now: Instant) -> Option<Vec<Settlement<Attempt>>> {
        if self.is_draining() || now < self.store_until || now < self.outage_until {
            return None;
        }
        self.desk.next_start(now)
    }

    pub(super) fn next_wave(&mut self, now: Instant) -> Option<Vec<Envelope>> {
        if self.is_draining() || now < self.outage_until {
            return None;
        }
        self.desk.next_wave(now)
    }

    pub(super) fn next_settlement(&mut self, now: Instant) -> Option<Vec<Settlement<Settled>>> {
        if now < self.store_until {
            return None;
        }
        self.desk.next_settlement()
    }

    /// Leases to give back.
    pub(super) fn next_release(&mut self) -> Option<Vec<Lease>> {
        let left = self.desk.take_left();
        (!left.is_empty()).then_some(left)
    }

    /// Whether a wake-up would tell it something.
    pub(super) fn listens(&self) -> bool {
        !self.hungry && !self.is_draining()
    }

    /// There may be something to fetch.
    pub(super) fn woken(&mut self) {
        self.hungry = true;
    }

    pub(super) fn next_timer(&self, now: Instant) -> Instant {
        let times = [
            Some(self.poll_at),
            Some(self.tend_at),
            self.due_at,
            self.drain_until,
            // These matter only while they are to come.
            Some(self.outage_until).filter(|until| *until > now),
            Some(self.store_until).filter(|until| *until > now),
        ];
        let next = times.into_iter().flatten().min();
        // A time that has passed is acted upon when what is under way returns:
        // the timer is for what is to come.
        next.unwrap_or(now).max(now + TICK)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.drain_until.is_some()
    }

    pub(super) fn drain(&mut self, now: Instant) {
        self.drain_until = Some(now + self.relay.config.drain);
        for lease in self.desk.tenure().all() {
            self.desk.leave(lease.bucket);
        }
    }

    /// All is given back and nothing is under way, or it has taken too long.
    pub(super) fn is_drained(&self, now: Instant, is_idle: bool) -> bool {
        let is_empty = is_idle && self.desk.is_quiet() && self.desk.tenure().len() == 0;
        self.drain_until
            .is_some_and(|until| is_empty || now >= until)
    }

    pub(super) fn tended(
        &mut self,
        tended: Result<Tended, StoreError>,
        now: Instant,
    ) -> Result<(), RelayError> {
        let lease = self.relay.config.lease;
        let Some(tended) = self.heed(tended, now)? else {
            self.tend_at = self.store_until;
            return Ok(());
        };
        let lost = self
            .desk
            .renewed(&tended.asked, &tended.kept, tended.kept_until);
        self.lost(lost);
        self.desk.hold(&tended.claimed, tended.claimed_until);
        self.hungry |= !tended.claimed.is_empty();
        let leave = if self.is_draining() {
            self.desk
                .tenure()
                .all()
                .iter()
                .map(|lease| lease.bucket)
                .collect()
        } else {
            tended.others
        };
        for bucket in leave {
            self.desk.leave(bucket);
        }
        // Who waits for another relay to give a bucket back looks more often.
        let every = if tended.is_settled {
            lease / 3
        } else {
            lease / 10
        };
        self.tend_at = now + every;
        Ok(())
    }

    pub(super) fn fetched(
        &mut self,
        plan: &FetchPlan,
        fetched: Result<Fetched, StoreError>,
        now: Instant,
    ) -> Result<(), RelayError> {
        let Some(fetched) = self.heed(fetched, now)? else {
            self.hungry = true;
            return Ok(());
        };
        self.relay.counts.fetches.count();
        if !fetched.rows.is_empty() {
            self.polls = self.relay.config.poll.start();
            self.poll_at = now + self.polls.next_after(None);
        }
        self.hungry |= self.desk.fetched(plan, fetched);
        Ok(())
    }

    pub(super) fn started(
        &mut self,
        rows: &[Settlement<Attempt>],
        kept: Result<Vec<Bucket>, StoreError>,
        now: Instant,
    ) -> Result<(), RelayError> {
        match self.heed(kept, now)? {
            Some(kept) => {
                self.count_fenced(rows, &kept);
                let lost = self.desk.started(rows, &kept);
                self.lost(lost);
            }
            None => self.desk.not_started(rows),
        }
        Ok(())
    }

    pub(super) fn answered(&mut self, wave: &[Envelope], verdicts: Vec<Verdict>, now: Instant) {
        self.relay.telemetry.answered(wave, &verdicts);
        let answered = self.desk.answered(wave, verdicts);
        let counts = &self.relay.counts;
        counts.published.add(answered.acked + answered.duplicates);
        counts.duplicates.add(answered.duplicates);
        counts.unknown.add(answered.unknown);
        counts.rejected.add(answered.rejected);
        counts.discarded.add(answered.discarded);
        if answered.outage {
            counts.outages.count();
            self.outage_until = now + self.outages.next_after(None);
            self.relay
                .telemetry
                .outage(self.outage_until.saturating_duration_since(now));
        } else {
            self.outages = self.relay.config.outage.start();
        }
    }

    pub(super) fn settled(
        &mut self,
        fates: Vec<Settlement<Settled>>,
        kept: Result<Vec<Bucket>, StoreError>,
        now: Instant,
    ) -> Result<(), RelayError> {
        let Some(kept) = self.heed(kept, now)? else {
            self.desk.not_settled(fates);
            return Ok(());
        };
        self.relay.counts.settlements.count();
        self.count_fenced(&fates, &kept);
        let settled = fates
            .iter()
            .filter(|fates| kept.contains(&fates.lease.bucket));
        for settled in settled.flat_map(|fates| &fates.rows) {
            self.count(settled);
            // The store counted from an earlier time: by then it is ready.
            if let Fate::Again { after, .. } = settled.fate {
                let due = now + after;
                self.due_at = Some(self.due_at.map_or(due, |earlier| earlier.min(due)));
            }
        }
        let lost = self.desk.settled(&fates, &kept);
        self.lost(lost);
        // Lanes are free that the last fetch left out.
        self.hungry = true;
        Ok(())
    }

    fn count(&self, settled: &Settled) {
        let counts = &self.relay.counts;
        let failure = match &settled.fate {
            Fate::Published | Fate::Again { .. } => return,
            Fate::Buried(failure) => {
                counts.buried.add(1);
                failure
            }
            Fate::Parked(failure) => {
                counts.parked.add(1);
                failure
            }
        };
        if failure.cause == Cause::Poison {
            counts.poison.add(1);
        }
        self.relay.telemetry.given_up(settled, failure);
    }

    fn count_fenced<T>(&self, asked: &[Settlement<T>], kept: &[Bucket]) {
        let refused = asked
            .iter()
            .filter(|of_bucket| !kept.contains(&of_bucket.lease.bucket));
        let rows: usize = refused.map(|of_bucket| of_bucket.rows.len()).sum();
        self.relay.counts.fenced.add(rows as u64);
        self.relay.telemetry.fenced(rows as u64);
    }

    fn lost(&self, leases: usize) {
        self.relay.counts.leases_lost.add(leases as u64);
        self.relay.telemetry.leases_lost(leases as u64);
    }

    /// What the store said, or nothing if it is to be asked again.
    pub(super) fn heed<T>(
        &mut self,
        said: Result<T, StoreError>,
        now: Instant,
    ) -> Result<Option<T>, RelayError> {
        match said {
            Ok(said) => {
                self.store_errors = self.relay.config.outage.start();
                Ok(Some(said))
            }
            Err(error) => {
                self.relay.counts.store_errors.count();
                self.relay.telemetry.store_error(&error);
                if !error.why().is_transient() {
                    return Err(error.into());
                }
                self.store_until = now + self.store_errors.next_after(None);
                Ok(None)
            }
        }
    }

    pub(super) fn report(&self) {
        let counts = &self.relay.counts;
        counts.buckets.store(self.desk.tenure().len() as u64);
        counts.in_flight.store(self.desk.in_flight() as u64);
    }
}

/// The resolution of tokio's timers.
const TICK: Duration = Duration::from_millis(1);
