//! Responses: headers, compression, checksum.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use hyper::{HeaderMap, Response, StatusCode};

use crate::budget::Held;
use crate::json::error::Failure;

/// What a request is answered with.
pub(super) type Answer = Response<Full<Bytes>>;

/// Media type of requests and answers.
pub(super) const AMZ_JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const CRC32: HeaderName = HeaderName::from_static("x-amz-crc32");
const ALLOW_ORIGIN: HeaderName = HeaderName::from_static("access-control-allow-origin");
const ALLOW_METHODS: HeaderName = HeaderName::from_static("access-control-allow-methods");
const ALLOW_HEADERS: HeaderName = HeaderName::from_static("access-control-allow-headers");
const REQUEST_HEADERS: HeaderName = HeaderName::from_static("access-control-request-headers");
const EXPOSE_HEADERS: HeaderName = HeaderName::from_static("access-control-expose-headers");
const MAX_AGE: HeaderName = HeaderName::from_static("access-control-max-age");

/// Answers from this size on are held against the memory budget until they are written.
const COUNTED_FROM: usize = 64 * 1024;
/// Answers from this size on are compressed off the connection's thread.
const COMPRESS_ASIDE: usize = 128 * 1024;

/// A good answer: JSON, compressed where the client accepts it and it is worth it.
pub(super) async fn json(body: Vec<u8>, asked: &HeaderMap, gzip_from: usize, held: Held) -> Answer {
    if body.len() < gzip_from || !accepts_gzip(asked) {
        return response(StatusCode::OK, AMZ_JSON, counted(body, held));
    }
    let packed = if body.len() < COMPRESS_ASIDE {
        compress(&body)
    } else {
        match tokio::task::spawn_blocking(move || compress(&body)).await {
            Ok(packed) => packed,
            Err(_) => {
                return failure(&Failure::from(trilith_domain::OpError::Internal(
                    "Cannot compress".to_owned(),
                )));
            }
        }
    };
    let mut answer = response(StatusCode::OK, AMZ_JSON, counted(packed, held));
    answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    answer
}

/// An error.
pub(super) fn failure(failure: &Failure) -> Answer {
    let mut answer = response(failure.status, AMZ_JSON, failure.body().into());
    if failure.status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, GET, HEAD, OPTIONS"));
    }
    answer
}

/// A line of text.
pub(super) fn text(status: StatusCode, text: String) -> Answer {
    response(status, TEXT, text.into())
}

/// What a browser is told when it asks before it sends a page's request.
pub(super) fn preflight(asked: &HeaderMap) -> Answer {
    let mut answer = response(StatusCode::OK, TEXT, Bytes::new());
    let headers = answer.headers_mut();
    headers.insert(ALLOW_METHODS, HeaderValue::from_static("POST, GET, OPTIONS"));
    let wanted = asked.get(REQUEST_HEADERS).cloned();
    headers.insert(ALLOW_HEADERS, wanted.unwrap_or(HeaderValue::from_static("*")));
    headers.insert(MAX_AGE, HeaderValue::from_static("86400"));
    answer
}

/// The headers that every answer has; `origin` is a trusted page's.
pub(super) fn finish(answer: &mut Answer, request_id: &str, origin: Option<HeaderValue>) {
    let headers = answer.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(request_id).expect("an id is ASCII"));
    if let Some(origin) = origin {
        headers.insert(ALLOW_ORIGIN, origin);
        headers.insert(EXPOSE_HEADERS, HeaderValue::from_static("x-amzn-requestid, x-amz-crc32"));
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}

/// A response with the checksum of its bytes as they are sent.
fn response(status: StatusCode, kind: HeaderValue, body: Bytes) -> Answer {
    let checksum = crc32fast::hash(&body);
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer.headers_mut().insert(CRC32, HeaderValue::from(checksum));
    answer
}

/// The bytes of an answer, in place of the request's in the budget where they are many: they stay until the client
/// has taken them.
fn counted(body: Vec<u8>, mut held: Held) -> Bytes {
    if body.len() < COUNTED_FROM {
        return body.into();
    }
    held.force(body.len());
    Bytes::from_owner(Counted { body, _held: held })
}

struct Counted {
    body: Vec<u8>,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

fn compress(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("a vector takes any bytes")
}

/// Whether the client accepts gzip: named (or `*`) and not with a weight of zero.
fn accepts_gzip(asked: &HeaderMap) -> bool {
    let mut any = false;
    for value in asked.get_all(ACCEPT_ENCODING) {
        for one in value.to_str().unwrap_or("").split(',') {
            let (name, parameters) = one.split_once(';').unwrap_or((one, ""));
            let weight = parameters.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
            let wanted = weight.is_none_or(|weight| weight > 0.0);
            match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => return wanted,
                "*" => any = wanted,
                _ => {}
            }
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_accept_it() {
        let asked = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(text));
            accepts_gzip(&headers)
        };
        assert!(asked("gzip") && asked("deflate, GZIP;q=0.5") && asked("*") && asked("gzip, deflate, br"));
        assert!(!asked("identity") && !asked("gzip;q=0, *") && !asked("") && !asked("br") && !asked("*;q=0"));
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
