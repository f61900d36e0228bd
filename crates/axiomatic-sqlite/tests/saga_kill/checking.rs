//! Whether all is as it should be.

use std::collections::HashMap;

use axiomatic_coordination::saga::history::{Answer, Call, Ledger, Seen, check};
use axiomatic_coordination::saga::{SagaId, Stage, Store};

use super::place::{Place, Sagas};
use super::stories::{ACCOUNTS, BALANCE, Stories};

/// What was found of sagas.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) done: usize,
    pub(crate) compensated: usize,
    /// Effects, elsewhere and in the database.
    pub(crate) effects: usize,
    /// Calls that the ledger knew again.
    pub(crate) again: usize,
    /// Calls that came too late.
    pub(crate) late: usize,
}

/// Holds these sagas to what they promise, and the money to what there was.
pub(crate) fn check_all(place: &Place, sagas: impl IntoIterator<Item = SagaId>) -> Found {
    let stories = Stories::<Sagas>::of(place.path());
    let calls = Ledger::read(place.path().join("ledger")).unwrap();
    let elsewhere = by_saga(&calls);
    let seen = place.seen();
    let local = by_saga(&seen);
    let none = Vec::new();
    let mut found = Found::default();
    let mut tours = Vec::new();
    let stand = place.with(async |store| {
        let mut stand = Vec::new();
        for saga in sagas {
            let found = store.find(saga).await.unwrap();
            stand.push((saga, found.unwrap_or_else(|| panic!("{saga} is gone"))));
        }
        stand
    });
    for (saga, stands) in stand {
        let seen = Seen {
            elsewhere: elsewhere.get(&saga).unwrap_or(&none),
            local: local.get(&saga).unwrap_or(&none),
        };
        let description = stories.describe(&stands.summary.definition.name);
        if &*stands.summary.definition.name == "tour" {
            tours.push(saga);
        }
        let complaints = check(&description, &stands, seen);
        assert!(
            complaints.is_empty(),
            "{complaints:#?}\n{seen:#?}\n{stands:#?}"
        );
        match stands.summary.stage {
            Stage::Done => found.done += 1,
            Stage::Compensated => found.compensated += 1,
            stage => panic!("{saga} is {stage:?}"),
        }
    }
    alone(&calls, &tours);
    let times = |answer| calls.iter().filter(|call| call.answer == answer).count();
    found.effects = times(Answer::Happened) + seen.len();
    found.again = times(Answer::Again);
    found.late = times(Answer::TooLate);

    let sent = calls
        .iter()
        .filter(|call| &*call.step == "send" && call.answer == Answer::Happened);
    let sent: i64 = sent.map(|call| call.data.parse::<i64>().unwrap()).sum();
    let total = place.total();
    assert_eq!(
        total + sent,
        i64::from(ACCOUNTS) * BALANCE,
        "money is lost, or made"
    );
    found
}

/// Of these sagas each has the hall from before its first call until after its
/// last: none is heard between two calls of another.
fn alone(calls: &[Call], sagas: &[SagaId]) {
    let calls = calls.iter().filter(|call| sagas.contains(&call.saga));
    let mut heard: Vec<SagaId> = calls.map(|call| call.saga).collect();
    heard.dedup();
    let turns = heard.len();
    heard.sort_unstable();
    heard.dedup();
    assert_eq!(turns, heard.len(), "sagas met in the hall");
}

fn by_saga(calls: &[Call]) -> HashMap<SagaId, Vec<Call>> {
    let mut by_saga: HashMap<_, Vec<Call>> = HashMap::new();
    for call in calls {
        by_saga.entry(call.saga).or_default().push(call.clone());
    }
    by_saga
}
