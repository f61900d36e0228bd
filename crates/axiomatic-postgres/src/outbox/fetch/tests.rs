//! What a fetch costs: how many pages of tables and of indexes it looks at, as
//! the server counts them.

use axiomatic_coordination::outbox::{Epoch, Lease, RowId};
use tokio_postgres::Client;

use super::*;
use crate::Tables;
use crate::connected::Session;
use crate::schema::OUTBOX;

#[expect(dead_code, reason = "the other tests use the rest of it")]
#[path = "../../../tests/it/support.rs"]
mod support;

use support::Place;

/// The outbox's tables, a connection that is set as those of the pool are, and
/// the statement.
struct Tested {
    sql: Sql,
    client: Client,
    place: Place,
}

impl Tested {
    async fn find() -> Option<Tested> {
        let place = Place::find().await?;
        let mut client = place.client().await;
        let schema = place.options().schema;
        OUTBOX
            .prepare(&mut client, &schema, Tables::Migrate)
            .await
            .expect("tables can be made");
        client
            .batch_execute(crate::database::SETTINGS)
            .await
            .expect("settings");
        let sql = Sql::new(&schema);
        Some(Tested { sql, client, place })
    }

    async fn execute(&self, sql: &str) {
        let sql = sql.replace("{s}", &self.place.schema);
        self.client.batch_execute(&sql).await.expect("executes");
    }

    /// So many rows were found, and so many pages looked at.
    async fn cost(&mut self, fetch: &Fetch<'_>) -> (i64, i64) {
        let explain = format!(
            "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, COSTS OFF) {}",
            self.sql.fetch
        );
        let params = params(fetch, Buckets::default());
        let lines = Session::query(&mut self.client, &explain, &params).await;
        let lines = lines.expect("explains");
        let mut lines = lines
            .iter()
            .map(|line| line.get::<String>(0).expect("text"));
        let number = |text: &str, before: &str| {
            let (_, behind) = text.split_once(before).unwrap_or((text, "0"));
            let digits = behind.split(|c: char| !c.is_ascii_digit()).next();
            digits.expect("a part").parse::<i64>().expect("a number")
        };
        // The first lines are about the whole.
        let rows = number(&lines.next().expect("a line"), "actual rows=");
        let pages = lines.next().expect("a line");
        let pages = number(&pages, "hit=") + number(&pages, "read=");
        (rows, pages)
    }
}

fn leases() -> Vec<Lease> {
    let lease = |bucket| Lease {
        bucket,
        epoch: Epoch(1),
        suspect_through: RowId(0),
    };
    Buckets::default().all().map(lease).collect()
}

const ROWS: &str = "\
INSERT INTO {s}.outbox (lane, message_id, topic, body)
SELECT {lane}, gen_random_uuid(), '{topic}', '' FROM generate_series(1, {many}) AS n;";

/// A hundred keys with a message each, the first of all lanes behind the hot
/// one, and so many messages of that.
async fn hot_and_cold(tested: &Tested, hot: Lane, behind: usize) {
    let rows = |lane: &str, topic: &str, many: usize| {
        let rows = ROWS.replace("{lane}", lane).replace("{topic}", topic);
        rows.replace("{many}", &many.to_string())
    };
    let hot = rows(&hot.to_stored().to_string(), "hot", behind);
    let cold = rows("(n - 50) * 180000000000000000", "cold", 100);
    tested.execute(&format!("{hot} {cold}")).await;
}

#[tokio::test]
async fn what_stands_behind_one_key_costs_the_others_nothing() {
    let hot = Lane::from_stored(-1_000_000_000);
    let (Some(few), Some(many)) = (Tested::find().await, Tested::find().await) else {
        return;
    };
    let mut both = [few, many];
    for (tested, behind) in both.iter().zip([200, 100_000]) {
        hot_and_cold(tested, hot, behind).await;
    }
    let leases = leases();
    let states = [
        ("many", ""),
        ("busy", ""),
        (
            "blocked",
            "INSERT INTO {s}.outbox_lane VALUES ({hot}, 'infinity', NULL, '', now())",
        ),
        ("parked", "UPDATE {s}.outbox_lane SET blocked_until = NULL"),
        (
            "paused",
            "DELETE FROM {s}.outbox_lane; INSERT INTO {s}.outbox_pause VALUES ('topic', 'hot')",
        ),
    ];
    for (state, sql) in states {
        let mut cost = Vec::new();
        for tested in &mut both {
            tested
                .execute(&sql.replace("{hot}", &hot.to_stored().to_string()))
                .await;
            let fetch = Fetch {
                leases: &leases,
                after: Lane::LAST,
                busy: if state == "busy" { &[hot] } else { &[] },
                rows: 500,
                per_lane: 16,
                lanes: 4000,
            };
            let (rows, pages) = tested.cost(&fetch).await;
            assert_eq!(rows, if state == "many" { 116 } else { 100 }, "{state}");
            cost.push(pages);
        }
        let (few, many) = (cost[0], cost[1]);
        assert!(
            // An index of more pages may have a level more.
            many <= few + few / 4,
            "{state}: {few} pages with 200, {many} with 100 000"
        );
    }
}

#[tokio::test]
async fn rows_that_are_taken_cost_a_few_pages_each_however_many_wait() {
    let Some(mut tested) = Tested::find().await else {
        return;
    };
    let leases = leases();
    let spread = "(n - 10000) * 900000000000000";
    let rows = ROWS.replace("{lane}", spread).replace("{topic}", "cold");
    tested.execute(&rows.replace("{many}", "20000")).await;
    for rows in [50, 500] {
        let fetch = Fetch {
            leases: &leases,
            after: Lane::from_stored(0),
            busy: &[],
            rows,
            per_lane: 16,
            lanes: 4000,
        };
        let (found, pages) = tested.cost(&fetch).await;
        let rows = i64::try_from(rows).expect("few");
        assert_eq!(found, rows);
        // One where the index says that it is, one where it is loaded, and
        // what was read ahead.
        assert!(pages <= 4 * rows + 200, "{pages} pages for {rows} rows");
    }
}
