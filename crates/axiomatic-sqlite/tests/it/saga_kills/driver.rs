//! What the children do, and the parent when it takes over from one.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::outbox::Message;
use axiomatic_coordination::saga::{
    Append, Appended, BUCKETS, Change, Departing, ExecutorId, Kind, Lease, Loaded, Mail, Posted,
    Record, SagaId, Stage, Start, Started, Store, Subject, Wake, Worked,
};
use axiomatic_core::BoxError;
use axiomatic_sqlite::saga::{SagaWork, Sagas};
use axiomatic_sqlite::{Database, Durability, Options};
use uuid::Uuid;

use crate::sagas::start;
use crate::scene::HOUR;

/// Files of a place, which are written line by line.
#[derive(Clone, Copy)]
pub(super) struct Files<'a>(pub(super) &'a Path);

impl Files<'_> {
    fn append(self, file: &str, line: &str) {
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.0.join(file));
        let line = format!("{line}\n");
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }

    pub(super) fn lines(self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The lines of this saga, without its name.
    pub(super) fn of(self, name: &str, file: &str) -> Vec<String> {
        let lines = self.lines(file);
        let of = |line: &String| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned());
        lines.iter().filter_map(of).collect()
    }
}

/// What a saga goes through.
#[derive(Clone, Copy)]
pub(super) struct Story {
    number: u128,
    begins: Begins,
    letter: Option<(Subject, &'static str)>,
    writes: &'static [Write],
}

/// How it begins.
#[derive(Clone, Copy, PartialEq)]
enum Begins {
    /// With a lease, and its first write.
    Held,
    Waiting,
    /// In a transaction of the business.
    WithBusiness,
}

/// What is written of it at once.
#[derive(Clone, Copy)]
struct Write {
    how: How,
    lines: &'static [(Kind, &'static str)],
    stage: Stage,
    wake: Wake,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    /// As it is.
    Alone,
    /// After this was asked of another.
    Calls(&'static str),
    /// With work, which leaves this.
    Works(&'static str),
    /// When a letter is there.
    Reads,
}

const fn write(how: How, lines: &'static [(Kind, &'static str)]) -> Write {
    Write {
        how,
        lines,
        stage: Stage::Running,
        wake: Wake::Held,
    }
}

impl Write {
    const fn at(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    const fn sleep(mut self, time: Duration) -> Self {
        self.wake = Wake::In(time);
        self
    }
}

/// All steps, the second of them local.
const FORWARD: [Write; 4] = [
    write(How::Alone, &[(Kind::Began, "book")]),
    write(How::Calls("book"), &[(Kind::Done, "book")]),
    write(
        How::Works("pay"),
        &[(Kind::Done, "pay"), (Kind::Began, "ship")],
    ),
    write(How::Calls("ship"), &[(Kind::Done, "ship")]).at(Stage::Done),
];

/// Sleeps between its steps, and waits for a letter.
const PATIENT: [Write; 4] = [
    write(How::Works("pay"), &[(Kind::Done, "pay")]).sleep(Duration::ZERO),
    write(How::Alone, &[]).sleep(Duration::MAX),
    write(
        How::Reads,
        &[(Kind::Signalled, "go"), (Kind::Began, "ship")],
    ),
    write(How::Calls("ship"), &[(Kind::Done, "ship")]).at(Stage::Done),
];

/// Is cancelled, and undone.
const TURNED: [Write; 5] = [
    write(
        How::Works("pay"),
        &[(Kind::Done, "pay"), (Kind::Began, "book")],
    ),
    write(How::Calls("book"), &[(Kind::Done, "book")]).sleep(Duration::MAX),
    write(How::Reads, &[(Kind::Turned, ""), (Kind::UndoBegan, "book")]).at(Stage::Unwinding),
    write(How::Calls("unbook"), &[(Kind::Undone, "book")]).at(Stage::Unwinding),
    write(How::Works("repay"), &[(Kind::Undone, "pay")]).at(Stage::Compensated),
];

pub(super) const SAGAS: [(&str, Story); 4] = [
    (
        "held",
        Story {
            number: 1,
            begins: Begins::Held,
            letter: None,
            writes: &FORWARD,
        },
    ),
    (
        "patient",
        Story {
            number: 2,
            begins: Begins::Waiting,
            letter: Some((Subject::Signal, "go")),
            writes: &PATIENT,
        },
    ),
    (
        "turned",
        Story {
            number: 3,
            begins: Begins::Waiting,
            letter: Some((Subject::Cancel, "")),
            writes: &TURNED,
        },
    ),
    (
        "ordered",
        Story {
            number: 4,
            begins: Begins::WithBusiness,
            letter: None,
            writes: &FORWARD,
        },
    ),
];

/// One that has ended long ago.
const FORGOTTEN: SagaId = SagaId(Uuid::from_u128(99));

impl Story {
    pub(super) fn saga(&self) -> SagaId {
        SagaId(Uuid::from_u128(self.number))
    }

