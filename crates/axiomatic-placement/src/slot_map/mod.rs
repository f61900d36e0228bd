//! A slot map.

mod config;
mod copies;
mod diff;
mod error;
#[cfg(feature = "serde")]
mod json;
mod map;
mod owners;
mod plan;
mod ranges;
mod rebalance;
mod shares;
mod slotting;
mod stored;
mod table;

pub use config::{Config, Spread};
pub use diff::{Diff, Move, Role};
pub use error::{ApplyError, DecodeError, EncodeError, SlotMapError};
pub use map::{Held, SlotMap, Spreading};
pub use plan::Plan;
pub use ranges::{Ranges, RangesError};
pub use slotting::{Slotting, hash_tag};
