//! One saga, run: asks the machine what is next, writes that it begins, begins
//! it, and tells the machine what came of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::pending;

use axiomatic_core::time::Instant;

use super::doing::{Flight, Flights, Landed, Launch, launch};
use super::shared::{Mailbox, Shared};
use super::tenure::{Held, Tenure};
use crate::crash_points::reach;
use crate::saga::change::Wake;
use crate::saga::definition::{Context, Outputs, Plan, Was};
use crate::saga::id::SagaId;
use crate::saga::machine::{Circumstances, Illegal, Move, Outlook, Progress, StepNo, outlook};
use crate::saga::record::{Record, Stage};
use crate::saga::store::{Loaded, Start, Started, Store};
use crate::{StoreError, Timestamp};

/// A saga that is being run.
pub(super) struct Driver<'a, S: Store> {
    pub(super) shared: &'a Shared<S>,
    pub(super) plan: Arc<Plan<S>>,
    pub(super) saga: SagaId,
    pub(super) held: Held,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) input: Bytes,
    pub(super) progress: Progress,
    /// How many lines are in the log.
    pub(super) written: u64,
    /// Lines that the progress knows, and the log does not.
    pub(super) unwritten: Vec<Record>,
    /// How far the store says that it is.
    pub(super) stage: Stage,
    /// Something was found out since the last line was written.
    pub(super) went_forward: bool,
    /// How many letters were read since.
    pub(super) read: u32,
    /// Letters that were read.
    pub(super) seen: Vec<uuid::Uuid>,
    pub(super) deadline: Option<Timestamp>,
    /// What time the store had when it was so late here.
    time: (Timestamp, Instant),
    /// What time it was by the store's clock, about, when it was looked at last.
    now: Timestamp,
    /// It is to be begun with the first line.
    pub(super) start: Option<Start>,
    /// What is to be launched when it is written that it begins.
    pub(super) launches: Vec<Launch>,
    /// What is to be done in the saga's database.
    pub(super) locals: Vec<Launch>,
    pub(super) flights: Flights,
    /// A list for moves, kept for the next ones.
    moves: Vec<Move>,
    /// What flies, to be known again when the log is read again.
    aloft: Vec<(StepNo, u32)>,
}

/// Why a driver has let go of a saga.
#[derive(Debug)]
pub(super) enum Left {
    /// It has ended so, with this result.
    Ended(Stage, Option<Bytes>),
    /// It waits, and whoever has the bucket then goes on with it; or it is
    /// stuck, and waits for an operator.
    Waiting(Stage),
    /// Another has it, or will have.
    Lost,
    /// There was one of this id already.
    Before(Started),
    /// There is one now, whoever began it: it is to be run from its log.
    Begun,
    /// It cannot be run: what its log says is not what this definition does.
    Illegal(Illegal),
    /// The store failed for good.
    Store(StoreError),
}

impl<'a, S: Store> Driver<'a, S> {
    /// Of a saga that begins.
    pub(super) fn begin(
        shared: &'a Shared<S>,
        plan: Arc<Plan<S>>,
        held: Held,
        mailbox: Arc<Mailbox>,
        start: Start,
    ) -> Self {
        let time = (Timestamp::from_micros(0), shared.config.clock.now());
        let deadline = start.deadline.map(|after| time.0.saturating_add(after));
        Driver {
            progress: Progress::new(&plan.graph),
            shared,
            plan,
            saga: start.saga,
            held,
            mailbox,
            input: start.input.clone(),
            written: 0,
            unwritten: Vec::new(),
            stage: Stage::Running,
            went_forward: false,
            read: 0,
            seen: Vec::new(),
            deadline,
            now: time.0,
            time,
            start: Some(start),
            launches: Vec::new(),
            locals: Vec::new(),
            flights: Flights::default(),
            moves: Vec::new(),
            aloft: Vec::new(),
        }
    }

