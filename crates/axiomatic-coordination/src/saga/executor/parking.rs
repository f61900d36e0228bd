//! Putting a saga aside.

use std::time::Duration;

use bytes::Bytes;

use super::moving::text;
use super::shared::Shared;
use super::tenure::Held;
use crate::StoreError;
use crate::crash_points::reach;
use crate::saga::change::{Append, Change, Wake};
use crate::saga::mail::Subject;
use crate::saga::record::{Kind, Record, Stage};
use crate::saga::store::{Loaded, Store};

/// Why a saga is put aside.
pub(super) enum Parking {
    /// No definition that is known here runs it.
    NoDefinition,
    /// It was loaded too often without going forward.
    Poison,
    /// Its log is not one of its definition.
    Illegal(String),
    /// The store does not take what it has to say, or what it has is damaged.
    Refused(StoreError),
    /// It panicked here: it is loaded again, but not for ever.
    Panicked,
}

/// Puts a saga aside, so that it costs the others nothing.
pub(super) async fn park<S: Store>(
    shared: &Shared<S>,
    held: &Held,
    loaded: &Loaded,
    parking: Parking,
) -> Result<(), StoreError> {
    let abandon = loaded
        .mail
        .iter()
        .find(|letter| letter.subject == Subject::Abandon);
    let change = match (abandon, parking) {
        (Some(letter), _) => Change {
            records: vec![Record {
                kind: Kind::Abandoned,
                step: "".into(),
                item: 0,
                attempt: 0,
                data: letter.data.clone(),
                mail: Some(letter.id),
            }],
            stage: Stage::Abandoned,
            wake: Wake::In(Duration::MAX),
            result: Some(letter.data.clone()),
            progress: false,
        },
        (None, parking) => {
            // What cannot be run here was not loaded in vain: where it can
            // be, it is no poison.
            let progress = matches!(parking, Parking::NoDefinition | Parking::Illegal(_));
            let (why, pause) = match parking {
                Parking::NoDefinition => {
                    let name = &loaded.definition.name;
                    let version = loaded.definition.version;
                    let why = format!("no definition here runs {name:?} version {version}");
                    (why, shared.config.park)
                }
                Parking::Poison => (
                    format!("loaded {} times without going forward", loaded.loads),
                    Duration::MAX,
                ),
                Parking::Illegal(why) => (why, shared.config.park),
                Parking::Refused(error) => (error.to_string(), shared.config.park),
                Parking::Panicked => (
                    String::from("it panicked when it was run"),
                    shared.config.poll,
                ),
            };
            let definition = &loaded.definition.name;
            shared.counts.parked(loaded.saga, definition, &why);
            Change {
                records: Vec::new(),
                stage: Stage::Parked,
                wake: Wake::In(pause),
                result: Some(because(&why)),
                progress,
            }
        }
    };
    let append = Append {
        saga: loaded.saga,
        after: loaded.records.len() as u64,
        change,
        read: abandon.map_or(0, |_| loaded.mail.len() as u32),
    };
    reach("saga.parking");
    match shared.store.append(&held.lease, &append).await {
        // It is loaded again after the bucket's next claim.
        Err(error) if error.why().is_transient() => Ok(()),
        appended => appended.map(drop),
    }
}

fn because(why: &str) -> Bytes {
    let mut json = br#"{"step":"","why":"#.to_vec();
    json.extend_from_slice(&text(why));
    json.push(b'}');
    json.into()
}
