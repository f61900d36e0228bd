use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axiomatic_core::hash::{Algorithm, Hasher, Seed, mix};

/// What can tell one caller from another: an address, a tenant, an API key.
///
/// Keys that are equal have equal hashes, also if one is borrowed from the
/// other: a `String` hashes as its `str` does.
///
/// ```
/// use axiomatic_capacity::rate_limit::keyed::{Key, KeyHasher};
///
/// struct Tenant { id: u64, name: String }
///
/// impl Key for Tenant {
///     fn hash(&self, hasher: &KeyHasher) -> u64 {
///         hasher.number(self.id)
///     }
/// }
/// ```
pub trait Key {
    /// The key's hash, all 64 bits of which must depend on all of the key.
    fn hash(&self, hasher: &KeyHasher) -> u64;
}

/// Hashes keys under the limiter's seed.
#[derive(Copy, Clone)]
pub struct KeyHasher {
    hasher: Hasher,
    /// The seed, for numbers.
    salt: u64,
}

impl KeyHasher {
    /// A hasher under a seed.
    pub fn new(seed: Seed) -> Self {
        let hasher = Hasher::new(Algorithm::Xxh3, seed);
        KeyHasher {
            hasher,
            salt: hasher.hash(b"numbers"),
        }
    }

    /// The hash of bytes: XXH3.
    #[inline]
    pub fn bytes(&self, bytes: &[u8]) -> u64 {
        self.hasher.hash(bytes)
    }

    /// The hash of a number. It is what XXH3 does with eight bytes, a
    /// bijection of the number and a secret, in fewer steps: no two numbers
    /// have the same, and which of them share a set only who knows the
    /// secret can tell.
    #[inline(always)]
    pub fn number(&self, number: u64) -> u64 {
        mix(number ^ self.salt)
    }

    /// The hash of a pair of hashes, in this order.
    #[inline]
    pub fn pair(&self, first: u64, second: u64) -> u64 {
        mix(mix(first ^ self.salt) ^ second)
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The salt would tell of the seed.
        f.debug_tuple("KeyHasher").field(&self.hasher).finish()
    }
}

/// The network of an address that one caller has to itself: all of an IPv4
/// address, and the first 64 bits of an IPv6 address. Who has one of those has
/// 2^64 addresses, and would have as many quotas. An IPv4 address in IPv6's
/// clothes is itself.
///
/// ```
/// use axiomatic_capacity::rate_limit::keyed::network;
/// use std::net::IpAddr;
///
/// # fn main() -> Result<(), std::net::AddrParseError> {
/// let one: IpAddr = "2001:db8:1:2:aaaa::1".parse()?;
/// let other: IpAddr = "2001:db8:1:2:bbbb::2".parse()?;
/// assert_eq!(network(one), network(other));
/// # Ok(())
/// # }
/// ```
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Key for [u8] {
    #[inline]
    fn hash(&self, hasher: &KeyHasher) -> u64 {
        hasher.bytes(self)
    }
}

impl Key for str {
    #[inline]
    fn hash(&self, hasher: &KeyHasher) -> u64 {
        hasher.bytes(self.as_bytes())
    }
}

macro_rules! as_borrowed {
    ($($owned:ty),+) => {$(
        impl Key for $owned {
            #[inline]
            fn hash(&self, hasher: &KeyHasher) -> u64 {
                (**self).hash(hasher)
            }
        }
    )+};
}

as_borrowed!(String, Vec<u8>);

macro_rules! as_number {
    ($($number:ty),+) => {$(
        impl Key for $number {
            #[inline(always)]
            fn hash(&self, hasher: &KeyHasher) -> u64 {
                hasher.number(u64::from(*self))
            }
        }
    )+};
}

as_number!(u8, u16, u32, u64);

impl Key for u128 {
    #[inline]
    fn hash(&self, hasher: &KeyHasher) -> u64 {
        hasher.pair((self >> 64) as u64, *self as u64)
    }
}

impl Key for Ipv4Addr {
    #[inline]
    fn hash(&self, hasher: &KeyHasher) -> u64 {
        hasher.number(u64::from(self.to_bits()))
    }
}

impl Key for Ipv6Addr {
    #[inline]
    fn hash(&self, hasher: &KeyHasher) -> u64 {
        self.to_bits().hash(hasher)
    }
}

impl Key for IpAddr {
    #[inline]
    fn hash(&self, hasher: &KeyHasher) -> u64 {
        match self {
            IpAddr::V4(address) => address.hash(hasher),
            IpAddr::V6(address) => address.hash(hasher),
        }
    }
}

impl<T: Key + ?Sized> Key for &T {
    #[inline]
    fn hash(&self, hasher: &KeyHasher) -> u64 {
        (**self).hash(hasher)
    }
}

impl<T: Key + ?Sized> Key for Box<T> {
    #[inline]
    fn hash(&self, hasher: &KeyHasher) -> u64 {
        (**self).hash(hasher)
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    #[inline]
    fn hash(&self, hasher: &KeyHasher) -> u64 {
        hasher.pair(self.0.hash(hasher), self.1.hash(hasher))
    }
}

#[cfg(all(test, not(axiomatic_loom)))]
mod tests {
    use std::collections::HashSet;
    use std::net::IpAddr;

    use axiomatic_core::hash::Seed;

    use super::{Key, KeyHasher, network};

    #[test]
    fn what_is_borrowed_hashes_as_its_owner() {
        let hasher = KeyHasher::new(Seed::secret());
        assert_eq!("acme".hash(&hasher), "acme".to_owned().hash(&hasher));
        assert_eq!(b"acme"[..].hash(&hasher), b"acme".to_vec().hash(&hasher));
        assert_eq!(Key::hash(&&7u64, &hasher), Box::new(7u64).hash(&hasher));
    }

    #[test]
    fn the_order_of_a_pair_and_the_seed_matter() {
        let [one, other] = [1, 2].map(|seed| KeyHasher::new(Seed::fixed(seed)));
        assert_ne!((1u64, 2u64).hash(&one), (2u64, 1u64).hash(&one));
        assert_ne!((7u64, 7u64).hash(&one), (8u64, 8u64).hash(&one));
        assert_ne!(7u64.hash(&one), 7u64.hash(&other));
        let hashes: HashSet<u64> = (0..100_000u64).map(|key| key.hash(&one)).collect();
        assert_eq!(hashes.len(), 100_000);
    }

    #[test]
    fn a_caller_with_a_whole_network_has_one_key() {
        let of = |text: &str| network(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", KeyHasher::new(Seed::secret()));
        assert!(
            shown.contains("Seed(secret)") && !shown.contains("salt"),
            "{shown}"
        );
    }
}
