//! Random scripts: a store of the simplest kind, a broker that answers
//! anything, leases that come and go, and what must hold whatever happens.
//! One file, because the world is nothing without the rules that it is held to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use axiomatic_core::time::Instant;
use proptest::prelude::*;

use super::{Desk, FetchPlan};
use crate::outbox::lane::Lane;
use crate::outbox::publisher::Class;
use crate::outbox::store::Lease;
use crate::outbox::{
    Attempt, Bucket, Buckets, Config, Envelope, Epoch, Fate, Fetched, HeadPolicy, Message, RowId,
    Settled, Settlement, Stored, Verdict,
};
use crate::{MessageId, Timestamp};

const WAVE: usize = 3;
const IN_FLIGHT: usize = 5;

/// Everything around a desk, one step at a time.
struct World {
    desk: Desk,
    buckets: Buckets,
    rows: BTreeMap<(Lane, RowId), Stored>,
    leases: HashMap<Bucket, Lease>,
    fetching: Option<(FetchPlan, Fetched)>,
    starting: Option<Vec<Settlement<Attempt>>>,
    settling: Option<Vec<Settlement<Settled>>>,
    waves: Vec<Vec<Envelope>>,
    /// Rows whose start is in the store, since their last verdict there.
    begun: HashSet<RowId>,
    published: Vec<RowId>,
    settled: HashSet<RowId>,
    now: Instant,
}

impl World {
    fn new(messages: u8) -> Self {
        let config = Config::new()
            .rows(6)
            .per_key(3)
            .wave(WAVE)
            .max_in_flight(IN_FLIGHT)
            .head_policy(HeadPolicy::ParkMessage);
        let buckets = Buckets::new(4.try_into().unwrap());
        let rows = (1..=i64::from(messages)).map(|n| {
            let id = MessageId::from_u128(n as u128);
            let message = Message::new("t", "").with_id(id).keyed((n % 5).to_string());
            let stored = Stored {
                row: RowId(n),
                lane: message.lane(),
                sequence: None,
                failures: 0,
                started: 0,
                enqueued_at: Timestamp::default(),
                message,
            };
            ((stored.lane, stored.row), stored)
        });
        World {
            desk: Desk::new(config, buckets),
            buckets,
            rows: rows.collect(),
            leases: HashMap::new(),
            fetching: None,
            starting: None,
            settling: None,
            waves: Vec::new(),
            begun: HashSet::new(),
            published: Vec::new(),
            settled: HashSet::new(),
            now: Instant::from_nanos(1_000_000),
        }
    }

    fn step(&mut self, action: u8, dice: u8) {
        match action {
            0..3 => self.fetch(),
            3..5 => self.start(),
            5..9 => self.publish(),
            9..13 => self.answer(dice),
            13..16 => self.settle(dice),
            16 => self.claim(Bucket(u16::from(dice % 4))),
            17 => self.take_away(Bucket(u16::from(dice % 4))),
            18 => self.renew(),
            19 => self.leave(Bucket(u16::from(dice % 4))),
            _ => self.pass(dice),
        }
        self.holds();
    }

    /// A fetch is asked for, or its answer comes.
    fn fetch(&mut self) {
        if let Some((plan, fetched)) = self.fetching.take() {
            self.desk.fetched(&plan, fetched);
        } else if let Some(plan) = self.desk.plan_fetch(self.now) {
            let mut fetched = Fetched::default();
            let mut of_lane: HashMap<Lane, usize> = HashMap::new();
            for stored in self.rows.values() {
                let count = of_lane.entry(stored.lane).or_default();
                let bucket = self.buckets.of(stored.lane);
                let is_ours = plan.leases.iter().any(|lease| lease.bucket == bucket);
                if is_ours && !plan.busy.contains(&stored.lane) && *count < plan.per_lane {
                    *count += 1;
                    fetched.rows.push(stored.clone());
                }
            }
            fetched.rows.truncate(plan.rows);
            self.fetching = Some((plan, fetched));
        }
    }

