//! What a purchase is: its steps, and how each is undone.

use std::time::Duration;

use axiomatic_coordination::saga::{Builder, DefinitionError, LocalAction, Saga, Store, Was};
use axiomatic_core::backoff::Backoff;

use crate::client::Services;

/// Its number, how many pieces, and for how many cents.
pub(crate) type Purchase = (u32, u64, u64);

/// What a purchase does in the shop's own database. Of which shape that is,
/// the database says.
pub(crate) struct Local<Place, Cancel, Confirm> {
    pub(crate) place: Place,
    pub(crate) cancel: Cancel,
    pub(crate) confirm: Confirm,
}

/// For any store. The result is the number of the parcel.
pub(crate) fn purchase<S: Store>(
    services: &Services,
    local: Local<
        impl LocalAction<S, Purchase, ()>,
        impl LocalAction<S, (Purchase, Was<()>), ()>,
        impl LocalAction<S, (Purchase, String), ()>,
    >,
) -> Result<Saga<S, Purchase, String>, DefinitionError> {
    let ms = Duration::from_millis;
    let often = Backoff::exponential(ms(20), ms(200));
    // One handle for each closure: cheap to clone, as clients are.
    let [reserve, release] = [&services.inventory; 2].map(Clone::clone);
    let [charge, look, refund] = [&services.payment; 3].map(Clone::clone);
    let book = services.shipping.clone();

    let mut saga = Builder::<S, Purchase>::new("purchase", 1);
    let purchase = saga.input();
    let placed = saga
        .local_step("order", purchase, local.place)
        .compensate_with_local(local.cancel);
    let reserved = saga
        .step(
            "reserve",
            (purchase, placed.only_after()),
            move |context, ((number, pieces, _), ())| reserve.act(&context, number, pieces),
        )
        .attempts(3, often)
        .undo_attempts(0, often)
        .compensate_with(move |context, _, _| release.undo(&context));
    let charged = saga
        .step(
            "charge",
            (purchase, reserved.only_after()),
            move |context, ((number, _, cents), ())| charge.act(&context, number, cents),
        )
        .attempts(3, often)
        .probe(move |context, _| look.ask(&context))
        .undo_attempts(0, often)
        .compensate_with(move |context, _, _| refund.undo(&context));
    let (mut saga, parcel) = saga
        .pivot(
            "book",
            (purchase, charged.only_after()),
            move |context, ((number, _, _), ())| book.act(&context, number, 1),
        )
        .attempts(0, often)
        .commit();
    saga.local_step("confirm", (purchase, parcel), local.confirm)
        .attempts(0, often)
        .retriable();
    saga.returns(parcel)
}
