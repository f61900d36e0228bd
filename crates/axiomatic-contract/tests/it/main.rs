//! The kit is itself under test: layers that are right pass it, and each
//! obligation has layers that break it and nothing else.

mod sample;
mod tower_layers;
mod wrong;
