//! What happens, and what it comes to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axiomatic_sim::Random;
use http::StatusCode;
use tokio::task::JoinSet;

use super::clients::{Client, Tally};
use super::place::{Place, PostgresPlace, SqlitePlace};
use super::provider::Provider;
use super::server::PROVIDER;
use super::servers::{Faults, Server, rage};

/// So many clients send a key at once: sixty-four in all.
const TEAMS: [usize; 20] = [2, 3, 3, 4, 4, 2, 3, 3, 4, 4, 2, 3, 3, 4, 4, 2, 3, 3, 4, 4];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_each_key_has_its_effect_once_in_sqlite() {
    storm(&SqlitePlace::new(), 17).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_each_key_has_its_effect_once_in_postgresql() {
    if let Some(place) = PostgresPlace::find().await {
        storm(&place, 18).await;
    }
}

async fn storm(place: &impl Place, seed: u64) {
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    let keys = if is_deep { 10_000 } else { 2_000 };
    let random = Random::new(seed);
    let provider = Provider::start(random.fork(1)).await;
    let mut variables = place.variables();
    variables.push((PROVIDER, provider.address().to_string()));
    let mut servers = [
        Server::start(variables.clone()),
        Server::start(variables.clone()),
    ];
    let addresses = [servers[0].address(), servers[1].address()];

    let next = Arc::new(AtomicU64::new(0));
    let mut teams = JoinSet::new();
    for (team, members) in TEAMS.into_iter().enumerate() {
        let random = random.fork(100 + team as u64);
        let member = |member| Client::of(&addresses, random.fork(member));
        let clients = (0..members as u64).map(member).collect();
        teams.spawn(work(clients, Arc::clone(&next), keys));
    }
    let mut faults = Faults::default();
    let all = async {
        let (mut answers, mut tally) = (HashMap::new(), Tally::default());
        while let Some(team) = teams.join_next().await {
            let team = team.unwrap();
            answers.extend(team.answers);
            tally = tally.and(team.tally);
        }
        (answers, tally)
    };
    let (answers, tally) = tokio::select! {
        all = all => all,
        () = rage(&mut servers, &next, random.fork(2), &mut faults) => unreachable!("it rages on"),
    };

    // Processes that know nothing of it say the same.
    for server in &mut servers {
        server.restart();
    }
    let mut late = Client::of(&addresses, random.fork(3));
    for number in (0..keys).step_by(20) {
        let (key, order) = names(number);
        let answer = late.order(&key, &order).await;
        assert_eq!(answer, (StatusCode::CREATED, answers[&key].clone()));
    }
    assert_eq!(late.tally().replayed, keys.div_ceil(20));

    let effects = place.effects().await;
    let resumed = effects.iter().filter(|effect| effect.attempts > 1).count();
    let seen = provider.seen();
    let calls: u64 = seen.values().map(|seen| seen.calls).sum();
    println!("{faults:?}, {tally:?}; of {keys} keys {resumed} were booked later than at first");
    let repeats = calls - provider.lies() - keys;
    println!("{calls} calls of the provider, {repeats} repeated for no fault of its own");

    let mut booked = BTreeMap::<_, Vec<_>>::new();
    for effect in effects {
        booked.entry(effect.order).or_default().push(effect.charge);
    }
    let mut wrong = Vec::new();
    for number in 0..keys {
        let (key, order) = names(number);
        let said: Vec<_> = answers[&key].split(' ').collect();
        let charges = booked.remove(&order).unwrap_or_default();
        // Booked once and as answered, under one key of the provider's.
        if said[0] != order || charges != [said[1]] || seen[&order].keys.len() != 1 {
            wrong.push((answers[&key].clone(), charges, seen[&order].clone()));
        }
    }
    assert!(wrong.is_empty(), "{} orders: {wrong:#?}", wrong.len());
    assert!(booked.is_empty(), "{booked:?}");
    assert_eq!(provider.charges() as u64, keys, "each is charged once");

    // Only who dies, or stands still, is followed while it runs a request: as
    // many at once as there are teams. A machine that is busy with something
    // else stands still as well.
    let ended = u64::from(faults.kills + faults.stops) * TEAMS.len() as u64;
    assert!(
        repeats <= ended + keys / 10,
        "leases that were held were followed"
    );

    // It was a storm.
    assert!(faults.kills >= 3 && faults.stops >= 1, "{faults:?}");
    assert!(repeats > 0 && resumed > 0 && tally.broken > 0);
    assert!(tally.replayed >= keys, "who came second got a replay");
}

fn names(number: u64) -> (String, String) {
    (format!("key-{number}"), format!("order-{number}"))
}

/// What a team has got.
struct Team {
    answers: Vec<(String, String)>,
    tally: Tally,
}

/// All send the next key at once, until there is none.
async fn work(mut clients: Vec<Client>, next: Arc<AtomicU64>, keys: u64) -> Team {
    let mut answers = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= keys {
            break;
        }
        let (key, order) = names(number);
        let asking = clients.iter_mut().map(|client| client.order(&key, &order));
        let mut got = futures::future::join_all(asking).await;
        let (status, answer) = got.pop().expect("a team has members");
        assert_eq!(status, StatusCode::CREATED, "{key}: {answer}");
        for other in got {
            assert_eq!(other, (status, answer.clone()), "{key}: one answer for all");
        }
        answers.push((key, answer));
    }
    let tally = clients.iter().map(Client::tally);
    Team {
        answers,
        tally: tally.fold(Tally::default(), Tally::and),
    }
}
