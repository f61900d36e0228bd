//! What a relay has in hand: leases, messages, verdicts. A plain value that
//! does no input or output and reads no clock; the loop around it carries out
//! what it says.
//!
//! A lane is *busy* from the fetch that brought messages of it until all that
//! was said of them is settled. Of a busy lane one message is in flight at
//! most, and the next follows when the broker has confirmed it, without
//! waiting for the store.
//!
//! Messages that may have been in flight when a lease was lost are *suspect*:
//! that publishing them begins is written down first. Of those that were begun
//! before and never ended, one at a time is published, *alone*, with nothing
//! else in flight, so that the one that ends processes is the one that gets
//! counted, and no other.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use axiomatic_core::time::Instant;

use super::config::Config;
use super::fate;
use super::lane::{Bucket, Buckets, Lane};
use super::record::{RowId, Stored};
use super::store::{Fate, Fetched, Lease, Settled, Settlement};

mod leasing;
mod publishing;
mod settling;
mod tenure;

pub(super) use tenure::Tenure;

#[derive(Debug)]
pub(super) struct Desk {
    config: Config,
    buckets: Buckets,
    tenure: Tenure,
    runs: HashMap<Lane, Run>,
    /// Lanes with a message in flight whose lease was lost meanwhile.
    ghosts: HashSet<Lane>,
    ready: VecDeque<Lane>,
    suspects: VecDeque<Lane>,
    alone: VecDeque<Lane>,
    solo: Option<Lane>,
    fates: BTreeMap<Bucket, Settlement<Settled>>,
    /// Messages in hand: waiting, in flight, or not settled.
    rows: usize,
    in_flight: usize,
    reached: Lane,
    /// How far fetches have walked along the lanes since they found something:
    /// once around is 2⁶⁴.
    walked: u128,
    /// Nothing of the last wave came through, and that was the broker's fault.
    outage: bool,
}

/// The messages of a lane that were fetched together.
#[derive(Debug)]
struct Run {
    lease: Lease,
    /// Those not in flight yet, the first of them next.
    rows: VecDeque<Stored>,
    stage: Stage,
    unsettled: usize,
}

/// What becomes of the first message of a run next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// It can be published.
    Ready,
    /// That it begins is to be written down before.
    Suspect,
    /// The same, and it is published alone.
    Alone,
    /// That it begins is being written down.
    Starting,
    /// A message of the run is in flight.
    InFlight,
    /// There is none left that may be published before what was said of the
    /// others is settled.
    Done,
}

/// What the next fetch asks for.
#[derive(Clone, Debug)]
pub(super) struct FetchPlan {
    pub(super) leases: Vec<Lease>,
    pub(super) after: Lane,
    pub(super) busy: Vec<Lane>,
    pub(super) rows: usize,
    pub(super) per_lane: usize,
    pub(super) lanes: usize,
}

/// What the answers to a wave came to.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) acked: u64,
    pub(super) duplicates: u64,
    pub(super) unknown: u64,
    pub(super) rejected: u64,
    /// Messages whose lease was lost while they were in flight.
    pub(super) discarded: u64,
    /// The broker failed, not the messages.
    pub(super) outage: bool,
}

impl Desk {
    pub(super) fn new(config: Config, buckets: Buckets) -> Self {
        Desk {
            config,
            buckets,
            tenure: Tenure::default(),
            runs: HashMap::new(),
            ghosts: HashSet::new(),
            ready: VecDeque::new(),
            suspects: VecDeque::new(),
            alone: VecDeque::new(),
            solo: None,
            fates: BTreeMap::new(),
            rows: 0,
            in_flight: 0,
            reached: Lane::LAST,
            walked: 0,
            outage: false,
        }
    }

    pub(super) fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Nothing is in flight, and nothing is left to be settled.
    pub(super) fn is_quiet(&self) -> bool {
        self.in_flight == 0 && self.fates.is_empty() && self.ghosts.is_empty()
    }

    /// What to fetch, if there is room and a bucket to fetch from.
    pub(super) fn plan_fetch(&self, now: Instant) -> Option<FetchPlan> {
        if self.rows > self.config.rows {
            return None;
        }
        let leases = self.tenure.usable(now);
        if leases.is_empty() {
            return None;
        }
        let mut busy: Vec<_> = self.runs.keys().chain(&self.ghosts).copied().collect();
        busy.sort_unstable();
        Some(FetchPlan {
            leases,
            after: self.reached,
            busy,
            rows: self.config.rows,
            per_lane: self.config.per_key,
            lanes: self.config.lanes,
        })
    }

