//! The table, row by row.

use super::super::shares::Stage;
use super::*;

const RULES: Rules = Rules {
    required: 2,
    allowed: 1,
    concurrent: 2,
    open_for: Duration::from_secs(1),
    stage: None,
};

/// With a ramp of two seconds a stage.
const RAMPED: Rules = Rules {
    stage: Some(Duration::from_secs(2)),
    ..RULES
};

const ASKED: Event = Event::Asked {
    lease_ran_out: false,
};

fn at(millis: u64) -> Instant {
    Instant::from_nanos(1_000_000 * millis)
}

fn phase(stance: Stance) -> Phase {
    Phase {
        generation: Generation::beginning(at(10_000)),
        stance,
    }
}

fn half_open(in_flight: u8, good: u8, bad: u8) -> Phase {
    phase(Stance::HalfOpen(Probes {
        in_flight,
        good,
        bad,
    }))
}

fn open() -> Phase {
    next(
        phase(Stance::Closed),
        Event::Tripped(phase(Stance::Closed).generation),
        at(10_000),
        &RULES,
    )
    .0
}

/// Takes the step, and holds it to what is true of every step.
fn step(from: Phase, event: Event, millis: u64) -> (Phase, Answer) {
    step_by(&RULES, from, event, millis)
}

fn step_by(rules: &Rules, from: Phase, event: Event, millis: u64) -> (Phase, Answer) {
    let (to, answer) = next(from, event, at(millis), rules);
    let is_thinning = |state| matches!(state, State::Closed | State::Thinning);
    let stays = from.state() == to.state() || is_thinning(from.state()) && is_thinning(to.state());
    let is_anew = matches!(answer, Answer::Probe) && from.state() == to.state();
    if is_anew || stays && !matches!(event, Event::Reset) {
        assert!(to.generation >= from.generation);
    } else {
        assert!(to.generation > from.generation, "a new generation");
    }
    (to, answer)
}

#[test]
fn closed_passes() {
    let from = phase(Stance::Closed);
    assert_eq!(step(from, ASKED, 10_001), (from, Answer::Pass));
}

#[test]
fn closed_opens_when_tripped() {
    let from = phase(Stance::Closed);
    let (to, _) = step(from, Event::Tripped(from.generation), 10_000);
    let Stance::Open(span) = to.stance else {
        panic!("{to:?}");
    };
    let end = span.end(to.generation);
    assert!(end >= at(11_000));
    assert!(end <= at(11_000) + Duration::from_millis(2), "{end:?}");
}

#[test]
fn closed_ignores_a_trip_of_another_generation() {
    let from = phase(Stance::Closed);
    let stale = Generation::beginning(at(9_000));
    assert_eq!(step(from, Event::Tripped(stale), 10_000).0, from);
}

#[test]
fn open_refuses_and_says_until_when() {
    let (to, answer) = step(open(), ASKED, 10_400);
    assert_eq!(to, open());
    let Answer::Refuse(Some(wait)) = answer else {
        panic!("{answer:?}");
    };
    assert!(wait >= Duration::from_millis(600) && wait < Duration::from_millis(603));
}

#[test]
fn open_lets_a_first_probe_through_at_its_end() {
    let (to, answer) = step(open(), ASKED, 11_002);
    assert_eq!(answer, Answer::Probe);
    assert_eq!(to.stance, Stance::HalfOpen(Probes::FIRST));
}

#[test]
fn open_takes_no_evidence() {
    let from = open();
    for event in [
        Event::Tripped(from.generation),
        Event::Settled(from.generation, Verdict::Good),
        Event::Settled(from.generation, Verdict::Bad),
    ] {
        assert_eq!(step(from, event, 10_500).0, from);
    }
}

#[test]
fn half_open_fills_its_places() {
    let (to, answer) = step(half_open(1, 0, 0), ASKED, 10_000);
    assert_eq!((to, answer), (half_open(2, 0, 0), Answer::Probe));
    let (to, answer) = step(to, ASKED, 10_000);
    assert_eq!((to, answer), (half_open(2, 0, 0), Answer::Refuse(None)));
}

