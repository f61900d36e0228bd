//! The vocabulary of Axiomatic: one word per idea, the same in every crate.
//!
//! A pattern crate *asks* with `admit`, is answered with a `Permit` or with
//! [`Rejected`], and *tells* with `record` what became of the call, as an
//! [`Outcome`]. Everything those words mean is defined here, with no runtime
//! and no tower, so that two patterns agree without knowing each other:
//!
//! | Module | Holds |
//! |---|---|
//! | [`time`] | [`Instant`](time::Instant), [`Clock`](time::Clock): time is an argument, only adapters read it |
//! | [`reject`] | [`Rejected`], [`Reason`], [`Refusable`]: a refusal is data |
//! | [`name`] | [`Name`]: what a mechanism is called, bounded |
//! | [`outcome`] | [`Outcome`], [`Classify`]: one classification for all patterns |
//! | [`context`] | [`Context`], [`Deadline`](context::Deadline), [`Priority`](context::Priority), [`AdmissionLevel`](context::AdmissionLevel): what a request carries from layer to layer |
//! | [`repeat`] | [`Repeat`](repeat::Repeat): whether a request may be sent twice, and how a second one is made |
//! | [`binding`] | [`Carrier`], [`Complete`], [`Advise`], [`Plain`]: how a layer reads a protocol |
//! | [`allowance`] | [`Allowance`], [`Announce`], [`Heed`]: what a limiter says of what is left, and what it hears of others |
//! | [`budget`] | [`Budget`](budget::Budget), [`RetryBudget`](budget::RetryBudget): what retries and hedges may add to the load |
//! | [`window`] | sliding windows over the last N calls or the last T seconds |
//! | [`histogram`] | [`LatencyHistogram`](histogram::LatencyHistogram): how long calls take, of late, and those not waited for take at least |
//! | [`hash`] | the hash contract: named algorithms over bytes, seeds, rendezvous order |
//! | [`backoff`] | [`Backoff`](backoff::Backoff), [`Jitter`](backoff::Jitter): how long to wait before a retry |
//! | `keyed` | `Keyed`: one value for each key, in bounded memory (feature `keyed`) |
//! | [`pressure`] | [`Pressure`](pressure::Pressure), [`Signal`](pressure::Signal): how near something is to what it can bear |
//! | [`ratio`] | [`Ratio`]: exact shares in integers |
//! | [`mode`] | [`Mode`]: enforce, shadow, off |
//!
//! What the project's own crates share besides, `sync`, `shared`, `mode_cell`,
//! `number_cell`, `luck_cell`, `response`, `models`, `layer_parts!` and `carry_as!`, is hidden: it is not an
//! interface that anybody else should rely on.
//!
//! # Features
//!
//! - `murmur`, `crc`, `md5`, `siphash`: the algorithms of those names in
//!   [`hash`]; XXH3 and XXH64 are always there. All but `murmur` bring a crate.
//! - `keyed`: the keyed store, and with it the crates papaya and seize.
//! - `tokio`: conversions between [`time::Instant`] and tokio's.
//! - `test-util`: clocks follow tokio's paused time. It is the one feature
//!   that changes behaviour, as in tokio itself; enable it in dev-dependencies.
#![forbid(unsafe_code)]

pub mod allowance;
pub mod backoff;
pub mod binding;
pub mod budget;
mod carry_as;
pub mod context;
pub mod hash;
pub mod histogram;
#[cfg(any(feature = "keyed", axiomatic_loom))]
pub mod keyed;
mod layer_parts;
#[doc(hidden)]
pub mod luck_cell;
pub mod mode;
#[doc(hidden)]
pub mod mode_cell;
#[cfg(axiomatic_loom)]
#[doc(hidden)]
pub mod models;
pub mod name;
#[doc(hidden)]
pub mod number_cell;
pub mod outcome;
pub mod pressure;
pub mod ratio;
pub mod reject;
pub mod repeat;
#[doc(hidden)]
pub mod response;
#[doc(hidden)]
pub mod shared;
#[doc(hidden)]
pub mod sync;
pub mod time;
pub mod window;

pub use allowance::{Allowance, Announce, Heed};
pub use binding::{Advice, Advise, Carrier, Complete, Plain, Settle};
pub use context::Context;
pub use mode::Mode;
pub use name::Name;
pub use outcome::{Classify, Outcome};
pub use ratio::Ratio;
pub use reject::{BoxError, Pattern, Reason, Refusable, Rejected};
