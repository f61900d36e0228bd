//! As libketama: `libketama/ketama.c` of <https://github.com/RJ/ketama>.

use axiomatic_core::hash::{Algorithm, Hasher, Seed};

use super::table::{Narrow, Point};
use crate::consistent_hash::membership::Membership;

const HASHER: Hasher = Hasher::new(Algorithm::Md5, Seed::fixed(0));

/// At most so many points for each member, on average.
pub(super) const POINTS: u64 = 160;

/// The digests of "identity-0", "identity-1", …: each is four points.
pub(super) fn points(membership: &Membership) -> Vec<Narrow> {
    let weighty = membership.members().iter().filter(|m| m.weight() > 0);
    let members = weighty.clone().count();
    let mut points = Vec::with_capacity(members * POINTS as usize);
    for member in weighty {
        let digests = digests(member.weight(), membership.total_weight(), members);
        let mut name = member.id().to_vec();
        name.push(b'-');
        let stem = name.len();
        for number in 0..digests {
            name.truncate(stem);
            name.extend_from_slice(number.to_string().as_bytes());
            let digest = HASHER.hash128(&name).unwrap_or_default();
            points.extend([0, 32, 64, 96].map(|bits| {
                let hash = digest >> bits & u128::from(u32::MAX);
                Narrow::new(hash as u64, member.index() as u32)
            }));
        }
    }
    points
}

/// How many digests a member has: its share of 40 for each, rounded down.
///
/// The share is of single precision, and so is what is rounded; the product is
/// of double precision, for `40.0` is. IEEE 754 prescribes every bit of a
/// conversion, a quotient, a product and `floor`, so it comes out the same on
/// every platform.
fn digests(weight: u32, total: u64, members: usize) -> u32 {
    let share = weight as f32 / total as f32;
    let digests = f64::from(share) * 40.0 * f64::from(members as f32);
    (digests as f32).floor() as u32
}

/// The first four bytes of the digest.
pub(super) fn hash(key: &[u8]) -> u64 {
    HASHER.hash(key)
}

#[cfg(test)]
mod tests {
    use super::digests;

    /// As the expression in `ketama.c` comes out, compiled by gcc for x86-64.
    /// Exactly, the first would be 63, and the last of 61 equal servers 40.
    #[test]
    fn digests_are_rounded_as_in_c() {
        for (weight, total, members, rounded) in [
            (21, 40, 3, 62),
            (7, 10, 2, 56),
            (29, 60, 3, 58),
            (53, 60, 3, 106),
            (600, 4300, 8, 44),
            (1, 1_000_001, 2, 0),
            (1, 60, 60, 40),
            (1, 61, 61, 39),
        ] {
            assert_eq!(digests(weight, total, members), rounded, "{weight}/{total}");
        }
    }
}
