//! Whose turn it is to run a request.

use std::time::Duration;

use uuid::Uuid;

use super::key::{Fingerprint, Name};
use super::message::{StoredRequest, StoredResponse};
use super::step::Step;

/// Who claims: fresh for each claim, and the same when that claim is asked
/// again because its answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub Uuid);

impl Owner {
    /// One that nobody else is.
    pub fn unique() -> Self {
        Owner(Uuid::now_v7())
    }
}

/// What a request says when it comes.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// Its key, and where that is unique.
    pub name: &'a Name,
    /// What it asks for.
    pub fingerprint: Fingerprint,
    /// Who claims. A key that is new gets this id as that of its
    /// [record](Lease::record).
    pub owner: Owner,
    /// For how long the lease lasts, from now.
    pub lease: Duration,
    /// For how long the key is remembered, from now.
    pub retention: Duration,
    /// What is stored of it, so that it can be run without its client.
    pub request: Option<&'a StoredRequest>,
}

/// What a claim found.
#[derive(Clone, Debug, PartialEq)]
pub enum Claimed {
    /// It is ours to run: it is new, or who ran it has given it up, or died.
    Mine(Mine),
    /// Another runs it.
    InProgress {
        /// When its lease ends, unless it is renewed.
        lease_ends_in: Duration,
    },
    /// It was run, and this was the answer.
    Completed(StoredResponse),
    /// The key was used, for another request.
    Mismatch,
}

/// A request that is ours to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Mine {
    /// What all that is written of it is fenced by.
    pub lease: Lease,
    /// What was done of it before, in the order in which it was done.
    pub steps: Vec<Step>,
    /// How often it was claimed, this time included: 1 if it is new.
    pub attempts: u32,
}

/// The right to run a request, until another has it.
///
/// A store writes nothing for a lease that another has followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The record of the key. A key that was forgotten and is used again has
    /// another.
    pub record: Uuid,
    /// The number of this claim of the record; that which follows has a higher
    /// one.
    pub epoch: u64,
}

/// Whether a lease was held when something was to be written for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "nothing was written if the lease was lost"]
pub enum Fence {
    /// It was, and it is written.
    Held,
    /// Another has the request, or it is complete, or forgotten: nothing was
    /// written.
    Lost,
}

/// What may be resumed without its client.
#[derive(Clone, Copy, Debug)]
pub struct Adopt {
    /// Who claims.
    pub owner: Owner,
    /// For how long the lease lasts, from now.
    pub lease: Duration,
    /// How long ago its last lease must have ended or been released.
    pub abandoned_for: Duration,
    /// How often it may have been claimed, at most.
    pub attempts: u32,
}

/// A request that was resumed without its client.
#[derive(Clone, Debug, PartialEq)]
pub struct Adopted {
    /// Its key.
    pub name: Name,
    /// What it was.
    pub request: StoredRequest,
    /// What was done of it.
    pub mine: Mine,
}
