//! Executors: one in a process of its own, and how it is started and killed.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axiomatic_coordination::saga::{Config, ConfigError, Executor, Plans, Saga};
use tokio::sync::oneshot;

use crate::client::{Addresses, Services};
use crate::definition::Purchase;
use crate::shop::Shop;
use crate::{Failure, Places};

/// How long the sagas of an executor that died wait.
const LEASE: Duration = Duration::from_secs(1);

/// An executor of purchases.
pub(crate) fn executor<S: Shop>(
    shop: &S,
    purchase: &Saga<S::Sagas, Purchase, String>,
) -> Result<Executor<S::Sagas>, ConfigError> {
    let config = Config::new()
        .named("purchases")
        .lease(LEASE)
        // Who begins them is another process, which wakes nobody here.
        .poll(Duration::from_millis(50))
        // So few that some are still to come when it is killed.
        .at_once(32);
    Executor::new(shop.sagas(), Plans::new().with(purchase), config)
}

/// An executor in a process of its own.
pub(crate) struct Process(Child);

impl Process {
    /// Starts this program again.
    pub(crate) fn start(places: &Places, services: Addresses) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?);
        if let Some(url) = &places.postgres {
            process.args(["--postgres", url]);
        }
        if let Some(directory) = &places.directory {
            process.arg("--directory").arg(directory);
        }
        process.arg("execute");
        for service in [services.inventory, services.payment, services.shipping] {
            process.arg(service.to_string());
        }
        Ok(Process(process.stdin(Stdio::piped()).spawn()?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(mut self) -> Result<(), Failure> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// Has it finish what it does, and go. Returns whether it went well.
    pub(crate) fn end(mut self) -> Result<bool, Failure> {
        drop(self.0.stdin.take());
        Ok(self.0.wait()?.success())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the process does.
pub(crate) async fn execute(shop: impl Shop, services: Addresses) -> Result<(), Failure> {
    let purchase = shop.purchase(&Services::at(services)?)?;
    let executor = executor(&shop, &purchase)?;
    Ok(executor.run(closed()).await?)
}

/// Ready when the standard input ends: the process that started this one says
/// so, or is gone.
async fn closed() {
    let (tell, told) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        drop(tell);
    });
    let _ = told.await;
}
