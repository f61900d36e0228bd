//! What local steps do, in PostgreSQL.

use axiomatic_coordination::saga::{Context, Fault, LocalAction, Was};
use axiomatic_postgres::saga::Sagas;
use tokio_postgres::Transaction;

use super::stories::{Books, Transfer, line, posting, undoes};

impl Books for Sagas {
    fn book() -> impl LocalAction<Self, Transfer, i64> {
        Sagas::local(|tx, context: &Context, transfer: Transfer| {
            Box::pin(async move {
                post(tx, context, transfer).await?;
                Ok(transfer.2)
            })
        })
    }

    fn take_back() -> impl LocalAction<Self, (Transfer, Was<i64>), ()> {
        Sagas::local(
            |tx, context: &Context, (transfer, _): (Transfer, Was<i64>)| {
                Box::pin(post(tx, context, transfer))
            },
        )
    }
}

async fn post(
    tx: &mut Transaction<'_>,
    context: &Context,
    transfer: Transfer,
) -> Result<(), Fault> {
    if let Some((account, change)) = posting(context.step(), transfer, undoes(context)) {
        let post = "UPDATE account SET balance = balance + $2 \
                    WHERE number = $1 AND balance + $2 >= 0";
        let account = i32::try_from(account)?;
        if tx.execute(post, &[&account, &change]).await? == 0 {
            return Err(Fault::failed("no such account, or too little in it"));
        }
    }
    let insert = "INSERT INTO effect (line) VALUES ($1)";
    tx.execute(insert, &[&line(context)]).await?;
    Ok(())
}
