//! Atomic phases, over each driver and in transactions of one's own, and what
//! is written late.

use axiomatic_coordination::StoreError;
use axiomatic_coordination::idempotency::{Begun, Phase, PhaseError};
use axiomatic_postgres::Connected;
use axiomatic_postgres::idempotency::AtomicPhase;
use sqlx_core::connection::Connection;
use sqlx_postgres::PgConnection;
use tokio_postgres::{IsolationLevel, Transaction};

use super::*;

type Failed = PhaseError<StoreError>;

/// A zombie: its lease has ended, and another has followed. Nothing that it
/// writes is there.
#[tokio::test(flavor = "multi_thread")]
async fn late_writes_of_a_zombie_are_refused_by_the_database() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let name = name("zombie");
    let zombie = scene.phases(&name, scene.mine(&claim(&name)).await);
    scene.let_leases_end().await;
    let second = scene.mine(&claim(&name)).await;
    assert_eq!(second.attempts, 2);
    for state in ["running", "completed"] {
        let before = scene.rows().await;
        let lease = zombie.lease();
        let store = &scene.store;
        assert_eq!(store.renew(lease, HOUR).await.unwrap(), Fence::Lost);
        let recorded = store.record(lease, &step("late")).await.unwrap();
        assert_eq!(recorded, Fence::Lost, "{state}");
        assert_eq!(store.release(lease).await.unwrap(), Fence::Lost, "{state}");
        assert_eq!(scene.complete(lease, "late").await, Fence::Lost, "{state}");

        let zombie = scene.phases(&name, mine_of(&zombie));
        let (mut client, mut sqlx) = (scene.client().await, sqlx(&scene).await);
        let work = async |_: &mut Transaction<'_>| -> Result<(), Failed> { panic!("it works") };
        let done = zombie.phase("book").atomic(&mut client, work).await;
        assert!(matches!(done, Err(PhaseError::Lost)), "{state}: {done:?}");
        let work = async |_: &mut PgConnection| -> Result<(), Failed> { panic!("it works") };
        let phase = zombie.phase("by sqlx");
        let done = phase.atomic_with_sqlx(&mut sqlx, work).await;
        assert!(matches!(done, Err(PhaseError::Lost)), "{state}: {done:?}");
        scene.until_nobody_is_at_work().await;
        assert_eq!(scene.rows().await, before, "{state}");
        assert_eq!(scene.complete(&second.lease, "ok").await, Fence::Held);
    }
}

fn mine_of(phases: &Phases<Idempotency>) -> Mine {
    Mine {
        lease: *phases.lease(),
        steps: phases.steps(),
        attempts: phases.attempts(),
    }
}

async fn sqlx(scene: &Scene) -> PgConnection {
    let connection = PgConnection::connect(&named(&scene.place)).await;
    connection.expect("PostgreSQL is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_borrows_can_be_a_phase_in_a_task_of_its_own() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let name = name("task");
    let phases = scene.phases(&name, scene.mine(&claim(&name)).await);
    let insert = scene.insert();
    let (mut client, mut connection) = (scene.client().await, sqlx(&scene).await);
    let spawned = tokio::spawn(async move {
        let insert = insert.as_str();
        let work = async |tx: &mut Transaction<'_>| tx.execute(insert, &[]).await;
        let one = phases.phase("one").atomic(&mut client, work).await;
        assert_eq!(one.unwrap(), 1);
        let work = async |_: &mut PgConnection| Ok::<_, StoreError>("two".to_owned());
        let two = phases.phase("two");
        let two = two.atomic_with_sqlx(&mut connection, work).await;
        assert_eq!(two.unwrap(), "two");
        phases.steps()
    });
    let steps = spawned.await.unwrap();
    assert_eq!(steps.len(), 2);
    scene.let_leases_end().await;
    assert_eq!(scene.mine(&claim(&name)).await.steps, steps);
}

/// The lease that was to end soon lasts as long as it did at first, from the
/// end of the phase.
#[tokio::test(flavor = "multi_thread")]
async fn a_phase_renews_the_lease() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let name = name("renews");
    let phases = scene.phases(&name, scene.mine(&claim(&name)).await);
    scene.let_leases_end().await;
    let mut client = scene.client().await;
    let work = async |_: &mut Transaction<'_>| Ok::<_, StoreError>(());
    let done = phases.phase("one").atomic(&mut client, work).await;
    done.expect("it is ours");
    let found = scene.claim(&claim(&name)).await;
    let Claimed::InProgress { lease_ends_in } = found else {
        panic!("it has ended: {found:?}");
    };
    assert!(lease_ends_in > HOUR / 2 && lease_ends_in <= HOUR);
}

