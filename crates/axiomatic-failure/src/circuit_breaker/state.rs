//! The breaker as a pure function: phase × event → phase. No clock, no
//! atomics, no randomness; the tests take this table row by row.
//!
//! | From | Event | If | To |
//! |---|---|---|---|
//! | closed | asked | | closed, passes |
//! | ramping | proved | in this generation | ramping, its stage is proven |
//! | ramping | asked | its stage is over and proven | ramping, the next stage; closed after the last |
//! | ramping | asked | otherwise | ramping, passes in turn |
//! | thinning | asked | | thinning, passes in turn |
//! | closed, thinning | steered | in this generation | thinning, another share; closed if it is nothing |
//! | closed, ramping, thinning | tripped | in this generation | open |
//! | open | asked | before its end | open, refuses |
//! | open | asked | at its end or later | half-open, the asker is the first probe |
//! | half-open | asked | a probe's lease ran out | open, refuses |
//! | half-open | asked | it has lasted for 6 hours | half-open anew, the asker is the first probe |
//! | half-open | asked | a place is free | half-open, one more probe |
//! | half-open | asked | no place is free | half-open, refuses |
//! | half-open | probe good | as many as required | closed; the first stage of a ramp if there is one |
//! | half-open | probe bad | more than allowed | open |
//! | half-open | probe settled | otherwise | half-open, one probe less |
//! | any but itself | forced | | forced |
//! | any | reset | | closed |
//! | any | anything else, or of another generation | | unchanged |

use std::fmt;
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::time::Instant;

use super::generation::{Generation, Since, Span};
use super::shares::{Ramping, Thinned};

/// What a breaker does at present.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Calls pass and are counted.
    Closed,
    /// Calls are refused.
    Open,
    /// A few probes pass and decide.
    HalfOpen,
    /// Calls are refused until an operator says otherwise.
    ForcedOpen,
    /// Calls pass and are counted, until an operator says otherwise.
    ForcedClosed,
    /// After an outage, a growing share of the calls passes.
    Ramping,
    /// A share of the calls is refused, as large as the failures ask for.
    Thinning,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half-open",
            State::ForcedOpen => "forced open",
            State::ForcedClosed => "forced closed",
            State::Ramping => "ramping",
            State::Thinning => "thinning",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The whole state of a breaker: a generation, and what there is to know in
/// it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    pub(super) generation: Generation,
    pub(super) stance: Stance,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Stance {
    Closed,
    Ramping(Ramping),
    Thinning(Thinned),
    Open(Span),
    HalfOpen(Probes),
    ForcedOpen,
    ForcedClosed,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Probes {
    pub(super) in_flight: u8,
    pub(super) good: u8,
    pub(super) bad: u8,
}

impl Probes {
    const FIRST: Probes = Probes {
        in_flight: 1,
        good: 0,
        bad: 0,
    };
}

/// A half-open phase that nobody has decided for so long begins anew: leases
/// are dated from its beginning, in a number that ends after 19 hours, of
/// which the longest lease takes 12.
pub(super) const HALF_OPEN_LASTS: Duration = Duration::from_secs(6 * 3600);

impl Phase {
    pub(super) const fn closed(generation: Generation) -> Self {
        Phase {
            generation,
            stance: Stance::Closed,
        }
    }

    pub(super) const fn state(self) -> State {
        match self.stance {
            Stance::Closed => State::Closed,
            Stance::Open(_) => State::Open,
            Stance::HalfOpen(_) => State::HalfOpen,
            Stance::ForcedOpen => State::ForcedOpen,
            Stance::ForcedClosed => State::ForcedClosed,
            Stance::Ramping(_) => State::Ramping,
            Stance::Thinning(_) => State::Thinning,
        }
    }

    /// What share of the calls passes.
    pub(super) fn admitting(self) -> Ratio {
        match self.stance {
            Stance::Closed | Stance::ForcedClosed => Ratio::ONE,
            Stance::Open(_) | Stance::HalfOpen(_) | Stance::ForcedOpen => Ratio::ZERO,
            Stance::Ramping(ramping) => ramping.stage.admitting(),
            Stance::Thinning(thinned) => Ratio::parts_per_million(
                Ratio::ONE.as_parts_per_million() - thinned.refused().as_parts_per_million(),
            ),
        }
    }

    /// What share of the calls is refused, where that is steered.
    pub(super) fn thinned(self) -> Ratio {
        match self.stance {
            Stance::Thinning(thinned) => thinned.refused(),
            _ => Ratio::ZERO,
        }
    }

    fn then(self, now: Instant, stance: Stance) -> Phase {
        Phase {
            generation: self.generation.next(now),
            stance,
        }
    }

    fn opened(self, now: Instant, open_for: Duration) -> Phase {
        let generation = self.generation.next(now);
        Phase {
            generation,
            stance: Stance::Open(Span::reaching(generation, now + open_for)),
        }
    }

    fn ramping(self, ramping: Ramping) -> Phase {
        Phase {
            stance: Stance::Ramping(ramping),
            ..self
        }
    }

    /// Without a ramp, which an operator may have taken away, a stage is over
    /// at once.
    fn stage_is_over(self, ramping: Ramping, now: Instant, rules: &Rules) -> bool {
        rules
            .stage
            .is_none_or(|stage| now >= ramping.since.instant(self.generation) + stage)
    }

    fn probing(self, probes: Probes) -> Phase {
        Phase {
            stance: Stance::HalfOpen(probes),
            ..self
        }
    }
}

/// What happens to a breaker.
#[derive(Copy, Clone, Debug)]
pub(super) enum Event {
    /// A caller asks. `lease_ran_out` says that a probe of this phase's
    /// generation is overdue.
    Asked { lease_ran_out: bool },
    /// A call of a generation worked.
    Proved(Generation),
    /// The controller asks for another share of refusals.
    Steered(Generation, Option<Thinned>),
    /// The evidence of a generation suffices to open.
    Tripped(Generation),
    /// A probe of a generation is over.
    Settled(Generation, Verdict),
    /// An operator holds it open.
    ForcedOpen,
    /// An operator holds it closed.
    ForcedClosed,
    /// An operator lets it begin anew.
    Reset,
}

/// What a probe says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Bad,
    /// Nothing: it was dropped, cancelled or ignored.
    Neutral,
}