    /// Of a saga that was begun.
    pub(super) fn resume(
        shared: &'a Shared<S>,
        plan: Arc<Plan<S>>,
        held: Held,
        mailbox: Arc<Mailbox>,
        loaded: &Loaded,
    ) -> Result<Self, Illegal> {
        let start = Start {
            saga: loaded.saga,
            definition: loaded.definition.clone(),
            input: loaded.input.clone(),
            deadline: None,
            held: None,
        };
        let mut driver = Driver::begin(shared, plan, held, mailbox, start);
        driver.start = None;
        driver.read_log(loaded)?;
        Ok(driver)
    }

    pub(super) fn read_log(&mut self, loaded: &Loaded) -> Result<(), Illegal> {
        let mut progress = Progress::new(&self.plan.graph);
        // What was read and is not written is to be read again.
        self.seen.clear();
        for recorded in &loaded.records {
            progress.apply(&self.plan.graph, &recorded.record, recorded.at)?;
            self.seen.extend(recorded.record.mail);
        }
        for (step, item) in &self.aloft {
            progress.fly(*step, *item);
        }
        self.progress = progress;
        // What was to be begun followed from the log as it was.
        self.launches.clear();
        self.locals.clear();
        self.written = loaded.records.len() as u64;
        self.unwritten.clear();
        self.stage = loaded.stage;
        self.deadline = loaded.deadline;
        self.time = (loaded.now, self.shared.config.clock.now());
        self.now = loaded.now;
        self.read = 0;
        self.take_mail(&loaded.mail)
    }

    /// Runs it until it ends, waits for long, or is another's.
    pub(super) async fn run(mut self) -> Left {
        let (Ok(left) | Err(left)) = self.go_on().await;
        let definition = &self.plan.definition.name;
        self.shared.counts.left(self.saga, definition, &left);
        left
    }

    async fn go_on(&mut self) -> Result<Left, Left> {
        loop {
            let outlook = self.advance().map_err(Left::Illegal)?;
            let is_leaving = self.tenure()? == Tenure::Leaving;
            let wake = self.wake(&outlook, is_leaving);
            let must_write = !self.unwritten.is_empty()
                || self.start.is_some()
                || self.read > 0
                || self.stage != outlook.stage
                // Not if it has ended with its last local step.
                || (wake != Wake::Held && !self.stage.is_end());
            let result = self.result(&outlook);
            if must_write {
                self.write(outlook.stage, wake, result.clone()).await?;
            }
            if outlook.stage.is_end() {
                reach("saga.ended");
                return Ok(Left::Ended(outlook.stage, result));
            }
            if wake != Wake::Held {
                reach("saga.left");
                return Ok(Left::Waiting(outlook.stage));
            }
            // It may have been written so late that another has the bucket.
            self.tenure()?;
            let has_landed = self.launch_all().await?;
            let has_worked = self.work_locally().await?;
            if !has_landed && !has_worked {
                self.wait(outlook.wake).await?;
            }
        }
    }

    /// Makes all moves that can be made without waiting. What is left is what
    /// is being done, and what there is to wait for.
    fn advance(&mut self) -> Result<Outlook, Illegal> {
        loop {
            self.expand()?;
            let now = Circumstances {
                now: self.now(),
                deadline: self.deadline,
                seed: self.saga.0.as_u128() as u64,
            };
            let moves = std::mem::take(&mut self.moves);
            let mut outlook = outlook(&self.plan.graph, &self.progress, now, moves);
            if self.held.tenure() != Tenure::Held {
                outlook.moves.clear();
            }
            if outlook.moves.is_empty() {
                self.moves = std::mem::take(&mut outlook.moves);
                return Ok(outlook);
            }
            for next in outlook.moves.drain(..) {
                self.make(next)?;
            }
            self.moves = outlook.moves;
        }
    }

    /// When it is looked at next, if nothing happens that this one waits for.
    fn wake(&self, outlook: &Outlook, is_leaving: bool) -> Wake {
        let is_busy =
            !self.launches.is_empty() || !self.locals.is_empty() || !self.flights.is_empty();
        if is_busy {
            return Wake::Held;
        }
        if is_leaving && !outlook.stage.is_end() {
            return Wake::In(Duration::ZERO);
        }
        let Some(wake) = outlook.wake else {
            return Wake::In(Duration::MAX);
        };
        let waits = wake.saturating_since(self.now());
        if waits > self.shared.config.keep {
            Wake::In(waits)
        } else {
            Wake::Held
        }
    }

