/// Which members a walk came past: bits, that need no memory of their own up
/// to 256 members, nor beyond that until there is a second one.
pub(crate) enum Seen {
    Few([u64; FEW / 64]),
    Many {
        first: Option<u32>,
        bits: Vec<u64>,
        members: usize,
    },
}

const FEW: usize = 256;

impl Seen {
    /// None of so many.
    pub(crate) fn none_of(members: usize) -> Self {
        if members <= FEW {
            Seen::Few([0; FEW / 64])
        } else {
            Seen::Many {
                first: None,
                bits: Vec::new(),
                members,
            }
        }
    }

    /// Remembers a member. Says whether it is new.
    pub(crate) fn insert(&mut self, member: u32) -> bool {
        match self {
            Seen::Few(bits) => insert(bits, member),
            Seen::Many {
                first,
                bits,
                members,
            } => {
                let Some(first) = *first else {
                    *first = Some(member);
                    return true;
                };
                if member == first {
                    return false;
                }
                if bits.is_empty() {
                    bits.resize(members.div_ceil(64), 0);
                }
                insert(bits, member)
            }
        }
    }

    pub(crate) fn contains(&self, member: u32) -> bool {
        let has = |bits: &[u64]| {
            let word = bits.get(member as usize / 64);
            word.is_some_and(|word| word >> (member % 64) & 1 == 1)
        };
        match self {
            Seen::Few(bits) => has(bits),
            Seen::Many { first, bits, .. } => *first == Some(member) || has(bits),
        }
    }
}

fn insert(bits: &mut [u64], member: u32) -> bool {
    let word = &mut bits[member as usize / 64];
    let bit = 1 << (member % 64);
    let is_new = *word & bit == 0;
    *word |= bit;
    is_new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_is_new_once_however_many_there_are() {
        for members in [1, 64, 255, 256, 257, 320, 1000] {
            let mut seen = Seen::none_of(members);
            let order: Vec<u32> = (0..members as u32).rev().collect();
            for member in &order {
                assert!(!seen.contains(*member), "{member} of {members}");
                assert!(seen.insert(*member), "{member} of {members}");
                assert!(seen.contains(*member));
            }
            assert!(order.iter().all(|member| !seen.insert(*member)));
        }
    }

    #[test]
    fn the_first_of_many_needs_no_memory() {
        let mut seen = Seen::none_of(100_000);
        assert!(seen.insert(70_000) && !seen.insert(70_000));
        assert!(matches!(&seen, Seen::Many { bits, .. } if bits.capacity() == 0));
        assert!(seen.insert(70_001) && !seen.insert(70_000));
    }
}
