//! Who takes part in what.

use crate::floors::{BARE, LOOSE_SCAN, NOT_EXISTS, NOTIFY, NOTIFY_AFTER};
use crate::graphile::GRAPHILE;
use crate::ours::OURS;
use crate::queue::Subject;
use crate::sqlxmq::SQLXMQ;
use crate::underway::UNDERWAY;

/// The first is the floor.
pub(crate) const ENQUEUE: &[Subject] = &[BARE, OURS, GRAPHILE, SQLXMQ, UNDERWAY];

/// Those whose batches and clients can be chosen; the first is the floor.
pub(crate) const DEQUEUE: &[Subject] = &[BARE, OURS];

/// Those who have settings of their own.
pub(crate) const DEQUEUE_ALONE: &[Subject] = &[GRAPHILE, SQLXMQ, UNDERWAY];

pub(crate) const LATENCY: &[Subject] = &[NOTIFY, NOTIFY_AFTER, OURS, GRAPHILE, SQLXMQ, UNDERWAY];

pub(crate) const HELD_XMIN: &[Subject] = &[BARE, OURS];

pub(crate) const BLOCKED_KEY: &[Subject] = &[NOT_EXISTS, LOOSE_SCAN, OURS];
