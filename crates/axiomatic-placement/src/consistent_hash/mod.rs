//! Consistent hashing: who owns this key, on every machine, for ever.

mod numbered;

pub use numbered::{
    DecodeShardsError, Jump, JumpBack, MAX_SHARDS, NumberedShards, ShardSet, ShardsError,
};
