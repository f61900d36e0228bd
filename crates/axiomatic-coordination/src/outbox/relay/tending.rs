//! How a relay comes by its leases and keeps them.

use std::time::Duration;

use axiomatic_core::time::{Clock, Instant};

use crate::StoreError;
use crate::outbox::assignment::buckets_of;
use crate::outbox::lane::Bucket;
use crate::outbox::store::{Lease, RelayId, Store};

/// Whether a relay looks for more buckets.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Appetite {
    /// It takes what is its share.
    Share,
    /// It goes away, and only keeps what it has not finished.
    Nothing,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Tended {
    pub(super) asked: Vec<Lease>,
    pub(super) kept: Vec<Bucket>,
    pub(super) kept_until: Instant,
    pub(super) claimed: Vec<Lease>,
    pub(super) claimed_until: Instant,
    /// Buckets that it holds and that are another relay's by now.
    pub(super) others: Vec<Bucket>,
    /// It has all that it should have, and nothing else.
    pub(super) is_settled: bool,
}

/// Says that the relay is here, renews its leases, and claims what it lacks.
pub(super) async fn tend<S: Store>(
    store: &S,
    relay: &RelayId,
    clock: &Clock,
    lease: Duration,
    held: Vec<Lease>,
    appetite: Appetite,
) -> Result<Tended, StoreError> {
    // First, since leases run out: who is there can wait.
    let kept_until = clock.now() + lease;
    let kept = if held.is_empty() {
        Vec::new()
    } else {
        store.renew(relay, &held, lease).await?
    };
    let mut tended = Tended {
        kept,
        kept_until,
        claimed: Vec::new(),
        claimed_until: kept_until,
        others: Vec::new(),
        is_settled: true,
        asked: held,
    };
    if appetite == Appetite::Nothing {
        return Ok(tended);
    }
    let there = store.attend(relay, lease).await?;
    let names: Vec<&str> = there.iter().map(RelayId::as_str).collect();
    let share = buckets_of(relay.as_str(), &names, store.buckets());
    let has = |bucket: &Bucket| tended.kept.contains(bucket);
    let missing: Vec<_> = share
        .iter()
        .copied()
        .filter(|bucket| !has(bucket))
        .collect();
    let held = tended.asked.iter().map(|lease| lease.bucket);
    tended.others = held.filter(|bucket| !share.contains(bucket)).collect();
    if !missing.is_empty() {
        tended.claimed_until = clock.now() + lease;
        tended.claimed = store.claim(relay, &missing, lease).await?;
    }
    tended.is_settled = tended.claimed.len() == missing.len() && tended.others.is_empty();
    Ok(tended)
}
