//! What core promises, seen from outside.

#[cfg(feature = "keyed")]
mod keyed;
mod window;
