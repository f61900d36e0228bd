//! Who stands in line for what.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap;

use super::tables::SagaTables;
use crate::Timestamp;
use crate::saga::id::{Lease, SagaId};
use crate::saga::locks::{InLine, LockMode, LockRequest, Locked, has_it};

/// The lines, and what each saga has asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// By resource; none is empty.
    lines: BTreeMap<Box<str>, Vec<(SagaId, LockMode)>>,
    requests: HashMap<SagaId, Vec<Request>>,
}

#[derive(Clone, Debug)]
struct Request {
    name: Arc<str>,
    resources: Vec<Box<str>>,
    /// Its letter was posted.
    is_told: bool,
}

impl SagaTables {
    pub(super) fn lock(&mut self, lease: &Lease, request: &LockRequest, now: Timestamp) -> Locked {
        let saga = self.sagas.get(&request.saga);
        let may_lock = saga.is_some_and(|saga| saga.bucket == lease.bucket && !saga.stage.is_end());
        if !may_lock || !self.holds(lease, now) {
            return Locked::Lost;
        }
        let locked = self.lines.enter(request);
        if locked == Locked::Held {
            let letter = LockRequest::letter(request.saga, &request.name);
            self.post(request.saga, &letter, now);
        }
        locked
    }

    /// A saga has ended: it leaves all lines. Returns whether somebody hears
    /// that its turn has come.
    pub(super) fn leave_lines(&mut self, saga: SagaId, now: Timestamp) -> bool {
        let told = self.lines.leave(saga);
        for (next, name) in &told {
            self.post(*next, &LockRequest::letter(*next, name), now);
        }
        !told.is_empty()
    }

    /// The lines, if a saga stands in one.
    pub(super) fn lines_with(&self, saga: SagaId) -> Option<Lines> {
        let stands = self.lines.requests.contains_key(&saga);
        stands.then(|| self.lines.clone())
    }

    /// The lines are as they were, and nobody has heard otherwise.
    pub(super) fn take_lines_back(&mut self, before: Lines, now: Timestamp) {
        let after = std::mem::replace(&mut self.lines, before);
        for (saga, requests) in after.requests {
            let before = self.lines.requests[&saga].iter();
            let were_told: Vec<_> = before.map(|request| request.is_told).collect();
            for (request, was_told) in requests.into_iter().zip(were_told) {
                if request.is_told && !was_told {
                    let letter = LockRequest::letter(saga, &request.name);
                    self.amend(saga, now, |saga| {
                        saga.mail.retain(|(mail, _)| mail.id != letter.id);
                    });
                }
            }
        }
    }

    pub(super) fn line(&self, resource: &str) -> Vec<InLine> {
        let Some(line) = self.lines.lines.get(resource) else {
            return Vec::new();
        };
        let in_line = |(at, (saga, mode)): (usize, &(SagaId, LockMode))| InLine {
            saga: *saga,
            mode: *mode,
            has_it: has_it(line, at),
        };
        line.iter().enumerate().map(in_line).collect()
    }
}

impl Lines {
    fn enter(&mut self, wanted: &LockRequest) -> Locked {
        let saga = wanted.saga;
        let before = self.requests.get(&saga).map_or(&[][..], Vec::as_slice);
        let stands_here = before.iter().any(|before| before.name == wanted.name);
        let waits = wanted.waits && before.is_empty();
        if !stands_here {
            for lock in &wanted.locks {
                let line = self.lines.entry(lock.resource.clone()).or_default();
                line.push((saga, lock.mode));
            }
        }
        let has_all = wanted
            .locks
            .iter()
            .all(|lock| self.has(saga, &lock.resource));
        if !stands_here && !has_all && !waits {
            for lock in &wanted.locks {
                let line = self.lines.get_mut(&lock.resource).expect("just entered");
                line.pop();
                if line.is_empty() {
                    self.lines.remove(&lock.resource);
                }
            }
            return Locked::Busy;
        }
        if !stands_here && !wanted.locks.is_empty() {
            let resources = wanted.locks.iter().map(|lock| lock.resource.clone());
            self.requests.entry(saga).or_default().push(Request {
                name: wanted.name.clone(),
                resources: resources.collect(),
                is_told: has_all,
            });
        }
        match has_all {
            true => Locked::Held,
            false => Locked::Waits,
        }
    }

    /// Returns whose turn has come, and by which of their requests.
    fn leave(&mut self, saga: SagaId) -> Vec<(SagaId, Arc<str>)> {
        let mut next = Vec::new();
        for request in self.requests.remove(&saga).unwrap_or_default() {
            for resource in request.resources {
                let Some(line) = self.lines.get_mut(&resource) else {
                    continue;
                };
                line.retain(|(other, _)| *other != saga);
                next.extend(line.iter().map(|(saga, _)| *saga));
                if line.is_empty() {
                    self.lines.remove(&resource);
                }
            }
        }
        let mut told = Vec::new();
        for saga in next {
            for nth in 0..self.requests[&saga].len() {
                let request = &self.requests[&saga][nth];
                let mut resources = request.resources.iter();
                if !request.is_told && resources.all(|resource| self.has(saga, resource)) {
                    told.push((saga, request.name.clone()));
                    self.requests.get_mut(&saga).expect("just seen")[nth].is_told = true;
                }
            }
        }
        told
    }

    /// Whether all places of a saga in a line have what it is for.
    fn has(&self, saga: SagaId, resource: &str) -> bool {
        let line = &self.lines[resource];
        let mut places = (0..line.len()).filter(|at| line[*at].0 == saga);
        places.all(|at| has_it(line, at))
    }
}
