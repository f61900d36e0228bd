//! As Envoy's `RING_HASH` with XXH64: `ring_hash_lb.cc` and
//! `thread_aware_lb_impl.cc`.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};

use super::table::{Point, Wide};
use crate::consistent_hash::error::PlacementError;
use crate::consistent_hash::membership::{Member, Membership};

/// What Envoy's own configuration admits: 8M points.
pub(super) const MOST: u32 = 8 << 20;
/// What it has where nothing is said.
pub(super) const LEAST: u32 = 1024;

const HASHER: Hasher = Hasher::new(Algorithm::Xxh64, Seed::fixed(0));

/// Floating point, as there. Of the operations used (a conversion, a product,
/// a quotient, a sum, a comparison, `ceil`) IEEE 754 prescribes every bit.
pub(super) fn points(
    membership: &Membership,
    least: u32,
    most: u32,
) -> Result<Vec<Wide>, PlacementError> {
    if least == 0 {
        return Err(PlacementError::NoPoints);
    }
    for (points, most) in [(most, MOST), (least, most)] {
        if points > most {
            return Err(PlacementError::TooManyPoints {
                points: u64::from(points),
                most: u64::from(most),
            });
        }
    }
    let total = membership.total_weight() as f64;
    let weighty = membership.members().iter().filter(|m| m.weight() > 0);
    let share = |weight: u32| f64::from(weight) / total;
    let lightest = weighty.clone().map(Member::weight).min();
    // A membership has a member that weighs something.
    let lightest = share(lightest.unwrap_or(1));
    let scale = ((lightest * f64::from(least)).ceil() / lightest).min(f64::from(most));

    let mut points = Vec::with_capacity(scale as usize + 1);
    let (mut current, mut target) = (0.0, 0.0);
    let mut name = Vec::new();
    for member in weighty {
        target += scale * share(member.weight());
        let mut number = 0u64;
        while current < target {
            name.clear();
            name.extend_from_slice(member.id());
            name.push(b'_');
            name.extend_from_slice(number.to_string().as_bytes());
            points.push(Wide::new(HASHER.hash(&name), member.index() as u32));
            number += 1;
            current += 1.0;
        }
    }
    Ok(points)
}

pub(super) fn hash(key: &[u8]) -> u64 {
    HASHER.hash(key)
}
