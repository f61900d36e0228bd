//! Consistent hashing: who owns this key, on every machine, for ever.

mod numbered;
