//! Who is here, and who has which buckets.

use std::time::Duration;

use super::tables::{SagaTables, Sleep};
use crate::Timestamp;
use crate::outbox::{Bucket, Epoch};
use crate::saga::id::{ExecutorId, Lease};
use crate::saga::store::{Attended, Departing};

impl SagaTables {
    pub(super) fn attend(
        &mut self,
        executor: &ExecutorId,
        ttl: Duration,
        now: Timestamp,
    ) -> Attended {
        let until = now.saturating_add(ttl);
        self.executors.insert(executor.clone(), until);
        let here = self.executors.iter().filter(|(_, until)| **until > now);
        let executors = here.map(|(executor, _)| executor.clone()).collect();
        let mut leases = Vec::new();
        for (bucket, held) in (0..).zip(&mut self.leases) {
            if held.is_held_by(executor, now) {
                held.until = until;
                leases.push(Lease {
                    bucket: Bucket(bucket),
                    epoch: held.epoch,
                    owner: executor.clone(),
                });
            }
        }
        Attended { executors, leases }
    }

    pub(super) fn claim(
        &mut self,
        executor: &ExecutorId,
        wanted: &[Bucket],
        ttl: Duration,
        now: Timestamp,
    ) -> Vec<Lease> {
        let mut claimed = Vec::new();
        for bucket in wanted {
            let Some(held) = self.leases.get_mut(usize::from(bucket.0)) else {
                continue;
            };
            let is_asked_again = held.is_held_by(executor, now);
            if held.is_held(now) && !is_asked_again {
                continue;
            }
            held.until = now.saturating_add(ttl);
            if !is_asked_again {
                held.owner = Some(executor.clone());
                held.epoch = Epoch(held.epoch.0 + 1);
            }
            claimed.push(Lease {
                bucket: *bucket,
                epoch: held.epoch,
                owner: executor.clone(),
            });
            if !is_asked_again {
                self.wake_held(*bucket, now);
            }
        }
        claimed
    }

    /// What somebody ran is due at once.
    fn wake_held(&mut self, bucket: Bucket, now: Timestamp) {
        for id in self.places.held.remove(&bucket).unwrap_or_default() {
            self.amend(id, now, |saga| saga.sleep = Sleep::Until(now));
        }
    }

    /// As if the time of all were over, and of all executors.
    #[cfg(feature = "trial")]
    pub(super) fn end_leases(&mut self) {
        for held in &mut self.leases {
            held.owner = None;
        }
        self.executors.clear();
    }

    pub(super) fn release(
        &mut self,
        executor: &ExecutorId,
        leases: &[Lease],
        departing: Departing,
        now: Timestamp,
    ) {
        for lease in leases {
            if lease.owner == *executor && self.holds(lease, now) {
                self.leases[usize::from(lease.bucket.0)].owner = None;
            }
        }
        if departing == Departing::Yes {
            self.executors.remove(executor);
        }
    }
}