    fn start(&mut self) {
        if let Some(rows) = self.starting.take() {
            let kept = self.kept(&rows);
            for of_bucket in rows.iter().filter(|rows| kept.contains(&rows.lease.bucket)) {
                for Attempt { lane, row, number } in &of_bucket.rows {
                    self.begun.insert(*row);
                    if let Some(stored) = self.rows.get_mut(&(*lane, *row)) {
                        stored.started = *number;
                    }
                }
            }
            self.desk.started(&rows, &kept);
        } else {
            self.starting = self.desk.next_start(self.now);
        }
    }

    fn publish(&mut self) {
        let Some(wave) = self.desk.next_wave(self.now) else {
            return;
        };
        assert!(wave.len() <= WAVE);
        for envelope in &wave {
            let stored = envelope.stored();
            let lease = self
                .desk
                .tenure()
                .lease(self.buckets.of(stored.lane))
                .unwrap();
            assert_eq!(lease.epoch, envelope.epoch());
            if self.leases.get(&lease.bucket) == Some(&lease) {
                // Who lost the lease may not know. Who holds it knows all.
                let is_there = self.rows.contains_key(&(stored.lane, stored.row));
                assert!(is_there, "what another has settled is not published");
            }
            if stored.row <= lease.suspect_through {
                assert!(self.begun.contains(&stored.row), "a suspect begins durably");
            }
            if stored.started > 1 {
                assert_eq!(self.desk.in_flight(), 1, "what was begun before goes alone");
            }
            self.published.push(stored.row);
        }
        self.waves.push(wave);
        let lanes = self
            .waves
            .iter()
            .flatten()
            .map(|envelope| envelope.stored().lane);
        let different: HashSet<_> = lanes.clone().collect();
        assert_eq!(different.len(), lanes.count(), "one of a lane in flight");
    }

    fn answer(&mut self, dice: u8) {
        if self.waves.is_empty() {
            return;
        }
        let wave = self.waves.swap_remove(usize::from(dice) % self.waves.len());
        let verdicts = (0..wave.len()).map(|at| match dice.rotate_left(at as u32 * 3) % 16 {
            0 => Verdict::Unknown,
            1 => Verdict::rejected(Class::Transient, ""),
            2 => Verdict::rejected(Class::Permanent, ""),
            3 => Verdict::Duplicate,
            _ => Verdict::Acked,
        });
        let verdicts = verdicts.collect();
        self.desk.answered(&wave, verdicts);
    }

    fn settle(&mut self, dice: u8) {
        let Some(fates) = self.settling.take() else {
            self.settling = self.desk.next_settlement();
            return;
        };
        if dice % 4 == 0 {
            self.desk.not_settled(fates);
            return;
        }
        let kept = self.kept(&fates);
        for of_bucket in fates
            .iter()
            .filter(|fates| kept.contains(&fates.lease.bucket))
        {
            for Settled { row, lane, fate } in &of_bucket.rows {
                self.begun.remove(row);
                match fate {
                    Fate::Published => {
                        assert!(
                            self.published.contains(row),
                            "published before it is settled"
                        );
                        self.rows.remove(&(*lane, *row));
                        self.settled.insert(*row);
                    }
                    Fate::Buried(_) | Fate::Parked(_) => drop(self.rows.remove(&(*lane, *row))),
                    Fate::Again { failure, .. } => {
                        if let Some(stored) = self.rows.get_mut(&(*lane, *row)) {
                            stored.started = 0;
                            stored.failures += u32::from(failure.is_some());
                        }
                    }
                }
            }
        }
        self.desk.settled(&fates, &kept);
    }

    fn kept<T>(&self, asked: &[Settlement<T>]) -> Vec<Bucket> {
        let ours = asked.iter().map(|of_bucket| of_bucket.lease);
        let ours = ours.filter(|lease| self.leases.get(&lease.bucket) == Some(lease));
        ours.map(|lease| lease.bucket).collect()
    }

