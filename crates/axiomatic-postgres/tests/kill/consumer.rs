//! Somebody who hears of what is published, and has a database.

use std::fs::{self, OpenOptions};
use std::io::Write;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::history::{Event, History};
use axiomatic_postgres::Database;

use super::child::Work;
use super::producer::history;

/// Makes the tables.
pub(crate) async fn prepare(_database: &Database) {}

pub(crate) struct Consumer<'a> {
    work: &'a Work,
}

impl<'a> Consumer<'a> {
    pub(crate) async fn open(work: &'a Work) -> Self {
        Consumer { work }
    }

    /// Handles what was published and not acknowledged, one delivery for each
    /// publication, until there is no more.
    pub(crate) async fn work(&self) {
        let acknowledged = self.work.path.join("acknowledged");
        let mut done = fs::read(&acknowledged).unwrap_or_default().len();
        let file = OpenOptions::new().append(true).create(true).open(&acknowledged);
        let mut file = file.unwrap();
        loop {
            let history = History::read(history(&self.work.path)).unwrap();
            let published = history.events().iter().filter_map(|event| match event {
                Event::Published { id, .. } => Some(*id),
                _ => None,
            });
            let Some(_id) = published.into_iter().nth(done) else {
                return;
            };
            reach("consumer.handled");
            file.write_all(b".").unwrap();
            reach("consumer.acknowledged");
            done += 1;
        }
    }
}
