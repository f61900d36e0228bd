//! As HAProxy with `hash-type consistent`: `src/lb_chash.c`, `gen_hash` in
//! `src/backend.c`, `src/hash.c`, and `full_hash` in its tools.

use super::table::{Narrow, Point};
use crate::consistent_hash::error::PlacementError;
use crate::consistent_hash::membership::{Member, Membership};

/// `BE_WEIGHT_SCALE`: points for each unit of weight.
pub(super) const POINTS: u64 = 16;
/// `SRV_UWGHT_MAX`.
const HEAVIEST: u32 = 256;
/// `SRV_EWGHT_RANGE`: between the numbers of two servers' first points.
const RANGE: u32 = HEAVIEST * POINTS as u32;

const WANTED: &str = "the decimal id of an HAProxy server, from 1 to 1048575";

pub(super) fn points(membership: &Membership) -> Result<Vec<Narrow>, PlacementError> {
    let mut points = Vec::new();
    for member in membership.members() {
        if member.weight() > HEAVIEST {
            return Err(PlacementError::TooHeavy {
                id: member.id().into(),
                most: HEAVIEST,
            });
        }
        let id = server_id(member)?;
        let numbers = 0..member.weight() * POINTS as u32;
        points.extend(numbers.map(|number| {
            let hash = avalanche(id * RANGE + number);
            Narrow::new(u64::from(hash), member.index() as u32)
        }));
    }
    Ok(points)
}

/// Its number, which is all that its points depend on. Twenty bits of it: with
/// more, HAProxy's own arithmetic overflows, and two servers share points.
fn server_id(member: &Member) -> Result<u32, PlacementError> {
    let id = member.id();
    // One number has one form: "01" would be the points of "1".
    let is_plain = id.iter().all(u8::is_ascii_digit) && id.first() != Some(&b'0');
    let text = std::str::from_utf8(id).ok().filter(|_| is_plain);
    let number = text.and_then(|text| text.parse().ok());
    let number = number.filter(|number| *number <= u32::MAX / RANGE);
    number.ok_or_else(|| PlacementError::Malformed {
        id: id.into(),
        wanted: WANTED,
    })
}

/// Sdbm and then the avalanche: what `hash-type consistent` takes where it is
/// given no function.
pub(super) fn hash(key: &[u8]) -> u64 {
    let sdbm = key.iter().fold(0u32, |hash, byte| {
        // 65599 is 2^16 + 2^6 - 1.
        hash.wrapping_mul(65_599).wrapping_add(u32::from(*byte))
    });
    u64::from(avalanche(sdbm))
}

/// A bijection, so that no two points are equal. Bob Jenkins's full avalanche
/// of an integer (<http://burtleburtle.net/bob/hash/integer.html>), times a
/// prime near 3/4 of 2^32.
fn avalanche(number: u32) -> u32 {
    let a = number;
    let a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    let a = a ^ 0xc761_c23c ^ (a >> 19);
    let a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    let a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    let a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    let a = a ^ 0xb55a_4f09 ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}
