//! One slow tenant, and nine that should not notice.
//!
//! Where this is going: ten tenants share a database with twenty connections.
//! Nine of them send twenty short queries a second each. The tenth sends forty
//! reports a second, of which each holds a connection for a second: twice as
//! many as there are. With one queue for all, everybody waits behind the
//! reports, and most of the short queries are not answered in time. With a
//! bulkhead for each tenant the reports have five connections, and the others
//! lose nothing. Nor do they where reports are a partition that may have what is
//! left over, which is most of the connections, and nothing that is guaranteed to
//! the others. Time is tokio's, and paused, so that all of it passes at once and
//! each run is the same.

use std::cell::Cell;
use std::error::Error;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use axiomatic_capacity::bulkhead::{Config, KeyedBulkhead, Order, Partitions, Sharing, WhenFull};
use axiomatic_core::keyed::WhenFull as WithoutPlace;
use axiomatic_core::time::Clock;
use axiomatic_core::{Ratio, Rejected};
use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, ServiceExt};

const CONNECTIONS: u32 = 20;
/// The tenant that sends reports.
const SLOW: usize = 9;

#[derive(Clone, Copy)]
struct Query {
    tenant: usize,
}

impl Query {
    fn is_report(self) -> bool {
        self.tenant == SLOW
    }

    /// How long it holds a connection.
    fn takes(self) -> Duration {
        Duration::from_millis(if self.is_report() { 1_000 } else { 10 })
    }

    /// How often its tenant sends one.
    fn every(self) -> Duration {
        Duration::from_millis(if self.is_report() { 25 } else { 50 })
    }

    /// How long anybody waits for its answer.
    fn in_time(self) -> Duration {
        Duration::from_millis(if self.is_report() { 10_000 } else { 100 })
    }
}

/// What became of queries.
#[derive(Clone, Copy, Default)]
struct Calls {
    sent: u32,
    served: u32,
    /// Refused, or not answered in time.
    lost: u32,
}

impl Calls {
    fn count(&mut self, is_served: bool) {
        self.sent += 1;
        self.served += u32::from(is_served);
        self.lost += u32::from(!is_served);
    }
}

/// What the tenants share: so many connections, and each query holds one.
#[derive(Clone)]
struct Database(Rc<Semaphore>);

impl Service<Query> for Database {
    type Response = ();
    type Error = Rejected;
    type Future = Pin<Box<dyn Future<Output = Result<(), Rejected>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, query: Query) -> Self::Future {
        let connections = Rc::clone(&self.0);
        Box::pin(async move {
            let _connection = connections.acquire().await;
            sleep(query.takes()).await;
            Ok(())
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let one = limited(CONNECTIONS)?.named("one queue").build()?;
    let shared = run(&one.queued_layer().with_error())?;

    let places = NonZeroU32::new(1_000).ok_or("no places")?;
    let tenants: KeyedBulkhead<usize> =
        KeyedBulkhead::new(limited(5)?.named("tenants"), places, WithoutPlace::Shared)?;
    let by_tenant = tenants.queued_layer(|query: &Query| query.tenant);
    let keyed = run(&by_tenant.with_error())?;

    let shares = Partitions::new(Sharing::Reserved)
        .with("queries", Ratio::percent(20))
        .with("reports", Ratio::ZERO);
    let parts = limited(CONNECTIONS)?.named("partitions").partitions(shares);
    let parts = parts.build()?;
    let (queries, reports) = (parts.partition("queries"), parts.partition("reports"));
    let by_kind =
        parts.queued_layer().partitioned(
            move |query: &Query| {
                if query.is_report() { reports } else { queries }
            },
        );
    let partitioned = run(&by_kind.with_error())?;

    println!("                        nine tenants' queries       one tenant's reports");
    println!("                        sent  in time    lost        sent   served    lost");
    for (name, [queries, reports]) in [
        ("one queue for all", shared),
        ("five for each tenant", keyed),
        ("20 % for the queries", partitioned),
    ] {
        print!("{name:<22}");
        for calls in [queries, reports] {
            let Calls { sent, served, lost } = calls;
            print!("{sent:>6}  {served:>7}  {lost:>6}      ");
        }
        println!();
    }
    println!();
    println!("{}\n{}", one.snapshot(), parts.snapshot());
    println!("tenants: {}", tenants.snapshot());

    let [queries, _] = shared;
    assert!(
        2 * queries.served < queries.sent,
        "the reports starve nobody"
    );
    for [queries, reports] in [keyed, partitioned] {
        assert_eq!(queries.lost, 0, "a query noticed the reports");
        assert!(reports.served > 0 && reports.lost > 0);
    }
    assert!(
        partitioned[1].served > keyed[1].served,
        "what is left over is not used"
    );
    Ok(())
}

/// So many connections at a time; who finds none waits for one, a second at
/// most.
fn limited(connections: u32) -> Result<Config, Box<dyn Error>> {
    let config = Config::new(NonZeroU32::new(connections).ok_or("no slots")?);
    Ok(config
        .when_full(WhenFull::Wait {
            max_waiting: 100,
            max_wait: Duration::from_secs(1),
            order: Order::Fifo,
        })
        .clock(Clock::Source(|| tokio::time::Instant::now().into())))
}

/// Ten seconds of queries through a layer, and what became of them: those of
/// the nine, and the reports.
fn run<L>(layer: &L) -> Result<[Calls; 2], Box<dyn Error>>
where
    L: Layer<Database>,
    L::Service: Service<Query, Response = (), Error = Rejected> + Clone + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let database = Database(Rc::new(Semaphore::new(CONNECTIONS as usize)));
    let service = layer.layer(database);
    let calls = Rc::new(Cell::new([Calls::default(); 2]));
    let everyone = LocalSet::new();
    for tenant in 0..=SLOW {
        let (service, calls) = (service.clone(), Rc::clone(&calls));
        everyone.spawn_local(async move {
            let query = Query { tenant };
            // Not all in the same instant.
            sleep(Duration::from_millis(tenant as u64)).await;
            for _ in 0..10_000 / query.every().as_millis() {
                let call = timeout(query.in_time(), service.clone().oneshot(query));
                let calls = Rc::clone(&calls);
                spawn_local(async move {
                    let is_served = matches!(call.await, Ok(Ok(())));
                    let mut all = calls.get();
                    all[usize::from(query.is_report())].count(is_served);
                    calls.set(all);
                });
                sleep(query.every()).await;
            }
        });
    }
    runtime.block_on(everyone);
    Ok(calls.get())
}
