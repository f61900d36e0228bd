//! The header fields in which a request's context crosses a process.
//!
//! # The problem
//!
//! A context ends with its process, and load multiplies between processes: a
//! service three calls away works for 10 s on what its user gave up after 1,
//! and each of three services on the way makes 3 attempts of one, which are
//! 27 at the end.
//!
//! # Example
//!
//! [`InboundLayer`](crate::InboundLayer) and
//! [`OutboundLayer`](crate::OutboundLayer) read and write all of them. By
//! hand:
//!
//! ```
//! use axiomatic_http::fields;
//! use http::HeaderMap;
//! use std::time::Duration;
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(&fields::TIMEOUT, fields::timeout_value(Duration::from_micros(2500)));
//! assert_eq!(headers["axiomatic-timeout-ms"], "2");
//! assert_eq!(fields::timeout(&headers), Some(Duration::from_millis(2)));
//! ```
//!
//! # How it works
//!
//! | Field | Of | Value | Says |
//! |---|---|---|---|
//! | [`axiomatic-timeout-ms`](TIMEOUT) | request | whole milliseconds | how long the caller still waits |
//! | [`grpc-timeout`](GRPC_TIMEOUT) | request | up to 8 digits, and a unit of `H` `M` `S` `m` `u` `n` | the same, for gRPC |
//! | [`axiomatic-attempt`](ATTEMPT) | request | a number from 1 | which attempt of the caller it is |
//! | [`axiomatic-priority`](PRIORITY) | request | a number from 0 to 255, or a class and a level in it: `sheddable-plus;level=3` | how much it matters; [as a number](Priority::as_u8) |
//! | [`axiomatic-retried`](RETRIED) | request | `?1` | somebody further out repeats it, so nobody further in should |
//! | [`axiomatic-retry`](RETRY) | answer | `never` | it failed for good, so nobody further out should repeat it |
//! | [`axiomatic-admission-level`](ADMISSION_LEVEL) | answer | `128;refused=16384` | less than priority 128 is refused, and of what has just that 16,384 of 65,536 requests |
//!
//! A field of a request that is absent says what [`Context::default`] says. All
//! values but gRPC's are items of structured fields (RFC 9651), of which no
//! other spelling is read, and the names are our own, without `X-` (RFC 6648).
//! Others have names for some of this, and none
//! for all of it: Envoy's `x-envoy-*` are removed and written anew at each
//! Envoy, Finagle's and linkerd 1's deadlines are absolute, and gRPC has an
//! attempt number that only its own retries write.
//!
//! **Time is relative.** A point in time would have to be read by another
//! clock, and a clock that is a minute wrong would refuse everything or
//! nothing. How long is left is right to the time that the request is under
//! way. It is rounded down, to what the unit can say, so that nobody further
//! in has more time than those further out; below one millisecond it is
//! written as 1, since 0 says that it has run out, and less than that is lost
//! on the way anyhow.
//!
//! **A priority** is written as a number. A class is read for the sake of people,
//! who write header fields by hand: `sheddable`, `sheddable-plus`, `critical` or
//! `critical-plus`, alone or with a `level` from 0 to 63. The field `Priority` of
//! RFC 9218 (`u=0` to `u=7`) is neither read nor written: it says in which order
//! the answers on one connection are to be sent, not which requests are to be
//! refused, and browsers send it with everything.
//!
//! **The admission level** goes the other way: who sheds load tells its callers
//! what it would refuse, and they keep that back, which costs neither side a
//! request (DAGOR, below). An answer passes those that shed one after
//! the other, from the innermost outward, and arrives with the highest of their
//! levels; only a number that can be read counts as one. That
//! [everything is admitted](AdmissionLevel::ALL) is not written: nobody pays for
//! the field in quiet times. So an answer without the field says nothing, and
//! who has heard a level has to lower it with time, on its own. An answer with an
//! `Age` comes out of a cache, and tells no level: it was that of another moment.
//!
//! **What a stranger can send** is bounded. A longer timeout than
//! [`LONGEST_TIMEOUT`] is read as that, a higher attempt than
//! [`HIGHEST_ATTEMPT`] too. A field that is there twice, or is not exactly of
//! its form, is as good as absent. A short timeout, a high attempt or
//! `retried` is at the expense of who says so; only a priority can be at that
//! of others, and who may claim which is for
//! [`InboundLayer::highest_priority`](crate::InboundLayer::highest_priority)
//! to say. No text of a field becomes a name. A level is the other side's word:
//! one that claims to refuse everything gets no more requests than its caller
//! sends to see whether that is still so.
//!
//! # Guarantees
//!
//! - What is written is read as the same, and a timeout never as a longer one
//!   (`what_is_written_is_read_and_never_longer`).
//! - Time that is left is not written as none
//!   (`time_that_is_left_is_never_written_as_none`).
//! - Whatever is sent, it is read as something in bounds, or as nothing
//!   (`whatever_is_sent_is_in_bounds_or_nothing`,
//!   `what_is_not_exactly_of_its_form_is_nothing`).
//! - A field that is there twice says nothing
//!   (`a_field_that_is_there_twice_says_nothing`).
//! - A class and a level in it are one priority, and nothing else is
//!   (`a_class_is_read_as_its_number`,
//!   `what_is_nearly_a_class_is_no_priority`).
//! - Class and level survive a hop, and a handler's calls have them too
//!   (`class_and_level_survive_a_hop_and_a_child_keeps_them`).
//! - A level that is announced is heard, through every binding and over real
//!   sockets (`what_is_announced_of_a_level_is_heard`,
//!   `each_binding_announces_and_hears_a_level`,
//!   `a_level_is_heard_over_real_sockets`).
//! - The highest level arrives (`of_two_levels_the_higher_stays`), and
//!   nothing is written where everything is admitted
//!   (`where_everything_is_admitted_nothing_is_written`).
//! - A level that is not exactly of its form is not heard
//!   (`a_level_that_is_not_exactly_of_its_form_is_not_heard`,
//!   `a_level_out_of_a_cache_is_not_heard`).
//!
//! # Cost
//!
//! A lookup a field when they are read. Written is only what differs from
//! the default, and each field costs the allocation of its value. A level costs
//! one allocation where load is shed, and nothing where it is not, or where a
//! higher one is there already; to hear it allocates nothing
//! (`tests/allocations.rs` counts). Time was not measured.
//!
//! # When not to use it
//!
//! Towards a service of somebody else's, who gets to know how patient you
//! are and has no use for it: leave [`OutboundLayer`](crate::OutboundLayer)
//! out of that client. A level that strangers hear tells them how busy you are,
//! and which claim of a priority would still be admitted: an edge that hands on
//! answers from further in removes the field from them.
//!
//! # References
//!
//! gRPC over HTTP/2, "Timeout"; RFC 9651, "Structured Field Values"; Google
//! SRE, "Addressing Cascading Failures", on propagated deadlines; H. Zhou et
//! al., *Overload Control for Scaling WeChat Microservices* (SoCC 2018), on
//! levels that travel back.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::time::Duration;

