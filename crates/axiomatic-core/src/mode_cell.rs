use crate::Mode;
use crate::sync::{AtomicU8, Ordering};

/// The mode of a mechanism, switchable at run time.
///
/// Orderings all Relaxed: a switch; a call that races with it may see either.
#[derive(Debug)]
pub struct ModeCell(AtomicU8);

impl ModeCell {
    /// A switch in this position.
    pub fn new(mode: Mode) -> Self {
        ModeCell(AtomicU8::new(mode as u8))
    }

    /// Whether the mechanism stands aside: the one question of a hot path.
    #[inline]
    pub fn is_off(&self) -> bool {
        // ORDERING: Relaxed: a switch.
        self.0.load(Ordering::Relaxed) == Mode::Off as u8
    }

    /// The position.
    #[inline]
    pub fn load(&self) -> Mode {
        // ORDERING: Relaxed: a switch.
        match self.0.load(Ordering::Relaxed) {
            0 => Mode::Enforce,
            1 => Mode::Shadow,
            _ => Mode::Off,
        }
    }

    /// Switches.
    pub fn store(&self, mode: Mode) {
        // ORDERING: Relaxed: a switch.
        self.0.store(mode as u8, Ordering::Relaxed);
    }
}
