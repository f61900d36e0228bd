//! What the latency patterns promise, seen from outside.

mod hedge;
mod timeout;
