//! A test kit that holds any tower layer to the obligations of
//! `tower::Service`.
#![forbid(unsafe_code)]

mod checks;
mod contract;
pub mod local;
mod obligation;
mod report;
mod script;
mod subject;
mod task;

pub use contract::Contract;
pub use obligation::{Class, Obligation};
pub use report::{Report, Verdict, Violation};
pub use script::{Event, Failure, Probe, ProbeFuture, Readiness, Reply, Request, Response, Script};
pub use subject::Subject;
