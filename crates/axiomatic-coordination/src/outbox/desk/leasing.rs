//! Buckets that come and go, and what that does to what is in hand of them.

use std::collections::HashSet;
use std::time::Duration;

use axiomatic_core::time::Instant;

use super::{Desk, Stage};
use crate::outbox::lane::{Bucket, Lane};
use crate::outbox::record::RowId;
use crate::outbox::store::{Fate, Lease};

impl Desk {
    /// These leases are ours until then. What was in hand of an earlier
    /// holding of the same bucket is not.
    pub(in crate::outbox) fn hold(&mut self, leases: &[Lease], until: Instant) {
        for lease in leases {
            if self
                .tenure
                .lease(lease.bucket)
                .is_some_and(|held| held != *lease)
            {
                self.lose(lease.bucket);
            }
            self.tenure.hold(*lease, until);
        }
    }

    /// Of these leases, those of these buckets were renewed until then, and
    /// the others are lost. Returns how many.
    pub(in crate::outbox) fn renewed(
        &mut self,
        asked: &[Lease],
        kept: &[Bucket],
        until: Instant,
    ) -> usize {
        let lost = asked.iter().filter(|lease| !kept.contains(&lease.bucket));
        let lost: Vec<_> = lost.map(|lease| lease.bucket).collect();
        for lease in asked {
            if kept.contains(&lease.bucket) {
                self.tenure.prolong(*lease, until);
            }
        }
        self.lose_all(&lost)
    }

    /// Leases that were not renewed in time are not relied on any more.
    /// Returns how many.
    pub(in crate::outbox) fn expire(&mut self, now: Instant) -> usize {
        let expired = self.tenure.expired(now);
        self.lose_all(&expired)
    }

    /// This bucket shall be another relay's: nothing of it is begun any more.
    /// Where it was written down that a message begins, and it has not, that is
    /// taken back: otherwise so many orderly ends would make it poison.
    pub(in crate::outbox) fn leave(&mut self, bucket: Bucket) {
        self.tenure.leave(bucket);
        for (lane, row) in self.begun_in_vain(bucket) {
            let fate = Fate::Again {
                after: Duration::ZERO,
                failure: None,
            };
            self.decide(lane, row, fate);
        }
        for (lane, run) in &mut self.runs {
            if run.lease.bucket != bucket {
                continue;
            }
            self.rows -= run.rows.len();
            run.rows.clear();
            if run.stage != Stage::InFlight {
                run.stage = Stage::Done;
                if self.solo == Some(*lane) {
                    self.solo = None;
                }
            }
        }
        self.forget_idle_runs();
    }

    /// Those that wait to be published after they were written down as begun.
    /// Who has begun before and did not end keeps what is known of it.
    fn begun_in_vain(&self, bucket: Bucket) -> Vec<(Lane, RowId)> {
        let of_bucket = self
            .runs
            .iter()
            .filter(|(_, run)| run.lease.bucket == bucket && run.stage == Stage::Ready);
        let first = of_bucket.filter_map(|(lane, run)| Some((*lane, run.rows.front()?)));
        let begun = first.filter(|(_, first)| first.started == 1);
        begun.map(|(lane, first)| (lane, first.row)).collect()
    }

    /// Leases of buckets that are left, of which nothing is in hand any more:
    /// to be released. They are not ours from now on.
    pub(in crate::outbox) fn take_left(&mut self) -> Vec<Lease> {
        let runs = self.runs.values().map(|run| run.lease.bucket);
        let ghosts = self.ghosts.iter().map(|lane| self.buckets.of(*lane));
        let in_use: HashSet<_> = runs.chain(ghosts).collect();
        self.tenure.take_left(|bucket| !in_use.contains(&bucket))
    }

    pub(super) fn lose_all(&mut self, buckets: &[Bucket]) -> usize {
        let held = buckets.iter().filter(|bucket| self.lose(**bucket));
        held.count()
    }

    /// The bucket is not ours any more: what is in hand of it is dropped.
    fn lose(&mut self, bucket: Bucket) -> bool {
        if !self.tenure.lose(bucket) {
            return false;
        }
        self.runs.retain(|lane, run| {
            if run.lease.bucket != bucket {
                return true;
            }
            self.rows -= run.rows.len() + run.unsettled;
            if run.stage == Stage::InFlight {
                self.rows -= 1;
                self.ghosts.insert(*lane);
            } else if self.solo == Some(*lane) {
                self.solo = None;
            }
            false
        });
        self.fates.remove(&bucket);
        true
    }
}
