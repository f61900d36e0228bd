//! The loop of a relay: asks the [`Desk`] what to do next, does it, and tells
//! it what came of it.
//!
//! Five things go on at once, each at most once, but for waves, of which there
//! are as many as are in flight: leases are tended, messages are fetched, it
//! is written down that suspects begin, waves are published, and fates are
//! settled. So the store is asked for the next messages while the broker has
//! the last, and one settlement takes all that was confirmed while the one
//! before it was committed.

use std::pin::pin;
use std::time::Duration;

use axiomatic_core::backoff::Delays;
use axiomatic_core::time::Instant;
use futures::FutureExt;
use futures::future::{Fuse, FusedFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{sleep_until, timeout};

use super::tending::{Appetite, Tended, tend};
use super::{Relay, RelayError};
use crate::StoreError;
use crate::crash_points::reach;
use crate::outbox::desk::{Desk, FetchPlan};
use crate::outbox::lane::Bucket;
use crate::outbox::publisher::{Publisher, Verdict};
use crate::outbox::record::{Envelope, RowId};
use crate::outbox::store::{
    Cause, Departing, Fate, Fetch, Fetched, Lease, RelayId, Settled, Settlement, Store,
};

/// Runs a relay.
pub(super) async fn run<S: Store, P: Publisher>(
    relay: &Relay<S, P>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RelayError> {
    let Relay {
        store,
        publisher,
        config,
        ..
    } = relay;
    let me = RelayId::new(config.name.as_str());
    let clock = &config.clock;
    let mut shutdown = pin!(shutdown.fuse());
    let mut wake_ups = store.wake_ups();
    let mut state = State::new(relay, clock.now());

    let mut tending = pin!(Fuse::terminated());
    let mut fetching = pin!(Fuse::terminated());
    let mut starting = pin!(Fuse::terminated());
    let mut settling = pin!(Fuse::terminated());
    let mut releasing = pin!(Fuse::terminated());
    let mut tidying = pin!(Fuse::terminated());
    let mut waves = FuturesUnordered::new();
    let mut timer = pin!(sleep_until(clock.now().into()));

    loop {
        let now = clock.now();
        state.pass(now);
        if tending.is_terminated() && now >= state.tend_at {
            let held = state.desk.tenure().all();
            state.tend_at = now + config.lease;
            tending.set(tend(store, &me, clock, config.lease, held, state.appetite()).fuse());
        }
        if !state.is_draining() {
            if fetching.is_terminated() && state.hungry && now >= state.store_until {
                if let Some(plan) = state.desk.plan_fetch(now) {
                    state.hungry = false;
                    fetching.set(fetch(store, plan).fuse());
                }
            }
            if starting.is_terminated() && now >= state.store_until && now >= state.outage_until {
                if let Some(rows) = state.desk.next_start(now) {
                    starting.set(start(store, &me, rows).fuse());
                }
            }
            while let Some(wave) = state.next_wave(now) {
                waves.push(publish(publisher, wave, config.publish_timeout));
            }
        }
        if settling.is_terminated() && now >= state.store_until {
            if let Some(fates) = state.desk.next_settlement() {
                settling.set(settle(store, &me, fates).fuse());
            }
        }
        if releasing.is_terminated() {
            let left = state.desk.take_left();
            if !left.is_empty() {
                releasing.set(release(store, &me, left).fuse());
            }
        }
        state.report();
        let is_idle = [
            tending.is_terminated(),
            settling.is_terminated(),
            releasing.is_terminated(),
        ];
        if state.is_drained(now, is_idle == [true; 3]) {
            break;
        }
        let next = tokio::time::Instant::from(state.next_timer(now));
        if timer.deadline() != next {
            timer.as_mut().reset(next);
        }
        tokio::select! {
            () = &mut shutdown, if !state.is_draining() => state.drain(clock.now()),
            tended = &mut tending => {
                state.tended(tended, clock.now())?;
                if tidying.is_terminated() && !state.is_draining() {
                    tidying.set(store.tidy().fuse());
                }
            }
            (plan, fetched) = &mut fetching => state.fetched(&plan, fetched, clock.now())?,
            (rows, kept) = &mut starting => state.started(&rows, kept, clock.now())?,
            Some((wave, verdicts)) = waves.next(), if !waves.is_empty() => {
                state.answered(&wave, verdicts, clock.now());
            }
            (fates, kept) = &mut settling => state.settled(fates, kept, clock.now())?,
            released = &mut releasing => {
                state.heed(released, clock.now())?;
            }
            tidied = &mut tidying => {
                if state.heed(tidied, clock.now())? == Some(true) {
                    tidying.set(store.tidy().fuse());
                }
            }
            () = wake_ups.next(), if !state.hungry && !state.is_draining() => state.hungry = true,
            () = &mut timer => {}
        }
    }
    // What is left of the leases is left to expire: something of it may be in
    // flight still.
    match store.release(&me, &[], Departing::Yes).await {
        Err(error) if !error.why().is_transient() => Err(error.into()),
        _ => Ok(()),
    }
}

/// What the loop keeps between two turns.
struct State<'a, S, P> {
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
    fn new(relay: &'a Relay<S, P>, now: Instant) -> Self {
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
    fn pass(&mut self, now: Instant) {
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

    fn next_timer(&self, now: Instant) -> Instant {
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

    fn appetite(&self) -> Appetite {
        match self.drain_until {
            None => Appetite::Share,
            Some(_) => Appetite::Nothing,
        }
    }

    fn is_draining(&self) -> bool {
        self.drain_until.is_some()
    }

    fn drain(&mut self, now: Instant) {
        self.drain_until = Some(now + self.relay.config.drain);
        for lease in self.desk.tenure().all() {
            self.desk.leave(lease.bucket);
        }
    }

    /// All is given back and nothing is under way, or it has taken too long.
    fn is_drained(&self, now: Instant, is_idle: bool) -> bool {
        let is_empty = is_idle && self.desk.is_quiet() && self.desk.tenure().len() == 0;
        self.drain_until
            .is_some_and(|until| is_empty || now >= until)
    }

    fn next_wave(&mut self, now: Instant) -> Option<Vec<Envelope>> {
        if now < self.outage_until {
            return None;
        }
        self.desk.next_wave(now)
    }

    fn tended(
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

    fn fetched(
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
        if !fetched.rows.is_empty() || !fetched.came_round {
            self.hungry = true;
        }
        if !fetched.rows.is_empty() {
            self.polls = self.relay.config.poll.start();
            self.poll_at = now + self.polls.next_after(None);
        }
        self.desk.fetched(plan, fetched);
        Ok(())
    }

    fn started(
        &mut self,
        rows: &[Settlement<RowId>],
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

    fn answered(&mut self, wave: &[Envelope], verdicts: Vec<Verdict>, now: Instant) {
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

    fn settled(
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
    fn heed<T>(
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

    fn report(&self) {
        let counts = &self.relay.counts;
        counts.buckets.store(self.desk.tenure().len() as u64);
        counts.in_flight.store(self.desk.in_flight() as u64);
    }
}

/// The resolution of tokio's timers.
const TICK: Duration = Duration::from_millis(1);

async fn fetch<S: Store>(store: &S, plan: FetchPlan) -> (FetchPlan, Result<Fetched, StoreError>) {
    let fetched = store
        .fetch(&Fetch {
            leases: &plan.leases,
            after: plan.after,
            busy: &plan.busy,
            rows: plan.rows,
            per_lane: plan.per_lane,
            lanes: plan.lanes,
        })
        .await;
    reach("relay.fetched");
    (plan, fetched)
}

async fn start<S: Store>(
    store: &S,
    me: &RelayId,
    rows: Vec<Settlement<RowId>>,
) -> (Vec<Settlement<RowId>>, Result<Vec<Bucket>, StoreError>) {
    let kept = store.start(me, &rows).await;
    reach("relay.started");
    (rows, kept)
}

async fn publish<P: Publisher>(
    publisher: &P,
    wave: Vec<Envelope>,
    within: Duration,
) -> (Vec<Envelope>, Vec<Verdict>) {
    reach("relay.publishing");
    // Too late is not known: what is missing is unknown.
    let verdicts = timeout(within, publisher.publish(&wave)).await;
    reach("relay.published");
    (wave, verdicts.unwrap_or_default())
}

async fn settle<S: Store>(
    store: &S,
    me: &RelayId,
    fates: Vec<Settlement<Settled>>,
) -> (Vec<Settlement<Settled>>, Result<Vec<Bucket>, StoreError>) {
    reach("relay.settling");
    let kept = store.settle(me, &fates).await;
    reach("relay.settled");
    (fates, kept)
}

async fn release<S: Store>(store: &S, me: &RelayId, left: Vec<Lease>) -> Result<(), StoreError> {
    store.release(me, &left, Departing::No).await
}
