//! The promise, line by line.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Consumer, Event, History, Violation};
use crate::MessageId;
use crate::outbox::Epoch;

/// The promises that this history breaks; none, if all is well.
pub fn check(history: &History, consumer: Consumer) -> Vec<Violation> {
    let told = Told::by(history);
    let mut violations = told.contradictions.clone();
    for (id, message) in &told.messages {
        let published = !message.published.is_empty();
        if message.commit.is_none() && published {
            violations.push(Violation::Phantom { id: *id });
        }
        if message.commit.is_some() && !published && !message.buried {
            violations.push(Violation::Lost { id: *id });
        }
        // What is lost is called so once, and has no effect.
        let expected = usize::from(message.commit.is_some() && published);
        if consumer == Consumer::Once && message.effects != expected {
            violations.push(Violation::Effects {
                id: *id,
                count: message.effects,
            });
        }
    }
    violations.extend(duplicates(history));
    violations.extend(told.reordered());
    violations
}

/// Publications that were not the first of their message, nor in a window.
fn duplicates(history: &History) -> Vec<Violation> {
    #[derive(Default)]
    struct Before {
        /// Under which epochs, and how many crashes there had been.
        published: Vec<(Epoch, usize)>,
        /// Lost confirmations that have not been repaid.
        unknown: usize,
    }
    let mut before: HashMap<MessageId, Before> = HashMap::new();
    let (mut crashes, mut leases_lost) = (0, 0);
    let mut violations = Vec::new();
    for event in &history.events {
        match event {
            Event::Crash => crashes += 1,
            Event::LeaseLost => leases_lost += 1,
            Event::Unknown { id } => before.entry(*id).or_default().unknown += 1,
            Event::Published { id, epoch } => {
                let before = before.entry(*id).or_default();
                let last = before.published.last();
                let is_new_epoch = before.published.iter().all(|(other, _)| other != epoch);
                let crashed_since = last.is_some_and(|(_, then)| *then < crashes);
                let handed_over = is_new_epoch && (crashed_since || leases_lost > 0);
                if last.is_some() && !handed_over {
                    match before.unknown.checked_sub(1) {
                        Some(fewer) => before.unknown = fewer,
                        None => violations.push(Violation::Duplicated {
                            id: *id,
                            epoch: *epoch,
                        }),
                    }
                }
                before.published.push((*epoch, crashes));
            }
            Event::Committed { .. }
            | Event::RolledBack { .. }
            | Event::Effect { .. }
            | Event::Buried { .. } => {}
        }
    }
    violations
}

/// What a history tells of each message.
#[derive(Default)]
struct Told<'a> {
    /// By id, so that equal histories have equal violations.
    messages: BTreeMap<MessageId, Message<'a>>,
    /// In the order in which they came first.
    firsts: Vec<MessageId>,
    contradictions: Vec<Violation>,
}

#[derive(Default)]
struct Message<'a> {
    commit: Option<(Option<&'a str>, u64)>,
    rolled_back: bool,
    published: Vec<Epoch>,
    effects: usize,
    buried: bool,
}

impl<'a> Told<'a> {
    fn by(history: &'a History) -> Self {
        let mut told = Told::default();
        let mut places = HashSet::new();
        for event in &history.events {
            let id = match event {
                Event::Committed { id, .. }
                | Event::RolledBack { id }
                | Event::Published { id, .. }
                | Event::Unknown { id }
                | Event::Effect { id }
                | Event::Buried { id } => *id,
                Event::Crash | Event::LeaseLost => continue,
            };
            let message = told.messages.entry(id).or_default();
            let mut is_contradiction = false;
            match event {
                Event::Committed { key, order, .. } => {
                    let key = key.as_deref();
                    let is_taken = key.is_some_and(|key| !places.insert((key, *order)));
                    is_contradiction = is_taken || message.rolled_back;
                    is_contradiction |= message.commit.replace((key, *order)).is_some();
                }
                Event::RolledBack { .. } => {
                    message.rolled_back = true;
                    is_contradiction = message.commit.is_some();
                }
                Event::Published { epoch, .. } => {
                    if message.published.is_empty() {
                        told.firsts.push(id);
                    }
                    message.published.push(*epoch);
                }
                Event::Effect { .. } => message.effects += 1,
                Event::Buried { .. } => message.buried = true,
                Event::Unknown { .. } | Event::Crash | Event::LeaseLost => {}
            }
            if is_contradiction {
                told.contradictions.push(Violation::Contradicted { id });
            }
        }
        told
    }

    /// Messages that came first after one of their key that was committed
    /// later. One that was buried is not waited for, and may come at any time
    /// if it is requeued.
    fn reordered(&self) -> Vec<Violation> {
        let mut latest: HashMap<&str, (u64, MessageId)> = HashMap::new();
        let mut violations = Vec::new();
        for id in &self.firsts {
            let message = &self.messages[id];
            let Some((Some(key), order)) = message.commit else {
                continue;
            };
            if message.buried {
                continue;
            }
            let latest = latest.entry(key).or_insert((order, *id));
            if order < latest.0 {
                violations.push(Violation::Reordered {
                    id: *id,
                    behind: latest.1,
                });
            } else {
                *latest = (order, *id);
            }
        }
        violations
    }
}
