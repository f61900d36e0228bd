//! What is published next: suspects after it was written down that they begin,
//! those that were begun before one at a time and alone, all others in waves.

use std::collections::{BTreeMap, HashSet};

use axiomatic_core::time::Instant;

use super::{Answered, Desk, Stage};
use crate::outbox::fate;
use crate::outbox::lane::{Bucket, Lane};
use crate::outbox::publisher::Verdict;
use crate::outbox::record::{Attempt, Envelope};
use crate::outbox::store::{Fate, Lease, Settled, Settlement};

impl Desk {
    /// Rows of which must be written down that they begin, before they do.
    pub(in crate::outbox) fn next_start(
        &mut self,
        now: Instant,
    ) -> Option<Vec<Settlement<Attempt>>> {
        let mut rows: BTreeMap<Bucket, Settlement<Attempt>> = BTreeMap::new();
        while let Some(lane) = self.suspects.pop_front() {
            self.begin(lane, Stage::Suspect, now, &mut rows);
        }
        // What is published alone begins alone: were another in flight, and it
        // the one that ends the process, this one would be counted for it.
        while rows.is_empty() && self.in_flight == 0 && self.solo.is_none() {
            let Some(lane) = self.alone.pop_front() else {
                break;
            };
            if self.begin(lane, Stage::Alone, now, &mut rows) {
                self.solo = Some(lane);
            }
        }
        let rows: Vec<_> = rows.into_values().collect();
        (!rows.is_empty()).then_some(rows)
    }

    fn begin(
        &mut self,
        lane: Lane,
        stage: Stage,
        now: Instant,
        rows: &mut BTreeMap<Bucket, Settlement<Attempt>>,
    ) -> bool {
        let Some(run) = self.runs.get_mut(&lane) else {
            return false;
        };
        let (true, Some(first)) = (run.stage == stage, run.rows.front()) else {
            return false;
        };
        if !self.tenure.is_usable(run.lease, now) {
            return false;
        }
        let lease = run.lease;
        let of_bucket = rows.entry(lease.bucket).or_insert(Settlement {
            lease,
            rows: Vec::new(),
        });
        of_bucket.rows.push(first.next_attempt());
        run.stage = Stage::Starting;
        true
    }

    /// That these rows begin is written down, in those of the buckets that
    /// are ours still. Returns how many leases are lost.
    pub(in crate::outbox) fn started(
        &mut self,
        rows: &[Settlement<Attempt>],
        kept: &[Bucket],
    ) -> usize {
        for lane in self.lanes_starting(rows) {
            let Some(run) = self.runs.get_mut(&lane) else {
                continue;
            };
            if let Some(first) = run
                .rows
                .front_mut()
                .filter(|_| kept.contains(&run.lease.bucket))
            {
                first.started += 1;
                run.stage = Stage::Ready;
                // A solo goes out by itself; the others line up.
                if self.solo != Some(lane) {
                    self.ready.push_back(lane);
                }
            }
        }
        self.lose_those_not_in(rows, kept)
    }

    /// Whether it was written down is not known: it is asked for again.
    pub(in crate::outbox) fn not_started(&mut self, rows: &[Settlement<Attempt>]) {
        for lane in self.lanes_starting(rows) {
            if self.solo == Some(lane) {
                self.solo = None;
            }
            self.line_up(lane);
        }
    }

    fn lanes_starting(&self, rows: &[Settlement<Attempt>]) -> Vec<Lane> {
        let asked: HashSet<(Lease, Attempt)> = rows
            .iter()
            .flat_map(|of_bucket| of_bucket.rows.iter().map(|row| (of_bucket.lease, *row)))
            .collect();
        let starting = self.runs.iter().filter(|(_, run)| {
            run.stage == Stage::Starting
                && run
                    .rows
                    .front()
                    .is_some_and(|first| asked.contains(&(run.lease, first.next_attempt())))
        });
        starting.map(|(lane, _)| *lane).collect()
    }

    /// The messages to publish next, no two of a lane.
    pub(in crate::outbox) fn next_wave(&mut self, now: Instant) -> Option<Vec<Envelope>> {
        if let Some(lane) = self.solo {
            let solo = self.send(lane, now)?;
            return Some(vec![solo]);
        }
        if !self.alone.is_empty() {
            self.alone.retain(|lane| {
                let run = self.runs.get(lane);
                run.is_some_and(|run| run.stage == Stage::Alone)
            });
        }
        if !self.alone.is_empty() {
            return None;
        }
        let room = self.config.max_in_flight.saturating_sub(self.in_flight);
        let room = room.min(self.config.wave);
        let mut wave = Vec::with_capacity(room.min(self.ready.len()));
        while wave.len() < room {
            let Some(lane) = self.ready.pop_front() else {
                break;
            };
            wave.extend(self.send(lane, now));
        }
        (!wave.is_empty()).then_some(wave)
    }

    fn send(&mut self, lane: Lane, now: Instant) -> Option<Envelope> {
        let run = self.runs.get_mut(&lane)?;
        if run.stage != Stage::Ready || !self.tenure.is_usable(run.lease, now) {
            return None;
        }
        let first = run.rows.pop_front()?;
        run.stage = Stage::InFlight;
        self.in_flight += 1;
        Some(Envelope::new(first, run.lease.epoch))
    }

    /// What became of a wave.
    pub(in crate::outbox) fn answered(
        &mut self,
        wave: &[Envelope],
        mut verdicts: Vec<Verdict>,
    ) -> Answered {
        verdicts.resize(wave.len(), Verdict::Unknown);
        self.outage = fate::is_outage(&verdicts, self.outage);
        let mut answered = Answered {
            outage: self.outage,
            ..Answered::default()
        };
        for (envelope, verdict) in wave.iter().zip(&verdicts) {
            self.in_flight -= 1;
            if self.solo == Some(envelope.stored().lane) {
                self.solo = None;
            }
            self.answer(envelope, verdict, &mut answered);
        }
        answered
    }

    fn answer(&mut self, envelope: &Envelope, verdict: &Verdict, answered: &mut Answered) {
        let stored = envelope.stored();
        let lane = stored.lane;
        let run = self.runs.get_mut(&lane);
        let Some(run) =
            run.filter(|run| run.stage == Stage::InFlight && run.lease.epoch == envelope.epoch())
        else {
            self.ghosts.remove(&lane);
            answered.discarded += 1;
            return;
        };
        match verdict {
            Verdict::Acked => answered.acked += 1,
            Verdict::Duplicate => answered.duplicates += 1,
            Verdict::Unknown => answered.unknown += 1,
            Verdict::Rejected { .. } => answered.rejected += 1,
        }
        let fate = fate::after(verdict, stored, answered.outage, &self.config);
        if fate == Fate::Published {
            run.unsettled += 1;
            let lease = run.lease;
            let row = stored.row;
            self.note(lease, Settled { row, lane, fate });
            self.line_up(lane);
            return;
        }
        self.decide(lane, stored.row, fate);
    }
}
