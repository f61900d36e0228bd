//! The relay over the store in memory.

mod relaying;
