//! What operators ask: each of it one statement.

use axiomatic_coordination::outbox::{
    Backlog, Blocked, DeadLetter, Holding, Lane, Operate, Replay, RowId, Scope, Waiting,
};
use axiomatic_coordination::{StoreError, crash_points};

use super::{Outbox, operate};
use crate::wire::{Param, Row, damaged};

impl Operate for Outbox {
    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let rows = self.database.query(&self.sql.operate.backlog, &[]).await?;
        operate::backlog(only(&rows)?)
    }

    async fn leases(&self) -> Result<Vec<Holding>, StoreError> {
        let rows = self.database.query(&self.sql.operate.leases, &[]).await?;
        rows.iter().map(operate::holding).collect()
    }

    async fn pause(&self, what: &Scope) -> Result<(), StoreError> {
        crash_points::reach("postgres.pause.asked");
        let pause = &self.sql.operate.pause;
        self.database.query(pause, &named(what)).await?;
        crash_points::reach("postgres.pause.done");
        Ok(())
    }

    async fn resume(&self, what: &Scope) -> Result<bool, StoreError> {
        crash_points::reach("postgres.resume.asked");
        let resume = &self.sql.operate.resume;
        let ended = self.database.query(resume, &named(what)).await?;
        crash_points::reach("postgres.resume.done");
        self.wake();
        Ok(!ended.is_empty())
    }

    async fn paused(&self) -> Result<Vec<Scope>, StoreError> {
        let rows = self.database.query(&self.sql.operate.paused, &[]).await?;
        rows.iter().map(operate::scope).collect()
    }

    async fn peek(&self, most: usize) -> Result<Vec<Waiting>, StoreError> {
        let most = [Param::new(operate::limit(most))];
        let rows = self.database.query(&self.sql.operate.peek, &most).await?;
        rows.iter().map(operate::waiting).collect()
    }

    async fn blocked(&self, most: usize) -> Result<Vec<Blocked>, StoreError> {
        let most = [Param::new(operate::limit(most))];
        let blocked = &self.sql.operate.blocked;
        let rows = self.database.query(blocked, &most).await?;
        rows.iter()
            .map(|row| operate::blocked_lane(row, 0))
            .collect()
    }

    async fn unblock(&self, lane: Lane) -> Result<bool, StoreError> {
        let bucket = self.options.buckets.of(lane);
        let params = [
            Param::new(lane.to_stored()),
            Param::new(i32::from(bucket.0)),
        ];
        crash_points::reach("postgres.unblock.asked");
        let unblock = &self.sql.operate.unblock;
        let unblocked = self.database.query(unblock, &params).await?;
        crash_points::reach("postgres.unblock.done");
        self.wake();
        Ok(count(&unblocked)? > 0)
    }

    async fn dead(&self, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let most = [Param::new(operate::limit(most))];
        let rows = self.database.query(&self.sql.operate.dead, &most).await?;
        rows.iter().map(operate::dead_letter).collect()
    }

    async fn requeue(&self, rows: &[RowId]) -> Result<u64, StoreError> {
        let rows = [Param::array(rows.iter().map(|row| row.0))];
        crash_points::reach("postgres.requeue.asked");
        let requeue = &self.sql.operate.requeue;
        let requeued = self.database.query(requeue, &rows).await?;
        crash_points::reach("postgres.requeue.done");
        self.wake();
        count(&requeued)
    }

    async fn discard(&self, rows: &[RowId]) -> Result<u64, StoreError> {
        let rows = [Param::array(rows.iter().map(|row| row.0))];
        crash_points::reach("postgres.discard.asked");
        let discard = &self.sql.operate.discard;
        let discarded = self.database.query(discard, &rows).await?;
        crash_points::reach("postgres.discard.done");
        count(&discarded)
    }

    async fn replay(&self, what: &Replay, most: usize) -> Result<Option<RowId>, StoreError> {
        if most == 0 {
            return Ok(None);
        }
        let params = operate::replay_params(what, most);
        crash_points::reach("postgres.replay.asked");
        let reached = self.database.query(&self.sql.operate.replay, &params);
        let reached = reached.await?;
        crash_points::reach("postgres.replay.done");
        self.wake();
        Ok(only(&reached)?.nullable(0)?.map(RowId))
    }
}

fn named(scope: &Scope) -> [Param; 2] {
    let (kind, which) = scope.to_stored();
    [Param::new(kind), Param::new(which)]
}

fn only(rows: &[Row]) -> Result<&Row, StoreError> {
    rows.first()
        .ok_or_else(|| damaged("an answer without a row".into()))
}

fn count(rows: &[Row]) -> Result<u64, StoreError> {
    Ok(only(rows)?.get::<i64>(0)?.cast_unsigned())
}
