//! Who owns what, among members.

mod balance;
mod candidates;
mod extremes;
mod golden;
mod maglev;
mod movement;
mod replicas;
mod turns;