    /// The whole log.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.writes.iter().flat_map(|write| write.lines);
        lines
            .map(|(kind, step)| format!("{} {step}", kind.as_str()))
            .collect()
    }

    pub(super) fn end(&self) -> Stage {
        self.writes.last().expect("there is one").stage
    }

    pub(super) fn effects(&self, name: &str) -> Vec<String> {
        let effects = self.writes.iter().filter_map(|write| match write.how {
            How::Works(what) => Some(format!("{name} {what}")),
            _ => None,
        });
        effects.collect()
    }

    pub(super) fn calls(&self) -> BTreeSet<String> {
        let calls = self.writes.iter().filter_map(|write| match write.how {
            How::Calls(what) => Some(what.to_owned()),
            _ => None,
        });
        calls.collect()
    }

    /// The letter, which is the same whoever posts it.
    fn mail(&self) -> Option<Mail> {
        let (subject, name) = self.letter?;
        Some(Mail {
            id: Uuid::from_u128(1000 + self.number),
            subject,
            name: name.into(),
            data: "true".into(),
        })
    }

    fn change(&self, write: &Write) -> Change {
        let mail = self.mail().map(|mail| mail.id);
        let records = write.lines.iter().enumerate();
        let records = records.map(|(nth, (kind, step))| Record {
            kind: *kind,
            step: (*step).into(),
            item: 0,
            attempt: 1,
            data: "17".into(),
            mail: mail.filter(|_| write.how == How::Reads && nth == 0),
        });
        Change {
            records: records.collect(),
            stage: write.stage,
            wake: write.wake,
            result: None,
            progress: true,
        }
    }

    /// What is written next, behind this log: whole writes alone.
    fn next(&self, loaded: &Loaded) -> &'static [Write] {
        let log = loaded.records.iter();
        let log = log.map(|line| format!("{} {}", line.record.kind.as_str(), line.record.step));
        let log: Vec<_> = log.collect();
        assert_eq!(
            log,
            self.lines()[..log.len()],
            "a log without gap or double"
        );
        let mut lines = 0;
        let begun = self.writes.iter().position(|write| {
            // What has no lines is written as often as it comes to that.
            let is_next = lines == log.len();
            lines += write.lines.len();
            is_next
        });
        let begun = begun.expect("a log of whole writes");
        let mut rest = &self.writes[begun..];
        // Whoever has a letter has slept.
        if rest[0].lines.is_empty() && !loaded.mail.is_empty() {
            rest = &rest[1..];
        }
        rest
    }
}

pub(super) struct Driver<'a> {
    files: Files<'a>,
    sagas: Sagas,
    executor: ExecutorId,
}