/// A phase by hand: as `atomic` does it. Whether it was done now.
async fn by_hand(phase: &Phase<'_, Idempotency>, tx: &mut impl Connected) -> Result<bool, Failed> {
    if let Begun::Before(()) = phase.begin(Kind::Atomic)? {
        return Ok(false);
    }
    if phase.fence(tx).await.map_err(PhaseError::Store)? == Fence::Lost {
        return Err(PhaseError::Lost);
    }
    let step = phase.step(Kind::Atomic, &())?;
    match phase.append(tx, &step).await.map_err(PhaseError::Store)? {
        Fence::Held => Ok(true),
        Fence::Lost => Err(PhaseError::Lost),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_appended_by_hand_commits_with_its_transaction_or_not_at_all() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let name = name("by hand");
    let pool = deadpool_postgres::Config {
        url: Some(named(&scene.place)),
        ..Default::default()
    };
    let runtime = Some(deadpool_postgres::Runtime::Tokio1);
    let pool = pool.create_pool(runtime, tokio_postgres::NoTls).unwrap();
    let mut steps = 0;
    for commits in [false, true] {
        let phases = scene.phases(&name, scene.mine(&claim(&name)).await);
        assert_eq!(phases.steps().len(), steps);
        let mut lent = pool.get().await.unwrap();
        let mut tx = lent.transaction().await.unwrap();
        assert!(by_hand(&phases.phase("deadpool"), &mut tx).await.unwrap());
        match commits {
            true => tx.commit().await.unwrap(),
            false => tx.rollback().await.unwrap(),
        }
        let mut connection = sqlx(&scene).await;
        let mut tx = connection.begin().await.unwrap();
        assert!(by_hand(&phases.phase("sqlx"), &mut *tx).await.unwrap());
        match commits {
            true => tx.commit().await.unwrap(),
            false => tx.rollback().await.unwrap(),
        }
        if commits {
            steps = 2;
        }
        assert_eq!(
            scene.store.release(phases.lease()).await.unwrap(),
            Fence::Held
        );
    }
    let again = scene.mine(&claim(&name)).await;
    let names: Vec<_> = again.steps.iter().map(|step| &*step.name).collect();
    assert_eq!(names, ["deadpool", "sqlx"]);
    let phases = scene.phases(&name, again);
    let mut client = scene.client().await;
    let mut tx = client.transaction().await.unwrap();
    assert!(!by_hand(&phases.phase("sqlx"), &mut tx).await.unwrap());
    // Appended again, as one whose answer was lost would be.
    for _ in 0..2 {
        let step = step("once");
        let phase = phases.phase("once");
        assert_eq!(phase.append(&mut tx, &step).await.unwrap(), Fence::Held);
    }
    tx.commit().await.unwrap();
    scene.let_leases_end().await;
    assert_eq!(scene.mine(&claim(&name)).await.steps.len(), 3);
}

/// It sees what was when it began; the lock does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_sees_an_old_state_does_not_pass_the_fence() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    for level in [IsolationLevel::RepeatableRead, IsolationLevel::Serializable] {
        let name = name(&format!("{level:?}"));
        let zombie = scene.phases(&name, scene.mine(&claim(&name)).await);
        let mut client = scene.client().await;
        let begin = client.build_transaction().isolation_level(level);
        let mut tx = begin.start().await.unwrap();
        assert!(by_hand(&zombie.phase("before"), &mut tx).await.unwrap());
        tx.rollback().await.unwrap();

        let begin = client.build_transaction().isolation_level(level);
        let mut tx = begin.start().await.unwrap();
        tx.execute(&scene.insert(), &[]).await.unwrap();
        scene.let_leases_end().await;
        let follows = scene.mine(&claim(&name)).await;
        let late = by_hand(&zombie.phase("late"), &mut tx).await;
        assert!(late.is_err(), "{level:?}");
        drop(tx);
        scene.until_nobody_is_at_work().await;
        let ours = scene.store.release(&follows.lease).await.unwrap();
        assert_eq!(ours, Fence::Held);
        assert_eq!(scene.mine(&claim(&name)).await.steps, []);
    }
    assert_eq!(scene.accounts().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_panics_leaves_no_transaction() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let name = name("panics");
    let phases = scene.phases(&name, scene.mine(&claim(&name)).await);
    let mut client = scene.client().await;
    let insert = scene.insert();
    let ended = tokio::spawn(async move {
        let work = async |tx: &mut Transaction<'_>| -> Result<(), tokio_postgres::Error> {
            tx.execute(&insert, &[]).await?;
            panic!("as it is told")
        };
        phases.phase("book").atomic(&mut client, work).await
    });
    assert!(ended.await.is_err_and(|error| error.is_panic()));
    scene.until_nobody_is_at_work().await;
    assert_eq!(scene.accounts().await, 0);
    scene.let_leases_end().await;
    assert_eq!(scene.mine(&claim(&name)).await.steps, []);
}
