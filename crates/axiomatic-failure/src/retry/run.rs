//! Retries without tower: of a function that is called again.

#[cfg(feature = "tokio")]
use std::future::Future;

use axiomatic_core::budget::Budget;
use axiomatic_core::{Classify, Context, Plain, Refusable};
#[cfg(feature = "tokio")]
use tokio::time::sleep;

use super::retry::Core;
use super::{Ended, Retry, Session, Verdict};

impl<Bu: Budget> Retry<Bu> {
    /// Calls `operation` until it succeeds, or there is no other attempt: an
    /// error is transient unless it says that it is a rejection.
    ///
    /// ```
    /// use axiomatic_failure::retry::Retry;
    /// use std::io;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> io::Result<()> {
    /// # let mut answers = vec![Ok(7), Err(io::Error::other("reset"))];
    /// let retry = Retry::default();
    /// let answer = retry.run(|| std::future::ready(answers.pop().unwrap())).await?;
    /// assert_eq!(answer, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// That of the last attempt.
    #[cfg(feature = "tokio")]
    pub async fn run<T, E, Fut>(&self, operation: impl FnMut() -> Fut) -> Result<T, E>
    where
        E: Refusable,
        Fut: Future<Output = Result<T, E>>,
    {
        let read = |result: Result<&T, &E>| Ended::read(&Plain, result);
        self.repeat(&Context::default(), read, operation).await
    }

    /// The same for any type of error, within the time of a context, with a
    /// classification that says what an answer is worth.
    ///
    /// ```
    /// use axiomatic_core::context::{Context, Deadline};
    /// use axiomatic_core::Outcome;
    /// use axiomatic_failure::retry::Retry;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), String> {
    /// # let mut answers = vec![Ok(200), Ok(503)];
    /// let retry = Retry::default();
    /// let deadline = Deadline::at(retry.now() + Duration::from_secs(2));
    /// let context = Context::default().with_deadline(deadline);
    /// let by_status = |status: Result<&u16, &String>| match status {
    ///     Ok(500..) | Err(_) => Outcome::Transient,
    ///     Ok(_) => Outcome::Success,
    /// };
    /// let status = retry
    ///     .run_within(&context, by_status, || std::future::ready(answers.pop().unwrap()))
    ///     .await?;
    /// assert_eq!(status, 200);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// That of the last attempt.
    #[cfg(feature = "tokio")]
    pub async fn run_within<T, E, Fut>(
        &self,
        context: &Context,
        classify: impl Classify<T, E>,
        operation: impl FnMut() -> Fut,
    ) -> Result<T, E>
    where
        Fut: Future<Output = Result<T, E>>,
    {
        let read = |result: Result<&T, &E>| Ended::with(classify.classify(result));
        self.repeat(context, read, operation).await
    }

    #[cfg(feature = "tokio")]
    async fn repeat<T, E, Fut>(
        &self,
        context: &Context,
        read: impl Fn(Result<&T, &E>) -> Ended,
        mut operation: impl FnMut() -> Fut,
    ) -> Result<T, E>
    where
        Fut: Future<Output = Result<T, E>>,
    {
        let mut session = self.begin_now(context);
        loop {
            let result = operation().await;
            match session.judge_now(read(result.as_ref())) {
                Verdict::Again { after } if after.is_zero() => {}
                Verdict::Again { after } => sleep(after).await,
                Verdict::Return | Verdict::GiveUp(_) => return result,
            }
            if !session.start_attempt_now() {
                return result;
            }
        }
    }

    /// [`run`](Retry::run) for a function that blocks: waits put the thread
    /// to sleep.
    ///
    /// ```
    /// use axiomatic_failure::retry::Retry;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let retry = Retry::default();
    /// let manifest = retry.block(|| std::fs::read_to_string("Cargo.toml"))?;
    /// # assert!(manifest.contains("[package]"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// That of the last attempt.
    pub fn block<T, E: Refusable>(&self, operation: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        let read = |result: Result<&T, &E>| Ended::read(&Plain, result);
        self.repeat_blocking(&Context::default(), read, operation)
    }

    /// [`run_within`](Retry::run_within) for a function that blocks.
    ///
    /// # Errors
    ///
    /// That of the last attempt.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "as `run_within`, which keeps it"
    )]
    pub fn block_within<T, E>(
        &self,
        context: &Context,
        classify: impl Classify<T, E>,
        operation: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        let read = |result: Result<&T, &E>| Ended::with(classify.classify(result));
        self.repeat_blocking(context, read, operation)
    }

    fn repeat_blocking<T, E>(
        &self,
        context: &Context,
        read: impl Fn(Result<&T, &E>) -> Ended,
        mut operation: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut session = self.begin_now(context);
        loop {
            let result = operation();
            match session.judge_now(read(result.as_ref())) {
                Verdict::Again { after } => std::thread::sleep(after),
                Verdict::Return | Verdict::GiveUp(_) => return result,
            }
            if !session.start_attempt_now() {
                return result;
            }
        }
    }

    fn begin_now(&self, context: &Context) -> Session<Bu> {
        self.begin(context, self.core().beginning(context))
    }
}

impl<Bu: Budget> Session<Bu> {
    fn judge_now(&mut self, ended: Ended) -> Verdict {
        self.record_reading(Core::exact_now, &ended)
    }

    fn start_attempt_now(&mut self) -> bool {
        let now = self.core().exact_now();
        self.start_attempt(now)
    }
}

/// Tries `operation` as `retry` says: [`Retry::run`], where a function reads
/// better.
///
/// # Errors
///
/// That of the last attempt.
#[cfg(feature = "tokio")]
pub async fn retry<Bu, T, E, Fut>(retry: &Retry<Bu>, operation: impl FnMut() -> Fut) -> Result<T, E>
where
    Bu: Budget,
    E: Refusable,
    Fut: Future<Output = Result<T, E>>,
{
    retry.run(operation).await
}

/// Tries `operation` as `retry` says, and blocks: [`Retry::block`], where a
/// function reads better.
///
/// # Errors
///
/// That of the last attempt.
pub fn retry_blocking<Bu: Budget, T, E: Refusable>(
    retry: &Retry<Bu>,
    operation: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    retry.block(operation)
}
