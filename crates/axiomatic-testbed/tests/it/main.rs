//! The proxy does what it was told, to the byte, and nothing else.

mod chaos;
mod command;
mod cuts;
mod passing;
mod silence;
mod support;
