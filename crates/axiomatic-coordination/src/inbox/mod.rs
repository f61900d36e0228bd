//! The inbox: a message comes at least once, and changes a database once.

mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod counts;
mod delivery;
mod id;
#[expect(
    clippy::module_inception,
    reason = "the mechanism is named like its pattern"
)]
mod inbox;
pub mod memory;
mod outcome;
mod quarantine;
mod tables;
mod watermark;

pub use config::{Config, ConfigError};
pub use counts::Snapshot;
pub use delivery::{Delivery, MalformedHeader, Which};
pub use id::{Id, IdError, IdRule};
pub use inbox::Inbox;
pub use outcome::{Admission, Error, Fate, Ordered, Outcome};
pub use quarantine::{Quarantined, Start, start};
pub use tables::{Seen, Stream, Tables, Waiting};
pub use watermark::{Because, Gap, Judgement, Policy, Spans, SpansError, Verdict, Watermark};
