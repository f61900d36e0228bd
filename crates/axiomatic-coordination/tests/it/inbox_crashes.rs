//! A database that crashes between every two steps, and a broker that brings
//! again what was not acknowledged.

use std::num::NonZeroU32;
use std::time::Duration;

use axiomatic_coordination::inbox::{Admission, Config, Delivery, Error, IdRule, Inbox, Policy};
use axiomatic_coordination::outbox::Envelope;
use axiomatic_coordination::{Memory, MemoryTransaction, StoreError, TransactError, Why};
use bytes::Bytes;

type Failed = TransactError<Error<StoreError>>;
type Tx<'a> = MemoryTransaction<'a>;

fn config() -> Config {
    Config::new(IdRule::BrokerId, Duration::ZERO)
}

fn numbered(number: u64) -> Delivery {
    let delivery = Delivery::new(number.to_string())
        .with_broker_id(number.to_string())
        .keyed("key")
        .with_header(Envelope::SEQUENCE, number.to_string());
    match number {
        1 => delivery.with_header(Envelope::FIRST, "1"),
        _ => delivery,
    }
}

/// Two steps of the application's, so that a crash may part them.
fn append(tx: &mut Tx<'_>, delivery: &Delivery) -> Result<(), StoreError> {
    let length = tx.read("length").map_or(0, |length| length.len());
    tx.put("length", vec![0; length + 1]);
    tx.step()?;
    tx.put(format!("effect/{length:09}"), delivery.body().clone());
    tx.step()
}

/// The numbers, in the order in which they were appended.
fn effects(database: &Memory) -> Vec<u64> {
    let rows = database.read_all("effect/").into_iter();
    let number = |body: Bytes| std::str::from_utf8(&body).unwrap().parse().unwrap();
    rows.map(|(_, body)| number(body)).collect()
}

/// Delivers all of them in turn, again and again, until they are acknowledged.
/// The database crashes once, after so many steps. Returns the effects, and
/// whether it came to the crash.
fn deliver(
    numbers: &[u64],
    crash_after: u64,
    handle: impl Fn(&Memory, &Delivery) -> Result<bool, Failed>,
) -> (Vec<u64>, bool) {
    let database = Memory::new();
    database.crash_at(crash_after);
    let mut crashed = false;
    let mut waiting: Vec<_> = numbers.iter().map(|number| (*number, 0)).collect();
    for _ in 0..100 {
        waiting.retain_mut(|(number, attempt)| {
            *attempt += 1;
            let delivery = numbered(*number).attempted(*attempt);
            match handle(&database, &delivery) {
                Ok(acknowledged) => !acknowledged,
                Err(error) => {
                    assert!(database.is_down(), "{error}");
                    database.restart();
                    crashed = true;
                    true
                }
            }
        });
    }
    assert_eq!(waiting, [], "crashed after {crash_after}");
    (effects(&database), crashed)
}

/// Crashes after each step in turn, until there is none more.
fn at_every_step(mut check: impl FnMut(u64) -> bool) {
    let mut steps = 0;
    while check(steps) {
        steps += 1;
    }
    assert!(steps > 10, "only {steps} steps");
}

/// As a consumer does it: begin, commit, work, commit, acknowledge.
fn once(inbox: &Inbox, database: &Memory, delivery: &Delivery) -> Result<bool, Failed> {
    let begun = database.transact(|tx| match inbox.begin(tx, "bank", delivery) {
        Err(Error::Store(error)) => Err(Error::Store(error)),
        begun => Ok(begun.expect("it has an id")),
    })?;
    assert_eq!(begun, Admission::Handle, "a crash or two are no poison");
    let outcome = database.transact(|tx| {
        inbox.once_with_result(tx, "bank", delivery, |tx| {
            append(tx, delivery)?;
            Ok::<_, StoreError>(Bytes::from("done"))
        })
    })?;
    assert_eq!(outcome.into_result().as_deref(), Some(&b"done"[..]));
    Ok(true)
}

#[test]
fn wherever_it_crashes_each_effect_happens_once() {
    let inbox = config().build().unwrap();
    at_every_step(|steps| {
        let (effects, crashed) = deliver(&[1, 2, 1], steps, |database, delivery| {
            once(&inbox, database, delivery)
        });
        let mut sorted = effects.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2], "crashed after {steps}: {effects:?}");
        crashed
    });
}

#[test]
fn wherever_it_crashes_a_key_is_handled_in_order() {
    let at_most = NonZeroU32::new(2).unwrap();
    let patience = Duration::from_secs(3600);
    for policy in [
        Policy::Buffer { at_most, patience },
        Policy::Reject { patience },
    ] {
        let inbox = config().out_of_order(policy).build().unwrap();
        at_every_step(|steps| {
            let numbers = [4, 2, 1, 2, 3];
            let (effects, crashed) = deliver(&numbers, steps, |database, delivery| {
                let ordered = database.transact(|tx| {
                    inbox.in_order(tx, "bank", delivery, |tx, delivery| append(tx, delivery))
                });
                Ok(ordered?.fate.is_acknowledged())
            });
            assert_eq!(effects, [1, 2, 3, 4], "crashed after {steps}, {policy:?}");
            crashed
        });
    }
}

/// The test that says so can fail: who writes down in a second transaction
/// that a message was seen repeats an effect, or loses one.
#[test]
fn without_one_transaction_a_crash_repeats_effects() {
    let inbox = config().build().unwrap();
    let mut worst = 0;
    at_every_step(|steps| {
        let (effects, crashed) = deliver(&[1, 2, 1], steps, |database, delivery| {
            let id = inbox.id_of(delivery).expect("it has an id");
            let refuse = |_: &mut Tx<'_>| Err::<(), _>(StoreError::new(Why::Refused));
            let seen = database.transact(|tx| match inbox.once(tx, "bank", &id, refuse) {
                Err(Error::Work { .. }) => Ok(false),
                Err(error) => Err(error),
                Ok(_) => Ok(true),
            })?;
            if !seen {
                database.transact(|tx| Ok(append(tx, delivery)?))?;
                let nothing = |_: &mut Tx<'_>| Ok::<_, StoreError>(());
                let _ = database.transact(|tx| inbox.once(tx, "bank", &id, nothing))?;
            }
            Ok(true)
        });
        worst = worst.max(effects.len());
        crashed
    });
    assert!(worst > 2, "an effect happened twice");
}
