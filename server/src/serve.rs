//! Front ends of a process, and its orderly end.
//!
//! On SIGTERM or Ctrl-C: not ready any more, leaderships are handed over, listeners drain within a bound, state is
//! made durable. A second signal ends the process at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use trilith_api::metrics::Metrics;
use trilith_api::pipeline::{Pipeline, Settings};

use crate::door::Door;
use crate::listen::Bound;

/// How long leaderships may take to move at the end.
pub const HAND_OVER: Duration = Duration::from_millis(1_500);

/// The three front ends, listening.
pub struct FrontEnds {
    /// DynamoDB API.
    pub http: Bound,
    /// gRPC.
    pub grpc: Bound,
    /// Metrics, health, administration.
    pub admin: Bound,
}

impl FrontEnds {
    /// The line that says that the process serves, and where.
    pub fn ready_line(&self) -> String {
        format!("ready http={} grpc={} admin={}", self.http.address, self.grpc.address, self.admin.address)
    }
}

/// Running front ends.
pub struct Serving {
    /// The counters of the front ends, for other layers to add to.
    pub metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    stop_admin: watch::Sender<bool>,
    data: Vec<JoinHandle<()>>,
    admin: JoinHandle<()>,
}

async fn told(mut stop: watch::Receiver<bool>) {
    // A dropped sender means the process is ending too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Serves; `admin_routes` are added to the admin port.
pub fn start(bound: FrontEnds, door: &Arc<Door>, admin_routes: axum::Router) -> Serving {
    let metrics = Metrics::new();
    let pipeline = Pipeline::new(Arc::clone(door) as _, Arc::clone(&metrics), Settings::default());
    let (stop, stopped) = watch::channel(false);
    let (stop_admin, admin_stopped) = watch::channel(false);
    let http = trilith_api::http::serve(
        bound.http.listeners,
        Arc::clone(&pipeline),
        trilith_api::http::Settings::default(),
        told(stopped.clone()),
    );
    let grpc = trilith_api::grpc::serve(
        bound.grpc.listeners,
        Arc::clone(&pipeline),
        trilith_api::grpc::Settings::default(),
        told(stopped),
    );
    let router = trilith_api::admin::router(pipeline).merge(admin_routes);
    let admin = trilith_api::admin::serve(bound.admin.listeners, router, told(admin_stopped));
    Serving {
        metrics,
        stop,
        stop_admin,
        data: vec![
            tokio::spawn(http),
            tokio::spawn(async move {
                if let Err(error) = grpc.await {
                    tracing::error!(%error, "the gRPC listener ended");
                }
            }),
        ],
        admin: tokio::spawn(async move {
            if let Err(error) = admin.await {
                tracing::error!(%error, "the admin listener ended");
            }
        }),
    }
}

impl Serving {
    /// Stops accepting, answers what was begun, within the front ends' own bounds.
    pub async fn drain(&mut self) {
        let _ = self.stop.send(true);
        for task in self.data.drain(..) {
            let _ = task.await;
        }
    }

    /// Ends the admin port, last of all.
    pub async fn end(self) {
        let _ = self.stop_admin.send(true);
        // Scrapers may hold a connection open; nobody waits for them.
        let _ = tokio::time::timeout(Duration::from_millis(200), self.admin).await;
    }
}

/// Prints a line for whoever started the process. A reader that has gone away is no reason to end.
pub fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Waits for SIGTERM or Ctrl-C; from then on a second signal ends the process at once.
pub async fn signal() -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let cannot = |e: std::io::Error| format!("signals cannot be caught: {e}");
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(())
}