impl<'a> Driver<'a> {
    pub(super) async fn open(place: &'a Path) -> Self {
        // A process that ends takes nothing with it that it has written.
        let options = Options::new().durability(Durability::ProcessCrash);
        let database = Database::open(place.join("test.db"), options).unwrap();
        let tables = "CREATE TABLE IF NOT EXISTS effect (what TEXT NOT NULL); \
                      CREATE TABLE IF NOT EXISTS account (name TEXT NOT NULL)";
        let made = database.writer().run(|tx| tx.execute_batch(tables)).await;
        made.unwrap();
        Driver {
            files: Files(place),
            sagas: Sagas::new(&database).unwrap(),
            executor: ExecutorId::new("driver"),
        }
    }

    /// Runs all sagas to their ends.
    pub(super) async fn run(&self) {
        self.sagas.attend(&self.executor, HOUR).await.unwrap();
        let all: Vec<_> = BUCKETS.all().collect();
        let leases = self.sagas.claim(&self.executor, &all, HOUR).await.unwrap();
        assert_eq!(leases.len(), all.len());
        let attended = self.sagas.attend(&self.executor, HOUR).await.unwrap();
        assert_eq!(attended.leases, leases);
        if !self.begin(&leases).await {
            return self.write_late(&leases).await;
        }
        self.forget(&leases).await;
        loop {
            let taken = self.sagas.take(&leases, 2, Duration::ZERO).await.unwrap();
            let [running, unwinding, stuck, parked, ..] = self.sagas.count().await.unwrap();
            let open = running + unwinding + stuck + parked;
            assert_eq!(taken.sagas.is_empty(), open == 0, "what is open is due");
            for loaded in taken.sagas {
                if !self.drive(&loaded.unwrap()).await {
                    return self.write_late(&leases).await;
                }
            }
            if open == 0 {
                break;
            }
        }
        let release = self.sagas.release(&self.executor, &leases, Departing::Yes);
        release.await.unwrap();
        self.sweep().await;
    }

    /// Throws away what is gone.
    pub(super) async fn sweep(&self) {
        self.sagas.sweep(HOUR, 10).await.unwrap();
    }

    /// Begins what has not begun, and posts what may have been posted. Returns
    /// whether its leases were held.
    async fn begin(&self, leases: &[Lease]) -> bool {
        for (name, story) in SAGAS {
            let mut start = start(story.saga());
            start.input = name.into();
            match story.begins {
                Begins::Held => {
                    let lease = lease_of(leases, start.saga).clone();
                    start.held = Some((lease, story.change(&story.writes[0])));
                    if self.sagas.start(&start).await.unwrap() == Started::Held {
                        let loaded = self.sagas.load(lease_of(leases, start.saga), start.saga);
                        let loaded = loaded.await.unwrap().expect("it is held");
                        if !self.drive(&loaded).await {
                            return false;
                        }
                    }
                }
                Begins::Waiting => {
                    let started = self.sagas.start(&start).await.unwrap();
                    assert_ne!(started, Started::Other);
                }
                Begins::WithBusiness => self.order(&start).await,
            }
            if let Some(mail) = story.mail() {
                let posted = self.sagas.post(start.saga, &mail).await.unwrap();
                assert_eq!(posted, Posted::Accepted);
            }
        }
        true
    }

    /// A saga begins with a row of the business.
    async fn order(&self, start: &Start) {
        let (sagas, start) = (self.sagas.clone(), start.clone());
        let order = self.sagas.database().writer().run(move |tx| {
            if sagas.start_in(tx, &start)? == Started::Waits {
                tx.execute("INSERT INTO account (name) VALUES ('ordered')", ())?;
            }
            Ok::<_, BoxError>(())
        });
        order.await.unwrap();
    }

