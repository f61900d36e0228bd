//! What is told to the outside. The names stand in TELEMETRY.md.

use std::fmt;

use axiomatic_core::Name;

/// Something of a queue that an operator should know.
pub(super) fn caveat(name: Name, queue: &str, caveat: impl fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "axiomatic::amqp_inbox",
        name = name.as_str(),
        queue,
        caveat = %caveat,
        "caveat"
    );
    let _ = (name, queue, &caveat);
}

/// A handler failed.
pub(super) fn failed(name: Name, queue: &str, message_id: &str, error: impl fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::debug!(
        target: "axiomatic::amqp_inbox",
        name = name.as_str(),
        queue,
        message_id,
        error = %error,
        "failed"
    );
    let _ = (name, queue, message_id, &error);
}

/// A handler was stopped.
pub(super) fn stopped(name: Name, queue: &str, message_id: &str, why: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "axiomatic::amqp_inbox",
        name = name.as_str(),
        queue,
        message_id,
        why,
        "stopped"
    );
    let _ = (name, queue, message_id, why);
}

/// A message came for the last time.
pub(super) fn last_delivery(name: Name, queue: &str, message_id: &str, deliveries: u32) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "axiomatic::amqp_inbox",
        name = name.as_str(),
        queue,
        message_id,
        deliveries,
        "last delivery"
    );
    let _ = (name, queue, message_id, deliveries);
}

/// The consumer has begun to consume.
pub(super) fn consuming(name: Name, queue: &str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(
        target: "axiomatic::amqp_inbox",
        name = name.as_str(),
        queue,
        "consuming"
    );
    let _ = (name, queue);
}

/// A channel was lost, or could not be had.
pub(super) fn interrupted(name: Name, queue: &str, error: impl fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "axiomatic::amqp_inbox",
        name = name.as_str(),
        queue,
        error = %error,
        "interrupted"
    );
    let _ = (name, queue, &error);
}
