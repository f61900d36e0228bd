use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use axiomatic_core::hash::mix;
use axiomatic_core::{BoxError, Ratio};
use axiomatic_placement::bounded_load::BoundedLoad;
use axiomatic_placement::consistent_hash::Placement;
use futures::future::try_join_all;

use crate::client::{Client, Connections};

/// Many who ask at once, and often for the same key.
pub(crate) struct Crowd {
    askers: usize,
    each: usize,
    /// One in so many requests is for the hot key.
    hot: u64,
    /// How long a shard is busy with a request.
    busy: Duration,
}

/// What that was for the shards.
pub(crate) struct Loads {
    pub(crate) shards: Vec<Load>,
    hits: usize,
}

#[derive(Default)]
pub(crate) struct Load {
    pub(crate) id: String,
    pub(crate) requests: usize,
    pub(crate) hot: usize,
    pub(crate) most_in_flight: usize,
    in_flight: usize,
}

impl Default for Crowd {
    fn default() -> Self {
        Crowd {
            askers: 64,
            each: 150,
            hot: 4,
            busy: Duration::from_millis(1),
        }
    }
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ask at once, {} times each, every {}th time for the same key:",
            self.askers, self.each, self.hot
        )
    }
}

impl Crowd {
    /// Asks, each request of the key's owner, or of whoever of its candidates
    /// has no more than that share of the mean in flight.
    pub(crate) async fn ask(
        &self,
        client: &Client,
        keys: &[String],
        balance: Option<Ratio>,
    ) -> Result<Loads, BoxError> {
        let placement = client.placement();
        let bounded = balance
            .map(|balance| BoundedLoad::new((*placement).clone(), balance))
            .transpose()?;
        let membership = placement.membership();
        let loads = membership.eligible().map(|member| {
            let id = member.id().escape_ascii().to_string();
            (
                member.id().to_vec(),
                Load {
                    id,
                    ..Load::default()
                },
            )
        });
        let loads: RefCell<BTreeMap<Vec<u8>, Load>> = RefCell::new(loads.collect());
        let loads = &loads;
        let one = |asker: usize| {
            let (placement, bounded) = (&placement, &bounded);
            async move {
                let mut connections = Connections::default();
                let mut hits = 0;
                for nth in 0..self.each {
                    let lot = mix((asker * self.each + nth) as u64);
                    let is_hot = lot.is_multiple_of(self.hot);
                    let key = if is_hot { 0 } else { lot as usize % keys.len() };
                    let hash = client.hash(&keys[key]);
                    // Held until the answer is there: that is what is counted.
                    let pick = bounded.as_ref().map(|bounded| bounded.pick(hash));
                    let chosen = match &pick {
                        Some(pick) => pick.member(),
                        None => placement.owner(hash),
                    };
                    count(loads, chosen.id(), |load| load.begin(is_hot));
                    let asked = client.get_from(&mut connections, chosen.id(), &keys[key]);
                    hits += usize::from(asked.await?);
                    tokio::time::sleep(self.busy).await;
                    count(loads, chosen.id(), Load::end);
                }
                Ok::<usize, BoxError>(hits)
            }
        };
        let hits = try_join_all((0..self.askers).map(one)).await?;
        Ok(Loads {
            hits: hits.into_iter().sum(),
            shards: loads.take().into_values().collect(),
        })
    }

    /// How many of all askers one of so many shards may have in flight.
    pub(crate) fn cap(&self, balance: Ratio, shards: usize) -> usize {
        let share = self.askers as f64 / shards as f64;
        (share * f64::from(balance.as_parts_per_million()) / 1e6).ceil() as usize
    }
}

fn count(loads: &RefCell<BTreeMap<Vec<u8>, Load>>, id: &[u8], step: impl Fn(&mut Load)) {
    if let Some(load) = loads.borrow_mut().get_mut(id) {
        step(load);
    }
}

impl Load {
    fn begin(&mut self, is_hot: bool) {
        self.requests += 1;
        self.hot += usize::from(is_hot);
        self.in_flight += 1;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
    }

    fn end(&mut self) {
        self.in_flight -= 1;
    }
}

impl Loads {
    fn requests(&self) -> usize {
        self.shards.iter().map(|shard| shard.requests).sum()
    }

    pub(crate) fn mean(&self) -> f64 {
        self.requests() as f64 / self.shards.len() as f64
    }

    pub(crate) fn peak_to_mean(&self) -> f64 {
        let most = self.shards.iter().map(|shard| shard.requests).max();
        most.unwrap_or_default() as f64 / self.mean()
    }

    pub(crate) fn hit_rate(&self) -> f64 {
        100.0 * self.hits as f64 / self.requests() as f64
    }

    pub(crate) fn serving_the_hot_key(&self) -> usize {
        self.shards.iter().filter(|shard| shard.hot > 0).count()
    }
}
