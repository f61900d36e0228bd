//! What core promises, seen from outside.

mod window;
