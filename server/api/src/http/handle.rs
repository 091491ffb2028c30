//! One request, from its head to its answer.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use trilith_domain::OpError;

use super::answer::{self, Answer};
use super::{Door, body, origin};
use crate::context::Context;
use crate::json::error::Failure;
use crate::json::ops::encode;
use crate::metrics::UNKNOWN;
use crate::operations::{Operation, find};
use crate::pipeline::panic_text;

/// Names the operation, with its service before it.
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// Does a request. Whatever happens, it is answered: a panic is an internal error.
pub(super) async fn handle(door: &Door, request: Request<Incoming>) -> Answer {
    let context = door.pipeline.begin();
    let (head, body) = request.into_parts();
    let trusted = head
        .headers
        .get(ORIGIN)
        .filter(|value| origin::is_trusted(value.as_bytes(), &door.settings.trusted_origins));
    let trusted = trusted.cloned();
    let mut answer = match AssertUnwindSafe(route(door, &context, &head, body)).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => {
            let text = panic_text(&*panic);
            tracing::error!(request_id = %context.request_id, panic = text, "an answer panicked");
            answer::failure(&OpError::Internal("Internal server error".to_owned()).into())
        }
    };
    answer::finish(&mut answer, &context.request_id, trusted);
    answer
}

async fn route(door: &Door, context: &Context, head: &Parts, body: Incoming) -> Answer {
    let foreign = head
        .headers
        .get_all(ORIGIN)
        .iter()
        .any(|value| !origin::is_trusted(value.as_bytes(), &door.settings.trusted_origins));
    if foreign {
        return refuse(door, context, head, body, Failure::foreign_origin()).await;
    }
    match (&head.method, head.uri.path()) {
        (&Method::POST, "/") => operation(door, context, head, body).await,
        (&Method::GET | &Method::HEAD, "/") => health(door),
        (&Method::OPTIONS, "/") => answer::preflight(&head.headers),
        (_, "/") => refuse(door, context, head, body, Failure::no_such_method()).await,
        _ => refuse(door, context, head, body, Failure::no_such_path()).await,
    }
}

/// Does an operation.
async fn operation(door: &Door, context: &Context, head: &Parts, body: Incoming) -> Answer {
    let Some(row) = row(head) else {
        return refuse(door, context, head, body, OpError::UnknownOperation.into()).await;
    };
    let mut held = door.budget.hold();
    let body = match body::read(body, &head.headers, &door.settings, &mut held).await {
        Ok(body) => body,
        Err(failure) => {
            door.pipeline.refused(context, row.name, failure.name);
            return answer::failure(&failure);
        }
    };
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let decode = || (row.decode)(&body, host);
    match door.pipeline.run(context, row.name, decode, |output| encode(&output)).await {
        Ok(json) => answer::json(json, &head.headers, door.settings.gzip_from, held).await,
        Err(error) => answer::failure(&error.into()),
    }
}

/// The operation that is asked for, if there is one and the body's media type is the protocol's.
fn row(head: &Parts) -> Option<&'static Operation> {
    let row = find(head.headers.get(TARGET)?.to_str().ok()?)?;
    let Some(kind) = head.headers.get(CONTENT_TYPE) else {
        return Some(row);
    };
    let kind = kind.to_str().ok()?;
    let kind = kind.split_once(';').map_or(kind, |(kind, _)| kind).trim();
    let known = ["application/x-amz-json-1.0", "application/json", "application/x-amz-json-1.1"];
    known.iter().any(|known| kind.eq_ignore_ascii_case(known)).then_some(row)
}

/// Answers an error without doing anything; the body, which nobody wants, is thrown away.
async fn refuse(door: &Door, context: &Context, head: &Parts, body: Incoming, failure: Failure) -> Answer {
    door.pipeline.refused(context, UNKNOWN, failure.name);
    body::discard(body, &head.headers).await;
    answer::failure(&failure)
}

/// `GET /`: the service's health text, only while it serves.
fn health(door: &Door) -> Answer {
    match door.pipeline.service().ready() {
        Ok(()) => {
            let region = door.pipeline.service().identity().region;
            answer::text(StatusCode::OK, format!("healthy: dynamodb.{region}.amazonaws.com"))
        }
        Err(missing) => answer::text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {missing}")),
    }
}
