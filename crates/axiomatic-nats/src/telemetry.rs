//! What is told to the outside. The names stand in TELEMETRY.md.

use std::fmt;

use axiomatic_core::Name;

/// Something of a stream that an operator should know.
pub(crate) fn caveat(name: Name, stream: &str, caveat: impl fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "axiomatic::nats_outbox",
        name = name.as_str(),
        stream,
        caveat = %caveat,
        "caveat"
    );
    let _ = (name, stream, &caveat);
}

/// The server was started anew before what it had confirmed was old enough.
pub(crate) fn restarted(name: Name, messages: usize) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "axiomatic::nats_outbox",
        name = name.as_str(),
        messages,
        "server restarted"
    );
    let _ = (name, messages);
}

/// A handler failed, or answered that it wants the message again.
pub(crate) fn failed(name: Name, stream_sequence: u64, error: impl fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::debug!(
        target: "axiomatic::nats_inbox",
        name = name.as_str(),
        stream_sequence,
        error = %error,
        "failed"
    );
    let _ = (name, stream_sequence, &error);
}

/// A handler was stopped.
pub(crate) fn stopped(name: Name, stream_sequence: u64, why: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "axiomatic::nats_inbox",
        name = name.as_str(),
        stream_sequence,
        why,
        "stopped"
    );
    let _ = (name, stream_sequence, why);
}

/// The server gives no messages.
pub(crate) fn nothing_given(name: Name, why: &str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(
        target: "axiomatic::nats_inbox",
        name = name.as_str(),
        why,
        "nothing given"
    );
    let _ = (name, why);
}