    /// Launches what it is written of that it begins. Returns whether something
    /// has landed already.
    async fn launch_all(&mut self) -> Result<bool, Left> {
        if self.launches.is_empty() {
            return Ok(false);
        }
        let mut has_landed = false;
        let mut launches = std::mem::take(&mut self.launches);
        for next in launches.drain(..) {
            let spec = self.plan.graph.spec(next.step);
            let timeout = spec.timeout;
            reach(match next.undoes {
                false => "saga.launching",
                true => "saga.undo_launching",
            });
            match launch(next, self.doing(next), timeout).await {
                Flight::Landed(landed) => {
                    has_landed = true;
                    self.land(landed).map_err(Left::Illegal)?;
                }
                Flight::Flying(flight) => {
                    self.aloft.push((next.step, next.item));
                    self.flights.push(flight);
                }
            }
        }
        self.launches = launches;
        Ok(has_landed)
    }

    /// Waits for what there is to wait for.
    async fn wait(&mut self, wake: Option<Timestamp>) -> Result<(), Left> {
        let until = wake.map(|wake| {
            let after = wake.saturating_since(self.now());
            self.shared.config.clock.now() + after
        });
        let alarm = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => pending().await,
            }
        };
        let mailbox = Arc::clone(&self.mailbox);
        tokio::select! {
            () = self.held.changed() => {}
            landed = self.flights.next() => {
                self.tick();
                self.come_down(landed).map_err(Left::Illegal)?;
                while let Some(landed) = self.flights.next().now_or_never() {
                    self.come_down(landed).map_err(Left::Illegal)?;
                }
            }
            mail = mailbox.next() => {
                self.tick();
                self.take_mail(&mail).map_err(Left::Illegal)?;
            }
            () = alarm => {}
        }
        self.tick();
        Ok(())
    }

    fn come_down(&mut self, landed: Landed) -> Result<(), Illegal> {
        let which = (landed.launch.step, landed.launch.item);
        self.aloft.retain(|aloft| *aloft != which);
        self.land(landed)
    }

    /// Whether the bucket may be worked on; an error if it is lost.
    pub(super) fn tenure(&self) -> Result<Tenure, Left> {
        match self.held.tenure() {
            Tenure::Lost => Err(Left::Lost),
            tenure => Ok(tenure),
        }
    }

    pub(super) fn tick(&mut self) {
        let (then, here) = self.time;
        let now = self.shared.config.clock.now();
        self.now = then.saturating_add(now.saturating_duration_since(here));
    }

    /// What time it was when it was looked at last.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn outputs(&self) -> Outputs<'_> {
        Outputs {
            input: &self.input,
            steps: &self.plan.graph.steps,
            progress: &self.progress,
        }
    }

    pub(super) fn context(&self, launch: Launch) -> Context {
        Context {
            saga: self.saga,
            step: self.plan.graph.spec(launch.step).name.clone(),
            item: launch.item,
            attempt: launch.attempt,
            round: self.progress.slots(launch.step)[launch.item as usize].round,
            epoch: self.held.lease.epoch,
            undoes: launch.undoes,
        }
    }

    /// What an undo is told of its action.
    pub(super) fn was(&self, launch: Launch) -> Was<Bytes> {
        let slot = &self.progress.slots(launch.step)[launch.item as usize];
        match (&slot.output, slot.has_failed) {
            (Some(output), _) => Was::Done(output.clone()),
            (None, true) => Was::Failed,
            (None, false) => Was::InDoubt,
        }
    }

    /// The result of a saga that has ended, or why it is not going forward.
    fn result(&self, outlook: &Outlook) -> Option<Bytes> {
        match outlook.stage {
            Stage::Running => None,
            Stage::Done => Some(self.plan.result(&self.outputs())),
            _ => self.progress.why(),
        }
    }
}

impl<S: Store> Plan<S> {
    /// The result of a saga all of whose steps are done.
    pub(super) fn result(&self, outputs: &Outputs<'_>) -> Bytes {
        let output = self.output.and_then(|output| outputs.of(output));
        output.unwrap_or(Bytes::from_static(b"null"))
    }
}
