//! Histories as an outbox that works makes them, and the same with one thing
//! changed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What the relay does with the next message, which changes the history.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// One of this key, confirmed and settled.
    Publish(usize),
    /// One of this key, whose confirmation is lost: it is sent again.
    Unknown(usize),
    /// One of each of these two keys is published, the process dies, and the
    /// next one publishes them again.
    Crash(usize, usize),
    /// One of this key is published under a lease that expires; the next
    /// holder publishes it too, before or after.
    LoseLease(usize, Late),
    /// A transaction is rolled back.
    RollBack,
}

#[derive(Clone, Copy, Debug)]
enum Late {
    Loser,
    Winner,
}

const KEYS: usize = 3;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS;
    let late = prop_oneof![Just(Late::Loser), Just(Late::Winner)];
    let step = prop_oneof![
        3 => key.clone().prop_map(Step::Publish),
        1 => key.clone().prop_map(Step::Unknown),
        1 => (key.clone(), key.clone()).prop_map(|(one, other)| Step::Crash(one, other)),
        1 => (key, late).prop_map(|(key, late)| Step::LoseLease(key, late)),
        1 => Just(Step::RollBack),
    ];
    prop::collection::vec(step, 1..12)
}

/// The history of these steps, the commits in front of it or behind.
fn history(steps: &[Step], commits_first: &bool) -> Vec<Event> {
    let (mut commits, mut events, mut effects) = (vec![], vec![], vec![]);
    let mut orders = [0; KEYS];
    let mut epoch = 1;
    let mut last = 0;
    let mut commit = |key: usize| {
        last += 1;
        orders[key] += 1;
        commits.push(committed(last, ["a", "b", "c"][key], orders[key]));
        effects.push(effect(last));
        last
    };
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Publish(key) => events.push(published(commit(key), epoch)),
            Step::Unknown(key) => {
                let one = commit(key);
                events.extend([published(one, epoch), unknown(one), published(one, epoch)]);
            }
            Step::Crash(key, other) => {
                let mut in_flight = vec![commit(key)];
                if other != key {
                    in_flight.push(commit(other));
                }
                let publish = |epoch| in_flight.iter().map(move |one| published(*one, epoch));
                events.extend(publish(epoch));
                events.push(Event::Crash);
                epoch += 1;
                events.extend(publish(epoch));
            }
            Step::LoseLease(key, late) => {
                let one = commit(key);
                events.push(Event::LeaseLost);
                let (lost, won) = (published(one, epoch), published(one, epoch + 1));
                epoch += 1;
                events.extend(match late {
                    Late::Loser => [won, lost],
                    Late::Winner => [lost, won],
                });
            }
            Step::RollBack => events.push(rolled_back(1000 + number as u128)),
        }
    }
    if *commits_first {
        commits.append(&mut events);
        commits.append(&mut effects);
        commits
    } else {
        events.append(&mut effects);
        events.append(&mut commits);
        events
    }
}

/// Every history that differs from this one in one thing that matters, and
/// what was done to it.
fn mutations(events: &[Event]) -> Vec<(String, Vec<Event>)> {
    let mut all = Vec::new();
    let mut add = |what: &str, at: usize, change: &dyn Fn(&mut Vec<Event>)| {
        let mut changed = events.to_vec();
        change(&mut changed);
        all.push((format!("{what} {at}: {}", events[at]), changed));
    };
    let mut published_at: BTreeMap<MessageId, Vec<usize>> = BTreeMap::new();
    let mut committed_as = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Published { id, .. } => published_at.entry(*id).or_default().push(at),
            Event::Committed { id, key, order } => {
                committed_as.insert((key.clone(), *order), *id);
            }
            _ => {}
        }
    }
    for (at, event) in events.iter().enumerate() {
        let repeat = |events: &mut Vec<Event>| events.insert(at, event.clone());
        let drop = |events: &mut Vec<Event>| drop(events.remove(at));
        match event {
            Event::Committed { .. } | Event::Effect { .. } => {
                add("drop", at, &drop);
                add("repeat", at, &repeat);
            }
            Event::Published { id, epoch } => {
                add("repeat", at, &repeat);
                if published_at[id].len() == 1 {
                    add("drop", at, &drop);
                }
                let (id, epoch) = (self::id(5000), *epoch);
                let forged = Event::Published { id, epoch };
                add("forge", at, &|events| events.insert(at, forged.clone()));
            }
            // It excuses what comes next, and nothing else does: but a lease
            // that was lost before excuses what a crash does.
            Event::Unknown { .. } => add("drop", at, &drop),
            Event::Crash if events[..at].contains(&Event::LeaseLost) => {}
            Event::Crash => add("drop", at, &drop),
            Event::RolledBack { id } => {
                let (id, epoch) = (*id, Epoch(1));
                let forged = Event::Published { id, epoch };
                add("publish", at, &|events| events.push(forged.clone()));
                let forged = Event::Effect { id };
                add("effect of", at, &|events| events.push(forged.clone()));
            }
            Event::LeaseLost | Event::Buried { .. } => {}
        }
    }
    // Without the leases lost, what was published because of them.
    if let Some(at) = events.iter().position(|event| *event == Event::LeaseLost) {
        add("drop all from", at, &|events| {
            events.retain(|event| *event != Event::LeaseLost);
        });
    }
    for ((key, order), id) in &committed_as {
        if let Some(next) = committed_as.get(&(key.clone(), order + 1)) {
            let [one, other] = [id, next].map(|id| published_at[id][0]);
            add("swap", one, &|events| events.swap(one, other));
        }
    }
    all
}

proptest! {
    #[test]
    fn what_works_has_no_violation(steps in steps(), commits_first: bool) {
        prop_assert_eq!(violations(&history(&steps, &commits_first)), []);
    }

    #[test]
    fn every_single_change_is_found(steps in steps(), commits_first: bool) {
        for (what, changed) in mutations(&history(&steps, &commits_first)) {
            prop_assert_ne!(violations(&changed), [], "{}", what);
        }
    }
}