/// The numbers that a transition depends on.
#[derive(Copy, Clone, Debug)]
pub(super) struct Rules {
    pub(super) required: u8,
    pub(super) allowed: u8,
    pub(super) concurrent: u8,
    /// How long it stays open, should it open now.
    pub(super) open_for: Duration,
    /// How long each stage of a ramp lasts at least; none without a ramp.
    pub(super) stage: Option<Duration>,
}

/// What the caller who caused an event is told.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Go ahead, and say what became of it; if only a share passes, when it
    /// is your turn.
    Pass,
    /// Go ahead as a probe.
    Probe,
    /// Not now; perhaps after this long.
    Refuse(Option<Duration>),
    /// Taken note of.
    Noted,
    /// Evidence of another generation, or where none is taken.
    Late,
}

pub(super) fn next(phase: Phase, event: Event, now: Instant, rules: &Rules) -> (Phase, Answer) {
    use Answer::{Late, Noted, Pass, Probe, Refuse};

    match (phase.stance, event) {
        (Stance::ForcedOpen, Event::ForcedOpen) => (phase, Noted),
        (Stance::ForcedClosed, Event::ForcedClosed) => (phase, Noted),
        (_, Event::ForcedOpen) => (phase.then(now, Stance::ForcedOpen), Noted),
        (_, Event::ForcedClosed) => (phase.then(now, Stance::ForcedClosed), Noted),
        (_, Event::Reset) => (phase.then(now, Stance::Closed), Noted),

        (Stance::Ramping(ramping), Event::Proved(generation)) if generation == phase.generation => {
            let proven = Ramping {
                is_proven: true,
                ..ramping
            };
            (phase.ramping(proven), Noted)
        }
        (Stance::Ramping(ramping), Event::Asked { .. })
            if ramping.is_proven && phase.stage_is_over(ramping, now, rules) =>
        {
            let next = ramping.stage.next().filter(|_| rules.stage.is_some());
            let to = match next {
                None => phase.then(now, Stance::Closed),
                Some(stage) => phase.ramping(Ramping {
                    stage,
                    since: Since::reaching(phase.generation, now),
                    is_proven: false,
                }),
            };
            (to, Pass)
        }
        (
            Stance::Closed | Stance::Ramping(_) | Stance::Thinning(_) | Stance::ForcedClosed,
            Event::Asked { .. },
        ) => (phase, Pass),
        (Stance::ForcedOpen, Event::Asked { .. }) => (phase, Refuse(None)),

        (Stance::Closed | Stance::Ramping(_) | Stance::Thinning(_), Event::Tripped(generation))
            if generation == phase.generation =>
        {
            (phase.opened(now, rules.open_for), Noted)
        }

        (Stance::Closed | Stance::Thinning(_), Event::Steered(generation, thinned))
            if generation == phase.generation =>
        {
            let stance = thinned.map_or(Stance::Closed, Stance::Thinning);
            (Phase { stance, ..phase }, Noted)
        }

        (Stance::Open(span), Event::Asked { .. }) => {
            let end = span.end(phase.generation);
            if now < end {
                return (phase, Refuse(Some(end - now)));
            }
            (phase.then(now, Stance::HalfOpen(Probes::FIRST)), Probe)
        }

        (Stance::HalfOpen(probes), Event::Asked { lease_ran_out }) => {
            if lease_ran_out {
                (
                    phase.opened(now, rules.open_for),
                    Refuse(Some(rules.open_for)),
                )
            } else if now - phase.generation.began() >= HALF_OPEN_LASTS {
                (phase.then(now, Stance::HalfOpen(Probes::FIRST)), Probe)
            } else if probes.in_flight < rules.concurrent {
                let in_flight = probes.in_flight + 1;
                (
                    phase.probing(Probes {
                        in_flight,
                        ..probes
                    }),
                    Probe,
                )
            } else {
                (phase, Refuse(None))
            }
        }

        (Stance::HalfOpen(probes), Event::Settled(generation, verdict))
            if generation == phase.generation =>
        {
            let probes = Probes {
                in_flight: probes.in_flight.saturating_sub(1),
                good: probes
                    .good
                    .saturating_add((verdict == Verdict::Good).into()),
                bad: probes.bad.saturating_add((verdict == Verdict::Bad).into()),
            };
            // Each verdict is judged by its own count: a dropped probe
            // decides nothing, even if the rules were changed meanwhile.
            let to = match verdict {
                Verdict::Good if probes.good >= rules.required => {
                    let ramp = rules.stage.map(|_| Stance::Ramping(Ramping::FIRST));
                    phase.then(now, ramp.unwrap_or(Stance::Closed))
                }
                Verdict::Bad if probes.bad > rules.allowed => phase.opened(now, rules.open_for),
                _ => phase.probing(probes),
            };
            (to, Noted)
        }

        (_, Event::Tripped(_) | Event::Settled(..) | Event::Steered(..) | Event::Proved(_)) => {
            (phase, Late)
        }
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests;
