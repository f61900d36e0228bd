//! What steps do, without the types of what they take and return.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axiomatic_core::BoxError;
use bytes::Bytes;
use serde::Serialize;

use super::context::{Context, Was};
use super::handle::Outputs;
use crate::saga::fault::Fault;
use crate::saga::locks::Lock;
use crate::saga::store::{Store, Then};

/// A future that somebody else runs.
pub(crate) type Doing<T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>>;

/// What a step does.
pub(crate) struct Action<S: Store> {
    pub(crate) run: Run<S>,
    pub(crate) undo: Option<UndoRun<S>>,
    pub(crate) probe: Option<Probe>,
    /// For how many it is, if it is for each of many.
    pub(crate) count: Option<Count>,
}

pub(crate) enum Run<S: Store> {
    Foreign(Foreign),
    Local(Local<S>),
    /// It waits; what comes of it is in the log.
    Wait,
    /// It asks for locks.
    Lock(Arc<LockAction>),
}

pub(crate) enum UndoRun<S: Store> {
    Foreign(ForeignUndo),
    Local(LocalUndo<S>),
}

/// What a step asks for, and by which request.
pub(crate) struct LockAction {
    /// The step that waits until it has them, by name.
    pub(crate) name: Arc<str>,
    pub(crate) waits: bool,
    pub(crate) locks: Locks,
}

type Locks = Box<dyn Fn(&Outputs<'_>) -> Result<Vec<Lock>, BoxError> + Send + Sync>;

/// Gets the values out of what there is, and begins.
type Foreign = Box<dyn Fn(Context, &Outputs<'_>) -> Result<Doing<Bytes>, BoxError> + Send + Sync>;
type ForeignUndo =
    Box<dyn Fn(Context, &Outputs<'_>, Was<Bytes>) -> Result<Doing<()>, BoxError> + Send + Sync>;
type Probe =
    Box<dyn Fn(Context, &Outputs<'_>) -> Result<Doing<Option<Bytes>>, BoxError> + Send + Sync>;
type Local<S> =
    Box<dyn Fn(Context, &Outputs<'_>, Then) -> Result<<S as Store>::Work, BoxError> + Send + Sync>;
type LocalUndo<S> = Box<
    dyn Fn(Context, &Outputs<'_>, Was<Bytes>, Then) -> Result<<S as Store>::Work, BoxError>
        + Send
        + Sync,
>;
type Count = Box<dyn Fn(&Outputs<'_>) -> Result<usize, BoxError> + Send + Sync>;

/// Something that is done in the saga's own database: exactly once, since it
/// commits with the line of the log that says so.
///
/// Each store makes them of closures, of the shape of its own transactions:
/// [`MemorySagas::local`](crate::saga::MemorySagas::local) and its like. A
/// function that defines a saga for any store takes them as arguments.
pub trait LocalAction<S: Store, V, O>: Send + Sync + 'static {
    /// For engines: the work that does this with these values, gives the
    /// [encoded](encode) output to `then`, and returns what that says.
    fn work(&self, context: Context, values: V, then: Then) -> S::Work;
}

/// For engines: an output of local work as it is stored.
///
/// # Errors
///
/// [`Fault::Failed`] if it cannot be: the work's transaction is rolled back.
pub fn encode<O: Serialize>(output: &O) -> Result<Bytes, Fault> {
    to_json(output).map_err(|error| Fault::Failed(error.into()))
}

/// An output of what was done elsewhere: if it cannot be written, it was done
/// nevertheless.
pub(super) fn encode_foreign<O: Serialize>(output: &O) -> Result<Bytes, Fault> {
    to_json(output).map_err(|error| Fault::Unknown(error.into()))
}

/// A value as JSON: in one allocation of its size if it is small, and in none
/// if there is nothing in it.
pub(crate) fn to_json<T: Serialize>(value: &T) -> serde_json::Result<Bytes> {
    const SMALL: usize = 128;
    let mut small = [0; SMALL];
    let mut free = &mut small[..];
    if serde_json::to_writer(&mut free, value).is_err() {
        // There was no room, or it cannot be written, which is said now.
        return serde_json::to_vec(value).map(Bytes::from);
    }
    let written = SMALL - free.len();
    Ok(match &small[..written] {
        b"null" => Bytes::from_static(b"null"),
        json => Bytes::copy_from_slice(json),
    })
}
