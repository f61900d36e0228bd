//! The loop of a relay: asks the [`Desk`](crate::outbox::desk::Desk) what to do
//! next, does it, and tells it what came of it.
//!
//! Five things go on at once, each at most once, but for waves, of which there
//! are as many as are in flight: leases are tended, messages are fetched, it
//! is written down that suspects begin, waves are published, and fates are
//! settled. So the store is asked for the next messages while the broker has
//! the last, and one settlement takes all that was confirmed while the one
//! before it was committed.

use std::pin::pin;

use futures::FutureExt;
use futures::future::{Fuse, FusedFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep_until;

use super::asking::{fetch, publish, release, settle, start};
use super::state::State;
use super::tending::tend;
use super::{Relay, RelayError};
use crate::outbox::publisher::Publisher;
use crate::outbox::store::{Departing, RelayId, Store};

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
        if tending.is_terminated() {
            if let Some((held, appetite)) = state.next_tending(now) {
                tending.set(tend(store, &me, clock, config.lease, held, appetite).fuse());
            }
        }
        if fetching.is_terminated() {
            if let Some(plan) = state.next_fetch(now) {
                fetching.set(fetch(store, plan).fuse());
            }
        }
        if starting.is_terminated() {
            if let Some(rows) = state.next_start(now) {
                starting.set(start(store, &me, rows).fuse());
            }
        }
        while let Some(wave) = state.next_wave(now) {
            waves.push(publish(publisher, wave, config.publish_timeout));
        }
        if settling.is_terminated() {
            if let Some(fates) = state.next_settlement(now) {
                settling.set(settle(store, &me, fates).fuse());
            }
        }
        if releasing.is_terminated() {
            if let Some(left) = state.next_release() {
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
            () = wake_ups.next(), if state.listens() => state.woken(),
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