    fn claim(&mut self, bucket: Bucket) {
        let is_ours = self.desk.tenure().lease(bucket);
        if is_ours.is_some() && is_ours == self.leases.get(&bucket).copied() {
            return;
        }
        let before = self.leases.get(&bucket).map_or(0, |lease| lease.epoch.0);
        let last = self.rows.keys().map(|(_, row)| *row).max();
        let lease = Lease {
            bucket,
            epoch: Epoch(before + 1),
            suspect_through: if before > 0 {
                last.unwrap_or_default()
            } else {
                RowId(0)
            },
        };
        self.leases.insert(bucket, lease);
        self.desk
            .hold(&[lease], self.now + Duration::from_nanos(1000));
    }

    /// Another relay takes it, without ours noticing, and publishes something.
    fn take_away(&mut self, bucket: Bucket) {
        if let Some(lease) = self.leases.get_mut(&bucket) {
            lease.epoch.0 += 1;
            let lanes = self.buckets.lanes(bucket);
            let mut rows = self.rows.keys();
            if let Some(row) = rows.find(|(lane, _)| lanes.contains(lane)).copied() {
                self.rows.remove(&row);
            }
        }
    }

    fn renew(&mut self) {
        let asked = self.desk.tenure().all();
        let kept = asked
            .iter()
            .filter(|lease| self.leases.get(&lease.bucket) == Some(*lease));
        let kept: Vec<_> = kept.map(|lease| lease.bucket).collect();
        self.desk
            .renewed(&asked, &kept, self.now + Duration::from_nanos(1000));
    }

    fn pass(&mut self, dice: u8) {
        self.now = self.now + Duration::from_nanos(u64::from(dice) * 4);
        self.desk.expire(self.now);
        self.release();
    }

    fn leave(&mut self, bucket: Bucket) {
        self.desk.leave(bucket);
        self.release();
    }

    fn release(&mut self) {
        for left in self.desk.take_left() {
            let of_bucket = |lane: Lane| self.buckets.of(lane) == left.bucket;
            let in_flight = self.waves.iter().flatten();
            let mut in_flight = in_flight.map(|envelope| envelope.stored().lane);
            assert!(!in_flight.any(of_bucket), "nothing of it is in flight");
        }
    }

    fn holds(&self) {
        let in_flight: usize = self.waves.iter().map(Vec::len).sum();
        assert_eq!(self.desk.in_flight(), in_flight);
        assert!(in_flight <= IN_FLIGHT);
        let counted: usize = self.desk.runs.values().map(super::Run::in_hand).sum();
        assert_eq!(self.desk.rows, counted, "what is in hand is counted");
    }

    /// Whatever has happened, all that is left is published once everything
    /// goes well.
    fn end(&mut self) {
        for round in 0.. {
            assert!(round < 500, "it comes to an end: {:?}", self.desk);
            for bucket in self.buckets.all().collect::<Vec<_>>() {
                self.claim(bucket);
            }
            self.renew();
            self.fetch();
            self.start();
            self.publish();
            self.answer(0xff);
            self.settle(1);
            self.pass(0);
            if self.rows.is_empty() && self.desk.is_quiet() && self.settling.is_none() {
                break;
            }
        }
    }
}

