//! What local steps do, in SQLite.

use axiomatic_coordination::saga::{Context, Fault, LocalAction, Was};
use axiomatic_sqlite::Transaction;
use axiomatic_sqlite::saga::Sagas;

use super::stories::{Books, Transfer, line, posting, undoes};

impl Books for Sagas {
    fn book() -> impl LocalAction<Self, Transfer, i64> {
        Sagas::local(|tx: &mut Transaction<'_>, context: &Context, transfer| {
            post(tx, context, transfer)?;
            Ok(transfer.2)
        })
    }

    fn take_back() -> impl LocalAction<Self, (Transfer, Was<i64>), ()> {
        Sagas::local(
            |tx: &mut Transaction<'_>, context: &Context, (transfer, _): (Transfer, Was<i64>)| {
                post(tx, context, transfer)
            },
        )
    }
}

fn post(tx: &mut Transaction<'_>, context: &Context, transfer: Transfer) -> Result<(), Fault> {
    if let Some((account, change)) = posting(context.step(), transfer, undoes(context)) {
        let post = "UPDATE account SET balance = balance + ?2 \
                    WHERE number = ?1 AND balance + ?2 >= 0";
        if tx.execute(post, (account, change))? == 0 {
            return Err(Fault::failed("no such account, or too little in it"));
        }
    }
    tx.execute("INSERT INTO effect (line) VALUES (?1)", [line(context)])?;
    Ok(())
}
