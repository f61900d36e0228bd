//! The inbox.
