//! gRPC: the same operations as over HTTP, with typed messages, on the same [`Pipeline`].
//!
//! The life of a call:
//! 1. [`connections`] accepts it, if there are not too many, on any of the listeners.
//! 2. [`front`] gives it an id and a deadline (the client's `grpc-timeout`, at most the pipeline's own), counts the
//!    bytes of its body against a budget as they come, and bounds how long they may take.
//! 3. tonic decodes the message: at most 16 MB, at most 100 nested messages.
//! 4. [`requests`] fills the operation's wire-neutral input, [`convert`] makes attribute values by the domain's rules,
//!    and the operation's `parse` makes the checks: the same code and the same texts as over HTTP.
//! 5. The [`Pipeline`] executes the op, [`responses`] writes the answer, [`status`] the error.
//!
//! Beside the data service stand `grpc.health.v1` ([`health`]) and reflection, v1 and v1alpha. The admin and peer
//! services are not served here.
//!
//! Absent on purpose: compression (values are compact already), HTTP/1, and any decision about data.

mod connections;
mod convert;
mod data;
mod front;
mod health;
mod requests;
mod responses;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use trilith_proto::data::v1::data_server::{DataServer, SERVICE_NAME};

use crate::budget::Budget;
use crate::metrics::{MetricsSource, Samples};
use crate::pipeline::Pipeline;

pub use data::op_of;
pub use status::{DETAILS_METADATA, DOMAIN, OMITTED_METADATA, code, status};

/// Bounds of the gRPC listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Largest request message, bytes. The service takes 16 MB.
    pub message_bytes_max: usize,
    /// Bytes of all bodies in memory at once, over all connections.
    pub bodies_max: usize,
    /// Open connections; one more is closed at once.
    pub connections_max: u32,
    /// Calls at one time on one connection.
    pub streams_max: u32,
    /// From a call's head to its answer, the body's arrival included. Longer than the pipeline's deadline and grace.
    pub patience: Duration,
    /// A connection on which nothing happens is asked for a sign of life after this, and closed if none comes.
    pub keep_alive: Duration,
    /// How long calls in flight may take to end once shutdown has begun.
    pub drain: Duration,
    /// How often watchers of the health service learn of a change.
    pub health_period: Duration,
    /// Largest status detail, bytes, for clients that do not say what they take: with its message, and in base64, it
    /// stays below the 8 KB that most clients allow for headers.
    pub details_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            message_bytes_max: 16 << 20,
            bodies_max: 64 << 20,
            connections_max: 10_000,
            streams_max: 256,
            patience: Duration::from_secs(15),
            keep_alive: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            health_period: Duration::from_millis(250),
            details_bytes: 3 << 10,
        }
    }
}

/// Largest window of one stream, bytes: what a client may send before the server has read it.
const STREAM_WINDOW: u32 = 1 << 20;
/// Largest window of one connection, bytes.
const CONNECTION_WINDOW: u32 = 2 << 20;
/// A peer that does not answer a ping by then is gone.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves gRPC on `listeners` until `shutdown` completes, then drains: health says NOT_SERVING at once, no connection
/// is accepted, calls in flight may end within `settings.drain`. Returns when no connection is left.
///
/// # Errors
/// Only if the transport cannot be set up; a fault of one connection ends that connection.
pub async fn serve(
    listeners: Vec<TcpListener>,
    pipeline: Arc<Pipeline>,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), tonic::transport::Error> {
    let budget = Budget::new(settings.bodies_max);
    pipeline.metrics().add_source(Arc::new(BodyBytes(Arc::clone(&budget))));
    let (begin_draining, mut draining) = watch::channel(false);
    let door = connections::Door::new(settings.connections_max, Arc::clone(pipeline.metrics()));
    let health =
        health::HealthService::new(Arc::clone(pipeline.service()), draining.clone(), settings.health_period);
    let data = DataServer::new(data::DataService::new(Arc::clone(&pipeline)))
        .max_decoding_message_size(settings.message_bytes_max);
    let (reflection, reflection_alpha) = reflection();
    let served = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(settings.streams_max)
        .http2_keepalive_interval(Some(settings.keep_alive))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .add_service(front::Front::new(data, pipeline, budget, &settings))
        .add_service(tonic_health::pb::health_server::HealthServer::new(health))
        .add_service(reflection)
        .add_service(reflection_alpha)
        .serve_with_incoming_shutdown(door.incoming(listeners), async move {
            shutdown.await;
            begin_draining.send_replace(true);
        });
    let late = async {
        if draining.wait_for(|begun| *begun).await.is_err() {
            // The server ended without draining; its own result tells.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(settings.drain).await;
    };
    tokio::select! {
        result = served => result,
        () = late => {
            tracing::warn!(after = ?settings.drain, "gRPC calls are still in flight after the drain time and are dropped");
            door.close().await;
            Ok(())
        }
    }
}

/// Shows the bodies in memory.
struct BodyBytes(Arc<Budget>);

impl MetricsSource for BodyBytes {
    fn samples(&self, into: &mut Samples) {
        let help = "Bytes of gRPC requests and answers in memory";
        into.gauge("trilith_grpc_body_bytes_in_flight", help, &[], self.0.used() as f64);
    }
}

/// Reflection in both versions: of the services that stand on this port, and of the details of errors.
fn reflection() -> (
    tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection>,
    tonic_reflection::server::v1alpha::ServerReflectionServer<
        impl tonic_reflection::server::v1alpha::ServerReflection,
    >,
) {
    let builder = |own: &'static str| {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(trilith_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(SERVICE_NAME)
            .with_service_name(tonic_health::pb::health_server::SERVICE_NAME)
            .with_service_name(own)
    };
    const SOUND: &str = "the descriptors are constants that a test reads";
    (
        builder("grpc.reflection.v1.ServerReflection").build_v1().expect(SOUND),
        builder("grpc.reflection.v1alpha.ServerReflection").build_v1alpha().expect(SOUND),
    )
}
