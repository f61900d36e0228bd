//! What relays ask: one statement each.

use std::time::Duration;

use axiomatic_coordination::outbox::{
    Attempt, Bucket, Buckets, Departing, Fetch, Fetched, Lease, RelayId, Settled, Settlement,
    Store, WakeUps,
};
use axiomatic_coordination::{StoreError, crash_points};

use super::leases::{attending, claim_params, departs, kept, micros, taken};
use super::settle::{settle_params, start_params};
use super::{Outbox, fetch, leases, plain};
use crate::wire::Param;

impl Store for Outbox {
    fn buckets(&self) -> Buckets {
        self.options.buckets
    }

    fn wake_ups(&self) -> WakeUps {
        // The handle's own, which listens.
        Outbox::wake_ups(self)
    }

    async fn attend(&self, relay: &RelayId, ttl: Duration) -> Result<Vec<RelayId>, StoreError> {
        let params = [Param::new(relay.as_str()), Param::new(micros(ttl))];
        crash_points::reach("postgres.attend.asked");
        let rows = self
            .database
            .query(&self.sql.leases.attend, &params)
            .await?;
        crash_points::reach("postgres.attend.done");
        attending(&rows)
    }

    async fn claim(
        &self,
        relay: &RelayId,
        wanted: &[Bucket],
        ttl: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        let params = claim_params(relay, wanted, ttl);
        crash_points::reach("postgres.claim.asked");
        let rows = self.database.query(&self.sql.leases.claim, &params).await?;
        crash_points::reach("postgres.claim.done");
        taken(&rows)
    }

    async fn renew(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        ttl: Duration,
    ) -> Result<Vec<Bucket>, StoreError> {
        let [owner, buckets, epochs] = leases::params(relay, leases.iter());
        let params = [owner, buckets, epochs, Param::new(micros(ttl))];
        crash_points::reach("postgres.renew.asked");
        let rows = self.database.query(&self.sql.leases.renew, &params).await?;
        crash_points::reach("postgres.renew.done");
        kept(&rows)
    }

    async fn release(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        departing: Departing,
    ) -> Result<(), StoreError> {
        let [owner, buckets, epochs] = leases::params(relay, leases.iter());
        let params = [owner, buckets, epochs, departs(departing)];
        crash_points::reach("postgres.release.asked");
        self.database
            .query(&self.sql.leases.release, &params)
            .await?;
        crash_points::reach("postgres.release.done");
        // Others may take what is given back.
        self.wake();
        Ok(())
    }

    async fn fetch(&self, fetch: &Fetch<'_>) -> Result<Fetched, StoreError> {
        crash_points::reach("postgres.fetch.asked");
        if let (true, Some(range)) = (
            self.plainly.get(),
            fetch::first_range(fetch, self.options.buckets),
        ) {
            let params = plain::params(range, fetch);
            let rows = self.database.query(&self.sql.plain.scan, &params).await?;
            if let Some(found) = plain::found(&rows, fetch)? {
                crash_points::reach("postgres.fetch.done");
                return Ok(found);
            }
        }
        let params = fetch::params(fetch, self.options.buckets);
        let rows = self.database.query(&self.sql.fetch.fetch, &params).await?;
        crash_points::reach("postgres.fetch.done");
        let found = fetch::fetched(&rows)?;
        self.plainly.learn(&found, fetch);
        Ok(found)
    }

    async fn start(
        &self,
        relay: &RelayId,
        rows: &[Settlement<Attempt>],
    ) -> Result<Vec<Bucket>, StoreError> {
        let params = start_params(relay, rows, self.options.buckets);
        crash_points::reach("postgres.start.asked");
        let rows = self.database.query(&self.sql.settle.start, &params).await?;
        crash_points::reach("postgres.start.done");
        kept(&rows)
    }

    async fn settle(
        &self,
        relay: &RelayId,
        fates: &[Settlement<Settled>],
    ) -> Result<Vec<Bucket>, StoreError> {
        let (buckets, keep) = (self.options.buckets, self.options.keep);
        let (sql, params) = settle_params(&self.sql.settle, relay, fates, buckets, keep);
        crash_points::reach("postgres.settle.asked");
        let rows = self.database.query(sql, &params).await?;
        crash_points::reach("postgres.settle.done");
        kept(&rows)
    }

    async fn tidy(&self) -> Result<bool, StoreError> {
        self.throw_away().await
    }
}