    /// A saga that has ended long ago is thrown away, whole.
    async fn forget(&self, leases: &[Lease]) {
        let mut forgotten = start(FORGOTTEN);
        let lines = [(Kind::Began, "book"), (Kind::Done, "book")];
        let lines = lines.map(|(kind, step)| Record {
            kind,
            ..crate::sagas::line(step)
        });
        let mut change = crate::sagas::change(lines);
        change.stage = Stage::Done;
        forgotten.held = Some((lease_of(leases, FORGOTTEN).clone(), change));
        let started = self.sagas.start(&forgotten).await.unwrap();
        assert!(matches!(started, Started::Held | Started::Before));
        let age = self.sagas.database().writer().run(|tx| {
            let age = "UPDATE saga SET ended = 1 WHERE saga = ?1";
            tx.execute(age, [FORGOTTEN.0.as_bytes()])
        });
        age.await.unwrap();
        assert_eq!(self.sagas.sweep(HOUR, 10).await.unwrap(), 1);
        assert_eq!(self.sagas.find(FORGOTTEN).await.unwrap(), None);
    }

    /// Goes on with a saga until it sleeps or ends. Returns whether its lease
    /// was held.
    async fn drive(&self, loaded: &Loaded) -> bool {
        let stories = SAGAS
            .into_iter()
            .find(|(_, story)| story.saga() == loaded.saga);
        let (name, story) = stories.expect("it is one of those");
        let mut after = loaded.records.len() as u64;
        for write in story.next(loaded) {
            if write.how == How::Reads && loaded.mail.is_empty() {
                // Until it comes.
                return true;
            }
            if let How::Calls(what) = write.how {
                reach("driver.calling");
                self.files.append("calls", &format!("{name} {what}"));
            }
            let change = story.change(write);
            if !self.write(loaded, name, after, write.how, change).await {
                return false;
            }
            after += write.lines.len() as u64;
            if write.wake != Wake::Held {
                return true;
            }
        }
        true
    }

    async fn write(
        &self,
        loaded: &Loaded,
        name: &str,
        after: u64,
        how: How,
        change: Change,
    ) -> bool {
        if let How::Works(what) = how {
            let work = effect(format!("{name} {what}"), change);
            let worked = self
                .sagas
                .append_with(&loaded.lease, loaded.saga, after, work);
            return match worked.await.unwrap() {
                Worked::Done(_) => true,
                Worked::Lost => false,
                other => panic!("{name} after {after}: {other:?}"),
            };
        }
        let append = Append {
            saga: loaded.saga,
            after,
            change,
            read: u32::from(how == How::Reads),
        };
        // The second is as if the answer to the first had been lost.
        for _ in 0..2 {
            match self.sagas.append(&loaded.lease, &append).await.unwrap() {
                Appended::Held => {}
                Appended::Lost => return false,
                Appended::Conflict => panic!("{name} after {after}: a conflict"),
            }
        }
        true
    }

    /// All that can be done for leases, by one who has noticed nothing.
    async fn write_late(&self, leases: &[Lease]) {
        let saga = SAGAS[0].1.saga();
        let lease = lease_of(leases, saga);
        let late = crate::sagas::change([crate::sagas::line("late")]);
        let append = crate::sagas::append(saga, 0, late.clone());
        let append = self.sagas.append(lease, &append).await.unwrap();
        let work = effect("late".to_owned(), late);
        let work = self.sagas.append_with(lease, saga, 0, work).await.unwrap();
        let loaded = self.sagas.load(lease, saga).await.unwrap();
        let taken = self.sagas.take(leases, 10, HOUR).await.unwrap();
        let attended = self.sagas.attend(&self.executor, HOUR).await.unwrap();
        for is_refused in [
            append == Appended::Lost,
            matches!(work, Worked::Lost),
            loaded.is_none(),
            taken.sagas.is_empty(),
            attended.leases.is_empty(),
        ] {
            self.files.append("late", &is_refused.to_string());
        }
    }
}

fn lease_of(leases: &[Lease], saga: SagaId) -> &Lease {
    let of = |lease: &&Lease| lease.bucket == saga.bucket();
    leases.iter().find(of).expect("all are held")
}

/// Work that leaves a row and a message.
fn effect(what: String, change: Change) -> SagaWork {
    SagaWork::new(move |tx| {
        tx.execute("INSERT INTO effect (what) VALUES (?1)", [&what])?;
        tx.enqueue(Message::new("effects", what))?;
        Ok(change)
    })
}
