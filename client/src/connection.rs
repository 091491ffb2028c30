//! Addresses, and the loop that makes one call of several tries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use trilith_proto::data::v1::data_client::DataClient;

use crate::error::{Error, ErrorKind, Result, Retry};
use crate::retry::Backoff;
use crate::rpc::Rpc;

/// How many bytes of an error's details this client takes: an item of 400 KB and what goes with it.
const DETAILS_BYTES: u32 = 1 << 20;
/// Details travel in headers, in base64.
const HEADER_BYTES: u32 = 2 * DETAILS_BYTES;
/// Largest answer: 16 MB of items, and what goes with them.
const ANSWER_BYTES: usize = 64 << 20;

/// How a client behaves. The defaults suit most programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a call may take, all tries together.
    pub deadline: Duration,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// Bound of the first pause between tries; it doubles with each.
    pub pause: Duration,
    /// Bound of every pause between tries.
    pub pause_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(1),
            pause: Duration::from_millis(25),
            pause_max: Duration::from_secs(1),
        }
    }
}

/// Nodes, and which of them served last.
#[derive(Debug)]
pub struct Nodes {
    channels: Vec<DataClient<Channel>>,
    current: AtomicUsize,
    backoff: Backoff,
    deadline: Duration,
}

impl Nodes {
    /// Nodes at these addresses, of which one at least must be reached.
    pub async fn connect(addresses: Vec<String>, settings: &Settings) -> Result<Arc<Self>> {
        let mut channels = Vec::with_capacity(addresses.len());
        let mut reached = None;
        let mut failures = Vec::new();
        for address in &addresses {
            let endpoint = endpoint(address, settings)?;
            let mut channel = None;
            if reached.is_none() {
                match endpoint.connect().await {
                    Ok(connected) => (channel, reached) = (Some(connected), Some(channels.len())),
                    Err(error) => failures.push(format!("{address}: {}", innermost(&error))),
                }
            }
            let client = DataClient::new(channel.unwrap_or_else(|| endpoint.connect_lazy()));
            channels.push(client.max_decoding_message_size(ANSWER_BYTES));
        }
        let current = reached.ok_or_else(|| {
            let why =
                if failures.is_empty() { "no address was given".to_owned() } else { failures.join("; ") };
            Error::new(ErrorKind::Unavailable, Retry::Safe, format!("no node could be reached: {why}"))
        })?;
        let backoff = Backoff { base: settings.pause, max: settings.pause_max };
        Ok(Arc::new(Self {
            channels,
            current: AtomicUsize::new(current),
            backoff,
            deadline: settings.deadline,
        }))
    }

    /// Makes one call, with as many tries as its deadline allows and its errors permit.
    pub async fn call<Q: Rpc>(&self, message: Q) -> Result<Q::Answer> {
        let deadline = Instant::now() + self.deadline;
        let mut tries = 0;
        loop {
            tries += 1;
            let at = self.current.load(Ordering::Relaxed) % self.channels.len();
            let request = request(message.clone(), deadline);
            let error = match timeout_at(deadline, Q::send(self.channels[at].clone(), request)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                // On this side, tonic ends a call at its timeout with a code of its own.
                Ok(Err(_)) | Err(_) if Instant::now() >= deadline => {
                    return Err(Error::deadline(Q::READS));
                }
                Ok(Err(status)) => Error::of(&status, Q::READS),
                Err(_) => return Err(Error::deadline(Q::READS)),
            };
            if !error.is_retried() {
                return Err(error);
            }
            // Others may have moved on already: then this node is not left twice.
            let next = (at + 1) % self.channels.len();
            let _ = self.current.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
            // Every node is tried once without a pause, unless it was reached and asked for one.
            let every_node_failed = tries as usize >= self.channels.len();
            if every_node_failed || error.exception().is_some() {
                let resume = Instant::now() + self.backoff.pause(tries);
                if resume >= deadline {
                    return Err(error);
                }
                sleep_until(resume).await;
            }
        }
    }
}

fn request<Q>(message: Q, deadline: Instant) -> Request<Q> {
    let mut request = Request::new(message);
    request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    request.metadata_mut().insert("trilith-details-max-bytes", MetadataValue::from(DETAILS_BYTES));
    request
}

/// `host:port` or a whole URL.
fn endpoint(address: &str, settings: &Settings) -> Result<Endpoint> {
    let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let endpoint =
        Endpoint::from_shared(url).map_err(|error| Error::protocol(format!("{address}: {error}")))?;
    Ok(endpoint
        .connect_timeout(settings.connect_timeout)
        .tcp_nodelay(true)
        .http2_max_header_list_size(HEADER_BYTES))
}

/// The cause behind the causes, which says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
