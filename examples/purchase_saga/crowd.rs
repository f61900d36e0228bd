//! Many purchases, and executors that are killed while they work on them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axiomatic_coordination::saga::{Client, Ended, Saga, SagaId, Stage};
use futures::future::try_join_all;

use crate::books::{Books, Trouble};
use crate::client::Services;
use crate::definition::Purchase;
use crate::executor::Process;
use crate::services::Town;
use crate::shop::Shop;
use crate::verdict::{Promise, price};
use crate::{Failure, Places};

const PURCHASES: u32 = 200;

/// The first of them.
const FIRST: u32 = 101;

/// How many charges are under way when an executor is killed, and arrive when
/// it was followed.
const LATE: u64 = 5;

/// How many it has made before that, of those that are counted.
const BEFORE: u64 = 30;

/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to come of a purchase. Some have trouble.
fn promise(number: u32) -> Promise {
    match number % 20 {
        3 => Promise::turned("reserve", 0),
        7 => Promise::turned("charge", 1),
        11 => Promise::turned("book", 2),
        _ => Promise::DONE,
    }
}

fn make_trouble(town: &Town, number: u32) {
    match number % 20 {
        3 => town.inventory.trouble(number, Trouble::Refuses),
        7 => town.payment.trouble(number, Trouble::Refuses),
        11 => town.shipping.trouble(number, Trouble::Refuses),
        15 => town.payment.trouble(number, Trouble::Lies),
        17 => town.payment.trouble(number, Trouble::LosesAnswers),
        _ => {}
    }
}

/// Returns whether what is promised was kept.
pub(crate) async fn show<S: Shop>(shop: &S, town: &Town, places: &Places) -> Result<bool, Failure> {
    for number in FIRST..FIRST + PURCHASES {
        make_trouble(town, number);
    }
    let mut scene = Scene {
        shop,
        town,
        places,
        purchase: shop.purchase(&Services::at(town.addresses())?)?,
        client: Client::new(shop.sagas()),
        crew: Vec::new(),
        killed: Vec::new(),
    };
    let played = tokio::time::timeout(PATIENCE, scene.play()).await;
    let Ok(ended) = played else {
        let count = scene.client.count().await?;
        println!("  not all have ended in {PATIENCE:?}: {count:?}");
        return Ok(false);
    };
    let is_kept = scene.judge(&ended?).await?;
    let mut have_ended_well = true;
    for process in scene.crew.drain(..) {
        have_ended_well &= process.end()?;
    }
    Ok(is_kept && have_ended_well)
}

struct Scene<'a, S: Shop> {
    shop: &'a S,
    town: &'a Town,
    places: &'a Places,
    purchase: Saga<S::Sagas, Purchase, String>,
    client: Client<S::Sagas>,
    /// The executors that live.
    crew: Vec<Process>,
    killed: Vec<u32>,
}

