//! The admin port: metrics, liveness, readiness, and room for gRPC services on the same port.
//!
//! `/healthz` says that the process lives and touches nothing else; `/readyz` says whether it serves, and in one line
//! what is missing if not; `/metrics` is Prometheus' text format. The router is axum's, so that gRPC services (tonic's
//! `Routes` as an axum router) are merged into it: HTTP/1.1 and HTTP/2 by prior knowledge share the port.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::pipeline::Pipeline;

/// The admin routes. Merge gRPC services with `router(..).merge(routes.into_axum_router())`.
pub fn router(pipeline: Arc<Pipeline>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(pipeline)
}

/// Serves `router` on `listeners` until `shutdown` completes and requests in flight have ended; whoever calls bounds
/// that wait.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut serving = JoinSet::new();
    for listener in listeners {
        let mut stopped = stopped.clone();
        let until = async move {
            // An error means that the sender is gone: stop as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let server = axum::serve(listener, router.clone()).with_graceful_shutdown(until);
        serving.spawn(server.into_future());
    }
    shutdown.await;
    stop.send_replace(true);
    while let Some(ended) = serving.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn metrics(State(pipeline): State<Arc<Pipeline>>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, pipeline.metrics().render())
}

async fn ready(State(pipeline): State<Arc<Pipeline>>) -> impl IntoResponse {
    match pipeline.service().ready() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use trilith_domain::OpError;
    use trilith_domain::ops::{Op, Output};
    use trilith_engine::{Caller, Identity, Service};

    use super::*;
    use crate::metrics::Metrics;
    use crate::pipeline::Settings;

    struct Fake(Result<(), String>);

    impl Service for Fake {
        fn execute<'a>(&'a self, _: &'a Caller, _: Op) -> BoxFuture<'a, Result<Output, OpError>> {
            async { Err(OpError::UnknownOperation) }.boxed()
        }

        fn ready(&self) -> Result<(), String> {
            self.0.clone()
        }

        fn identity(&self) -> Identity {
            Identity { region: "us-east-1".to_owned(), account: 0 }
        }
    }

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("accepts");
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answers");
        answer
    }

    #[tokio::test]
    async fn tells_health_readiness_and_metrics_beside_grpc_on_one_port() {
        let fake = Fake(Err("shard 3 has no leader".to_owned()));
        let pipeline = Pipeline::new(Arc::new(fake), Metrics::new(), Settings::default());
        let (_, health) = tonic_health::server::health_reporter();
        let routes = tonic::service::Routes::new(health);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router(Arc::clone(&pipeline)).merge(routes.into_axum_router());
        let task = tokio::spawn(serve(vec![listener], router, stopped.map(drop)));

        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let ready = get(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 503") && ready.ends_with("shard 3 has no leader\n"), "{ready}");
        pipeline.metrics().answered("GetItem", None, std::time::Duration::ZERO);
        assert!(
            get(address, "/metrics").await.contains("trilith_requests_total{code=\"OK\",op=\"GetItem\"} 1")
        );

        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).expect("a URL");
        let channel = channel.connect().await.expect("HTTP/2 by prior knowledge");
        let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
        let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
        let answer = client.check(request).await.expect("a health answer").into_inner();
        assert_eq!(answer.status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
        drop(client);

        stop.send(()).expect("is running");
        task.await.expect("no panic").expect("no error");
    }

    #[tokio::test]
    async fn is_ready_when_the_service_is() {
        let pipeline = Pipeline::new(Arc::new(Fake(Ok(()))), Metrics::new(), Settings::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(serve(vec![listener], router(pipeline), futures::future::pending()));
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    }
}
