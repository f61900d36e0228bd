//! What tells that there is too much: signals of overload, and the decision
//! that is made of several.
//!
//! A signal says how near something is to what it can bear, in the measure of
//! [`Pressure`](axiomatic_core::pressure::Pressure): 100 % is at the target.
//! Each has a target of its own, so that they can be compared, and the highest
//! decides.
//!
//! | Signal | Measures | Against | Asked, it costs |
//! |---|---|---|---|
//! | [`InFlight`] | slots that are taken | a share of the limit | some loads |
//! | [`QueueDelay`] | how long calls wait for a slot | a time | the queue's lock |
//! | `Lag` (feature `tokio`) | how much too late the runtime wakes a task | a time | 9 loads |
//! | [`Cpu`] | the busy share of the processors that this process may use | a share of them | 2 loads; some files every 100 ms |
//! | [`Stall`] | the share of the time in which tasks of this cgroup stood still for want of a processor, or of memory | a share of the time | 2 loads; a file every second |
//! | [`Memory`] | memory that cannot be had back | a share of the limit | 2 loads; some files every second |
//! | [`Watched`] | anything | what you say | yours |
//!
//! A `CircuitBreaker` of `axiomatic-failure` is a signal itself, and so is
//! whatever else implements [`Signal`](axiomatic_core::pressure::Signal).
//!
//! # Example
//!
//! ```
//! use axiomatic_capacity::bulkhead::Config;
//! use axiomatic_capacity::load_shed::signal::{Cpu, InFlight, Overload, SignalError};
//! use axiomatic_core::Ratio;
//! use axiomatic_core::pressure::Signal;
//! use axiomatic_core::time::Clock;
//! use std::num::NonZeroU32;
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bulkhead = Config::new(NonZeroU32::new(100).unwrap()).build()?;
//! let mut signals: Vec<Arc<dyn Signal>> =
//!     vec![Arc::new(InFlight::of(bulkhead.clone(), Ratio::percent(90)))];
//! match Cpu::of_this_cgroup(Ratio::percent(85)) {
//!     Ok(cpu) => signals.push(Arc::new(cpu)),
//!     Err(SignalError::Unsupported) => {} // a laptop that is not Linux
//!     Err(error) => return Err(error.into()),
//! }
//! let mut overload = Overload::new(signals);
//! let look = overload.look(Clock::Precise.now());
//! assert!(!look.overloaded, "{look:?}");
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - Overload begins at one threshold and ends below another, and never
//!   flutters between (`overload_is_what_a_naive_reference_says`).
//! - A signal that panics says nothing for a while, and the others decide
//!   (`a_signal_that_panics_is_left_alone_for_a_while_and_the_others_decide`).
//! - What was read is not read again before its time, however often it is
//!   asked for (`what_was_read_is_not_read_again_before_its_time`).
//! - What cannot be read any more is believed for a while, then says nothing,
//!   and is counted (`what_cannot_be_read_any_more_is_believed_for_a_while_only`).
//! - Whatever a file holds, reading it does not panic
//!   (`no_content_of_a_file_makes_a_parser_panic`).
//! - A runtime that is blocked is seen while it is
//!   (`a_runtime_that_is_blocked_is_seen_while_it_is`).
//!
//! # When not to use it
//!
//! - Memory that only grows (a cache without a bound, a leak) is no overload:
//!   shedding calls does not bring it back, and all calls would be shed.
//! - A target near what is usual: then the usual is an overload. Look at the
//!   pressure for a week before you act on it.
//!
//! # References
//!
//! The kernel's documentation: *Control Group v2* (cpu.stat, cpu.max,
//! memory.current, memory.stat, memory.high, memory.max), *PSI: Pressure Stall
//! Information*, and proc(5), proc_stat(5), proc_meminfo(5). What kubelet
//! counts as the working set: Kubernetes, *Node-pressure eviction*.

mod cpu;
mod error;
mod in_flight;
mod kept;
#[cfg(feature = "tokio")]
mod lag;
#[cfg(feature = "tokio")]
mod lag_cell;
mod memory;
mod overload;
mod parse;
mod queue_delay;
mod sampled;
mod sampled_cell;
mod source;
mod stall;
mod watched;

pub use cpu::Cpu;
pub use error::{OverloadError, SignalError};
pub use in_flight::InFlight;
#[cfg(feature = "tokio")]
pub use lag::Lag;
pub use memory::Memory;
pub use overload::{Look, Overload};
pub use queue_delay::QueueDelay;
pub use source::Source;
pub use stall::Stall;
pub use watched::Watched;
