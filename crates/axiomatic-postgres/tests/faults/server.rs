//! The server ends sessions, or itself.

use std::time::Duration;

use axiomatic_testbed::chance::Chance;
use axiomatic_testbed::postgres::{Postgres, Stop};

use crate::faults::scene::{Working, produce};
use crate::load::ledger::Broker;
use crate::load::{Load, config};
use crate::support::{FOR_EVER, Place};

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_ended_at_random_lose_nothing_and_the_relay_goes_on() {
    let Some(server) = Postgres::start().await else {
        return;
    };
    let load = Load::new(Place::at(server.url())).await;
    let url = load.named(&server.url());
    let outbox = load.outbox(&url, FOR_EVER).await;
    let broker = Broker::new(&load.ledger, 1);
    let relay = Working::start(outbox.clone(), broker, config("relay"));
    let client = server.client().await;
    let end_sessions = async {
        let mut chance = Chance::of(2);
        let mut ended = 0;
        while ended < 60 {
            let sessions = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 \
                            ORDER BY pid";
            let sessions = client.query(sessions, &[&load.place.schema]).await;
            let sessions = sessions.expect("this session is not among them");
            if !sessions.is_empty() {
                let which = chance.below(sessions.len() as u64) as usize;
                let pid: i32 = sessions[which].get(0);
                let end = "SELECT pg_terminate_backend($1)";
                client.query(end, &[&pid]).await.expect("root may");
                ended += 1;
            }
            tokio::time::sleep(Duration::from_millis(chance.below(40))).await;
        }
    };
    let (outcomes, ()) = tokio::join!(produce(&load, &outbox, &url, 3_000), end_sessions);
    load.drained().await;
    let counted = relay.stop().await;
    println!(
        "{outcomes:?}; {counted}; {} store errors",
        counted.store_errors
    );
    assert!(
        counted.store_errors > 0,
        "no session of the relay was ended"
    );
    load.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_and_comes_back_has_all_that_was_committed() {
    let Some(mut server) = Postgres::start().await else {
        return;
    };
    let load = Load::new(Place::at(server.url())).await;
    let url = load.named(&server.url());
    let outbox = load.outbox(&url, FOR_EVER).await;
    let broker = Broker::new(&load.ledger, 3);
    let relay = Working::start(outbox.clone(), broker, config("relay"));
    for how in [Stop::Immediate, Stop::Fast, Stop::Immediate] {
        let die = async {
            let before = load.ledger.published();
            while load.ledger.published() < before + 200 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::task::block_in_place(|| server.stop(how));
            tokio::time::sleep(Duration::from_millis(50)).await;
            server.run().await;
        };
        let (outcomes, ()) = tokio::join!(produce(&load, &outbox, &url, 1_000), die);
        println!("{how:?}: {outcomes:?}");
    }
    load.drained().await;
    let counted = relay.stop().await;
    println!("{counted}; {} store errors", counted.store_errors);
    assert!(counted.store_errors > 0, "the relay has not noticed");
    load.check().await;
}
