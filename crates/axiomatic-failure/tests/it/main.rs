//! What the failure patterns promise, seen from outside.

mod circuit_breaker;
mod model;
mod reference;
mod regressions;
mod service;
