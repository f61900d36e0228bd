use std::fmt;

use axiomatic_core::{Mode, Name, Pattern};

/// What limits by key were like at a moment: plain numbers, which print as a
/// line. They are read one after the other, so under load they may be of
/// slightly different moments.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) bytes: u64,
    pub(super) slots: u64,
    pub(super) live: u64,
    pub(super) inserted: u64,
    pub(super) evicted: u64,
    pub(super) crowded_refused: u64,
    pub(super) crowded_admitted: u64,
    pub(super) crowded_evicted: u64,
    pub(super) refused: u64,
    pub(super) would_refuse: u64,
}

impl Snapshot {
    /// The name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Whether it acted on its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How many bytes the table has, from the first day to the last.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many slots it has.
    pub fn slots(&self) -> u64 {
        self.slots
    }

    /// How many keys had something spent: exact in a table of up to 256 KiB,
    /// estimated in a larger one.
    pub fn live(&self) -> u64 {
        self.live
    }

    /// The bytes of the table for each of those, if there are any.
    pub fn bytes_per_live_key(&self) -> Option<u64> {
        self.bytes.checked_div(self.live)
    }

    /// How often a key was given a slot.
    pub fn inserted(&self) -> u64 {
        self.inserted
    }

    /// How often it was the slot of a key with nothing spent, which makes no
    /// difference to that one.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Calls refused because there was no slot for their key; in shadow, those
    /// that would have been.
    pub fn crowded_refused(&self) -> u64 {
        self.crowded_refused
    }

    /// Calls that passed uncounted because there was no slot for their key.
    pub fn crowded_admitted(&self) -> u64 {
        self.crowded_admitted
    }

    /// Keys that lost their slot, and what they had spent, to a new key.
    pub fn crowded_evicted(&self) -> u64 {
        self.crowded_evicted
    }

    /// Calls that were refused, for whichever reason.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Calls that would have been refused, had the mode not been shadow.
    pub fn would_refuse(&self) -> u64 {
        self.would_refuse
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {} live keys in {} slots, {} bytes",
            Pattern::RateLimiter,
            self.name,
            self.live,
            self.slots,
            self.bytes
        )?;
        if let Some(bytes) = self.bytes_per_live_key() {
            write!(f, ", {bytes} a key")?;
        }
        write!(
            f,
            "; {} inserted, {} evicted idle; without a slot: {} refused, {} admitted, {} evicted; {} refused",
            self.inserted,
            self.evicted,
            self.crowded_refused,
            self.crowded_admitted,
            self.crowded_evicted,
            self.refused
        )?;
        match self.mode {
            Mode::Enforce => Ok(()),
            Mode::Shadow => write!(f, ", in shadow: {} not refused", self.would_refuse),
            Mode::Off => f.write_str(", off"),
        }
    }
}
