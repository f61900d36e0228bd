//! A consumer that is killed at every boundary, and started again by a broker
//! that brings what was not acknowledged.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axiomatic_coordination::inbox::{
    Admission, Config, Delivery, Error, Fate, IdRule, Ordered, Outcome, Policy,
};
use axiomatic_sqlite::inbox::Inbox;
use axiomatic_sqlite::{Database, Options, Transaction};

use crate::support::{Place, insert};

/// Where the child finds its database, and the broker's file.
const PLACE: &str = "AXIOMATIC_INBOX_KILLS";

/// Handles the deliveries in the file, and acknowledges each in another.
/// Nothing unless a parent says where.
#[test]
fn the_child() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    let place = Path::new(&place);
    let database = Database::open(place.join("test.db"), Options::new()).unwrap();
    let at_most = std::num::NonZeroU32::new(10).unwrap();
    let patience = Duration::from_secs(3600);
    let inbox = Config::new(IdRule::BrokerId, Duration::ZERO)
        .out_of_order(Policy::Buffer { at_most, patience })
        .build()
        .unwrap();
    let inbox = Inbox::new(&database, inbox).unwrap();
    for line in fs::read_to_string(place.join("deliveries"))
        .unwrap()
        .lines()
    {
        let (name, attempt) = line.split_once(' ').unwrap();
        let delivery = delivery(name).attempted(attempt.parse().unwrap());
        if consume(&inbox, &database, &delivery) {
            let acknowledged = fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(place.join("acknowledged"));
            writeln!(acknowledged.unwrap(), "{name}").unwrap();
        }
    }
}

/// `once-…` is for once, `n` is the n-th of a key, and what begins with
/// `poison` ends the process.
fn delivery(name: &str) -> Delivery {
    let delivery = Delivery::new(name.to_owned()).with_broker_id(name);
    match name.parse::<u64>() {
        Err(_) => delivery,
        Ok(number) => {
            let delivery = delivery
                .keyed("key")
                .with_header("outbox-sequence", number.to_string());
            match number {
                1 => delivery.with_header("outbox-first", "1"),
                _ => delivery,
            }
        }
    }
}

fn consume(inbox: &Inbox, database: &Database, delivery: &Delivery) -> bool {
    let writer = database.writer();
    let (this, of) = (inbox.clone(), delivery.clone());
    let begun = writer.run_blocking(move |tx| this.begin(tx, "bank", &of));
    if begun.unwrap() == Admission::Quarantined {
        return true;
    }
    let (inbox, delivery) = (inbox.clone(), delivery.clone());
    let acknowledged = writer.run_blocking(move |tx| {
        let work = |tx: &mut Transaction<'_>, of: &Delivery| {
            let body = std::str::from_utf8(of.body()).unwrap();
            if body.starts_with("poison") {
                std::process::abort();
            }
            insert(tx, body)
        };
        if delivery.key().is_some() {
            let ordered = inbox.in_order(tx, "bank", &delivery, work)?;
            let Ordered { fate, .. } = ordered;
            return Ok::<_, Error<rusqlite::Error>>(Fate::is_acknowledged(fate));
        }
        let done = inbox.once_with_result(tx, "bank", &delivery, |tx| {
            work(tx, &delivery)?;
            Ok(delivery.body().clone())
        })?;
        if let Outcome::Duplicate { result, .. } = done {
            assert_eq!(result.as_ref(), Some(delivery.body()));
        }
        Ok(true)
    });
    acknowledged.unwrap()
}

