//! A proxy between a client and a server, both on this machine, that breaks
//! their connections.
//!
//! ```no_run
//! use axiomatic_testbed::proxy::{At, Fault, FaultProxy, Trigger, Way, Whom};
//!
//! let proxy = FaultProxy::to(5432);
//! // Clients connect to `proxy.port()` instead.
//! proxy.inflict(&Fault::Blackhole, Whom::All);
//! // They find out, or do not.
//! proxy.heal();
//! // The next commit is done, and whoever asked for it does not hear so.
//! let commit = axiomatic_testbed::postgres::COMMIT;
//! proxy.cut_when(Trigger::on(Way::ToServer, commit, At::Answer));
//! ```
//!
//! A [`Fault`] is for one direction or for both, and for connections that are
//! there, that are made from now on, or both. It is in force for all bytes that
//! had not yet passed when it was inflicted. What passes keeps its order; and
//! what was swallowed leaves a hole, behind which nothing arrives.
//!
//! As a command: `cargo run -p axiomatic-testbed --bin fault-proxy -- --help`.

mod connection;
mod counts;
mod fault;
mod fault_proxy;
mod plan;
mod script;
mod shared;
mod trigger;

pub use counts::Counts;
pub use fault::{Ending, Fault, Side, Way, Whom};
pub use fault_proxy::FaultProxy;
pub use script::{Script, Step};
pub use trigger::{At, Trigger};
