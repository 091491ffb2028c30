//! What stands before the data service: it sees requests before their messages are decoded, and answers after them.
//!
//! - Each request gets a context (id, deadline) and bears it in its extensions; each answer shows the id.
//! - Body bytes are counted against the budget as they come, and those of the answer until it is sent.
//! - A body that does not arrive within the patience is given up: half-sent requests hold nothing for long.
//! - Errors that tonic makes before the service is asked (bytes that are no message, a call that does not exist) become
//!   the service's own errors. They are known by their want of details: every error of ours has some.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use trilith_domain::OpError;
use trilith_domain::ops::value_rules;

use super::Settings;
use super::data::operation_of;
use super::status::{DETAILS_METADATA, plain, status};
use crate::budget::{Budget, Held};
use crate::context::Context;
use crate::metrics::UNKNOWN;
use crate::pipeline::Pipeline;

/// The id of a request, in the answer's metadata.
const REQUEST_ID: &str = "x-amzn-requestid";
/// The most details a client may ask for, bytes: an item of 400 KB and what goes with it.
const DETAILS_BYTES_MAX: usize = 1 << 20;
/// What the decoder says of messages nested too deeply. A test holds it against the real thing.
const TOO_DEEP: &str = "recursion limit reached";

/// What surrounds one call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its id and times.
    pub context: Context,
    /// The address that the client used.
    pub host: Option<String>,
    /// How many bytes of status details the client takes.
    pub details_max: usize,
}

/// The data service with its front.
#[derive(Clone, Debug)]
pub struct Front<S> {
    inner: S,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pipeline: Arc<Pipeline>,
    budget: Arc<Budget>,
    patience: Duration,
    details_bytes: usize,
}

impl<S> Front<S> {
    /// `inner`, and what its requests share.
    pub fn new(inner: S, pipeline: Arc<Pipeline>, budget: Arc<Budget>, settings: &Settings) -> Self {
        let (patience, details_bytes) = (settings.patience, settings.details_bytes);
        Self { inner, shared: Arc::new(Shared { pipeline, budget, patience, details_bytes }) }
    }
}

impl<S: NamedService> NamedService for Front<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> tower::Service<Request<Body>> for Front<S>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that was polled ready is used; its clone is for the next call.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Ok(shared.handle(inner, request).await) })
    }
}

impl Shared {
    async fn handle<S>(&self, mut inner: S, mut request: Request<Body>) -> Response<Body>
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let operation = operation_of(request.uri().path());
        let call = self.call(&request);
        let context = call.context.clone();
        request.extensions_mut().insert(call);
        let held = Arc::new(Mutex::new(self.budget.hold()));
        let request = request.map(|body| Body::new(Counted { body, held: Arc::clone(&held), bounded: true }));
        let limit = tokio::time::Instant::from_std(context.received + self.patience);
        let response = match tokio::time::timeout_at(limit, inner.call(request)).await {
            Ok(Ok(response)) => self.own(response, operation, &context),
            Ok(Err(never)) => match never {},
            Err(_) => self.refuse(
                plain(
                    Code::DeadlineExceeded,
                    "RequestTimeoutException",
                    "The request did not arrive in time",
                ),
                "RequestTimeoutException",
                operation,
                &context,
            ),
        };
        let mut response = response.map(|body| Body::new(Counted { body, held, bounded: false }));
        if let Ok(id) = HeaderValue::from_str(&context.request_id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }

    fn call(&self, request: &Request<Body>) -> Call {
        let mut context = self.pipeline.begin();
        if let Some(deadline) =
            grpc_timeout(request.headers()).and_then(|timeout| context.received.checked_add(timeout))
        {
            context.deadline = context.deadline.min(deadline);
        }
        let details_max = number(request.headers(), DETAILS_METADATA).unwrap_or(self.details_bytes);
        let host = request.uri().authority().map(ToString::to_string);
        Call { context, host, details_max: details_max.min(DETAILS_BYTES_MAX) }
    }

    /// The response, with an error of tonic's own replaced by the service's.
    fn own(
        &self,
        response: Response<Body>,
        operation: Option<&'static str>,
        context: &Context,
    ) -> Response<Body> {
        let headers = response.headers();
        if headers.contains_key(Status::GRPC_STATUS_DETAILS) {
            return response;
        }
        let Some(made) = Status::from_header_map(headers).filter(|made| made.code() != Code::Ok) else {
            return response;
        };
        let error = match made.code() {
            Code::Unimplemented if operation.is_none() => OpError::UnknownOperation,
            Code::Internal if made.message().contains(TOO_DEEP) => value_rules::too_deep(),
            Code::Internal => OpError::Serialization(made.message().to_owned()),
            Code::OutOfRange => {
                let name = "RequestEntityTooLargeException";
                return self.refuse(plain(Code::OutOfRange, name, made.message()), name, operation, context);
            }
            _ => return response,
        };
        let name = error.name();
        self.refuse(status(error, self.details_bytes), name, operation, context)
    }

    fn refuse(
        &self,
        status: Status,
        name: &'static str,
        operation: Option<&'static str>,
        context: &Context,
    ) -> Response<Body> {
        self.pipeline.refused(context, operation.unwrap_or(UNKNOWN), name);
        status.into_http()
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<usize> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// The client's `grpc-timeout`: up to eight digits and a unit.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let sound = (1..=8).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    let amount: u64 = digits.parse().ok().filter(|_| sound)?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// A body whose bytes are held in the budget: until the answer is sent, for both bodies of a call share the hold.
struct Counted {
    body: Body,
    held: Arc<Mutex<Held>>,
    /// Whether the budget's limit is kept. An answer exists already, and is only counted.
    bounded: bool,
}

impl Counted {
    fn count(&self, bytes: usize) -> Result<(), Status> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.bounded {
            held.force(bytes);
            return Ok(());
        }
        if held.grow(bytes) {
            return Ok(());
        }
        let text = "The server holds as many requests as it has memory for";
        Err(status(OpError::Unavailable(text.to_owned()), usize::MAX))
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && let Err(refusal) = self.count(data.len())
        {
            return Poll::Ready(Some(Err(refusal)));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_str(text).expect("a header"));
            grpc_timeout(&headers)
        };
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(read("5u"), Some(Duration::from_micros(5)));
        for bad in ["", "S", "123456789S", "1s", "-1S", "1.5S", "+1S"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(grpc_timeout(&HeaderMap::new()), None);
    }
}
