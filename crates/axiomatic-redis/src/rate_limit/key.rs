//! The names of keys in Redis.

/// The longest key that is written out; of longer ones it is the hash.
const LONGEST: usize = 128;

/// The longest prefix.
const LONGEST_PREFIX: usize = 64;

/// What all keys of a limiter begin with.
///
/// A name is `{prefix}:key`. What stands in the first braces is what a cluster
/// hashes, so that all keys of a limiter are in one slot, as a decision over
/// several of them needs. The prefix has no braces, so the first ones are its
/// own, and whatever bytes a stranger's key has after that, it reaches no other
/// slot and no other limiter's keys.
///
/// A long key is written as `{prefix}#` and its SHA-1: a stranger can make two
/// keys that have the same, and would share one quota among them, but none that
/// has another's.
#[derive(Clone, Debug)]
pub(super) struct Prefix(Box<str>);

impl Prefix {
    /// A prefix in braces; none if it is empty, too long, or has other
    /// characters than letters, digits and `_-.:/`.
    pub(super) fn new(prefix: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
        let fits = (1..=LONGEST_PREFIX).contains(&prefix.len()) && prefix.chars().all(is_plain);
        fits.then(|| Prefix(format!("{{{prefix}}}").into()))
    }

    /// The name of a key.
    pub(super) fn name(&self, key: &[u8]) -> Vec<u8> {
        let mut name = Vec::with_capacity(self.0.len() + 1 + key.len().min(LONGEST));
        name.extend_from_slice(self.0.as_bytes());
        if key.len() <= LONGEST {
            name.push(b':');
            name.extend_from_slice(key);
        } else {
            name.push(b'#');
            name.extend_from_slice(sha1_smol::Sha1::from(key).digest().to_string().as_bytes());
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_braces_are_the_prefix_whatever_the_key_is() {
        let prefix = Prefix::new("api.v1").unwrap();
        for key in ["", "tenant", "{other}", "}", "a}{b}", "\r\nFLUSHALL\r\n"] {
            let name = prefix.name(key.as_bytes());
            assert!(name.starts_with(b"{api.v1}:"), "{key:?}");
            assert!(name.ends_with(key.as_bytes()), "{key:?}");
        }
    }

    #[test]
    fn different_keys_have_different_names_however_long_they_are() {
        let prefix = Prefix::new("p").unwrap();
        let mut names = std::collections::HashSet::new();
        for len in 0..300 {
            assert!(names.insert(prefix.name(&vec![b'x'; len])));
        }
        // A short key that looks like a long one's name is still another.
        let long = prefix.name(&[b'x'; 200]);
        assert!(names.insert(prefix.name(&long[4..])));
        assert!(names.iter().all(|name| name.len() <= LONGEST + 4));
    }

    #[test]
    fn a_prefix_that_could_reach_another_slot_is_refused() {
        for bad in [
            "",
            "a{b",
            "a}b",
            "a b",
            "a\n",
            &"x".repeat(LONGEST_PREFIX + 1),
        ] {
            assert!(Prefix::new(bad).is_none(), "{bad:?}");
        }
    }
}
