//! Which relay, or executor, has which bucket: a pure function of who is there.

use axiomatic_core::hash::{Algorithm, Hasher, Seed, rendezvous};

use super::lane::{Bucket, Buckets};

/// The buckets that are those of `me` if all these are there: those of which
/// it is the first in the rendezvous order. When one joins or leaves, only the
/// buckets move that it gets or had: 1/n of them.
pub(crate) fn buckets_of(me: &str, there: &[&str], buckets: Buckets) -> Vec<Bucket> {
    let hasher = Hasher::new(Algorithm::Xxh3, Seed::fixed(0));
    let hash = |name: &str| hasher.hash(name.as_bytes());
    let own = hash(me);
    let others: Vec<u64> = there
        .iter()
        .filter(|other| **other != me)
        .map(|other| hash(other))
        .collect();
    buckets
        .all()
        .filter(|bucket| {
            let key = u64::from(bucket.0);
            let ours = rendezvous(key, own);
            others.iter().all(|other| rendezvous(key, *other) < ours)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn owners<'a>(there: &[&'a str]) -> HashMap<Bucket, Vec<&'a str>> {
        let mut owners: HashMap<Bucket, Vec<&str>> = HashMap::new();
        for relay in there {
            for bucket in buckets_of(relay, there, Buckets::default()) {
                owners.entry(bucket).or_default().push(relay);
            }
        }
        owners
    }

    #[test]
    fn every_bucket_has_one_relay_and_only_those_of_who_comes_or_goes_move() {
        let relays: Vec<String> = (0..5).map(|n| format!("relay-{n}")).collect();
        let relays: Vec<&str> = relays.iter().map(String::as_str).collect();
        let mut before = owners(&relays[..1]);
        assert_eq!(before.len(), 64);
        for count in 2..=relays.len() {
            let after = owners(&relays[..count]);
            assert_eq!(after.len(), 64);
            let mut moved = 0;
            for (bucket, owner) in &after {
                assert_eq!(owner.len(), 1, "{bucket} of {count}");
                if owner != &before[bucket] {
                    assert_eq!(owner[0], relays[count - 1], "{bucket} goes to who came");
                    moved += 1;
                }
            }
            // Binomial with n = 64 and p = 1/count: five deviations.
            let share = 64.0 / count as f64;
            let deviation = (share * (1.0 - 1.0 / count as f64)).sqrt();
            assert!(
                (f64::from(moved) - share).abs() < 5.0 * deviation,
                "{moved} of {count}"
            );
            before = after;
        }
    }

    #[test]
    fn a_relay_that_is_not_on_the_list_yet_counts_itself() {
        assert_eq!(buckets_of("me", &[], Buckets::default()).len(), 64);
    }
}
