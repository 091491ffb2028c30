//! The stages of a request, in order, for every wire alike.
//!
//! A wire (HTTP, gRPC) reads a bounded request and names the operation; from there [`Pipeline::run`] takes it:
//! 1. count it as in flight;
//! 2. `make` the typed op, with all checks that need no table;
//!    and wait for room where the answer may be large;
//! 3. hand it to the service, and wait no longer than shortly after the request's deadline;
//! 4. `shape` the answer for the wire;
//! 5. count, time and log the outcome.
//!
//! A panic in any stage is caught, logged and answered as an internal error: it ends one request, not a connection.
//! A client that goes away drops the future at whichever stage it stands; that is counted too (code `Cancelled`).
//! What a dropped write came to is unknown to nobody, since nobody waits for it.
//!
//! Signatures are accepted and not verified: every caller is the cluster's own account, whether it signed or not.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use trilith_domain::OpError;
use trilith_domain::ops::{Op, Output};
use trilith_engine::{Caller, Service};

use crate::context::Context;
use crate::metrics::Metrics;

/// Megabytes of the largest answer there is: BatchGetItem's.
const LARGEST_ANSWER: u32 = 16;

/// Bounds of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a client is expected to wait for an answer.
    pub deadline: Duration,
    /// How much longer than the deadline the service may take before its answer is given up.
    pub grace: Duration,
    /// A request that took longer is logged as slow.
    pub slow: Duration,
    /// Megabytes of answers that may be in the making at a time.
    pub large_answers: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            grace: Duration::from_millis(500),
            slow: Duration::from_secs(1),
            large_answers: 128,
        }
    }
}

/// The way from a wire to the service and back.
pub struct Pipeline {
    service: Arc<dyn Service>,
    metrics: Arc<Metrics>,
    settings: Settings,
    account: OnceLock<u64>,
    seldom: Seldom,
    large: Semaphore,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Pipeline {
    /// A pipeline to `service`.
    pub fn new(service: Arc<dyn Service>, metrics: Arc<Metrics>, settings: Settings) -> Arc<Self> {
        assert!(settings.large_answers >= LARGEST_ANSWER, "the largest answer fits");
        let large = Semaphore::new(settings.large_answers as usize);
        Arc::new(Self { service, metrics, settings, account: OnceLock::new(), seldom: Seldom::new(), large })
    }

    /// The service behind it, for health and identity.
    pub fn service(&self) -> &Arc<dyn Service> {
        &self.service
    }

    /// The counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The context of a request that begins now.
    pub fn begin(&self) -> Context {
        Context::begin(self.settings.deadline)
    }

    /// Does one request: see the module's header. `operation` is its name for metrics and logs.
    pub async fn run<T>(
        &self,
        context: &Context,
        operation: &'static str,
        make: impl FnOnce() -> Result<Op, OpError>,
        shape: impl FnOnce(Output) -> T,
    ) -> Result<T, OpError> {
        let mut outcome = Outcome::begin(self, context, operation);
        let work = async {
            let op = make()?;
            // Held until the answer has its final shape.
            let _room = self.room(context, &op).await?;
            self.execute(context, op).await.map(shape)
        };
        let result = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(result) => result,
            Err(panic) => {
                let (request_id, text) = (&context.request_id, panic_text(&*panic));
                tracing::error!(%request_id, operation, panic = text, "a request panicked");
                Err(OpError::Internal("Internal server error".to_owned()))
            }
        };
        outcome.end(result.as_ref().err());
        result
    }

    /// Counts and logs a request that a wire refused before it became an op.
    pub fn refused(&self, context: &Context, operation: &'static str, code: &'static str) {
        let took = context.received.elapsed();
        self.metrics.answered(operation, Some(code), took);
        tracing::debug!(request_id = %context.request_id, operation, code, ?took, "request refused");
    }

    /// Room for the answer of an operation that may have a large one, of which there must not be any number at a time.
    async fn room(&self, context: &Context, op: &Op) -> Result<Option<SemaphorePermit<'_>>, OpError> {
        let megabytes = op.answer_megabytes_max();
        if megabytes == 0 {
            return Ok(None);
        }
        let deadline = tokio::time::Instant::from_std(context.deadline);
        match tokio::time::timeout_at(deadline, self.large.acquire_many(megabytes)).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) | Err(_) => {
                Err(OpError::Unavailable("Too many large reads are being answered; send it again".to_owned()))
            }
        }
    }

    async fn execute(&self, context: &Context, op: Op) -> Result<Output, OpError> {
        let caller = Caller {
            request_id: Arc::clone(&context.request_id),
            account: self.account(),
            deadline: context.deadline,
        };
        let limit = tokio::time::Instant::from_std(context.deadline + self.settings.grace);
        match tokio::time::timeout_at(limit, self.service.execute(&caller, op)).await {
            Ok(result) => result,
            Err(_) => Err(OpError::Internal(
                "The request was not answered in time; its outcome is unknown".to_owned(),
            )),
        }
    }

    /// The cluster's own account, which nobody's identity replaces yet. Asked once it is known for good.
    fn account(&self) -> u64 {
        if let Some(account) = self.account.get() {
            return *account;
        }
        let account = self.service.identity().account;
        if self.service.ready().is_ok() {
            self.account.get_or_init(|| account);
        }
        account
    }
}

