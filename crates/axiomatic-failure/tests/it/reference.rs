//! A breaker written to be read, against which the real one is held over
//! random scripts: lists instead of windows, a number for a generation, no
//! packing, no atomics.
//!
//! The property test, the fuzz target and the replay of its findings share
//! it; that is also why it is one file. To prove that a difference would be seen, the reference can be
//! given a [`Bug`]; a script must then tell the two apart.

use std::collections::BTreeMap;
use std::time::Duration;

use axiomatic_core::time::{Clock, Instant, ManualClock};
use axiomatic_core::window::DueWindow;
use axiomatic_core::{Context, Mode, Outcome, Ratio, Rejected};
use axiomatic_failure::circuit_breaker::{
    Adaptive, CircuitBreaker, Config, HalfOpen, OpenFor, OwnedPermit, Ramp, State, ThrottledCounts,
    TripWhen, Window,
};

/// All times of a script are multiples of this, and all durations of a
/// configuration end a little before one: the rounding of the real breaker,
/// some milliseconds, then decides nothing.
const TICK: Duration = Duration::from_millis(100);
const LESS: Duration = Duration::from_millis(40);

fn ticks(count: u32) -> Duration {
    TICK * count
}

fn just_before(count: u32) -> Duration {
    ticks(count) - LESS
}

/// What a script's breaker is like, in small numbers.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Calls of a count window, or 0 for ten ticks of time.
    pub(crate) window_calls: u8,
    pub(crate) consecutive: Option<u8>,
    pub(crate) failure_rate: Option<(u8, u8)>,
    pub(crate) slow_rate: Option<(u8, u8)>,
    pub(crate) combined_rate: Option<(u8, u8)>,
    pub(crate) slow_after: Option<u8>,
    pub(crate) throttled_fails: bool,
    pub(crate) open_ticks: u8,
    pub(crate) longest_ticks: u8,
    pub(crate) stable_ticks: u8,
    pub(crate) required: u8,
    pub(crate) allowed: u8,
    pub(crate) concurrent: u8,
    pub(crate) lease_ticks: u8,
    /// Whether slow calls are seen in flight; then the window is one of time.
    pub(crate) in_flight: bool,
    /// Ticks of a stage, percent forgiven, sample.
    pub(crate) ramp: Option<(u8, u8, u8)>,
    /// Percent of what is accepted, ticks of a step, sample, and whether it
    /// trips as well.
    pub(crate) adaptive: Option<(u8, u8, u8, bool)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// With a slow threshold of its own in ticks, or 0.
    Admit(u8),
    Wait(u8),
    Record(u8, Outcome),
    Drop(u8),
    Cancel(u8),
    Panic(u8),
    ForceOpen,
    ForceClosed,
    Reset,
    Update(u8),
    Mode(Mode),
}

/// What a careless breaker might do.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    StaleResultsDecide,
    DroppedProbesSucceed,
    CancelledProbesSucceed,
    LeasesNeverEnd,
    ClosingKeepsTheWindow,
    IgnoredCallsEndStreaks,
    OpeningsNeverGrow,
    OneProbeTooMany,
    ShadowTakesProbesForCalls,
    SlowCallsCountAgainWhenTheyEnd,
    LateFailuresAreForgotten,
    ThresholdsOfCallsAreIgnored,
    RampsLetEverythingThrough,
    RampsNeverEnd,
    RefusalsAreNoRequests,
}

impl Bug {
    pub(crate) const ALL: [Bug; 15] = [
        Bug::StaleResultsDecide,
        Bug::DroppedProbesSucceed,
        Bug::CancelledProbesSucceed,
        Bug::LeasesNeverEnd,
        Bug::ClosingKeepsTheWindow,
        Bug::IgnoredCallsEndStreaks,
        Bug::OpeningsNeverGrow,
        Bug::OneProbeTooMany,
        Bug::ShadowTakesProbesForCalls,
        Bug::SlowCallsCountAgainWhenTheyEnd,
        Bug::LateFailuresAreForgotten,
        Bug::ThresholdsOfCallsAreIgnored,
        Bug::RampsLetEverythingThrough,
        Bug::RampsNeverEnd,
        Bug::RefusalsAreNoRequests,
    ];
}

#[derive(Copy, Clone, Debug)]
struct Ticket {
    kind: Kind,
    generation: u64,
    due: Option<Instant>,
}

