//! Who owns what, among members.

mod balance;
mod candidates;
mod golden;
mod maglev;
mod movement;
mod replicas;
