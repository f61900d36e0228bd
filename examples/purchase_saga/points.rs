//! One purchase for each point at which something goes wrong.

use axiomatic_coordination::saga::{Client, Ended, Kind, SagaId};
use tokio::sync::oneshot;

use crate::Failure;
use crate::books::Trouble;
use crate::client::Services;
use crate::executor::executor;
use crate::services::{Server, Town};
use crate::shop::Shop;
use crate::verdict::{Promise, price};

/// A point at which something goes wrong, and what is to come of it.
struct Point {
    name: &'static str,
    trouble: Option<(Place, Trouble)>,
    done: &'static [&'static str],
    undone: &'static [&'static str],
    promise: Promise,
}

/// One of the services.
type Place = fn(&Town) -> &Server;

const fn inventory(town: &Town) -> &Server {
    &town.inventory
}

const fn payment(town: &Town) -> &Server {
    &town.payment
}

const fn shipping(town: &Town) -> &Server {
    &town.shipping
}

const ALL: &[&str] = &["order", "reserve", "charge", "book", "confirm"];

const POINTS: [Point; 6] = [
    Point {
        name: "nothing",
        trouble: None,
        done: ALL,
        undone: &[],
        promise: Promise::DONE,
    },
    Point {
        name: "it is out of stock",
        trouble: Some((inventory, Trouble::Refuses)),
        done: &["order"],
        undone: &["order"],
        promise: Promise::turned("reserve", 0),
    },
    Point {
        name: "the card is declined",
        trouble: Some((payment, Trouble::Refuses)),
        done: &["order", "reserve"],
        undone: &["reserve", "order"],
        promise: Promise::turned("charge", 1),
    },
    Point {
        name: "the charge's answer is lost",
        trouble: Some((payment, Trouble::LosesAnswers)),
        done: ALL,
        undone: &[],
        promise: Promise::DONE,
    },
    Point {
        name: "nobody says if it is charged",
        trouble: Some((payment, Trouble::IsSilent)),
        done: &["order", "reserve"],
        undone: &["charge", "reserve", "order"],
        promise: Promise::turned("charge", 2),
    },
    Point {
        name: "it cannot be shipped",
        trouble: Some((shipping, Trouble::Refuses)),
        done: &["order", "reserve", "charge"],
        undone: &["charge", "reserve", "order"],
        promise: Promise::turned("book", 2),
    },
];

/// Returns whether all was as it is to be.
pub(crate) async fn show(shop: &impl Shop, town: &Town) -> Result<bool, Failure> {
    let purchase = shop.purchase(&Services::at(town.addresses())?)?;
    println!("{}", purchase.describe().mermaid());
    let executor = executor(shop, &purchase)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let buy = async {
        println!(
            "{:<30}{:<37}{:<23}{:<21}{:>6}{:>7}{:>9}",
            "goes wrong", "done", "undone", "ended", "pieces", "cents", "parcels"
        );
        let mut is_kept = true;
        for (point, number) in POINTS.iter().zip(1..) {
            if let Some((at, trouble)) = point.trouble {
                at(town).trouble(number, trouble);
            }
            let saga = SagaId::unique();
            let ended = executor.execute(&purchase, saga, &price(number)).await?;
            is_kept &= tell(shop, town, &executor.client(), saga, point, number, &ended).await?;
        }
        drop(stop);
        Ok::<_, Failure>(is_kept)
    };
    let run = async {
        let stopped = async { drop(stopped.await) };
        Ok::<_, Failure>(executor.run(stopped).await?)
    };
    let (is_kept, ()) = tokio::try_join!(buy, run)?;
    Ok(is_kept)
}

/// Prints a line. Returns whether it is as it is to be.
async fn tell<S: Shop>(
    shop: &S,
    town: &Town,
    client: &Client<S::Sagas>,
    saga: SagaId,
    point: &Point,
    number: u32,
    ended: &Ended<String>,
) -> Result<bool, Failure> {
    let found = client.find(saga).await?.ok_or("a saga is not there")?;
    let steps = |kind| {
        let records = found.records.iter().map(|line| &line.record);
        let steps = records.filter(move |record| record.kind == kind);
        steps.map(|record| &*record.step).collect::<Vec<&str>>()
    };
    let (done, undone) = (steps(Kind::Done), steps(Kind::Undone));
    let end = match ended {
        Ended::Done(parcel) => format!("done, {parcel}"),
        Ended::Compensated(why) => format!("turned at {}", why.step().unwrap_or("none")),
        Ended::Abandoned(why) => format!("abandoned: {why}"),
    };
    let [pieces, cents, parcels] = town
        .all()
        .map(|server| server.books.borrow().taken_by(number));
    println!(
        "{:<30}{:<37}{:<23}{end:<21}{pieces:>6}{cents:>7}{parcels:>9}",
        point.name,
        done.join(" "),
        undone.join(" "),
    );
    let lines = shop.lines().await?;
    let is_kept = point.promise.is_kept(town, &lines, number, ended);
    Ok(is_kept && done == point.done && undone == point.undone)
}
