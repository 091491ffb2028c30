//! What this server counts about requests, and the door by which lower layers add samples of their own.
//!
//! The registry is a value, not a global: tests make their own. Counters of an operation that answers well are looked
//! up once, here; errors are rare enough to be looked up by label when they happen. Labels are operation names and
//! exception names, both closed sets, so the number of series is bounded whatever clients send.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::operations::operations;

/// The label of requests that name no operation of ours.
pub const UNKNOWN: &str = "Unknown";
/// The code of a good answer.
const OK: &str = "OK";
/// Upper bounds of the latency histogram, seconds: fine where a good answer lies, coarse up to the deadline.
const BUCKETS: [f64; 16] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Something below the wire that has samples to show whenever they are asked for. Must not block for long.
pub trait MetricsSource: Send + Sync {
    /// Adds the samples of now.
    fn samples(&self, into: &mut Samples);
}

/// Samples gathered from [`MetricsSource`]s, grouped by metric.
#[derive(Debug, Default)]
pub struct Samples {
    families: BTreeMap<String, MetricFamily>,
}

impl Samples {
    /// A value that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::from_label(label_pairs(labels));
        metric.set_gauge(gauge);
        self.add(name, help, MetricType::GAUGE, metric);
    }

    /// A value that only goes up while the process lives; the name should end with `_total`.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let mut counter = Counter::default();
        counter.set_value(value);
        let mut metric = Metric::from_label(label_pairs(labels));
        metric.set_counter(counter);
        self.add(name, help, MetricType::COUNTER, metric);
    }

    fn add(&mut self, name: &str, help: &str, kind: MetricType, metric: Metric) {
        let family = self.families.entry(name.to_owned()).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            family
        });
        family.mut_metric().push(metric);
    }
}

fn label_pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

/// The counters of one operation.
#[derive(Debug)]
struct OperationMetrics {
    good: IntCounter,
    seconds: Histogram,
}

/// All counters of the wire.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    operations: BTreeMap<&'static str, OperationMetrics>,
    /// Requests being worked on.
    pub in_flight: IntGauge,
    /// Open connections on the request listeners.
    pub connections: IntGauge,
    /// Connections refused because there are too many.
    pub refused: IntCounter,
    sources: RwLock<Vec<Arc<dyn MetricsSource>>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Fresh counters, all at zero.
    pub fn new() -> Arc<Self> {
        let registry = Registry::new();
        let requests = Opts::new("trilith_requests_total", "Requests answered, by operation and code");
        let requests = register(&registry, IntCounterVec::new(requests, &["op", "code"]));
        let seconds = HistogramOpts::new(
            "trilith_request_seconds",
            "From the request's head to its answer, by operation",
        )
        .buckets(BUCKETS.to_vec());
        let seconds = register(&registry, HistogramVec::new(seconds, &["op"]));
        let names = operations().iter().map(|row| row.name).chain([UNKNOWN]);
        let of = |name| OperationMetrics {
            good: requests.with_label_values(&[name, OK]),
            seconds: seconds.with_label_values(&[name]),
        };
        let operations = names.map(|name| (name, of(name))).collect();
        let gauge = |name, help| register(&registry, IntGauge::new(name, help));
        Arc::new(Self {
            operations,
            in_flight: gauge("trilith_requests_in_flight", "Requests being worked on"),
            connections: gauge("trilith_connections", "Open client connections"),
            refused: register(
                &registry,
                IntCounter::new(
                    "trilith_connections_refused_total",
                    "Connections refused: too many were open",
                ),
            ),
            requests,
            registry,
            sources: RwLock::default(),
        })
    }

    /// Asks `source` too, from now on, whenever the metrics are read.
    pub fn add_source(&self, source: Arc<dyn MetricsSource>) {
        self.sources.write().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// Counts an answer: `code` is `None` for a good one, else the exception's name.
    pub fn answered(&self, operation: &'static str, code: Option<&str>, took: Duration) {
        let Some(of) = self.operations.get(operation).or_else(|| self.operations.get(UNKNOWN)) else {
            return;
        };
        match code {
            None => of.good.inc(),
            Some(code) => self.requests.with_label_values(&[operation, code]).inc(),
        }
        of.seconds.observe(took.as_secs_f64());
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> Vec<u8> {
        let mut samples = Samples::default();
        for source in self.sources.read().unwrap_or_else(PoisonError::into_inner).iter() {
            source.samples(&mut samples);
        }
        let mut families = self.registry.gather();
        families.extend(samples.families.into_values());
        let mut text = Vec::new();
        // A family that cannot be written (a bad name from a source) must not hide those before it.
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::warn!(%error, "some metrics could not be written");
        }
        text
    }
}

/// Registers a collector whose name is ours alone.
fn register<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let collector = made.expect("names and labels are valid constants");
    registry.register(Box::new(collector.clone())).expect("names are unique");
    collector
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Below;

    impl MetricsSource for Below {
        fn samples(&self, into: &mut Samples) {
            into.gauge("trilith_shards", "Shards here", &[("role", "leader")], 3.0);
            into.gauge("trilith_shards", "Shards here", &[("role", "follower")], 6.0);
            into.counter("trilith_fsyncs_total", "Log syncs", &[], 12.0);
        }
    }

    #[test]
    fn shows_requests_and_samples_of_lower_layers() {
        let metrics = Metrics::new();
        metrics.add_source(Arc::new(Below));
        metrics.answered("GetItem", None, Duration::from_millis(3));
        metrics.answered("GetItem", Some("ResourceNotFoundException"), Duration::from_millis(1));
        metrics.answered(UNKNOWN, Some("UnknownOperationException"), Duration::ZERO);
        let text = String::from_utf8(metrics.render()).expect("text");
        for line in [
            "trilith_requests_total{code=\"OK\",op=\"GetItem\"} 1",
            "trilith_requests_total{code=\"ResourceNotFoundException\",op=\"GetItem\"} 1",
            "trilith_requests_total{code=\"UnknownOperationException\",op=\"Unknown\"} 1",
            "trilith_request_seconds_bucket{op=\"GetItem\",le=\"0.004\"} 2",
            "trilith_request_seconds_count{op=\"GetItem\"} 2",
            "trilith_shards{role=\"follower\"} 6",
            "# TYPE trilith_fsyncs_total counter",
            "trilith_fsyncs_total 12",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