#[test]
fn half_open_opens_when_a_lease_ran_out() {
    let event = Event::Asked {
        lease_ran_out: true,
    };
    let (to, answer) = step(half_open(1, 1, 0), event, 10_000);
    assert_eq!(to.state(), State::Open);
    assert_eq!(answer, Answer::Refuse(Some(RULES.open_for)));
}

#[test]
fn half_open_begins_anew_before_its_leases_run_out_of_numbers() {
    let lasted = 10_000 + HALF_OPEN_LASTS.as_millis() as u64 + 5;
    let (to, answer) = step(half_open(0, 1, 1), ASKED, lasted);
    assert_eq!(answer, Answer::Probe);
    assert!(to.generation > half_open(0, 1, 1).generation);
    assert_eq!(to.stance, Stance::HalfOpen(Probes::FIRST));
}

#[test]
fn half_open_closes_after_enough_good_probes() {
    let from = half_open(2, 0, 1);
    let good = Event::Settled(from.generation, Verdict::Good);
    let (to, _) = step(from, good, 10_000);
    assert_eq!(to, half_open(1, 1, 1));
    assert_eq!(step(to, good, 10_000).0.state(), State::Closed);
}

#[test]
fn half_open_opens_after_too_many_bad_probes() {
    let from = half_open(2, 1, 0);
    let bad = Event::Settled(from.generation, Verdict::Bad);
    let (to, _) = step(from, bad, 10_000);
    assert_eq!(to, half_open(1, 1, 1));
    assert_eq!(step(to, bad, 10_000).0.state(), State::Open);
}

#[test]
fn a_neutral_probe_returns_its_place_and_decides_nothing() {
    let from = half_open(2, 1, 1);
    let neutral = Event::Settled(from.generation, Verdict::Neutral);
    assert_eq!(step(from, neutral, 10_000).0, half_open(1, 1, 1));
}

#[test]
fn half_open_ignores_probes_of_another_generation() {
    let from = half_open(1, 1, 1);
    let stale = Generation::beginning(at(9_000));
    for verdict in [Verdict::Good, Verdict::Bad, Verdict::Neutral] {
        let step = step(from, Event::Settled(stale, verdict), 10_000);
        assert_eq!(step, (from, Answer::Late));
    }
}

#[test]
fn half_open_ramps_where_there_is_a_ramp() {
    let from = half_open(1, 1, 0);
    let good = Event::Settled(from.generation, Verdict::Good);
    let (to, _) = step_by(&RAMPED, from, good, 10_000);
    assert_eq!(to.stance, Stance::Ramping(Ramping::FIRST));
}

#[test]
fn a_ramp_goes_through_its_stages_to_closed() {
    let mut from = phase(Stance::Ramping(Ramping::FIRST));
    let mut shares = Vec::new();
    for stage in 1..=u64::from(Stage::COUNT) {
        shares.push(from.admitting());
        let end = 10_000 + 2_010 * stage;
        // Neither proof nor time alone suffices.
        let unproven = step_by(&RAMPED, from, ASKED, end);
        assert_eq!(unproven, (from, Answer::Pass));
        let proved = Event::Proved(from.generation);
        let (proven, _) = step_by(&RAMPED, from, proved, end - 1_000);
        let early = step_by(&RAMPED, proven, ASKED, end - 100);
        assert_eq!(early, (proven, Answer::Pass));
        let (to, answer) = step_by(&RAMPED, proven, ASKED, end);
        assert_eq!(answer, Answer::Pass);
        from = to;
    }
    assert_eq!(from.state(), State::Closed);
    assert_eq!(shares, [5, 10, 25, 50].map(Ratio::percent));
}

#[test]
fn a_ramp_is_one_generation() {
    let from = phase(Stance::Ramping(Ramping::FIRST));
    let (proven, _) = step_by(&RAMPED, from, Event::Proved(from.generation), 10_000);
    let (to, _) = step_by(&RAMPED, proven, ASKED, 13_000);
    assert_eq!(to.generation, from.generation, "late failures count");
    assert_ne!(to.admitting(), from.admitting());
    let stale = Event::Proved(Generation::beginning(at(9_000)));
    assert_eq!(step_by(&RAMPED, to, stale, 13_000), (to, Answer::Late));
}

