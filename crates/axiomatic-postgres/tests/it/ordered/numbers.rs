//! The numbers of keys beside a model of them.

use std::collections::HashMap;

use axiomatic_coordination::outbox::Message;
use axiomatic_postgres::outbox::{Options, Outbox};
use proptest::prelude::*;
use tokio_postgres::Client;

use crate::support::Place;

/// What can happen to the numbers of keys.
#[derive(Clone, Debug)]
enum Step {
    /// Messages in one transaction, by tenant and key, ordered or not.
    Commit(Vec<(usize, bool)>),
    /// As that, but rolled back.
    RollBack(Vec<(usize, bool)>),
    /// A key that was quiet for long is forgotten.
    Forget(usize),
    /// All was published.
    Publish,
}

/// A key, without and with tenants, and another one.
const KEYS: [(Option<&str>, &str); 4] =
    [(None, "a"), (Some(""), "a"), (Some("t"), "a"), (None, "b")];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let messages = || prop::collection::vec((0..KEYS.len(), prop::bool::weighted(0.8)), 0..12);
    let step = prop_oneof![
        4 => messages().prop_map(Step::Commit),
        2 => messages().prop_map(Step::RollBack),
        1 => (0..KEYS.len()).prop_map(Step::Forget),
        1 => Just(Step::Publish),
    ];
    prop::collection::vec(step, 0..20)
}

fn message(key: usize, is_ordered: bool) -> Message {
    let (tenant, key) = KEYS[key];
    let mut message = Message::new("keys", key).keyed(key);
    if let Some(tenant) = tenant {
        message = message.of_tenant(tenant);
    }
    if is_ordered {
        message.ordered()
    } else {
        message
    }
}

/// What the model knows of a key: its last number, and whether the store
/// remembers it.
type Model = HashMap<usize, (i64, bool)>;

async fn step(
    place: &Place,
    outbox: &Outbox,
    client: &mut Client,
    keys: &mut Model,
    step: Step,
) -> Result<(), TestCaseError> {
    let schema = &place.schema;
    match step {
        Step::Commit(messages) => {
            let before = format!("SELECT coalesce(max(id), 0) FROM {schema}.outbox");
            let before: i64 = client.query_one(&before, &[]).await.unwrap().get(0);
            let mut tx = outbox.buffered(client.transaction().await.unwrap());
            for (key, is_ordered) in &messages {
                tx.push(message(*key, *is_ordered)).unwrap();
            }
            tx.commit().await.unwrap();
            let rows = format!(
                "SELECT id, sequence, first FROM {schema}.outbox WHERE id > $1 ORDER BY id"
            );
            let rows = client.query(&rows, &[&before]).await.unwrap();
            prop_assert_eq!(rows.len(), messages.len());
            for (row, (key, is_ordered)) in rows.iter().zip(messages) {
                let (id, number): (i64, Option<i64>) = (row.get(0), row.get(1));
                let first: Option<bool> = row.get(2);
                prop_assert_eq!(
                    (number.is_some(), first.is_some()),
                    (is_ordered, is_ordered)
                );
                let (Some(number), Some(first)) = (number, first) else {
                    continue;
                };
                match keys.get(&key) {
                    Some((last, true)) => prop_assert_eq!((number, first), (last + 1, false)),
                    Some((last, false)) => prop_assert!(number > *last && first),
                    None => prop_assert!(number > 0 && first),
                }
                prop_assert!(number <= id);
                keys.insert(key, (number, true));
            }
        }
        Step::RollBack(messages) => {
            let mut tx = client.transaction().await.unwrap();
            let messages = messages.into_iter().map(|(key, is)| message(key, is));
            outbox.enqueue(&mut tx, messages).await.unwrap();
            tx.rollback().await.unwrap();
        }
        Step::Forget(key) => {
            let (tenant, name) = KEYS[key];
            let tenant = tenant.map_or(String::new(), |tenant| format!("={tenant}"));
            let sql =
                format!("DELETE FROM {schema}.outbox_sequence WHERE tenant = $1 AND key = $2");
            client.execute(&sql, &[&tenant, &name]).await.unwrap();
            if let Some((_, remembered)) = keys.get_mut(&key) {
                *remembered = false;
            }
        }
        Step::Publish => {
            let sql = format!("DELETE FROM {schema}.outbox");
            client.execute(&sql, &[]).await.unwrap();
        }
    }
    Ok(())
}

#[test]
fn the_numbers_of_a_key_step_by_one_and_begin_above_all_earlier_ones() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(place) = runtime.block_on(Place::find()) else {
        return;
    };
    let database = place.database();
    let outbox = runtime.block_on(Outbox::new(&database, Options::new()));
    let (outbox, mut client) = (outbox.unwrap(), runtime.block_on(place.client()));
    // One after the other on one outbox: what the model knows goes on.
    let mut keys = Model::new();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(40));
    let client = std::cell::RefCell::new(&mut client);
    let keys = std::cell::RefCell::new(&mut keys);
    let ran = runner.run(&steps(), |steps| {
        for one in steps {
            let (client, keys) = (&mut client.borrow_mut(), &mut keys.borrow_mut());
            runtime.block_on(step(&place, &outbox, client, keys, one))?;
        }
        Ok(())
    });
    ran.unwrap();
}