#[derive(Copy, Clone, Debug, PartialEq)]
enum Kind {
    /// With the number of what is known of it while it is under way.
    Call(Option<usize>),
    Probe(u64),
    Unrecorded,
}

#[derive(Copy, Clone, Debug)]
struct Call {
    /// When it ended; in a window that sees calls in flight, when it was due.
    at: Instant,
    failed: bool,
    slow: bool,
    /// Under way: it counts once it is overdue, and as slow.
    pending: bool,
    gone: bool,
}

struct Reference {
    setup: Setup,
    bug: Option<Bug>,
    mode: Mode,
    state: State,
    generation: u64,
    since: Instant,
    until: Instant,
    calls: Vec<Call>,
    /// The last step of a window that sees calls in flight.
    present: u64,
    /// Who asked in this generation while only a share passes.
    turns: u64,
    stage: usize,
    stage_since: Instant,
    stage_is_proven: bool,
    refused: Vec<Instant>,
    refusing: u64,
    next_control: Instant,
    streak: u32,
    /// Probes under way in this generation, and when each is overdue.
    probes: BTreeMap<u64, Instant>,
    next_probe: u64,
    good: u32,
    bad: u32,
    reopenings: u32,
    late: u64,
    would_refuse: u64,
}

impl Reference {
    fn new(setup: Setup, now: Instant, bug: Option<Bug>) -> Self {
        Reference {
            setup,
            bug,
            mode: Mode::Enforce,
            state: State::Closed,
            generation: 0,
            since: now,
            until: now,
            calls: Vec::new(),
            present: 0,
            turns: 0,
            stage: 0,
            stage_since: now,
            stage_is_proven: false,
            refused: Vec::new(),
            refusing: 0,
            next_control: Instant::from_nanos(0),
            streak: 0,
            probes: BTreeMap::new(),
            next_probe: 0,
            good: 0,
            bad: 0,
            reopenings: 0,
            late: 0,
            would_refuse: 0,
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn enter(&mut self, state: State, now: Instant) {
        self.state = state;
        self.generation += 1;
        self.since = now;
        if !self.has(Bug::ClosingKeepsTheWindow) {
            self.calls.clear();
        }
        self.present = 0;
        self.turns = 0;
        self.refused.clear();
        self.refusing = 0;
        self.stage = 0;
        self.stage_since = now;
        self.stage_is_proven = false;
        self.streak = 0;
        self.probes.clear();
        self.good = 0;
        self.bad = 0;
    }

    fn open(&mut self, now: Instant) {
        let stable = just_before(u32::from(self.setup.stable_ticks));
        if matches!(self.state, State::Closed | State::Thinning) && now - self.since >= stable {
            self.reopenings = 0;
        }
        let first = just_before(u32::from(self.setup.open_ticks));
        let longest = just_before(u32::from(self.setup.longest_ticks));
        let doublings = if self.has(Bug::OpeningsNeverGrow) {
            0
        } else {
            self.reopenings.min(20)
        };
        let open_for = (first * 2u32.pow(doublings)).min(longest);
        self.reopenings += 1;
        self.enter(State::Open, now);
        self.until = now + open_for;
    }

    fn admit(&mut self, now: Instant, own: u8) -> Result<Ticket, Option<Instant>> {
        if self.mode == Mode::Off {
            return Ok(self.ticket(Kind::Unrecorded, None));
        }
        let answer = self.ask(now, own);
        match answer {
            Err(_) if self.mode == Mode::Shadow => {
                self.would_refuse += 1;
                let kind = if self.has(Bug::ShadowTakesProbesForCalls) {
                    Kind::Call(None)
                } else {
                    Kind::Unrecorded
                };
                Ok(self.ticket(kind, self.due(now, own)))
            }
            answer => answer,
        }
    }

    fn ask(&mut self, now: Instant, own: u8) -> Result<Ticket, Option<Instant>> {
        let is_asked = self.state != State::ForcedOpen && !self.is_open(now);
        if is_asked && !self.time_passes(now) && self.state == State::Thinning {
            self.steer(now);
        }
        match self.state {
            State::Closed | State::ForcedClosed => Ok(self.call(now, own)),
            State::ForcedOpen => Err(None),
            State::Open if now < self.until => Err(Some(self.until)),
            State::Open => {
                self.enter(State::HalfOpen, now);
                Ok(self.probe(now, own))
            }
            State::HalfOpen => {
                let overdue = self.probes.values().any(|due| *due <= now);
                if overdue && !self.has(Bug::LeasesNeverEnd) {
                    self.open(now);
                    return Err(Some(self.until));
                }
                let places = usize::from(self.setup.concurrent)
                    + usize::from(self.has(Bug::OneProbeTooMany));
                if self.probes.len() < places {
                    Ok(self.probe(now, own))
                } else {
                    Err(None)
                }
            }
            State::Ramping => self.ask_ramping(now, own),
            State::Thinning => {
                let share = 1_000_000 - self.refusing;
                if self.takes_turn(share) {
                    Ok(self.call(now, own))
                } else {
                    self.refused.push(now);
                    Err(None)
                }
            }
            state => unreachable!("the reference knows no state {state}"),
        }
    }

    fn is_open(&self, now: Instant) -> bool {
        self.state == State::Open && now < self.until
    }

    fn ask_ramping(&mut self, now: Instant, own: u8) -> Result<Ticket, Option<Instant>> {
        const SHARES: [u64; 4] = [50_000, 100_000, 250_000, 500_000];
        let (stage_ticks, ..) = self.setup.ramp.expect("it ramps");
        let ends = self.stage_since + just_before(stage_ticks.into());
        if now >= ends && self.stage_is_proven && !self.has(Bug::RampsNeverEnd) {
            let stage = self.stage + 1;
            if stage == SHARES.len() {
                self.enter(State::Closed, now);
                return Ok(self.call(now, own));
            }
            self.stage = stage;
            self.stage_since = now;
            self.stage_is_proven = false;
            self.turns = 0;
        }
        let passes = self.takes_turn(SHARES[self.stage]);
        if passes || self.has(Bug::RampsLetEverythingThrough) {
            return Ok(self.call(now, own));
        }
        let ends = self.stage_since + just_before(stage_ticks.into());
        Err(Some(ends.max(now)))
    }

    fn takes_turn(&mut self, share: u64) -> bool {
        self.turns += 1;
        (self.turns - 1) * share % 1_000_000 < share
    }

    /// A call that passes. Where calls are seen in flight, it is known from
    /// now on.
    fn call(&mut self, now: Instant, own: u8) -> Ticket {
        let due = self.due(now, own);
        let seen = due.filter(|_| self.setup.in_flight && self.state != State::ForcedClosed);
        let seat = seen.map(|due| {
            self.calls.push(Call {
                at: due,
                failed: false,
                slow: false,
                pending: true,
                gone: false,
            });
            self.calls.len() - 1
        });
        self.ticket(Kind::Call(seat), due)
    }

    fn probe(&mut self, now: Instant, own: u8) -> Ticket {
        let id = self.next_probe;
        self.next_probe += 1;
        let mut lease_ends = now + just_before(u32::from(self.setup.lease_ticks));
        let fails_slow = self.setup.in_flight && self.judges_slowness();
        if let Some(due) = self.due(now, own).filter(|_| fails_slow) {
            lease_ends = lease_ends.min(due);
        }
        self.probes.insert(id, lease_ends);
        self.ticket(Kind::Probe(id), self.due(now, own))
    }

    fn ticket(&self, kind: Kind, due: Option<Instant>) -> Ticket {
        Ticket {
            kind,
            generation: self.generation,
            due,
        }
    }

    fn due(&self, now: Instant, own: u8) -> Option<Instant> {
        let after = self.setup.slow_after?;
        let is_own = own > 0 && !self.has(Bug::ThresholdsOfCallsAreIgnored);
        Some(now + just_before(u32::from(if is_own { own } else { after })))
    }

    fn is_slow(ticket: Ticket, now: Instant) -> bool {
        ticket.due.is_some_and(|due| now >= due)
    }

    fn trips(&self) -> bool {
        self.setup.adaptive.is_none_or(|(.., trips)| trips)
    }

    /// Whether a step of a window that sees calls in flight began; then what
    /// became slow meanwhile is judged.
    fn time_passes(&mut self, now: Instant) -> bool {
        let step = now.as_nanos() / self.setup.step_nanos();
        if !self.setup.in_flight || step <= self.present {
            return false;
        }
        self.present = step;
        match self.state {
            State::Ramping if self.is_over_guard(now) => self.open(now),
            State::Closed | State::Thinning if self.rate_is_reached(now) => self.open(now),
            State::Closed | State::Thinning => self.steer(now),
            _ => {}
        }
        true
    }

    fn is_over_guard(&self, now: Instant) -> bool {
        let (_, percent, sample) = self.setup.ramp.expect("it ramps");
        let counts = self.counts(now);
        let whole = counts.0.max(sample.into());
        self.bad_of(counts) * 100 > whole * u64::from(percent)
    }

    fn bad_of(&self, (_, failed, _, either): (u64, u64, u64, u64)) -> u64 {
        if self.judges_slowness() {
            either
        } else {
            failed
        }
    }

    /// The published formula, in floating point.
    fn steer(&mut self, now: Instant) {
        let Some((percent, ticks_of_step, sample, _)) = self.setup.adaptive else {
            return;
        };
        if now < self.next_control {
            return;
        }
        self.next_control = now + just_before(ticks_of_step.into());
        let counts = self.counts(now);
        let bucket = |at: Instant| at.as_nanos() / TICK.as_nanos() as u64;
        let refused = self
            .refused
            .iter()
            .filter(|at| bucket(**at) + 10 > bucket(now))
            .count() as u64;
        let refused = if self.has(Bug::RefusalsAreNoRequests) {
            0
        } else {
            refused
        };
        let requests = counts.0 + refused;
        let accepts = (counts.0 - self.bad_of(counts)) as f64;
        let k = 1.0 + f64::from(percent) / 100.0;
        let share = (requests as f64 - k * accepts) / (requests as f64 + 1.0);
        let share = if requests < u64::from(sample) {
            0.0
        } else {
            share.clamp(0.0, 0.95)
        };
        self.refusing = (share * 1_000_000.0 + 1e-6) as u64;
        self.state = if self.refusing == 0 {
            State::Closed
        } else {
            State::Thinning
        };
    }

    fn judges_slowness(&self) -> bool {
        let conditions = self.setup.slow_rate.is_some() || self.setup.combined_rate.is_some();
        let adapts = self.setup.adaptive.is_some() && self.setup.slow_after.is_some();
        adapts || self.trips() && conditions
    }

    fn record(&mut self, ticket: Ticket, now: Instant, outcome: Outcome) {
        let failed = match outcome {
            Outcome::Success | Outcome::Permanent => false,
            Outcome::Transient => true,
            Outcome::Throttled { .. } if self.setup.throttled_fails => true,
            Outcome::Throttled { .. } | Outcome::Ignored => {
                if self.has(Bug::IgnoredCallsEndStreaks) {
                    self.streak = 0;
                }
                return self.drop(ticket, now);
            }
        };
        let slow = Self::is_slow(ticket, now);
        match ticket.kind {
            Kind::Unrecorded => {}
            Kind::Call(seat) => self.call_ended(ticket, seat, now, failed, !failed),
            Kind::Probe(id) => {
                let bad = failed || slow && self.judges_slowness();
                self.probe_ended(ticket, id, now, Some(!bad));
            }
        }
    }

    fn cancel(&mut self, ticket: Ticket, now: Instant) {
        let slow = Self::is_slow(ticket, now);
        match ticket.kind {
            Kind::Call(seat) if slow => self.call_ended(ticket, seat, now, false, false),
            Kind::Probe(id) if slow && self.judges_slowness() => {
                self.probe_ended(ticket, id, now, Some(false));
            }
            Kind::Probe(id) if self.has(Bug::CancelledProbesSucceed) => {
                self.probe_ended(ticket, id, now, Some(true));
            }
            _ => self.drop(ticket, now),
        }
    }

    fn drop(&mut self, ticket: Ticket, now: Instant) {
        match ticket.kind {
            Kind::Probe(id) => {
                let verdict = self.has(Bug::DroppedProbesSucceed).then_some(true);
                self.probe_ended(ticket, id, now, verdict);
            }
            // Unless it was seen to be slow, it was never there.
            Kind::Call(Some(seat)) if ticket.generation == self.generation => {
                let step = self.setup.step_nanos();
                if self.calls[seat].at.as_nanos() / step >= self.present {
                    self.calls[seat].gone = true;
                }
            }
            Kind::Call(_) | Kind::Unrecorded => {}
        }
    }

    fn call_ended(
        &mut self,
        ticket: Ticket,
        seat: Option<usize>,
        now: Instant,
        failed: bool,
        ends: bool,
    ) {
        if ticket.generation != self.generation && !self.has(Bug::StaleResultsDecide) {
            self.late += 1;
            return;
        }
        let slow = Self::is_slow(ticket, now);
        match seat {
            Some(seat) if ticket.generation == self.generation => {
                self.seen_call_ended(seat, now, failed, slow);
            }
            _ => {
                let step = self.setup.step_nanos();
                self.calls.push(Call {
                    // In a window that sees calls in flight, a slow one that
                    // it did not see belongs to a step that is over, any
                    // other where one that begins now is due.
                    at: match (self.setup.in_flight, slow) {
                        (false, _) => now,
                        (true, true) => Instant::from_nanos(now.as_nanos() - step),
                        (true, false) => {
                            Instant::from_nanos(now.as_nanos() + self.setup.ahead() * step)
                        }
                    },
                    failed,
                    slow,
                    pending: false,
                    gone: false,
                });
            }
        }
        if failed {
            self.streak += 1;
        } else if ends {
            self.streak = 0;
        }
        let decides = failed || slow;
        let bad = failed || slow && self.judges_slowness();
        if !bad && ends {
            self.stage_is_proven = true;
        }
        let reads = self.trips_by_rates() && !self.streak_is_reached(failed);
        if decides && self.state != State::Ramping && reads {
            // Whoever reads the window makes this the present.
            self.present = self.present.max(now.as_nanos() / self.setup.step_nanos());
        }
        match self.state {
            State::Ramping if decides && self.is_over_guard(now) => self.open(now),
            State::Closed | State::Thinning if decides && self.suffices(now, failed) => {
                self.open(now);
            }
            State::Closed | State::Thinning if decides => self.steer(now),
            // A good call tells the time, too.
            _ if !decides && seat.is_some() => {
                self.time_passes(now);
            }
            _ => {}
        }
    }

    fn seen_call_ended(&mut self, seat: usize, now: Instant, failed: bool, slow: bool) {
        let again = slow && self.has(Bug::SlowCallsCountAgainWhenTheyEnd);
        let forgets = self.has(Bug::LateFailuresAreForgotten);
        let call = &mut self.calls[seat];
        call.failed = failed && !(slow && forgets);
        call.slow = slow;
        call.pending = slow;
        // So long ago that the window has forgotten it: only the failure is
        // news.
        let step = self.setup.step_nanos();
        let places = (2 * self.setup.steps() + 1).next_power_of_two();
        let head = self
            .calls
            .iter()
            .map(|call| call.at.as_nanos() / step)
            .max();
        let is_forgotten = head.unwrap_or(0) - self.calls[seat].at.as_nanos() / step >= places;
        if again || is_forgotten && failed {
            let ahead = self.setup.ahead() * step;
            self.calls.push(Call {
                at: Instant::from_nanos(now.as_nanos() + ahead),
                failed,
                slow: again,
                pending: false,
                gone: false,
            });
        }
    }

    fn streak_is_reached(&self, failed: bool) -> bool {
        let limit = self.setup.consecutive.filter(|_| self.trips());
        limit.is_some_and(|limit| failed && self.streak >= u32::from(limit))
    }

    fn trips_by_rates(&self) -> bool {
        let setup = &self.setup;
        let rates = [setup.failure_rate, setup.slow_rate, setup.combined_rate];
        self.trips() && rates.iter().any(Option::is_some)
    }

    fn suffices(&self, now: Instant, failed: bool) -> bool {
        self.streak_is_reached(failed) || self.rate_is_reached(now)
    }

    fn rate_is_reached(&self, now: Instant) -> bool {
        let (total, failures, slow, either) = self.counts(now);
        let rate = |condition: Option<(u8, u8)>, part: u64| {
            condition.is_some_and(|(percent, sample)| {
                total >= u64::from(sample) && part * 100 >= total * u64::from(percent)
            })
        };
        self.trips()
            && (rate(self.setup.failure_rate, failures)
                || rate(self.setup.slow_rate, slow)
                || rate(self.setup.combined_rate, either))
    }

    fn counts(&self, now: Instant) -> (u64, u64, u64, u64) {
        let bucket = |at: Instant| at.as_nanos() / TICK.as_nanos() as u64;
        let step = self.setup.step_nanos();
        let present = (now.as_nanos() / step).max(self.present);
        let held: Vec<Call> = match usize::from(self.setup.window_calls) {
            _ if self.setup.in_flight => self
                .calls
                .iter()
                .filter(|call| !call.gone)
                .filter(|call| {
                    let begins = present + self.setup.ahead();
                    call.at.as_nanos() / step + self.setup.steps() > begins
                })
                // What is pending or was late counts once its step is over.
                .filter(|call| !(call.pending || call.slow) || call.at.as_nanos() / step < present)
                .map(|call| Call {
                    slow: call.slow || call.pending,
                    ..*call
                })
                .collect(),
            0 => self
                .calls
                .iter()
                .filter(|call| bucket(call.at) + 10 > bucket(now))
                .copied()
                .collect(),
            most => self.calls.iter().rev().take(most).copied().collect(),
        };
        let count = |is: fn(&Call) -> bool| held.iter().filter(|call| is(call)).count() as u64;
        (
            count(|_| true),
            count(|call| call.failed),
            count(|call| call.slow),
            count(|call| call.failed || call.slow),
        )
    }

    /// `verdict` is none for a probe that says nothing.
    fn probe_ended(&mut self, ticket: Ticket, id: u64, now: Instant, verdict: Option<bool>) {
        if ticket.generation != self.generation || self.state != State::HalfOpen {
            self.late += 1;
            return;
        }
        self.probes.remove(&id);
        match verdict {
            None => {}
            Some(true) => {
                self.good += 1;
                if self.good >= u32::from(self.setup.required) {
                    let ramps = self.setup.ramp.is_some();
                    self.enter(if ramps { State::Ramping } else { State::Closed }, now);
                }
            }
            Some(false) => {
                self.bad += 1;
                if self.bad > u32::from(self.setup.allowed) {
                    self.open(now);
                }
            }
        }
    }
}

impl Setup {
    fn config(&self, clock: ManualClock) -> Config {
        let window = match u32::from(self.window_calls) {
            0 => Window::last(ticks(10)),
            calls => Window::calls(calls),
        };
        let rate = |condition: (u8, u8)| (Ratio::percent(condition.0.into()), condition.1.into());
        let mut conditions = Vec::new();
        conditions.extend(
            self.consecutive
                .map(|limit| TripWhen::consecutive_failures(limit.into())),
        );
        conditions.extend(
            self.failure_rate
                .map(rate)
                .map(|(r, n)| TripWhen::failure_rate(r, n)),
        );
        conditions.extend(
            self.slow_rate
                .map(rate)
                .map(|(r, n)| TripWhen::slow_rate(r, n)),
        );
        conditions.extend(
            self.combined_rate
                .map(rate)
                .map(|(r, n)| TripWhen::failure_or_slow_rate(r, n)),
        );
        let trip_when = conditions
            .into_iter()
            .reduce(TripWhen::or)
            .expect("a setup has a condition");
        let open_for = OpenFor::backoff(
            just_before(self.open_ticks.into()),
            just_before(self.longest_ticks.into()),
        );
        let mut config = Config::new(window)
            .trip_when(trip_when)
            .throttled_counts(if self.throttled_fails {
                ThrottledCounts::AsFailure
            } else {
                ThrottledCounts::AsNothing
            })
            .open_for(
                open_for
                    .jittered(Ratio::ZERO)
                    .stable_after(just_before(self.stable_ticks.into())),
            )
            .half_open(
                HalfOpen::successes(self.required)
                    .allowing_failures(self.allowed)
                    .concurrent(self.concurrent)
                    .lease(just_before(self.lease_ticks.into())),
            )
            .clock(Clock::Manual(clock));
        if let Some(after) = self.slow_after {
            config = config.slow_after(just_before(after.into()));
        }
        if self.in_flight {
            config = config.slow_in_flight();
        }
        if let Some((stage_ticks, percent, sample)) = self.ramp {
            let ramp = Ramp::over(4 * just_before(stage_ticks.into()));
            config = config.ramp(ramp.forgiving(Ratio::percent(percent.into()), sample.into()));
        }
        match self.adaptive {
            None => config,
            Some((percent, step_ticks, sample, trips)) => {
                let adaptive = Adaptive::accepting(Ratio::percent(100 + u16::from(percent)))
                    .every(just_before(step_ticks.into()))
                    .sample(sample.into());
                if trips {
                    config.dual(adaptive)
                } else {
                    config.adaptive(adaptive)
                }
            }
        }
    }

    /// The window that sees calls in flight tells its own steps.
    fn due_window(&self) -> DueWindow {
        let after = just_before(self.slow_after.unwrap_or(1).into());
        DueWindow::compact(ticks(10), after)
    }

    /// How many steps ahead of now the window ends.
    fn ahead(&self) -> u64 {
        let after = just_before(self.slow_after.unwrap_or(1).into());
        let steps = after.as_nanos() as u64 / self.step_nanos();
        steps.min(self.steps() / 2)
    }

    fn step_nanos(&self) -> u64 {
        self.due_window().step().as_nanos() as u64
    }

    fn steps(&self) -> u64 {
        let window = self.due_window();
        window.span().as_nanos() as u64 / self.step_nanos()
    }

    /// Other conditions, as an operator might choose while calls are under
    /// way.
    fn update(&mut self, choice: u8) {
        self.consecutive = (choice & 1 == 0).then_some(choice / 2 % 4 + 1);
        if self.consecutive.is_none() || choice & 64 != 0 {
            self.failure_rate = Some((choice % 100 + 1, choice % 5 + 1));
        }
        self.required = choice % 3 + 1;
        self.allowed = choice / 4 % 3;
    }
}

/// Runs a script on the real breaker and on the reference.
///
/// # Errors
///
/// The first difference, in words.
pub(crate) fn compare(setup: &Setup, steps: &[Step], bug: Option<Bug>) -> Result<(), String> {
    let clock = ManualClock::new();
    let config = setup.config(clock.clone());
    let breaker = config.build().expect("a setup is a valid configuration");
    let mut reference = Reference::new(setup.clone(), clock.now(), bug);
    let mut permits: Vec<(OwnedPermit, Ticket)> = Vec::new();

    for (index, step) in steps.iter().enumerate() {
        let now = clock.now();
        let mut chosen = |which: u8| {
            (!permits.is_empty()).then(|| permits.swap_remove(usize::from(which) % permits.len()))
        };
        match step {
            Step::Admit(own) => match (admit(&breaker, *own, now), reference.admit(now, *own)) {
                (Ok(permit), Ok(ticket)) => permits.push((permit, ticket)),
                (Err(rejected), Err(until)) => {
                    let expected = until.map(|until| until - now);
                    if !is_close(rejected.retry_after(), expected) {
                        return Err(format!(
                            "step {index}: refused for {:?}, expected {expected:?}",
                            rejected.retry_after()
                        ));
                    }
                }
                (real, expected) => {
                    return Err(format!(
                        "step {index}: {:?}, expected {expected:?}",
                        real.map(|_| "admitted")
                    ));
                }
            },
            Step::Wait(count) => clock.advance(ticks((*count).into())),
            Step::Record(which, outcome) => {
                if let Some((permit, ticket)) = chosen(*which) {
                    permit.record(now, *outcome);
                    reference.record(ticket, now, *outcome);
                }
            }
            Step::Drop(which) => {
                if let Some((permit, ticket)) = chosen(*which) {
                    drop(permit);
                    reference.drop(ticket, now);
                }
            }
            Step::Cancel(which) => {
                if let Some((permit, ticket)) = chosen(*which) {
                    permit.cancelled(now);
                    reference.cancel(ticket, now);
                }
            }
            Step::Panic(which) => {
                if let Some((permit, ticket)) = chosen(*which) {
                    permit.panicked(now);
                    reference.record(ticket, now, Outcome::Transient);
                }
            }
            Step::ForceOpen => {
                breaker.force_open();
                if reference.state != State::ForcedOpen {
                    reference.enter(State::ForcedOpen, now);
                }
            }
            Step::ForceClosed => {
                breaker.force_closed();
                if reference.state != State::ForcedClosed {
                    reference.enter(State::ForcedClosed, now);
                }
            }
            Step::Reset => {
                breaker.reset();
                reference.reopenings = 0;
                reference.enter(State::Closed, now);
            }
            Step::Update(choice) => {
                reference.setup.update(*choice);
                let config = reference.setup.config(clock.clone());
                breaker.update(&config).expect("nothing fixed is changed");
            }
            Step::Mode(mode) => {
                breaker.set_mode(*mode);
                reference.mode = *mode;
            }
        }

        let now = clock.now();
        let snapshot = breaker.snapshot();
        let counts = snapshot.counts();
        let real = (
            snapshot.state(),
            u64::from(snapshot.probes()),
            (
                counts.total(),
                counts.failed(),
                counts.slow(),
                counts.failed_or_slow(),
            ),
            snapshot.reopenings(),
            snapshot.late(),
            snapshot.would_refuse(),
        );
        let expected = (
            reference.state,
            reference.probes.len() as u64,
            reference.counts(now),
            reference.reopenings,
            reference.late,
            reference.would_refuse,
        );
        if real != expected {
            return Err(format!(
                "step {index} ({step:?}): {real:?}, expected {expected:?}"
            ));
        }
    }
    Ok(())
}

fn admit(breaker: &CircuitBreaker, own: u8, now: Instant) -> Result<OwnedPermit, Rejected> {
    match own {
        0 => breaker.admit_owned(now),
        own => {
            let context = Context::default().with_slow_after(just_before(own.into()));
            breaker.admit_owned_for(&context, now)
        }
    }
}

fn is_close(real: Option<Duration>, expected: Option<Duration>) -> bool {
    match (real, expected) {
        (Some(real), Some(expected)) => real.abs_diff(expected) < LESS / 2,
        (real, expected) => real == expected,
    }
}

/// Reads a script from the bytes of a fuzzer; what is missing reads as 0.
pub(crate) fn decode(bytes: &[u8]) -> (Setup, Vec<Step>) {
    let mut bytes = bytes.iter().copied();
    let mut setup_byte = || bytes.next().unwrap_or(0);
    let mut rate = |on: bool| {
        let (percent, sample) = (setup_byte(), setup_byte());
        on.then_some((percent % 100 + 1, sample % 5 + 1))
    };
    let (failure_rate, slow_rate, combined_rate) = (rate(true), rate(true), rate(true));
    let switches = setup_byte();
    let is_on = |bit: u8| switches >> bit & 1 == 1;
    let open_ticks = setup_byte() % 4 + 1;
    let slow = is_on(0);
    let setup = Setup {
        window_calls: if is_on(1) { setup_byte() % 28 + 5 } else { 0 },
        // At least one condition, whatever the switches say.
        consecutive: (is_on(2) || !is_on(3)).then(|| setup_byte() % 4 + 1),
        failure_rate: failure_rate.filter(|_| is_on(3)),
        slow_rate: slow_rate.filter(|_| slow && is_on(4)),
        combined_rate: combined_rate.filter(|_| slow && is_on(5)),
        slow_after: slow.then(|| setup_byte() % 4 + 1),
        throttled_fails: is_on(6),
        open_ticks,
        longest_ticks: open_ticks + setup_byte() % 12,
        stable_ticks: setup_byte() % 8 + 1,
        required: setup_byte() % 3 + 1,
        allowed: setup_byte() % 3,
        concurrent: setup_byte() % 3 + 1,
        lease_ticks: setup_byte() % 6 + 1,
        in_flight: false,
        ramp: None,
        adaptive: None,
    };
    // What came later stands behind a switch of its own, so that older
    // scripts mean what they meant.
    let extended = is_on(7);
    let setup = if extended {
        let (switches, ramp, adaptive) = (setup_byte(), setup_byte(), setup_byte());
        let is_on = |bit: u8| switches >> bit & 1 == 1;
        Setup {
            in_flight: slow && setup.window_calls == 0 && is_on(0),
            ramp: is_on(1).then_some((ramp % 4 + 1, ramp / 4 % 60, ramp / 16)),
            adaptive: (setup.window_calls == 0 && is_on(2)).then_some((
                adaptive % 100,
                adaptive % 3 + 1,
                adaptive / 32,
                is_on(3),
            )),
            ..setup
        }
    } else {
        setup
    };
    let mut steps = Vec::new();
    while let Some(kind) = bytes.next() {
        let mut operand = || bytes.next().unwrap_or(0);
        steps.push(match kind % 16 {
            0..=4 if extended => Step::Admit(kind / 16 % 6),
            0..=4 => Step::Admit(0),
            5 => Step::Wait(operand() % 4),
            6 => Step::Wait(operand() % 16),
            7 => Step::Record(operand(), Outcome::Success),
            8 | 9 => Step::Record(operand(), Outcome::Transient),
            10 => {
                let which = operand();
                Step::Record(
                    which,
                    match operand() % 3 {
                        0 => Outcome::Throttled { retry_after: None },
                        1 => Outcome::Ignored,
                        _ => Outcome::Permanent,
                    },
                )
            }
            11 => Step::Drop(operand()),
            12 => Step::Cancel(operand()),
            13 => Step::Panic(operand()),
            14 => match operand() % 8 {
                0 => Step::ForceOpen,
                1 => Step::ForceClosed,
                2..=4 => Step::Update(operand()),
                _ => Step::Reset,
            },
            _ => Step::Mode(match operand() % 4 {
                0 => Mode::Off,
                1 => Mode::Shadow,
                _ => Mode::Enforce,
            }),
        });
    }
    (setup, steps)
}
