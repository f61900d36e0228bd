//! A cut where certain bytes pass.

use super::fault::Way;

/// Where a connection is cut whose bytes were waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before them: not all of them arrive, and nothing behind them.
    Before,
    /// Behind them: they are the last that arrive.
    Behind,
    /// They and what follows arrive, and what is said to that does not: the
    /// connection is cut when the first of it comes.
    Answer,
}

/// Cuts one connection, of which it is not known before which it is, when
/// certain bytes pass. They may come in pieces.
#[derive(Clone, Debug)]
pub struct Trigger {
    pub(super) way: Way,
    pub(super) bytes: Box<[u8]>,
    pub(super) after: u32,
    pub(super) at: At,
}

impl Trigger {
    /// The next time that these pass.
    ///
    /// # Panics
    ///
    /// If it is none, which pass always.
    pub fn on(way: Way, bytes: &[u8], at: At) -> Trigger {
        assert!(!bytes.is_empty(), "no bytes to wait for");
        Trigger {
            way,
            bytes: bytes.into(),
            after: 0,
            at,
        }
    }

    /// Lets them pass so often before.
    #[must_use]
    pub fn after(mut self, times: u32) -> Trigger {
        self.after = times;
        self
    }
}

/// One that waits.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) trigger: Trigger,
    pub(super) number: u64,
}

/// The last bytes that passed in one direction of a connection, in which what
/// a trigger waits for may have begun.
#[derive(Debug, Default)]
pub(super) struct Seen {
    trigger: u64,
    tail: Vec<u8>,
}

impl Armed {
    /// Whether it cuts here, and how many of these bytes arrive.
    pub(super) fn look(&mut self, seen: &mut Seen, bytes: &[u8]) -> Option<usize> {
        if seen.trigger != self.number {
            seen.trigger = self.number;
            seen.tail.clear();
        }
        let sought = &self.trigger.bytes;
        let before = seen.tail.len();
        seen.tail.extend_from_slice(bytes);
        let begins = seen.tail.windows(sought.len()).enumerate();
        for (begin, _) in begins.filter(|(_, window)| *window == &**sought) {
            if self.trigger.after > 0 {
                self.trigger.after -= 1;
                continue;
            }
            return Some(match self.trigger.at {
                At::Before => begin.saturating_sub(before),
                At::Behind => begin + sought.len() - before,
                At::Answer => bytes.len(),
            });
        }
        let old = seen.tail.len().saturating_sub(sought.len() - 1);
        seen.tail.drain(..old);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(at: At, after: u32) -> Armed {
        let trigger = Trigger::on(Way::ToServer, b"COMMIT", at).after(after);
        Armed { trigger, number: 1 }
    }

    #[test]
    fn bytes_that_come_in_pieces_are_found_and_cut_where_it_was_said() {
        for (at, arrive) in [(At::Before, 0), (At::Behind, 3), (At::Answer, 5)] {
            let (mut armed, mut seen) = (armed(at, 0), Seen::default());
            assert_eq!(armed.look(&mut seen, b"say CO"), None);
            assert_eq!(armed.look(&mut seen, b"M"), None);
            assert_eq!(armed.look(&mut seen, b"MIT!!"), Some(arrive), "{at:?}");
        }
        for (at, arrive) in [(At::Before, 4), (At::Behind, 10), (At::Answer, 11)] {
            let mut armed = armed(at, 0);
            let cut = armed.look(&mut Seen::default(), b"say COMMIT!");
            assert_eq!(cut, Some(arrive), "{at:?}");
        }
    }

    #[test]
    fn so_many_pass_before_it() {
        let (mut armed, mut seen) = (armed(At::Before, 3), Seen::default());
        assert_eq!(armed.look(&mut seen, b"COMMIT COMMIT"), None);
        assert_eq!(armed.look(&mut seen, b"COMMIT and"), None);
        assert_eq!(armed.look(&mut seen, b"a COMMIT"), Some(2));
    }
}
