//! What the script orders, and what it sees.

use std::fmt;

/// What a [`Probe`](crate::Probe)'s `poll_ready` says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// Ready.
    Ready,
    /// Not ready, until the script says something else.
    Pending,
    /// Never ready again, also where it was: a [`Failure`](crate::Failure).
    Failing,
}

/// What a call of a [`Probe`](crate::Probe) does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// Answers at the first poll.
    Answer,
    /// Is pending until [`Script::step`](crate::Script::step) was called this many times, then
    /// answers.
    AnswerAfter(usize),
    /// Is pending until [`Script::step`](crate::Script::step) was called this many times, then
    /// fails.
    FailAfter(usize),
    /// Is pending until [`Script::step`](crate::Script::step) was called this many times, then
    /// panics.
    PanicAfter(usize),
    /// Panics in `call` itself.
    PanicInCall,
    /// Never answers.
    Never,
}

/// Something that was done to a [`Probe`](crate::Probe).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// `clone`, which made instance `to`.
    Cloned {
        /// The instance cloned.
        from: u64,
        /// The instance made.
        to: u64,
    },
    /// `poll_ready`.
    PolledReady {
        /// The instance polled.
        instance: u64,
        /// What it said.
        said: Readiness,
    },
    /// `call`.
    Called {
        /// The instance called.
        instance: u64,
        /// The number of the request.
        request: u64,
        /// Whether the instance had said that it was ready, and had not been
        /// called since.
        readied: bool,
    },
    /// The future of a call was polled.
    Polled {
        /// The number of the request.
        request: u64,
        /// Whether the future was done.
        done: bool,
    },
    /// The future of a call was polled after it had been done.
    PolledAgain {
        /// The number of the request.
        request: u64,
    },
    /// The future of a call was dropped.
    Dropped {
        /// The number of the request.
        request: u64,
        /// Whether it was done.
        done: bool,
    },
    /// An instance was dropped.
    Discarded {
        /// The instance.
        instance: u64,
        /// Whether it had been readied for a call that never came.
        readied: bool,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Event::Cloned { from, to } => write!(f, "inner {from} cloned as inner {to}"),
            Event::PolledReady { instance, said } => {
                write!(f, "inner {instance} polled for readiness: {said:?}")
            }
            Event::Called {
                instance,
                request,
                readied,
            } => {
                let unready = if readied { "" } else { ", NOT READIED" };
                write!(f, "inner {instance} called with request {request}{unready}")
            }
            Event::Polled { request, done } => {
                let state = if done { "done" } else { "pending" };
                write!(f, "future of request {request} polled: {state}")
            }
            Event::PolledAgain { request } => {
                write!(f, "future of request {request} polled AGAIN")
            }
            Event::Dropped { request, done } => {
                let state = if done { "done" } else { "in flight" };
                write!(f, "future of request {request} dropped, {state}")
            }
            Event::Discarded { instance, readied } => {
                let state = if readied { ", readied and unused" } else { "" };
                write!(f, "inner {instance} dropped{state}")
            }
        }
    }
}
