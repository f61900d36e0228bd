use crate::sync::{AtomicU64, Ordering};

/// The places that a store has for keys, and which are taken: whoever makes a
/// key and its value holds a place before, and gives it back after both are
/// dropped. There are no more keys in memory than places.
///
/// Layout    top: | 63..32 changes | 31..0 topmost free place + 1, 0 for none |;
///           a place: free, the free place below it + 1, so less than 2^32;
///           taken, the hash of its key, with [`LIVE`] set; between the two,
///           whatever it was when it was free.
///           count: how many are taken.
/// Invariant a place is on the stack or belongs to one holder, never both;
///           the count is no more than the places.
/// Writers   `reserve`, `occupy`, `release`. Readers `hash`, `taken`.
/// Orderings `release` releases what its holder did, `reserve` acquires it:
///           a key is dropped before the next is made in its place.
pub struct Slots {
    top: AtomicU64,
    places: Box<[AtomicU64]>,
    count: AtomicU64,
}

/// What every hash has set and no free place has.
pub const LIVE: u64 = 1 << 40;

const PLACE: u64 = (1 << 32) - 1;
const CHANGE: u64 = 1 << 32;

impl Slots {
    /// All free.
    pub fn new(cap: u32) -> Self {
        let cap = u64::from(cap);
        Slots {
            top: AtomicU64::new(cap.min(1)),
            places: (1..=cap)
                .map(|place| AtomicU64::new(if place < cap { place + 1 } else { 0 }))
                .collect(),
            count: AtomicU64::new(0),
        }
    }

    /// How many there are.
    pub fn cap(&self) -> u32 {
        self.places.len() as u32
    }

    /// How many are taken.
    pub fn taken(&self) -> u32 {
        // ORDERING: Relaxed: a statistic; the stack decides.
        self.count.load(Ordering::Relaxed) as u32
    }

    /// Takes a place, if there is one.
    ///
    /// Linearises at the exchange. A lost race means that another took or
    /// gave back a place: lock-free. What is read of the place may be stale
    /// or even a hash, if the place is no longer on top; then the changes
    /// have moved on, and the exchange fails. A thread that sleeps here while
    /// exactly 2^32 changes happen would be deceived.
    pub fn reserve(&self) -> Option<u32> {
        // ORDERING: Acquire: observes the place's link, and that its last
        // holder is done; pairs with the Release in `release`.
        let mut top = self.top.load(Ordering::Acquire);
        loop {
            let place = (top & PLACE).checked_sub(1)? as u32;
            // ORDERING: Relaxed: the Acquire of the top shows the link that
            // belongs to it; the exchange fails on any other.
            let below = self.places[place as usize].load(Ordering::Relaxed) & PLACE;
            let next = (top & !PLACE).wrapping_add(CHANGE) | below;
            // ORDERING: Relaxed: the top that is replaced is the one that was
            // acquired; a later reader of this word still synchronises with
            // those who gave back, since an exchange continues what they
            // released. Acquire on failure: as the load above.
            match self
                .top
                .compare_exchange_weak(top, next, Ordering::Relaxed, Ordering::Acquire)
            {
                Ok(_) => {
                    // ORDERING: Relaxed: a statistic.
                    self.count.fetch_add(1, Ordering::Relaxed);
                    return Some(place);
                }
                Err(current) => top = current,
            }
        }
    }

    /// Notes the hash of the key that is put into a reserved place, which is
    /// how the hand finds it.
    pub fn occupy(&self, place: u32, hash: u64) {
        // ORDERING: Relaxed: a hint; the map is asked what is there.
        self.places[place as usize].store(hash | LIVE, Ordering::Relaxed);
    }

    /// The hash of the key in a place, if one was put there.
    pub fn hash(&self, place: u32) -> Option<u64> {
        // ORDERING: Relaxed: a hint; the map is asked what is there.
        let hash = self.places[place as usize].load(Ordering::Relaxed);
        (hash & LIVE != 0).then_some(hash)
    }

    /// Gives a reserved place back.
    ///
    /// Linearises at the exchange; a lost race means that another took or
    /// gave back a place: lock-free.
    pub fn release(&self, place: u32) {
        // ORDERING: Relaxed: a statistic; before the place can be taken
        // again, so that the count never exceeds the places.
        self.count.fetch_sub(1, Ordering::Relaxed);
        // ORDERING: Relaxed: the exchange fails on any stale value.
        let mut top = self.top.load(Ordering::Relaxed);
        loop {
            // ORDERING: Relaxed: published by the exchange below.
            self.places[place as usize].store(top & PLACE, Ordering::Relaxed);
            let next = (top & !PLACE).wrapping_add(CHANGE) | (u64::from(place) + 1);
            // ORDERING: Release: publishes the link, and all that the holder
            // did; pairs with the Acquire in `reserve`. Relaxed on failure:
            // nothing is read on its strength.
            match self
                .top
                .compare_exchange_weak(top, next, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(current) => top = current,
            }
        }
    }
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} places taken", self.taken(), self.cap())
    }
}
