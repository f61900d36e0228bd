//! What the failure patterns promise, seen from outside.

mod adaptive;
mod circuit_breaker;
#[cfg(feature = "keyed")]
mod keyed;
mod model;
mod ramp;
mod reference;
mod regressions;
mod retry;
mod service;
mod signal;
mod slow_in_flight;
mod subscription;
