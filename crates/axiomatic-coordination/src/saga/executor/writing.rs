//! What a driver has its store write, and reads again when it is not known what
//! was written.

use std::time::Duration;

use bytes::Bytes;

use super::driver::{Driver, Left};
use crate::StoreError;
use crate::crash_points::reach;
use crate::saga::change::{Append, Appended, Change, Wake};
use crate::saga::record::Stage;
use crate::saga::store::{Start, Started, Store};

impl<S: Store> Driver<'_, S> {
    /// Writes what is not written, and how far it is. Asks the store as long as
    /// it takes, or until the bucket is lost.
    pub(super) async fn write(
        &mut self,
        stage: Stage,
        wake: Wake,
        result: Option<Bytes>,
    ) -> Result<(), Left> {
        let lines = self.unwritten.len() as u64;
        let change = Change {
            records: std::mem::take(&mut self.unwritten),
            stage,
            wake,
            result,
            progress: self.went_forward || self.read > 0,
        };
        match self.start.take() {
            Some(start) => self.write_first(start, change).await?,
            None => {
                let append = Append {
                    saga: self.saga,
                    after: self.written,
                    change,
                    read: self.read,
                };
                self.append(&append).await?;
                // The next lines are written to the same list.
                self.unwritten = append.change.records;
                self.unwritten.clear();
            }
        }
        if self.plan.minds_time || self.deadline.is_some() {
            self.tick();
        }
        self.written += lines;
        self.stage = stage;
        self.went_forward = false;
        self.read = 0;
        Ok(())
    }

    async fn write_first(&mut self, mut start: Start, change: Change) -> Result<(), Left> {
        start.held = Some((self.held.lease.clone(), change));
        let mut pauses = self.shared.config.outage.start();
        let mut is_first = true;
        loop {
            reach("saga.starting");
            match self.shared.store.start(&start).await {
                Ok(Started::Held) => {
                    reach("saga.started");
                    return Ok(());
                }
                Ok(Started::Waits) => return Err(Left::Lost),
                // It may be this one that began it, or somebody else, in other
                // words; and it may have been run since, or cancelled. What was
                // to be done is forgotten, and follows from its log anew: an
                // attempt that was begun in it counts.
                Ok(Started::Before) if !is_first => return Err(Left::Begun),
                Ok(started) => return Err(Left::Before(started)),
                Err(error) => self.pause(error, &mut pauses).await?,
            }
            is_first = false;
        }
    }

    async fn append(&mut self, append: &Append) -> Result<(), Left> {
        let mut pauses = self.shared.config.outage.start();
        loop {
            reach("saga.appending");
            let appending = self.shared.store.append(&self.held.lease, append);
            let appended = self.flights.beside(&self.held, appending).await;
            match appended.ok_or(Left::Lost)? {
                Ok(Appended::Held) => {
                    reach("saga.appended");
                    return Ok(());
                }
                Ok(Appended::Lost | Appended::Conflict) => return Err(Left::Lost),
                Err(error) => self.pause(error, &mut pauses).await?,
            }
        }
    }

    /// The store has failed: waits before it is asked again.
    pub(super) async fn pause(
        &mut self,
        error: StoreError,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> Result<(), Left> {
        self.shared.counts.store_error(&error);
        if !error.why().is_transient() {
            return Err(Left::Store(error));
        }
        let pause = pauses.next().unwrap_or(Duration::from_secs(5));
        let deadline = self.shared.config.clock.now() + pause;
        let pausing = tokio::time::sleep_until(deadline.into());
        let paused = self.flights.beside(&self.held, pausing).await;
        paused.ok_or(Left::Lost)
    }

    /// Reads the log again, since it is not known what was written.
    pub(super) async fn reload(&mut self) -> Result<(), Left> {
        let mut pauses = self.shared.config.outage.start();
        loop {
            let loading = self.shared.store.load(&self.held.lease, self.saga);
            let loaded = self.flights.beside(&self.held, loading).await;
            match loaded.ok_or(Left::Lost)? {
                Ok(Some(loaded)) => return self.read_log(&loaded).map_err(Left::Illegal),
                Ok(None) => return Err(self.how_it_ended().await),
                Err(error) => self.pause(error, &mut pauses).await?,
            }
        }
    }

    /// It is gone from here: it ended with what was written last, or another
    /// has it.
    async fn how_it_ended(&mut self) -> Left {
        match self.shared.store.find(self.saga).await {
            Ok(Some(found)) if found.summary.stage.is_end() => {
                Left::Ended(found.summary.stage, found.summary.result)
            }
            _ => Left::Lost,
        }
    }
}
