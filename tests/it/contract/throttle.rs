//! The layer that keeps calls back.

use axiomatic_capacity::load_shed::throttle::{Config, Throttler};
use axiomatic_core::context::Priority;

use super::*;

const DRAWN_IN_CALL: &str = "whose turn it is to be refused is drawn when it calls";

const WINDOW: Duration = Duration::from_secs(10);

fn throttler(clock: &ManualClock) -> Throttler {
    Config::accepting(Ratio::percent(200))
        .window(WINDOW, 10)
        .refresh_every(Duration::from_millis(10))
        .most_refused(Ratio::parts_per_million(999_999))
        .probe_every(Duration::from_secs(3_600))
        .clock(Clock::Manual(clock.clone()))
        .seed(1)
        .build()
        .unwrap()
}

/// So many fail that nearly all are refused, and none of this seed's next
/// draws is lucky.
fn overload(clock: &ManualClock, throttler: &Throttler) {
    for _ in 0..5_000 {
        clock.advance(Duration::from_millis(1));
        if let Ok(permit) = throttler.admit(clock.now(), Priority::CRITICAL) {
            permit.record(clock.now(), Outcome::Transient);
        }
    }
}

#[test]
fn a_throttler_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let clock = ManualClock::new();
        let throttler = throttler(&clock);
        let layer = throttler.layer();
        let later = clock.clone();
        Subject::new(layer)
            .refuse(move || overload(&clock, &throttler))
            .relent(move || later.advance(2 * WINDOW))
    })
    .except(Obligation::RefusalSkipsInner, DRAWN_IN_CALL)
    .assert();
}

#[test]
fn a_throttler_in_shadow_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let clock = ManualClock::new();
        let throttler = throttler(&clock);
        throttler.set_mode(Mode::Shadow);
        overload(&clock, &throttler);
        Subject::new(throttler.layer())
    })
    .assert();
}

#[test]
fn the_layer_of_a_throttler_asks_for_nothing() {
    let layer = throttler(&ManualClock::new()).layer();
    local::accepts_local(&layer);
    local::accepts_local(&layer.clone().with_error::<Typed>());
    local::stays_send(&layer);
}
