//! Beginning sagas, speaking to them, and asking for them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use axiomatic_core::BoxError;
use axiomatic_core::backoff::{Backoff, Jitter};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::definition::{Saga, to_json};
use super::id::SagaId;
use super::locks::InLine;
use super::mail::{Mail, Posted, Subject};
use super::record::Stage;
use super::store::{Found, Started, Store, Summary};
use crate::StoreError;

/// Begins sagas, speaks to them and asks for them, wherever they run. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Client<S> {
    store: S,
}

/// How a saga ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<Out> {
    /// All of it was done.
    Done(Out),
    /// What was done of it is undone.
    Compensated(Why),
    /// An operator gave it up.
    Abandoned(Why),
}

/// Why a saga was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why(serde_json::Value);

impl Why {
    /// The step for which it turned; nothing, if for another reason.
    pub fn step(&self) -> Option<&str> {
        let step = self.0.get("step")?.as_str()?;
        (!step.is_empty()).then_some(step)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = self.step() {
            write!(f, "step {step:?}: ")?;
        }
        match self.0.get("why") {
            Some(serde_json::Value::String(why)) => f.write_str(why),
            Some(why) => why.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

impl<Out: DeserializeOwned> Ended<Out> {
    pub(super) fn read(stage: Stage, result: Option<&[u8]>) -> Result<Self, StartError> {
        let json = result.unwrap_or(b"null");
        let why = || serde_json::from_slice(json).map(Why);
        let ended = match stage {
            Stage::Done => serde_json::from_slice(json).map(Ended::Done),
            Stage::Abandoned => why().map(Ended::Abandoned),
            _ => why().map(Ended::Compensated),
        };
        ended.map_err(|error| StartError::Value(error.into()))
    }
}

impl<S: Store> Client<S> {
    /// Of the sagas of this store.
    pub fn new(store: S) -> Self {
        Client { store }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Begins a saga, once for each id: whoever does not know whether it has
    /// begun one begins it again. It runs when an executor takes it, which one
    /// of this process does at once.
    ///
    /// # Errors
    ///
    /// [`StartError::Other`] if there is another saga of this id;
    /// [`StartError::Store`]: it has begun, or not.
    pub async fn start<In: Serialize, Out>(
        &self,
        definition: &Saga<S, In, Out>,
        saga: SagaId,
        input: &In,
    ) -> Result<(), StartError> {
        let start = definition.start(saga, input)?;
        match self.store.start(&start).await? {
            Started::Held | Started::Waits | Started::Before => Ok(()),
            Started::Other => Err(StartError::Other),
        }
    }

    /// Who stands in line for a resource that sagas
    /// [lock](super::Builder::lock), the first first: that it is about to
    /// change, and who waits for whom.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn line(&self, resource: &str) -> Result<Vec<InLine>, StoreError> {
        self.store.line(resource).await
    }

    /// Waits until a saga has ended. It is looked for at once and then less and
    /// less often, at least every second.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn wait<In, Out: DeserializeOwned>(
        &self,
        _definition: &Saga<S, In, Out>,
        saga: SagaId,
    ) -> Result<Ended<Out>, StartError> {
        let mut pauses = LOOKING.start();
        loop {
            let found = self.store.find(saga).await?.ok_or(StartError::Missing)?;
            let stage = found.summary.stage;
            if stage.is_end() {
                return Ended::read(stage, found.summary.result.as_deref());
            }
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Signals: gives a step that waits for it, now or later, a payload.
    /// `id` is what the signal is known again by if it is sent twice.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn signal<T: Serialize>(
        &self,
        saga: SagaId,
        id: Uuid,
        name: &str,
        payload: &T,
    ) -> Result<Posted, StartError> {
        let mail = Mail {
            id,
            subject: Subject::Signal,
            name: name.into(),
            data: json(payload)?,
        };
        Ok(self.store.post(saga, &mail).await?)
    }

    /// Has a saga turn and be unwound, unless its pivot has begun.
    ///
    /// # Errors
    ///
    /// [`StoreError`], as all that follow.
    pub async fn cancel(&self, saga: SagaId, by: &str, reason: &str) -> Result<Posted, StoreError> {
        self.command(saga, Subject::Cancel, "", by, reason).await
    }

    /// Has an undo that is stuck tried again; of all steps, if none is named.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn retry_undo(
        &self,
        saga: SagaId,
        step: &str,
        by: &str,
        reason: &str,
    ) -> Result<Posted, StoreError> {
        self.command(saga, Subject::RetryUndo, step, by, reason)
            .await
    }

    /// Has an undo that is stuck left out: somebody undid the step by hand, or
    /// it is left as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn skip_undo(
        &self,
        saga: SagaId,
        step: &str,
        by: &str,
        reason: &str,
    ) -> Result<Posted, StoreError> {
        self.command(saga, Subject::SkipUndo, step, by, reason)
            .await
    }

    /// Has a step that is stuck tried again. If an undo is stuck: has the saga
    /// go forward again, on the word of the operator that what could not be
    /// undone is as done as it was. A saga that is parked is run again.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn resume(&self, saga: SagaId, by: &str, reason: &str) -> Result<Posted, StoreError> {
        self.command(saga, Subject::Resume, "", by, reason).await
    }

    /// Has a saga end as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn abandon(
        &self,
        saga: SagaId,
        by: &str,
        reason: &str,
    ) -> Result<Posted, StoreError> {
        self.command(saga, Subject::Abandon, "", by, reason).await
    }

    async fn command(
        &self,
        saga: SagaId,
        subject: Subject,
        step: &str,
        by: &str,
        reason: &str,
    ) -> Result<Posted, StoreError> {
        let data = serde_json::json!({ "by": by, "reason": reason }).to_string();
        let mail = Mail {
            id: Uuid::now_v7(),
            subject,
            name: step.into(),
            data: data.into(),
        };
        self.store.post(saga, &mail).await
    }

    /// What is known of a saga, with its log.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find(&self, saga: SagaId) -> Result<Option<Found>, StoreError> {
        self.store.find(saga).await
    }

    /// Sagas of a stage, behind this one.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list(
        &self,
        stage: Stage,
        after: Option<SagaId>,
        at_most: usize,
    ) -> Result<Vec<Summary>, StoreError> {
        self.store.list(stage, after, at_most).await
    }

    /// How many sagas are at each stage.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn count(&self) -> Result<[(Stage, u64); 7], StoreError> {
        let counts = self.store.count().await?;
        Ok(std::array::from_fn(|at| (Stage::ALL[at], counts[at])))
    }
}

/// Not measured: a saga of a few calls ends in the first pauses.
const LOOKING: Backoff =
    Backoff::exponential(Duration::from_millis(2), Duration::from_secs(1)).jitter(Jitter::Equal);

fn json<T: Serialize>(value: &T) -> Result<Bytes, StartError> {
    to_json(value).map_err(|error| StartError::Value(error.into()))
}

/// Why a saga did not begin, or how it ended is not known.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// There is another saga of this id.
    Other,
    /// There is no saga of this id: it was swept away.
    Missing,
    /// What it was given cannot be written, or what it returned not read.
    Value(BoxError),
    /// The store could not do it, or it is not known whether it has.
    Store(StoreError),
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        StartError::Store(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Other => f.write_str("there is another saga of this id"),
            StartError::Missing => f.write_str("there is no saga of this id"),
            StartError::Value(error) => write!(f, "a value of the saga: {error}"),
            StartError::Store(error) => error.fmt(f),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            StartError::Value(error) => Some(&**error),
            StartError::Store(error) => Some(error),
            StartError::Other | StartError::Missing => None,
        }
    }
}
