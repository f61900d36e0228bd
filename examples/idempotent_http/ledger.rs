//! What is written down, here and at the provider.

use std::collections::BTreeMap;
use std::fmt;

use crate::Failure;
use crate::provider::Provider;
use crate::shop::Shop;

/// What is written down, here and at the provider.
pub(crate) struct Ledger {
    pub(crate) bookings: usize,
    pub(crate) charges: usize,
    pub(crate) messages: u64,
    pub(crate) resumed: usize,
    calls: u64,
    lies: u64,
    /// How often each order is booked and charged.
    of: BTreeMap<String, (usize, usize)>,
}

impl Ledger {
    pub(crate) async fn of(shop: &impl Shop, provider: &Provider) -> Result<Self, Failure> {
        let (bookings, charged) = (shop.bookings().await?, provider.charged());
        let mut of = BTreeMap::<String, (usize, usize)>::new();
        for booking in &bookings {
            of.entry(booking.order.clone()).or_default().0 += 1;
        }
        for order in &charged {
            of.entry(order.clone()).or_default().1 += 1;
        }
        let resumed = bookings.iter().filter(|booking| booking.attempts > 1);
        Ok(Ledger {
            resumed: resumed.count(),
            bookings: bookings.len(),
            charges: charged.len(),
            messages: shop.messages().await?,
            calls: provider.calls(),
            lies: provider.lies(),
            of,
        })
    }

    /// Prints a line. Returns whether each is booked and charged once.
    pub(crate) fn line(&self, who: &str, orders: &[String]) -> bool {
        let found = orders
            .iter()
            .map(|order| self.of.get(order).copied().unwrap_or_default());
        let found: Vec<(usize, usize)> = found.collect();
        let booked: usize = found.iter().map(|(booked, _)| booked).sum();
        let charged: usize = found.iter().map(|(_, charged)| charged).sum();
        let twice = found.iter().filter(|found| found.0 > 1 || found.1 > 1);
        let twice = twice.count();
        let count = orders.len();
        println!("{who:<16}{count:>11}{booked:>9}{charged:>10}{twice:>8}");
        found.iter().all(|found| *found == (1, 1))
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} orders were resumed where another attempt had ended",
            self.resumed
        )?;
        writeln!(
            f,
            "{} calls of the provider, which charged {} times and {} times denied it",
            self.calls, self.charges, self.lies
        )?;
        write!(
            f,
            "{} bookings, and {} messages of them in the outbox",
            self.bookings, self.messages
        )
    }
}