/// Starts children until all is acknowledged, the first of them with these
/// variables, and with deliveries of this attempt. Returns how many ended
/// before their time.
fn consume_all(place: &Place, names: &[&str], attempt: u32, first: &[(&str, String)]) -> usize {
    drop(place.open(Options::new()));
    let mut waiting: Vec<_> = names.iter().map(|name| (*name, attempt)).collect();
    let mut ended = 0;
    for start in 0..20 {
        let lines = waiting.iter();
        let lines = lines.map(|(name, attempt)| format!("{name} {attempt}\n"));
        fs::write(place.dir().join("deliveries"), lines.collect::<String>()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "inbox_kills::the_child", "--nocapture"]);
        child.env(PLACE, place.dir());
        child.stdout(std::process::Stdio::null());
        child.stderr(std::process::Stdio::null());
        if start == 0 {
            child.envs(first.iter().map(|(name, value)| (name, value)));
        }
        if !child.status().unwrap().success() {
            ended += 1;
        }
        let acknowledged = fs::read_to_string(place.dir().join("acknowledged"));
        let acknowledged = acknowledged.unwrap_or_default();
        let acknowledged: BTreeSet<_> = acknowledged.lines().collect();
        waiting.retain(|(name, _)| !acknowledged.contains(name));
        waiting.iter_mut().for_each(|(_, attempt)| *attempt += 1);
        if waiting.is_empty() {
            return ended;
        }
    }
    panic!("never acknowledged: {waiting:?}");
}

fn effects(place: &Place) -> Vec<String> {
    let look = place.look();
    let mut select = look
        .prepare("SELECT name FROM account ORDER BY id")
        .unwrap();
    let rows = select.query_map((), |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Out of order, and one of them twice in the same run.
const NAMES: [&str; 7] = ["once-a", "3", "1", "once-b", "once-a", "2", "4"];

#[test]
fn a_consumer_killed_at_any_boundary_has_each_effect_once() {
    let place = Place::new();
    let log = place.dir().join("boundaries");
    let log_to = ("AXIOMATIC_CRASH_LOG", log.to_str().unwrap().to_owned());
    assert_eq!(consume_all(&place, &NAMES, 2, &[log_to]), 0);
    let undisturbed = effects(&place);
    let boundaries = fs::read_to_string(log).unwrap();
    let boundaries: BTreeSet<_> = boundaries.lines().collect();
    for step in [
        "seen",
        "result_kept",
        "started",
        "held",
        "taken",
        "remembered",
    ] {
        let expected = format!("sqlite.inbox.{step}");
        assert!(
            boundaries.contains(&*expected),
            "{expected}: {boundaries:?}"
        );
    }
    // Most of the time is spent waiting for the disk.
    let cases = boundaries
        .iter()
        .flat_map(|boundary| [(boundary, 1), (boundary, 4)]);
    let cases: Vec<_> = cases.collect();
    let killed = std::thread::scope(|scope| {
        let threads = cases.chunks(cases.len().div_ceil(4));
        let threads = threads.map(|cases| {
            let undisturbed = &undisturbed;
            let kill = |(boundary, nth): &(&&str, u32)| kill_at(boundary, *nth, undisturbed);
            scope.spawn(move || cases.iter().map(kill).sum::<usize>())
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum::<usize>()
    });
    assert!(
        killed >= boundaries.len(),
        "only {killed} children were killed"
    );
}

/// Returns how many children were killed, of which there is none if this
/// boundary is not reached so often.
fn kill_at(boundary: &str, nth: u32, undisturbed: &[String]) -> usize {
    let place = Place::new();
    let crash = ("AXIOMATIC_CRASH_AT", format!("{boundary}:{nth}"));
    let killed = consume_all(&place, &NAMES, 2, &[crash]);
    let found = effects(&place);
    let once: BTreeSet<_> = found.iter().collect();
    assert_eq!(once, undisturbed.iter().collect(), "{boundary}:{nth}");
    assert_eq!(once.len(), found.len(), "{boundary}:{nth}: {found:?}");
    let numbers = found.iter().filter(|name| name.len() == 1);
    assert!(numbers.is_sorted(), "{boundary}:{nth}: {found:?}");
    killed
}

#[test]
fn a_message_that_kills_its_consumer_stops_after_three_redeliveries() {
    let place = Place::new();
    let names = ["once-a", "poison", "once-b"];
    let killed = consume_all(&place, &names, 1, &[]);
    assert_eq!(killed, 4, "the first is not counted");
    assert_eq!(effects(&place), ["once-a", "once-b"]);
    assert_eq!(place.count("inbox_quarantine"), 1);
}
