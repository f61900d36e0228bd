//! Requests whose clients do not come back.

use std::fmt;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::sleep_until;
use tower_service::Service;

use super::counts::{Happened, Snapshot};
use super::head::request;
use super::run::{Turn, run};
use super::shared::{Shared, now};
use crate::idempotency::{Adopt, Adopted, Owner, Store};
use crate::{StoreError, Why};

/// Runs requests that were [stored](super::Config::resumable) and abandoned,
/// and forgets keys whose retention has ended.
///
/// A handler sees such a request with the headers that are
/// [kept](super::Config::stored_request_headers), and with its
/// [`Phases`](crate::idempotency::Phases), whose name says whose it is. What
/// other layers have put into the extensions of the first, it must do without.
///
/// Any number may run on one store.
pub struct Completer<T, S, B> {
    shared: Arc<Shared<S>>,
    inner: T,
    abandoned_for: Duration,
    attempts: u32,
    pause: Duration,
    sweep_every: Duration,
    body: PhantomData<fn() -> B>,
}

/// What became of the request that a completer looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// There was none.
    Nothing,
    /// It has its answer.
    Answered,
    /// It has none yet: its handler failed, or another has it.
    NotYet,
}

/// How many keys are forgotten in one transaction.
const PIECE: usize = 500;

impl<T, S, B> Completer<T, S, B> {
    pub(super) fn new(shared: Arc<Shared<S>>, inner: T) -> Self {
        let minute = Duration::from_secs(60);
        Completer {
            shared,
            inner,
            abandoned_for: minute,
            attempts: 5,
            pause: Duration::from_secs(5),
            sweep_every: minute,
            body: PhantomData,
        }
    }

    /// How long ago its last run must have ended (default: 60 s), so that a
    /// client that comes back goes first.
    #[must_use]
    pub fn abandoned_for(mut self, time: Duration) -> Self {
        self.abandoned_for = time;
        self
    }

    /// How often it may have been run before, with or without its client
    /// (default: 5). What was run more often is left to its client.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// For how long it waits when there is none (default: 5 s).
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How often keys are forgotten (default: 60 s).
    #[must_use]
    pub fn sweep_every(mut self, time: Duration) -> Self {
        self.sweep_every = time;
        self
    }

    /// What was counted so far, by the layer and all its completers.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.counts.snapshot()
    }
}

impl<T, S, B> Completer<T, S, B>
where
    S: Store,
{
    /// Forgets keys whose retention has ended, in pieces. Returns how many.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; what was forgotten before is.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let mut all = 0;
        loop {
            let some = self.shared.store.sweep(PIECE).await?;
            all += some;
            if some < PIECE {
                return Ok(all);
            }
        }
    }

    /// Runs one request, if one is abandoned. It runs to its end also if this
    /// is dropped.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if none could be claimed.
    pub async fn run_once<R>(&self) -> Result<Resumed, StoreError>
    where
        T: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
        T::Future: Send + 'static,
        T::Error: Send + 'static,
        B: From<Bytes> + Send + 'static,
        R: Body<Data = Bytes> + Send + 'static,
    {
        let since = now();
        let adopt = Adopt {
            owner: Owner::unique(),
            lease: self.shared.config.lease,
            abandoned_for: self.abandoned_for,
            attempts: self.attempts,
        };
        let Some(adopted) = self.shared.store.adopt(&adopt).await? else {
            return Ok(Resumed::Nothing);
        };
        let Adopted {
            name,
            request: stored,
            mine,
        } = adopted;
        let shared = Arc::clone(&self.shared);
        shared.counts.count(&name, Happened::Adopted);
        let request: Request<B> =
            request(stored).map_err(|shape| StoreError::new(Why::Corrupt).because(shape))?;
        let is_last = mine.attempts > self.attempts;
        let inner = self.inner.clone();
        let running = async move {
            let turn = run(&shared, name.clone(), (mine, since), inner, request).await;
            let is_answered = matches!(turn, Turn::Answered(..));
            if is_last && !is_answered {
                shared.counts.count(&name, Happened::GivenUp);
            }
            is_answered
        };
        // A panic of the handler was caught: nobody waits for this answer.
        match tokio::spawn(running).await {
            Ok(true) => Ok(Resumed::Answered),
            Ok(false) | Err(_) => Ok(Resumed::NotYet),
        }
    }

    /// Runs requests as they are abandoned, one after the other, and forgets
    /// keys, until `shutdown` is ready; a request that is running then is run
    /// to its end. When the store fails, it goes on after a pause.
    pub async fn run<R>(&self, shutdown: impl Future<Output = ()>)
    where
        T: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
        T::Future: Send + 'static,
        T::Error: Send + 'static,
        B: From<Bytes> + Send + 'static,
        R: Body<Data = Bytes> + Send + 'static,
    {
        let mut shutdown = pin!(shutdown);
        let mut next_sweep = now();
        loop {
            if now() >= next_sweep {
                next_sweep = now() + self.sweep_every;
                if let Err(error) = self.sweep().await {
                    self.shared.counts.completer_failed(&error);
                }
            }
            let resumed = self.run_once().await;
            if let Err(error) = &resumed {
                self.shared.counts.completer_failed(error);
            }
            let wait = match resumed {
                Ok(Resumed::Answered) => Duration::ZERO,
                Ok(Resumed::Nothing | Resumed::NotYet) | Err(_) => self.pause,
            };
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = sleep_until(now() + wait) => {}
            }
        }
    }
}

impl<T, S, B> fmt::Debug for Completer<T, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completer")
            .field("abandoned_for", &self.abandoned_for)
            .field("attempts", &self.attempts)
            .field("pause", &self.pause)
            .field("sweep_every", &self.sweep_every)
            .finish_non_exhaustive()
    }
}