    /// What the fetch brought. Of buckets whose lease is another than when it
    /// was planned, nothing counts: it may have been published meanwhile. Nor
    /// of those that are left by now.
    ///
    /// Returns whether the next one may find something at once.
    pub(super) fn fetched(&mut self, plan: &FetchPlan, fetched: Fetched) -> bool {
        let may_find_more = self.walk(&fetched);
        let mut fresh = Vec::new();
        for stored in fetched.rows {
            let lane = stored.lane;
            let lease = self.tenure.lease_to_begin(self.buckets.of(lane));
            let Some(lease) = lease.filter(|lease| plan.leases.contains(lease)) else {
                continue;
            };
            match self.runs.entry(lane) {
                Entry::Vacant(vacant) if !self.ghosts.contains(&lane) => {
                    vacant.insert(Run {
                        lease,
                        rows: VecDeque::from([stored]),
                        stage: Stage::Done,
                        unsettled: 0,
                    });
                    fresh.push(lane);
                }
                Entry::Occupied(mut run) if fresh.last() == Some(&lane) => {
                    run.get_mut().rows.push_back(stored);
                }
                // The lane is busy: it became so while the fetch was under way.
                _ => continue,
            }
            self.rows += 1;
        }
        for lane in fresh {
            self.line_up(lane);
        }
        may_find_more
    }

    /// Goes on along the lanes. A fetch that has found nothing may have met its
    /// limit among lanes that are not ready; but once around without finding
    /// anything is enough, until something happens.
    fn walk(&mut self, fetched: &Fetched) -> bool {
        if let Some(reached) = fetched.reached {
            self.walked += u128::from(reached.behind(self.reached));
            self.reached = reached;
        }
        let has_found = !fetched.rows.is_empty();
        let came_round = fetched.came_round || self.walked > u128::from(u64::MAX);
        if has_found || came_round {
            self.walked = 0;
        }
        has_found || !came_round
    }

    /// Puts a lane where its first message belongs.
    fn line_up(&mut self, lane: Lane) {
        let Some(run) = self.runs.get_mut(&lane) else {
            return;
        };
        let Some(first) = run.rows.front() else {
            run.stage = Stage::Done;
            return;
        };
        if first.started >= self.config.poison_after {
            let fate = fate::of_poison(first, &self.config);
            let row = first.row;
            self.decide(lane, row, fate);
        } else if first.row > run.lease.suspect_through {
            run.stage = Stage::Ready;
            self.ready.push_back(lane);
        } else if first.started == 0 {
            run.stage = Stage::Suspect;
            self.suspects.push_back(lane);
        } else {
            run.stage = Stage::Alone;
            self.alone.push_back(lane);
        }
    }

    /// Takes down what comes next for a message that was not published: the
    /// others of its run are left in the store.
    fn decide(&mut self, lane: Lane, row: RowId, fate: Fate) {
        let Some(run) = self.runs.get_mut(&lane) else {
            return;
        };
        let first_is_it = run.rows.front().is_some_and(|first| first.row == row);
        self.rows -= run.rows.len() - usize::from(first_is_it);
        run.rows.clear();
        run.stage = Stage::Done;
        run.unsettled += 1;
        let lease = run.lease;
        self.note(lease, Settled { row, lane, fate });
    }

    fn note(&mut self, lease: Lease, settled: Settled) {
        let fates = self.fates.entry(lease.bucket).or_insert(Settlement {
            lease,
            rows: Vec::new(),
        });
        fates.rows.push(settled);
    }

    fn lose_those_not_in<T>(&mut self, asked: &[Settlement<T>], kept: &[Bucket]) -> usize {
        let asked = asked.iter().map(|of_bucket| of_bucket.lease);
        let lost: Vec<_> = asked
            .filter(|lease| !kept.contains(&lease.bucket))
            .filter(|lease| self.tenure.lease(lease.bucket) == Some(*lease))
            .map(|lease| lease.bucket)
            .collect();
        self.lose_all(&lost)
    }

    fn forget_idle_runs(&mut self) {
        self.runs.retain(|_, run| !run.is_idle());
    }
}

impl Run {
    fn is_idle(&self) -> bool {
        self.stage == Stage::Done && self.rows.is_empty() && self.unsettled == 0
    }
}

#[cfg(test)]
mod tests;
