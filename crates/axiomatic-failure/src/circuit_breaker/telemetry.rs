//! What a breaker tells the outside, published after the step it reports and
//! under no lock. The names stand in TELEMETRY.md.

use axiomatic_core::Name;
use axiomatic_core::time::Instant;

use super::state::{Phase, State};

pub(super) struct Telemetry {
    #[cfg(feature = "tracing")]
    name: Name,
    #[cfg(feature = "metrics")]
    metrics: Metrics,
}

impl Telemetry {
    pub(super) fn new(name: Name) -> Self {
        #[cfg(not(any(feature = "tracing", feature = "metrics")))]
        let _ = name;
        Telemetry {
            #[cfg(feature = "tracing")]
            name,
            #[cfg(feature = "metrics")]
            metrics: Metrics::new(name),
        }
    }

    /// A transition was made. `current` reads the state anew, because two
    /// transitions may be reported in either order, and a gauge must not end
    /// with the older one.
    pub(super) fn moved(&self, from: Phase, to: Phase, now: Instant, current: impl Fn() -> State) {
        #[cfg(feature = "tracing")]
        tracing::info!(
            target: "axiomatic::circuit_breaker",
            name = self.name.as_str(),
            from = from.state().as_str(),
            to = to.state().as_str(),
            after_ms = (now - from.generation.began()).as_millis() as u64,
            "transition"
        );
        #[cfg(feature = "metrics")]
        self.metrics.moved(to, current());
        let _ = (from, to, now, current);
    }

    /// A call was let through in shadow that would have been refused.
    pub(super) fn would_refuse(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.would_refuse.increment(1);
    }

    /// A call was refused.
    #[inline]
    pub(super) fn refused(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.refused.increment(1);
    }
}

#[cfg(feature = "metrics")]
struct Metrics {
    state: metrics::Gauge,
    refused: metrics::Counter,
    would_refuse: metrics::Counter,
    transitions: [metrics::Counter; 5],
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(name: Name) -> Self {
        let name = name.as_str();
        let state = metrics::gauge!("axiomatic_circuit_breaker_state", "name" => name);
        state.set(f64::from(State::Closed as u8));
        Metrics {
            state,
            refused: metrics::counter!("axiomatic_circuit_breaker_refused_total", "name" => name),
            would_refuse: metrics::counter!(
                "axiomatic_circuit_breaker_would_refuse_total",
                "name" => name
            ),
            transitions: STATES.map(|to| {
                metrics::counter!(
                    "axiomatic_circuit_breaker_transitions_total",
                    "name" => name,
                    "to" => to.as_str()
                )
            }),
        }
    }

    fn moved(&self, to: Phase, current: State) {
        self.transitions[to.state() as usize].increment(1);
        self.state.set(f64::from(current as u8));
    }
}

#[cfg(feature = "metrics")]
const STATES: [State; 5] = [
    State::Closed,
    State::Open,
    State::HalfOpen,
    State::ForcedOpen,
    State::ForcedClosed,
];
