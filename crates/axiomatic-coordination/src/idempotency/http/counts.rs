//! What a layer and its completers count, for operators.

use std::fmt;

use axiomatic_core::number_cell::Tally;

use crate::StoreError;
use crate::idempotency::Name;

#[derive(Debug)]
pub(super) struct Counts {
    completed: Tally,
    replayed: Tally,
    conflicts: Tally,
    mismatches: Tally,
    resumed: Tally,
    released: Tally,
    lost: Tally,
    unavailable: Tally,
    adopted: Tally,
    given_up: Tally,
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happened<'a> {
    /// It was run, and its answer is stored.
    Completed,
    /// Its stored answer was given again.
    Replayed,
    /// Its client was told that it is being run.
    Conflict,
    /// Its key was used for another request.
    Mismatch,
    /// It goes on from where an earlier run has left it.
    Resumed,
    /// It was given up without an answer that is stored.
    Released,
    /// Another may have it, while it was run.
    Lost,
    /// The store did not answer.
    Unavailable(Option<&'a StoreError>),
    /// It is run without its client.
    Adopted,
    /// It is run without its client no more.
    GivenUp,
}

/// One event, of the request of this name. The messages stand in TELEMETRY.md.
#[cfg(feature = "tracing")]
macro_rules! tell {
    ($level:ident, $name:expr, $message:literal $(, $field:ident = $value:expr)*) => {
        tracing::$level!(
            target: "axiomatic::idempotency",
            tenant = &*$name.scope.tenant,
            method = &*$name.scope.method,
            route = &*$name.scope.route,
            key = $name.key.as_str(),
            $($field = $value,)*
            $message
        )
    };
}

impl Counts {
    pub(super) fn new() -> Self {
        Counts {
            completed: Tally::new(),
            replayed: Tally::new(),
            conflicts: Tally::new(),
            mismatches: Tally::new(),
            resumed: Tally::new(),
            released: Tally::new(),
            lost: Tally::new(),
            unavailable: Tally::new(),
            adopted: Tally::new(),
            given_up: Tally::new(),
        }
    }

    pub(super) fn count(&self, name: &Name, happened: Happened<'_>) {
        let tally = match happened {
            Happened::Completed => &self.completed,
            Happened::Replayed => &self.replayed,
            Happened::Conflict => &self.conflicts,
            Happened::Mismatch => &self.mismatches,
            Happened::Resumed => &self.resumed,
            Happened::Released => &self.released,
            Happened::Lost => &self.lost,
            Happened::Unavailable(error) => {
                // Without tracing, nobody else looks at it.
                let _ = error;
                &self.unavailable
            }
            Happened::Adopted => &self.adopted,
            Happened::GivenUp => &self.given_up,
        };
        tally.count();
        #[cfg(feature = "tracing")]
        match happened {
            Happened::Completed | Happened::Released => {}
            Happened::Replayed => tell!(debug, name, "replayed"),
            Happened::Conflict => tell!(debug, name, "in progress"),
            Happened::Mismatch => tell!(debug, name, "key reused"),
            Happened::Resumed => tell!(debug, name, "resumed"),
            Happened::Lost => tell!(warn, name, "lease lost"),
            Happened::Unavailable(error) => {
                let error = error.map_or("no answer in time".to_owned(), ToString::to_string);
                tell!(warn, name, "store unavailable", error = &*error);
            }
            Happened::Adopted => tell!(info, name, "adopted"),
            Happened::GivenUp => tell!(warn, name, "given up"),
        }
        let _ = name;
    }

    /// Nobody's request: the store did not answer a completer.
    pub(super) fn completer_failed(&self, error: &StoreError) {
        self.unavailable.count();
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "axiomatic::idempotency",
            error = &*error.to_string(),
            "completer failed"
        );
        let _ = error;
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            completed: self.completed.load(),
            replayed: self.replayed.load(),
            conflicts: self.conflicts.load(),
            mismatches: self.mismatches.load(),
            resumed: self.resumed.load(),
            released: self.released.load(),
            lost: self.lost.load(),
            unavailable: self.unavailable.load(),
            adopted: self.adopted.load(),
            given_up: self.given_up.load(),
        }
    }
}

/// What a layer, all its services and its completers have counted since it
/// was made.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Requests that were run, with an answer that is stored.
    pub completed: u64,
    /// Answers that were given again.
    pub replayed: u64,
    /// Requests whose client was told that they are being run.
    pub conflicts: u64,
    /// Requests under a key that was used for another.
    pub mismatches: u64,
    /// Runs that went on from where an earlier one had ended.
    pub resumed: u64,
    /// Runs that ended without an answer that is stored.
    pub released: u64,
    /// Runs that were stopped because another may have the request.
    pub lost: u64,
    /// Requests that failed because the store did not answer.
    pub unavailable: u64,
    /// Runs without a client.
    pub adopted: u64,
    /// Requests that are run without a client no more.
    pub given_up: u64,
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot {
            completed,
            replayed,
            conflicts,
            mismatches,
            resumed,
            released,
            lost,
            unavailable,
            adopted,
            given_up,
        } = self;
        write!(
            f,
            "{completed} completed, {replayed} replayed; {conflicts} conflicts, {mismatches} \
             mismatches; {resumed} resumed, {released} released, {lost} lost; {adopted} adopted, \
             {given_up} given up; {unavailable} without the store"
        )
    }
}
