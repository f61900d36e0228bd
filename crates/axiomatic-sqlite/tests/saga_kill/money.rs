//! Random transfers, under random kills.

use std::time::{Duration, Instant};

use axiomatic_coordination::saga::SagaId;

use super::checking::check_all;
use super::child::transfer_id;
use super::place::{Place, TRANSFERS};

#[test]
fn money_is_conserved_over_random_transfers_under_random_kills() {
    let Some(place) = Place::find() else { return };
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    let (transfers, most_kills) = if is_deep {
        (10_000, 400)
    } else {
        (TRANSFERS, 60)
    };
    let role = format!("money {transfers}");
    let began = Instant::now();
    let mut kills = 0;
    while kills < most_kills {
        let random = SagaId::unique().0.as_u128() as u64 % 200;
        let pause = Duration::from_millis(50 + random);
        if !place.start(&role, &[]).kill_after(pause) {
            break;
        }
        kills += 1;
        place.let_leases_expire();
    }
    assert_eq!(place.start(&role, &[]).ended_at(), None);
    let took = began.elapsed();
    let sagas = (0..transfers).map(transfer_id);
    let found = check_all(&place, sagas);
    println!("{transfers} transfers, {kills} kills, {took:?}: {found:?}");
    assert!(kills >= 3, "it was too quick to be killed");
    assert_eq!(found.done + found.compensated, transfers as usize);
    assert!(found.compensated > 0 && found.again > 0);
}
