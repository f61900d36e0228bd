//! What is told of a connection. The names stand in TELEMETRY.md.

use std::fmt;

use axiomatic_core::Name;

/// It was opened.
pub(super) fn opened(name: Name) {
    #[cfg(feature = "tracing")]
    tracing::info!(
        target: "axiomatic::amqp_connection",
        name = name.as_str(),
        "opened"
    );
    let _ = name;
}

/// It ended, or could not be opened.
pub(super) fn away(name: Name, error: impl fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "axiomatic::amqp_connection",
        name = name.as_str(),
        error = %error,
        "away"
    );
    let _ = (name, &error);
}

/// The server does not read what is published by it.
pub(super) fn blocked(name: Name, why: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "axiomatic::amqp_connection",
        name = name.as_str(),
        why,
        "blocked"
    );
    let _ = (name, why);
}

/// The server reads again.
pub(super) fn unblocked(name: Name) {
    #[cfg(feature = "tracing")]
    tracing::info!(
        target: "axiomatic::amqp_connection",
        name = name.as_str(),
        "unblocked"
    );
    let _ = name;
}