#[test]
fn a_ramp_that_was_switched_off_ends_once_it_is_proven() {
    let from = phase(Stance::Ramping(Ramping::FIRST));
    assert_eq!(step(from, ASKED, 10_000).0, from);
    let (proven, _) = step(from, Event::Proved(from.generation), 10_000);
    assert_eq!(step(proven, ASKED, 10_000).0.state(), State::Closed);
}

#[test]
fn ramping_and_thinning_open_when_tripped() {
    let thinning = Stance::Thinning(Thinned::by(Ratio::percent(30)).unwrap());
    for stance in [Stance::Ramping(Ramping::FIRST), thinning] {
        let from = phase(stance);
        assert_eq!(step(from, ASKED, 10_000), (from, Answer::Pass));
        let trip = Event::Tripped(from.generation);
        assert_eq!(step(from, trip, 10_000).0.state(), State::Open);
        let stale = Event::Tripped(Generation::beginning(at(9_000)));
        assert_eq!(step(from, stale, 10_000).0, from);
    }
}

#[test]
fn steering_stays_within_its_generation() {
    let closed = phase(Stance::Closed);
    let steer = |share| Event::Steered(closed.generation, Thinned::by(Ratio::percent(share)));
    let (thinning, _) = step(closed, steer(30), 10_500);
    assert_eq!(thinning.generation, closed.generation);
    assert_eq!(thinning.admitting(), Ratio::percent(70));
    let (more, _) = step(thinning, steer(200), 10_600);
    assert_eq!(more.admitting(), Ratio::ZERO, "never more than all");
    assert_eq!(step(more, steer(0), 10_700).0, closed);

    let stale = Event::Steered(
        Generation::beginning(at(9_000)),
        Thinned::by(Ratio::percent(30)),
    );
    assert_eq!(step(closed, stale, 10_500), (closed, Answer::Late));
    let ramping = phase(Stance::Ramping(Ramping::FIRST));
    assert_eq!(step(ramping, steer(30), 10_500).0, ramping);
}

#[test]
fn an_operator_wins_over_every_state() {
    let forced = phase(Stance::ForcedClosed);
    let ramping = phase(Stance::Ramping(Ramping::FIRST));
    for from in [
        phase(Stance::Closed),
        open(),
        half_open(1, 1, 0),
        ramping,
        forced,
    ] {
        let to = step(from, Event::ForcedOpen, 10_000).0;
        assert_eq!(to.state(), State::ForcedOpen);
        assert_eq!(step(to, ASKED, 99_000), (to, Answer::Refuse(None)));
        assert_eq!(step(to, Event::ForcedOpen, 10_000).0, to);
        let to = step(to, Event::ForcedClosed, 10_000).0;
        assert_eq!(step(to, ASKED, 99_000), (to, Answer::Pass));
        assert_eq!(step(to, Event::Tripped(to.generation), 10_000).0, to);
        let to = step(to, Event::Reset, 10_000).0;
        assert_eq!(to.state(), State::Closed);
    }
}

#[test]
fn time_that_runs_backwards_still_makes_new_generations() {
    let from = open();
    let (to, _) = step(from, Event::Reset, 5);
    assert!(to.generation > from.generation);
    let (to, _) = step(to, Event::Tripped(to.generation), 5);
    assert_eq!(to.state(), State::Open);
}

#[test]
fn generations_that_run_ahead_of_the_clock_prolong_nothing() {
    let mut from = phase(Stance::Closed);
    for _ in 0..1_000 {
        from = step(from, Event::Reset, 10_000).0;
    }
    assert!(from.generation.began() > at(14_000), "4 s ahead");
    let (to, _) = step(from, Event::Tripped(from.generation), 10_000);
    let Stance::Open(span) = to.stance else {
        panic!("{to:?}");
    };
    assert!(span.end(to.generation) < at(11_002));
}

#[test]
fn the_longest_opening_fits() {
    let longest = Rules {
        open_for: super::super::OpenFor::LONGEST,
        ..RULES
    };
    let from = phase(Stance::Closed);
    let trip = Event::Tripped(from.generation);
    let (to, _) = next(from, trip, at(10_000), &longest);
    let Stance::Open(span) = to.stance else {
        panic!("{to:?}");
    };
    assert!(span.end(to.generation) >= at(10_000) + longest.open_for);
}