impl super::Run {
    fn in_hand(&self) -> usize {
        self.rows.len() + self.unsettled + usize::from(self.stage == super::Stage::InFlight)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_happens_the_rules_hold_and_it_goes_on(
        script in prop::collection::vec((0_u8..22, any::<u8>()), 0..150),
        messages in 1_u8..20,
    ) {
        let mut world = World::new(messages);
        for (action, dice) in script {
            world.step(action, dice);
        }
        world.end();
        prop_assert_eq!(world.desk.rows, 0);
        prop_assert!(world.desk.runs.is_empty());
    }

    /// As long as no lease is lost and nothing fails, each is published once,
    /// in the order of its key.
    #[test]
    fn with_no_trouble_each_is_published_once_in_order(messages in 1_u8..40) {
        let mut world = World::new(messages);
        world.end();
        let mut of_key: HashMap<i64, Vec<RowId>> = HashMap::new();
        for row in &world.published {
            of_key.entry(row.0 % 5).or_default().push(*row);
        }
        prop_assert_eq!(world.published.len(), usize::from(messages));
        prop_assert!(of_key.values().all(|rows| rows.is_sorted()));
    }
}

/// The bucket of a message that goes alone is given up just then: the others
/// must not wait for it.
#[test]
fn a_solo_whose_bucket_is_left_keeps_nobody_waiting() {
    // One of each of five keys, which are in more than one bucket.
    let mut world = World::new(5);
    for stored in world.rows.values_mut() {
        stored.started = 1;
    }
    for bucket in world.buckets.all().collect::<Vec<_>>() {
        world.claim(bucket);
        // Held a second time, so that all is suspect.
        world.leases.get_mut(&bucket).unwrap().epoch.0 += 1;
        world.claim(bucket);
    }
    (0..2).for_each(|_| world.fetch());
    let begun = world.desk.next_start(world.now).expect("one goes alone");
    assert_eq!(
        begun
            .iter()
            .map(|of_bucket| of_bucket.rows.len())
            .sum::<usize>(),
        1
    );
    world.desk.leave(begun[0].lease.bucket);
    world.desk.not_started(&begun);
    assert!(
        world.desk.next_start(world.now).is_some(),
        "the next one goes"
    );
}

/// Found by the script above on 2026-11-27: a bucket was left while a fetch
/// was under way, what it brought was taken, could not be published, and kept
/// the bucket from being given back for ever.
#[test]
fn what_a_fetch_brings_of_a_bucket_that_is_left_is_not_taken() {
    let mut world = World::new(5);
    for bucket in world.buckets.all().collect::<Vec<_>>() {
        world.claim(bucket);
    }
    world.fetch();
    for bucket in world.buckets.all().collect::<Vec<_>>() {
        world.desk.leave(bucket);
    }
    world.fetch();
    assert_eq!(world.desk.take_left().len(), 4);
}

/// Ten thousand keys wait, and a fetch looks at a thousand: ten of them find
/// out that nothing is ready, and the eleventh is for later.
#[test]
fn once_around_without_finding_anything_is_enough() {
    let mut world = World::new(0);
    world.claim(Bucket(0));
    let tenth = u64::MAX / 10;
    let mut fetches = 0;
    let mut reached = Lane::LAST;
    loop {
        let plan = world.desk.plan_fetch(world.now).unwrap();
        assert_eq!(plan.after, reached);
        fetches += 1;
        reached = Lane::from_stored(reached.to_stored().wrapping_add_unsigned(tenth));
        let fetched = Fetched {
            reached: Some(reached),
            ..Fetched::default()
        };
        if !world.desk.fetched(&plan, fetched) {
            break;
        }
    }
    assert_eq!(fetches, 11, "ten are just short of the whole");
}

#[test]
fn what_was_to_begin_in_a_bucket_that_is_left_has_not_begun() {
    let mut world = World::new(5);
    for bucket in world.buckets.all().collect::<Vec<_>>() {
        world.claim(bucket);
        world.leases.get_mut(&bucket).unwrap().epoch.0 += 1;
        world.claim(bucket);
    }
    (0..2).for_each(|_| world.fetch());
    (0..2).for_each(|_| world.start());
    assert_eq!(
        world
            .rows
            .values()
            .map(|stored| stored.started)
            .sum::<u32>(),
        5
    );
    for bucket in world.buckets.all().collect::<Vec<_>>() {
        world.desk.leave(bucket);
    }
    (0..2).for_each(|_| world.settle(1));
    assert_eq!(
        world
            .rows
            .values()
            .map(|stored| stored.started)
            .sum::<u32>(),
        0
    );
    assert_eq!(world.desk.take_left().len(), 4);
}