impl<S: Shop> Scene<'_, S> {
    /// Returns how each purchase has ended.
    async fn play(&mut self) -> Result<Vec<Ended<String>>, Failure> {
        for _ in 0..S::EXECUTORS {
            self.hire()?;
        }
        // One after the other, until all executors have something to do.
        let mut sagas = Vec::new();
        while !self.all_work() {
            if sagas.len() == PURCHASES as usize / 2 {
                return Err("an executor has nothing to do".into());
            }
            let saga = self.begin(FIRST + sagas.len() as u32).await?;
            self.client.wait(&self.purchase, saga).await?;
            sagas.push(saga);
        }
        println!("  all executors work after {} purchases", sagas.len());

        // If only one can be there, it is followed by a new one; otherwise by
        // the one that is left.
        let kills = if S::EXECUTORS == 1 { 3 } else { 1 };
        self.await_victim();
        let rest = FIRST + sagas.len() as u32..FIRST + PURCHASES;
        sagas.extend(try_join_all(rest.map(|number| self.begin(number))).await?);
        println!("  all {} purchases have begun", sagas.len());
        for kill in 1..=kills {
            self.kill().await?;
            if self.crew.is_empty() {
                self.hire()?;
            }
            if kill < kills {
                self.await_victim();
            }
        }
        let ended = sagas
            .iter()
            .map(|saga| self.client.wait(&self.purchase, *saga));
        let ended = try_join_all(ended).await?;
        let late = LATE * kills;
        let payment = &self.town.payment;
        payment.until(|books| books.late >= late).await;
        Ok(ended)
    }

    fn hire(&mut self) -> Result<(), Failure> {
        let process = Process::start(self.places, self.town.addresses())?;
        println!("  process {} is started", process.id());
        self.crew.push(process);
        Ok(())
    }

    fn all_work(&self) -> bool {
        let sagas = self.callers().into_values();
        let callers: BTreeSet<u32> = sagas.flatten().collect();
        self.crew
            .iter()
            .all(|process| callers.contains(&process.id()))
    }

    /// Which processes have called any of the services for each saga.
    fn callers(&self) -> BTreeMap<String, BTreeSet<u32>> {
        let mut callers = BTreeMap::<String, BTreeSet<u32>>::new();
        for server in self.town.all() {
            for (saga, process) in server.books.borrow().callers() {
                callers.entry(saga.clone()).or_default().insert(process);
            }
        }
        callers
    }

    async fn begin(&self, number: u32) -> Result<SagaId, Failure> {
        let saga = SagaId::unique();
        self.client
            .start(&self.purchase, saga, &price(number))
            .await?;
        Ok(saga)
    }

    /// The next to be killed will have some charges under way by then.
    fn await_victim(&self) {
        let victim = self.crew[0].id();
        let books = &self.town.payment.books;
        books.send_modify(|books| books.hold(victim, BEFORE, LATE));
    }

    async fn kill(&mut self) -> Result<(), Failure> {
        self.town.payment.until(Books::holds_all).await;
        let victim = self.crew.remove(0);
        let id = victim.id();
        victim.kill()?;
        self.killed.push(id);
        let count = self.client.count().await?;
        let at = |stage| {
            count
                .iter()
                .find(|one| one.0 == stage)
                .map_or(0, |one| one.1)
        };
        println!(
            "  process {id} is killed: {} purchases are running, {} are being unwound",
            at(Stage::Running),
            at(Stage::Unwinding),
        );
        Ok(())
    }

    /// Prints what came of it. Returns whether that was promised.
    async fn judge(&self, ended: &[Ended<String>]) -> Result<bool, Failure> {
        let lines = self.shop.lines().await?;
        let all = || (FIRST..).zip(ended);
        let is_promised = |(number, ended): &(u32, &_)| {
            promise(*number).is_kept(self.town, &lines, *number, ended)
        };
        let kept = all().filter(is_promised).count();
        for (number, ended) in all().filter(|one| !is_promised(one)).take(5) {
            println!("  purchase {number}: {ended:?}");
        }

        println!(
            "\n{:<14}{:>9}{:>10}{:>10}{:>9}{:>10}{:>8}",
            "ended", "purchases", "reserved", "released", "charged", "refunded", "parcels"
        );
        for (name, is_done) in [("done", true), ("compensated", false)] {
            let of = all().filter(|(_, ended)| matches!(ended, Ended::Done(_)) == is_done);
            let of: Vec<u32> = of.map(|(number, _)| number).collect();
            let effects = self.town.all().map(|server| {
                let books = server.books.borrow();
                let effects = of.iter().map(|number| books.effects(*number));
                effects.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
            });
            let [(reserved, released), (charged, refunded), (parcels, _)] = effects;
            println!(
                "{name:<14}{:>9}{reserved:>10}{released:>10}{charged:>9}{refunded:>10}{parcels:>8}",
                of.len()
            );
        }

        let callers = self.callers();
        let taken_over = |process: &u32| {
            let left = callers.values().filter(|who| who.contains(process));
            left.filter(|who| who.len() > 1).count()
        };
        let taken_over: usize = self.killed.iter().map(taken_over).sum();
        let all = self.town.all();
        let books = || all.iter().map(|server| server.books.borrow());
        let stale: u64 = books().map(|books| books.stale).sum();
        let repeats: u64 = books().map(|books| books.repeats).sum();
        println!("\n{kept} of {PURCHASES} are as promised");
        println!("{taken_over} times a purchase of a process that was killed was taken over");
        println!("{stale} requests of the dead arrived too late, and were refused by their tokens");
        println!("{repeats} requests were repeats, and were known by their keys");
        // Otherwise nothing was shown.
        let late = LATE * self.killed.len() as u64;
        let is_shown = stale >= late && taken_over > 0 && repeats > 0;
        Ok(kept == PURCHASES as usize && ended.len() == kept && is_shown)
    }
}
