//! The throttler through tower.
