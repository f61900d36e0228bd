//! Servers that fail, and connections that break: the relay goes on after
//! each, what is committed is published, and what is not is not.
//!
//! Whatever is stopped or killed here is a server of the test's own.
#![cfg(unix)]

#[allow(dead_code, reason = "each of the binaries needs a part of it")]
mod load;
#[allow(dead_code, reason = "each of the binaries needs a part of it")]
#[path = "it/support.rs"]
mod support;

mod faults {
    mod answers;
    mod broker;
    mod commits;
    mod consumer;
    mod proxied;
    mod proxied_inbox;
    mod requests;
    mod scene;
    mod server;
}
