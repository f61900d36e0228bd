//! What is written down of messages, and when a lane is free again.

use std::collections::hash_map::Entry;

use super::Desk;
use crate::outbox::lane::Bucket;
use crate::outbox::store::{Settled, Settlement};

impl Desk {
    /// What is to be written down of messages.
    pub(in crate::outbox) fn next_settlement(&mut self) -> Option<Vec<Settlement<Settled>>> {
        if self.fates.is_empty() {
            return None;
        }
        Some(std::mem::take(&mut self.fates).into_values().collect())
    }

    /// It is written down, in those of the buckets that are ours still.
    /// Returns how many leases are lost.
    pub(in crate::outbox) fn settled(
        &mut self,
        fates: &[Settlement<Settled>],
        kept: &[Bucket],
    ) -> usize {
        for of_bucket in fates {
            if !kept.contains(&of_bucket.lease.bucket) {
                continue;
            }
            for settled in &of_bucket.rows {
                let Entry::Occupied(mut run) = self.runs.entry(settled.lane) else {
                    continue;
                };
                if run.get().lease != of_bucket.lease {
                    continue;
                }
                run.get_mut().unsettled -= 1;
                self.rows -= 1;
                if run.get().is_idle() {
                    run.remove();
                }
            }
        }
        self.lose_those_not_in(fates, kept)
    }

    /// Whether it was written down is not known: it is asked for again, before
    /// what was said since.
    pub(in crate::outbox) fn not_settled(&mut self, fates: Vec<Settlement<Settled>>) {
        for mut earlier in fates {
            if self.tenure.lease(earlier.lease.bucket) != Some(earlier.lease) {
                continue;
            }
            if let Some(later) = self.fates.remove(&earlier.lease.bucket) {
                earlier.rows.extend(later.rows);
            }
            self.fates.insert(earlier.lease.bucket, earlier);
        }
    }
}
