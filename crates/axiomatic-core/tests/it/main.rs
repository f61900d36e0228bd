//! What core promises, seen from outside.

mod backoff;
mod budget;
mod due_window;
mod hash;
mod histogram;
#[cfg(feature = "keyed")]
mod keyed;
mod window;
