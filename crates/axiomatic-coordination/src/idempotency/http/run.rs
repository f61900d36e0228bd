//! A request that is ours is run to its end.

use std::any::Any;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures::FutureExt;
use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::body::{Unread, read};
use super::config::Config;
use super::counts::Happened;
use super::head::{Given, stored_response};
use super::problem::Problem;
use super::shared::{Hold, Shared};
use crate::crash_points::reach;
use crate::idempotency::{Fence, Mine, Name, Phases, Store, StoredResponse};

/// What became of one claim, and of the run that it began.
pub(super) enum Turn<R, E> {
    /// This is stored as the answer.
    Answered(StoredResponse, Given),
    /// It was run, and given up: the answer is for this client only.
    NotStored(Response<R>),
    /// The handler failed, and it was given up.
    Failed(E),
    /// The handler panicked, and it was given up.
    Panicked(Box<dyn Any + Send>),
    /// The handler's answer broke off, and it was given up.
    BrokeOff,
    /// Another runs it.
    InProgress,
    /// The key was used for another.
    Mismatch,
    /// It is not known what became of it.
    Unavailable,
}

/// What a handler answered.
enum Handled<R, E> {
    Stored(StoredResponse),
    NotStored(Response<R>),
    Failed(E),
    BrokeOff,
}

/// Runs a request that was claimed at this time, and holds its lease until it
/// is complete or given up.
pub(super) async fn run<S, T, B, R>(
    shared: &Shared<S>,
    name: Name,
    (mine, since): (Mine, Instant),
    inner: T,
    mut request: Request<B>,
) -> Turn<R, T::Error>
where
    S: Store,
    T: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes>,
{
    reach("idempotency.claimed");
    let count = |happened| shared.counts.count(&name, happened);
    if mine.attempts > 1 {
        count(Happened::Resumed);
    }
    let mut hold = Hold::new(shared, mine.lease, since);
    let phases = Phases::new(shared.store.clone(), name.clone(), mine);
    request.extensions_mut().insert(phases);

    let handling = AssertUnwindSafe(handle(inner, request, &shared.config)).catch_unwind();
    // The handler is dropped when the lease is lost: what it would do
    // elsewhere, another does.
    let handled = tokio::select! {
        biased;
        handled = handling => handled,
        () = hold.keep() => {
            count(Happened::Lost);
            return Turn::InProgress;
        }
    };
    reach("idempotency.handled");
    let turn = match handled {
        Ok(Handled::Stored(response)) => {
            let stored = hold.complete(&response).await;
            reach("idempotency.completed");
            return match stored {
                Some(Fence::Held) => {
                    count(Happened::Completed);
                    Turn::Answered(response, Given::First)
                }
                Some(Fence::Lost) => {
                    count(Happened::Lost);
                    Turn::InProgress
                }
                None => {
                    count(Happened::Unavailable(None));
                    Turn::Unavailable
                }
            };
        }
        Ok(Handled::NotStored(response)) => Turn::NotStored(response),
        Ok(Handled::Failed(error)) => Turn::Failed(error),
        Ok(Handled::BrokeOff) => Turn::BrokeOff,
        Err(panic) => Turn::Panicked(panic),
    };
    hold.release().await;
    reach("idempotency.released");
    count(Happened::Released);
    turn
}

async fn handle<T, B, R>(mut inner: T, request: Request<B>, config: &Config) -> Handled<R, T::Error>
where
    T: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes>,
{
    let answered = match poll_fn(|context| inner.poll_ready(context)).await {
        Ok(()) => inner.call(request).await,
        Err(error) => Err(error),
    };
    let response = match answered {
        Ok(response) => response,
        Err(error) => return Handled::Failed(error),
    };
    if !config.statuses.stores(response.status()) {
        return Handled::NotStored(response);
    }
    let (parts, body) = response.into_parts();
    match read(body, config.response_at_most).await {
        Ok(body) => Handled::Stored(stored_response(
            parts.status,
            &parts.headers,
            &config.replayed,
            body,
        )),
        // What it did is done: it must not be done again for the sake of an
        // answer that cannot be kept either.
        Err(Unread::UnknownLength | Unread::TooLong) => {
            Handled::Stored(Problem::NotStorable.stored())
        }
        Err(Unread::BrokeOff) => Handled::BrokeOff,
    }
}
