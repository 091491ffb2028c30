//! `grpc.health.v1`: SERVING while the service says it is ready, NOT_SERVING before that and from the start of shutdown.
//!
//! A check asks the service itself, so it is never out of date. Watchers are told within the period; when shutdown
//! begins they are told at once, and their streams end, so that they do not hold up the drain.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use trilith_engine::Service;
use trilith_proto::data::v1::data_server::SERVICE_NAME;

/// The health of the data service, which is the server's own too.
#[derive(Clone)]
pub struct HealthService {
    service: Arc<dyn Service>,
    draining: watch::Receiver<bool>,
    period: Duration,
}

impl HealthService {
    /// Of `service`, until `draining` says that shutdown has begun.
    pub fn new(service: Arc<dyn Service>, draining: watch::Receiver<bool>, period: Duration) -> Self {
        Self { service, draining, period }
    }

    fn now(&self) -> ServingStatus {
        let serving = !*self.draining.borrow() && self.service.ready().is_ok();
        if serving { ServingStatus::Serving } else { ServingStatus::NotServing }
    }

    /// The server as a whole has the empty name.
    fn is_known(name: &str) -> bool {
        name.is_empty() || name == SERVICE_NAME
    }
}

/// One watcher: what it was told last.
struct Watcher {
    health: HealthService,
    known: bool,
    told: Option<ServingStatus>,
}

impl Watcher {
    /// The next change, or `None` once the watcher has been told of the shutdown.
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            let draining = *self.health.draining.borrow_and_update();
            let now = if self.known { self.health.now() } else { ServingStatus::ServiceUnknown };
            if self.told != Some(now) {
                self.told = Some(now);
                return Some(now);
            }
            if draining {
                return None;
            }
            tokio::select! {
                changed = self.health.draining.changed() => changed.ok()?,
                () = tokio::time::sleep(self.health.period) => {}
            }
        }
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !Self::is_known(&request.get_ref().service) {
            return Err(Status::not_found("unknown service"));
        }
        Ok(Response::new(response(self.now())))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = Self::is_known(&request.get_ref().service);
        let watcher = Watcher { health: self.clone(), known, told: None };
        let changes = stream::unfold(watcher, |mut watcher| async move {
            let status = watcher.next().await?;
            Some((Ok(response(status)), watcher))
        });
        Ok(Response::new(changes.boxed()))
    }
}