/// Yes once in a second.
struct Seldom {
    since: tokio::time::Instant,
    /// The second, counted from `since`, after the last yes.
    next: AtomicU64,
}

impl Seldom {
    fn new() -> Self {
        Self { since: tokio::time::Instant::now(), next: AtomicU64::new(0) }
    }

    fn now(&self) -> bool {
        let second = self.since.elapsed().as_secs();
        self.next.fetch_max(second + 1, Ordering::Relaxed) <= second
    }
}

/// A request in flight; counted as cancelled if it is dropped before its end.
struct Outcome<'a> {
    pipeline: &'a Pipeline,
    context: &'a Context,
    operation: &'static str,
    ended: bool,
}

impl<'a> Outcome<'a> {
    fn begin(pipeline: &'a Pipeline, context: &'a Context, operation: &'static str) -> Self {
        pipeline.metrics.in_flight.inc();
        Self { pipeline, context, operation, ended: false }
    }

    fn end(&mut self, error: Option<&OpError>) {
        self.ended = true;
        let took = self.context.received.elapsed();
        self.pipeline.metrics.answered(self.operation, error.map(OpError::name), took);
        let (request_id, operation) = (&self.context.request_id, self.operation);
        match error {
            Some(error @ OpError::Internal(_)) => {
                tracing::error!(%request_id, operation, %error, ?took, "request failed");
            }
            // Overload and failover answer thousands of these, safely; the counters have them all.
            Some(error @ OpError::Unavailable(_)) => {
                if self.pipeline.seldom.now() {
                    tracing::warn!(%request_id, operation, %error, ?took, "request not done; others like it in this second are only counted");
                }
            }
            _ if took >= self.pipeline.settings.slow => {
                tracing::warn!(%request_id, operation, code = error.map_or("OK", OpError::name), ?took, "slow request");
            }
            _ => {
                tracing::debug!(%request_id, operation, code = error.map_or("OK", OpError::name), ?took, "request");
            }
        }
    }
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        self.pipeline.metrics.in_flight.dec();
        if !self.ended {
            self.pipeline.refused(self.context, self.operation, "Cancelled");
        }
    }
}

/// What a panic said, where it said a text.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "(no text)"
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::BoxFuture;
    use tokio::sync::Notify;
    use trilith_engine::Identity;

    use super::*;
    use crate::operations::find;

    /// Keeps everything but GetItem waiting until it is released.
    #[derive(Default)]
    struct Slow {
        release: Notify,
    }

    impl Service for Slow {
        fn execute<'a>(&'a self, _: &'a Caller, op: Op) -> BoxFuture<'a, Result<Output, OpError>> {
            Box::pin(async move {
                if !matches!(op, Op::GetItem(_)) {
                    self.release.notified().await;
                }
                Ok(Output::TagResource)
            })
        }

        fn ready(&self) -> Result<(), String> {
            Ok(())
        }

        fn identity(&self) -> Identity {
            Identity { region: "us-east-1".into(), account: 0 }
        }
    }

    async fn ask(pipeline: &Pipeline, operation: &'static str, body: &str) -> Result<Output, OpError> {
        let row = find(&format!("DynamoDB_20120810.{operation}")).expect("it exists");
        pipeline
            .run(&pipeline.begin(), operation, || (row.decode)(body.as_bytes(), None), |output| output)
            .await
    }

    const GET: &str = r#"{"TableName":"abc","Key":{"k":{"S":"x"}}}"#;
    const BATCH: &str = r#"{"RequestItems":{"abc":{"Keys":[{"k":{"S":"x"}}]}}}"#;
    const SCAN: &str = r#"{"TableName":"abc"}"#;

    #[tokio::test(start_paused = true)]
    async fn large_answers_wait_for_room_and_small_ones_do_not() {
        let service = Arc::new(Slow::default());
        let settings =
            Settings { large_answers: 16, deadline: Duration::from_secs(1), ..Settings::default() };
        let pipeline = Pipeline::new(Arc::clone(&service) as _, Metrics::new(), settings);
        let batch = tokio::spawn({
            let pipeline = Arc::clone(&pipeline);
            async move { ask(&pipeline, "BatchGetItem", BATCH).await }
        });
        tokio::task::yield_now().await;
        let refused = ask(&pipeline, "Scan", SCAN).await.expect_err("no room within its deadline");
        assert!(matches!(refused, OpError::Unavailable(_)), "{refused}");
        assert!(ask(&pipeline, "GetItem", GET).await.is_ok(), "an item needs no room");
        service.release.notify_one();
        assert!(batch.await.expect("no panic").is_ok());
        service.release.notify_one();
        assert!(ask(&pipeline, "Scan", SCAN).await.is_ok(), "the room was given back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_a_second() {
        let seldom = Seldom::new();
        assert!(seldom.now());
        assert!(!seldom.now());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(seldom.now());
        assert!(!seldom.now());
    }
}
