//! What a breaker tells the outside, published after the step it reports and
//! under no lock. The names stand in TELEMETRY.md.

#[cfg(any(feature = "tracing", feature = "subscribe"))]
use axiomatic_core::Name;
use axiomatic_core::time::Instant;

use super::Config;
use super::state::{Phase, State};
#[cfg(feature = "subscribe")]
use super::subscription::{Subscribers, Transition, Transitions};

pub(super) struct Telemetry {
    #[cfg(any(feature = "tracing", feature = "subscribe"))]
    name: Name,
    #[cfg(feature = "subscribe")]
    subscribers: Subscribers,
    #[cfg(feature = "metrics")]
    metrics: Metrics,
}

impl Telemetry {
    pub(super) fn new(config: &Config) -> Self {
        #[cfg(not(any(feature = "tracing", feature = "metrics", feature = "subscribe")))]
        let _ = config;
        Telemetry {
            #[cfg(any(feature = "tracing", feature = "subscribe"))]
            name: config.name,
            #[cfg(feature = "subscribe")]
            subscribers: Subscribers::new(),
            #[cfg(feature = "metrics")]
            metrics: Metrics::new(config),
        }
    }

    /// A transition was made. `current` reads the state, because two
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
            admitting_ppm = to.admitting().as_parts_per_million(),
            "transition"
        );
        #[cfg(feature = "subscribe")]
        self.subscribers.tell(|| Transition {
            name: self.name,
            from: from.state(),
            to: to.state(),
            after: now - from.generation.began(),
            admitting: to.admitting(),
            number: to.generation.number(),
        });
        #[cfg(feature = "metrics")]
        self.metrics.moved(to, &current);
        let _ = (from, to, now, current);
    }

    #[cfg(feature = "subscribe")]
    pub(super) fn subscribe(&self) -> Transitions {
        self.subscribers.subscribe()
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
    /// None for one of many breakers of a name, which would overwrite it.
    state: Option<metrics::Gauge>,
    refused: metrics::Counter,
    would_refuse: metrics::Counter,
    transitions: [metrics::Counter; STATES.len()],
}

#[cfg(feature = "metrics")]
impl Metrics {
    fn new(config: &Config) -> Self {
        let name = config.name.as_str();
        let state = (!config.compact).then(|| {
            let state = metrics::gauge!("axiomatic_circuit_breaker_state", "name" => name);
            state.set(f64::from(State::Closed as u8));
            state
        });
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

    /// A state that was set is compared with the one that is: whoever sets
    /// an older one last sees that, and sets it again.
    fn moved(&self, to: Phase, current: impl Fn() -> State) {
        self.transitions[to.state() as usize].increment(1);
        let Some(gauge) = &self.state else {
            return;
        };
        let mut state = current();
        loop {
            gauge.set(f64::from(state as u8));
            let now = current();
            if now == state {
                return;
            }
            state = now;
        }
    }
}

#[cfg(feature = "metrics")]
const STATES: [State; 7] = [
    State::Closed,
    State::Open,
    State::HalfOpen,
    State::ForcedOpen,
    State::ForcedClosed,
    State::Ramping,
    State::Thinning,
];
