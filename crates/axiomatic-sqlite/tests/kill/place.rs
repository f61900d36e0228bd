//! A directory with two databases and a history, and the children that work
//! in it.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::history::{Consumer, Event, History, Log, check};
use rusqlite::Connection;

/// Where a child finds its files.
pub(crate) const PLACE: &str = "AXIOMATIC_KILL_PLACE";

/// What a child does.
pub(crate) const ROLE: &str = "AXIOMATIC_KILL_ROLE";

/// A directory of the test's own, gone when it ends.
pub(crate) struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let name = format!("axiomatic-kill-{}", MessageId::unique());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.0.join("history")
    }

    pub(crate) fn business(&self) -> PathBuf {
        self.0.join("business.db")
    }

    pub(crate) fn record(&self, event: &Event) {
        Log::open(self.history()).unwrap().record(event).unwrap();
    }

    /// Starts a child with these variables.
    pub(crate) fn start(&self, role: &str, variables: &[(&str, &str)]) -> Running {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "kill::child::child", "--nocapture"]);
        child.env(PLACE, &self.0).env(ROLE, role);
        child.envs(variables.iter().copied());
        child.stdout(Stdio::null()).stderr(Stdio::piped());
        Running(Some(child.spawn().unwrap()))
    }

    /// Lets a child work until it is done; or until it ends at a boundary,
    /// which is returned, and is a crash in the history.
    pub(crate) fn run(&self, role: &str, variables: &[(&str, &str)]) -> Option<String> {
        let ended = self.start(role, variables).wait();
        let said = String::from_utf8_lossy(&ended.stderr);
        if ended.status.success() {
            return None;
        }
        let at = said.lines().find_map(|line| {
            let at = line.strip_prefix("the process ends at ")?;
            Some(at.to_owned())
        });
        assert!(
            at.is_some() && ended.status.signal() == Some(6),
            "{}: {said}",
            ended.status
        );
        self.record(&Event::Crash);
        self.let_leases_expire();
        at
    }

    /// The clock goes on for as long as the dead would be missed.
    fn let_leases_expire(&self) {
        let Ok(business) = self.look(&self.business()) else {
            return;
        };
        // The tables may not have been made.
        let _ = business.execute("UPDATE outbox_lease SET until = 1 WHERE owner NOT NULL", ());
        let _ = business.execute("UPDATE outbox_relay SET until = 1", ());
    }

    pub(crate) fn look(&self, file: &Path) -> rusqlite::Result<Connection> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        Ok(connection)
    }

    /// Whether nobody holds the lock for long.
    pub(crate) fn can_be_written(&self) -> bool {
        let business = self.look(&self.business()).unwrap();
        business.busy_timeout(Duration::from_millis(500)).unwrap();
        business.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
    }

    pub(crate) fn number(&self, sql: &str) -> i64 {
        let business = self.look(&self.business()).unwrap();
        business.query_row(sql, (), |row| row.get(0)).unwrap()
    }

    /// Checks the history with what the databases say, and that nothing is
    /// left over.
    pub(crate) fn check(&self, consumer: Consumer) -> History {
        let mut history = History::read(self.history()).unwrap();
        let business = self.look(&self.business()).unwrap();
        let ids = |connection: &Connection, sql: &str| {
            let mut ids = connection.prepare(sql).unwrap();
            let ids = ids.query_map((), |row| Ok(MessageId::from_bytes(row.get(0)?)));
            ids.unwrap().collect::<Result<Vec<_>, _>>().unwrap()
        };
        let mut orders = business
            .prepare("SELECT message, key, number FROM orders")
            .unwrap();
        let orders = orders.query_map((), |row| {
            Ok(Event::Committed {
                id: MessageId::from_bytes(row.get(0)?),
                key: row.get::<_, Option<String>>(1)?.map(String::into_boxed_str),
                order: row.get::<_, i64>(2)?.unsigned_abs(),
            })
        });
        history.extend(orders.unwrap().map(Result::unwrap));
        let dead = ids(&business, "SELECT message_id FROM outbox_dead");
        history.extend(dead.into_iter().map(|id| Event::Buried { id }));
        if consumer == Consumer::Once {
            let consumer = self.look(&self.0.join("consumer.db")).unwrap();
            let effects = ids(&consumer, "SELECT message FROM effects");
            history.extend(effects.into_iter().map(|id| Event::Effect { id }));
        }
        let violations = check(&history, consumer);
        assert!(violations.is_empty(), "{violations:#?}");

        let number = |sql| self.number(sql);
        assert_eq!(number("SELECT count(*) FROM outbox"), 0);
        assert_eq!(number("SELECT messages FROM outbox_backlog"), 0);
        assert_eq!(number("SELECT count(*) FROM outbox_lane"), 0);
        let settled = "SELECT (SELECT count(*) FROM outbox_archive) + \
                       (SELECT count(*) FROM outbox_dead)";
        let orders = number("SELECT count(*) FROM orders");
        assert_eq!(number(settled), orders, "each is settled once");
        history
    }
}

/// A child, which does not outlive its test.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn id(&self) -> String {
        self.0.as_ref().expect("nobody has waited").id().to_string()
    }

    pub(crate) fn wait(mut self) -> Output {
        let child = self.0.take().expect("nobody has waited");
        child.wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
