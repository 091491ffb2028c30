//! The one door into the data: every wire front end, and every test that skips the wire, comes through here.

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use trilith_domain::OpError;
use trilith_domain::ops::{Op, Output};

/// Who asks, and by when the answer is wanted.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The request id that the answer bears and every log line of the request names.
    pub request_id: Arc<str>,
    /// The account, resolved from the verified identity (or the cluster's own account while nobody is verified).
    pub account: u64,
    /// After this nobody waits for the answer any more.
    pub deadline: Instant,
}

/// Executes typed operations.
pub trait Service: Send + Sync + 'static {
    /// Does `op`. Never blocks the calling thread for long; ends soon after the caller's deadline.
    fn execute<'a>(&'a self, caller: &'a Caller, op: Op) -> BoxFuture<'a, Result<Output, OpError>>;

    /// Whether requests can be served now: `Err` says in one line what is missing.
    fn ready(&self) -> Result<(), String>;

    /// The identity that appears in ARNs and in the health answer.
    fn identity(&self) -> Identity;
}

/// What appears in every ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Region name, fixed at the cluster's first start.
    pub region: String,
    /// Account number, shown as twelve digits.
    pub account: u64,
}
