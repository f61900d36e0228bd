//! Idempotent requests: the store in memory, the layer, and the completer.

mod bench;
mod bodies;
mod completer;
mod failures;
mod http;
mod laws;
mod phases;
mod stores;
