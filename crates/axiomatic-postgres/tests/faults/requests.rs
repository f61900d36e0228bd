//! Connections that are cut in the commit of an atomic phase: whoever runs the
//! request next knows whether it is done.

use std::time::Duration;

use axiomatic_coordination::idempotency::{
    Claim, Claimed, Fingerprint, Key, Name, Owner, PhaseError, Phases, Scope, Store,
};
use axiomatic_postgres::idempotency::{AtomicPhase, Idempotency};
use axiomatic_testbed::postgres::COMMIT;
use axiomatic_testbed::proxy::{At, FaultProxy, Trigger, Way};
use tokio::time::timeout;
use tokio_postgres::Transaction;

use crate::support::{FOR_EVER, Place, connect};

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_whose_commit_is_cut_off_is_found_or_done_again_and_happens_once() {
    let Some(place) = Place::find().await else {
        return;
    };
    let config: tokio_postgres::Config = place.url.parse().expect("an address");
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let proxy = FaultProxy::to(port);
    let through = place
        .url
        .replace(&format!(":{port}"), &format!(":{}", proxy.port()));
    let store = Idempotency::new(&place.database()).await.expect("a table");
    let look = place.client().await;
    let table = format!("CREATE TABLE {}.account (name text)", place.schema);
    look.batch_execute(&table).await.expect("a table");
    for (at, steps) in [(At::Before, 0), (At::Answer, 1)] {
        let key = format!("{at:?}");
        let name = Name {
            scope: Scope::default(),
            key: Key::new(key.as_str()).expect("a key"),
        };
        let claim = async || {
            let claim = Claim {
                name: &name,
                fingerprint: Fingerprint([0; 32]),
                owner: Owner::unique(),
                lease: Duration::ZERO,
                retention: FOR_EVER,
                request: None,
            };
            // The server may be about to roll back, which nobody waits for.
            let claimed = timeout(FOR_EVER, async {
                loop {
                    match store.claim(&claim).await.expect("an answer") {
                        Claimed::Mine(mine) => return mine,
                        Claimed::InProgress { .. } => tokio::task::yield_now().await,
                        other => panic!("{other:?}"),
                    }
                }
            });
            let mine = claimed.await.expect("it is given up");
            Phases::new(store.clone(), name.clone(), mine)
        };
        let insert = format!("INSERT INTO {}.account VALUES ('{key}')", place.schema);
        let work = async |tx: &mut Transaction<'_>| tx.execute(&insert, &[]).await;

        let mut client = connect(&through).await.expect("it forwards");
        let first = claim().await;
        proxy.cut_when(Trigger::on(Way::ToServer, COMMIT, at));
        let done = first.phase("book").atomic(&mut client, work);
        let done = timeout(FOR_EVER, done).await.expect("it hears of it");
        assert!(matches!(done, Err(PhaseError::Store(_))), "{done:?}");

        let second = claim().await;
        assert_eq!(second.steps().len(), steps, "{at:?}");
        let mut client = place.client().await;
        let done = second.phase("book").atomic(&mut client, work).await;
        assert_eq!(done.expect("it is ours"), 1);
        let count = format!(
            "SELECT count(*) FROM {}.account WHERE name = $1",
            place.schema
        );
        let row = look.query_one(&count, &[&key]).await.expect("a number");
        assert_eq!(row.get::<_, i64>(0), 1, "{at:?}");
    }
}
