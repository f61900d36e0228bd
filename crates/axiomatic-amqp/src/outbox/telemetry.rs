//! What is told of a publisher. The names stand in TELEMETRY.md.

use std::fmt;

/// Something of a queue that an operator should know.
pub(super) fn caveat(queue: &str, caveat: impl fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "axiomatic::amqp_outbox",
        queue,
        caveat = %caveat,
        "caveat"
    );
    let _ = (queue, &caveat);
}