use http::{HeaderName, HeaderValue};

pub use read::{admission_level, attempt, forbids_retry, is_retried, priority, timeout};
pub use write::{
    admission_level_value, announce_level, forbid_retry, grpc_timeout_value, timeout_value,
};
pub(crate) use write::{write, write_grpc_timeout};

/// How long the caller still waits, in milliseconds.
pub static TIMEOUT: HeaderName = HeaderName::from_static("axiomatic-timeout-ms");

/// How long the caller of a gRPC method still waits.
pub static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Which attempt it is.
pub static ATTEMPT: HeaderName = HeaderName::from_static("axiomatic-attempt");

/// How much the request matters.
pub static PRIORITY: HeaderName = HeaderName::from_static("axiomatic-priority");

/// That somebody further out repeats the request.
pub static RETRIED: HeaderName = HeaderName::from_static("axiomatic-retried");

/// In an answer: that nobody further out should repeat the request.
pub static RETRY: HeaderName = HeaderName::from_static("axiomatic-retry");

/// In an answer: from which priority on requests are admitted.
pub static ADMISSION_LEVEL: HeaderName = HeaderName::from_static("axiomatic-admission-level");

/// The longest timeout that is read or written. Nobody waits a day for an
/// answer; whoever says so means that there is no hurry.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The highest attempt that is read or written, which no retry comes to.
pub const HIGHEST_ATTEMPT: u32 = 100;

const YES: HeaderValue = HeaderValue::from_static("?1");
const NEVER: HeaderValue = HeaderValue::from_static("never");

/// What stands between a level's priority and how many of it are refused.
const REFUSED: &[u8] = b";refused=";

// For the links on this page.
#[cfg(doc)]
use axiomatic_core::{
    Context,
    context::{AdmissionLevel, Priority},
};
