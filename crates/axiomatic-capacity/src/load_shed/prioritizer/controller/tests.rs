//! The law, period by period.

use super::*;
use proptest::prelude::*;

const LAW: Law = Law {
    decrease: Ratio::percent(5),
    increase: Ratio::percent(2),
    most_refused: Ratio::percent(99),
};

/// A second in which a thousand came, all of whom were served.
const CALM: Period = Period {
    nanos: 1_000_000_000,
    offered: 1_000,
    turned_away: 0,
    served: 1_000,
    overload: None,
};

/// How many are admitted a second after these periods.
fn admitting(periods: &[Period]) -> Vec<Option<u64>> {
    let mut controller = Controller::new(LAW);
    let step = |period| {
        controller.step(period);
        controller.admitting().map(|most| most / 1_000)
    };
    periods.iter().map(step).collect()
}

fn overloaded(percent: u16, served: u64) -> Period {
    Period {
        served,
        offered: 3_000,
        overload: Some(Pressure::percent(percent)),
        ..CALM
    }
}

#[test]
fn under_too_much_pressure_it_admits_less_than_was_served() {
    let most = |percent| admitting(&[overloaded(percent, 1_000)])[0].unwrap();
    let table = [100, 150, 200, 300, 500, 2_000].map(most);
    assert_eq!(table, [950, 950, 950, 900, 800, 750]);
}

#[test]
fn it_is_not_lowered_again_before_that_can_be_seen() {
    let fewer = [1_000, 900, 900, 900, 900, 900].map(|served| overloaded(100, served));
    let most = admitting(&fewer);
    assert_eq!(most[..5], [Some(950); 5]);
    assert!(most[5] < Some(950), "{most:?}");
}

#[test]
fn while_the_pressure_eases_it_is_not_lowered_again() {
    let periods = |easing: u16| -> Vec<Period> {
        (0..30)
            .map(|at| overloaded(300 - easing * at, 900 - 10 * u64::from(at)))
            .collect()
    };
    let most = admitting(&periods(5));
    assert!(most.iter().all(|it| *it >= most[0]), "{most:?}");
    let most = admitting(&periods(0));
    assert!(most[29] < most[0], "{most:?}");
    // That of the last time is no measure for this time.
    let mut periods = vec![overloaded(900, 1_000), CALM, CALM, CALM, CALM, CALM];
    periods.push(overloaded(100, 500));
    let most = admitting(&periods);
    assert!(most[6] < most[5], "{most:?}");
}

#[test]
fn what_was_served_counts_over_some_periods() {
    let once = admitting(&[CALM, overloaded(100, 0)]);
    assert_eq!(
        once[1],
        Some(712),
        "three quarters of a thousand, less a step"
    );
    let more = admitting(&[overloaded(100, 500), overloaded(100, 1_000)]);
    assert_eq!(more[1], Some(593), "it is raised though the pressure stays");
}

#[test]
fn what_is_turned_away_further_in_is_shed_at_the_door() {
    let turned_away = Period {
        offered: 3_000,
        turned_away: 2_000,
        ..CALM
    };
    let mut controller = Controller::new(LAW);
    assert_eq!(controller.step(&turned_away), Ratio::percent(65));
    assert_eq!(controller.admitting(), Some(1_050_000), "a twentieth more");
}

#[test]
fn what_is_turned_away_whatever_comes_does_not_have_all_refused() {
    for (percent, least) in [(5, 850), (10, 800), (30, 400), (60, 100)] {
        let mut controller = Controller::new(LAW);
        let mut admitted = 1_000;
        for _ in 0..300 {
            let turned_away = admitted * percent / 100;
            let refused = controller.step(&Period {
                turned_away,
                served: admitted - turned_away,
                ..CALM
            });
            let refused = u64::from(refused.as_parts_per_million());
            admitted = 1_000 - 1_000 * refused / 1_000_000;
            assert!(admitted > least, "{percent} %: {admitted}");
        }
    }
}

#[test]
fn in_calm_it_comes_fast_to_what_is_known_and_slowly_beyond() {
    // A thousand were served as it began, and then none for a while.
    let mut periods = vec![overloaded(100, 1_000)];
    periods.extend([overloaded(1_000, 0); 7]);
    let busy = Period {
        offered: 5_000,
        served: 0,
        ..CALM
    };
    periods.extend([busy; 40]);
    let most: Vec<_> = admitting(&periods).into_iter().flatten().collect();
    let known = most.iter().rposition(|most| *most < 980).unwrap();
    assert!(
        known <= 7 + 11,
        "an order of magnitude in a second: {most:?}"
    );
    for (at, pair) in most.windows(2).enumerate().skip(known) {
        let percent = if at < known + 6 { 9 } else { 32 };
        assert!(pair[1] - pair[0] <= pair[0] * percent / 100 + 2, "{most:?}");
    }
    assert!(
        most[known + 15] > 3_000,
        "in the end it finds more: {most:?}"
    );
}

#[test]
fn what_is_known_is_not_forgotten_because_nothing_ends_for_a_while() {
    let busy = Period {
        offered: 5_000,
        served: 0,
        ..CALM
    };
    let mut periods = vec![overloaded(100, 1_000)];
    periods.extend([overloaded(1_000, 0); 20]);
    // It looks calm for once: those that waited have given up.
    periods.push(busy);
    periods.push(overloaded(1_000, 0));
    periods.extend([busy; 20]);
    let most = admitting(&periods);
    assert!(most.last() > Some(&Some(400)), "{most:?}");
}

#[test]
fn with_room_to_spare_for_long_all_are_admitted() {
    let mut periods = vec![overloaded(100, 1_000)];
    periods.extend([CALM; 20]);
    let most = admitting(&periods);
    let last = most.iter().position(Option::is_none).unwrap();
    assert!((SPARE..SPARE + 5).contains(&(last as u32)), "{most:?}");
    assert!(most[last..].iter().all(Option::is_none));
}

#[test]
fn something_always_passes() {
    let stuck = [overloaded(5_000, 0); 100];
    let mut controller = Controller::new(LAW);
    let refused: Vec<_> = stuck.iter().map(|stuck| controller.step(stuck)).collect();
    assert!(refused.iter().all(|share| *share <= Ratio::percent(99)));
    assert_eq!(refused[99], Ratio::percent(99));
}

#[test]
fn it_finds_what_can_be_borne_again_within_some_periods() {
    let mut controller = Controller::new(LAW);
    for _ in 0..100 {
        controller.step(&overloaded(5_000, 0));
    }
    let passes =
        |refused: Ratio| 1_000 - 1_000 * u64::from(refused.as_parts_per_million()) / 1_000_000;
    let mut served = 10;
    let periods = (1..).find(|_| {
        let refused = controller.step(&Period { served, ..CALM });
        served = passes(refused);
        served == 1_000
    });
    assert!(periods.unwrap() <= 60, "{periods:?}");
}

proptest! {
    #[test]
    fn no_numbers_break_it(
        periods in proptest::collection::vec(
            (0..=u64::MAX, 0..=u64::MAX, 0..=u64::MAX, 0..=u64::MAX, proptest::option::of(0..=u32::MAX)),
            1..50,
        ),
    ) {
        let mut controller = Controller::new(LAW);
        for (nanos, offered, turned_away, served, overload) in periods {
            let refused = controller.step(&Period {
                nanos,
                offered,
                turned_away,
                served,
                overload: overload.map(Pressure::parts_per_million),
            });
            prop_assert!(refused <= LAW.most_refused);
        }
    }
}
