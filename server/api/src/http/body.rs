//! Request bodies: read within bounds of size, time and memory, and decompressed within the same.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_ENCODING, EXPECT};
use tokio::time::{Duration, Instant, timeout_at};

use super::Settings;
use crate::budget::Held;
use crate::json::error::Failure;

/// Bytes of a refused body that are read and thrown away, so that the client, busy sending, gets to read its answer.
const DISCARD_BYTES: usize = 64 * 1024 * 1024;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(5);
/// Compressed bodies from this size are decompressed off the connection's thread.
const INFLATE_ASIDE: usize = 32 * 1024;
/// Step in which decompression takes memory.
const INFLATE_STEP: usize = 64 * 1024;

/// The whole body, decompressed. Its bytes are taken from `held` as they arrive.
pub(super) async fn read(
    mut body: Incoming,
    headers: &HeaderMap,
    settings: &Settings,
    held: &mut Held,
) -> Result<Bytes, Failure> {
    let coding = match coding(headers) {
        Ok(coding) => coding,
        Err(failure) => return refuse(body, headers, failure).await,
    };
    if body.size_hint().lower() > settings.max_body as u64 {
        return refuse(body, headers, Failure::too_large(settings.max_body)).await;
    }
    match collect(&mut body, settings, held).await {
        Ok(bytes) if coding == Coding::Gzip => inflate(bytes, settings.max_body, held).await,
        Ok(bytes) => Ok(bytes),
        // Whoever sends too much or at a bad time is busy sending; whoever sends slowly or nonsense has to wait for nothing.
        Err(failure) if failure.is_about_size() => refuse(body, headers, failure).await,
        Err(failure) => Err(failure),
    }
}

/// Throws a body away, within bounds. A client that waits for `100 Continue` has sent none.
pub(super) async fn discard(mut body: Incoming, headers: &HeaderMap) {
    if headers.contains_key(EXPECT) {
        return;
    }
    let deadline = Instant::now() + DISCARD_TIME;
    let mut left = DISCARD_BYTES;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        if length > left {
            return;
        }
        left -= length;
    }
}

async fn refuse(body: Incoming, headers: &HeaderMap, failure: Failure) -> Result<Bytes, Failure> {
    discard(body, headers).await;
    Err(failure)
}

/// The body as sent. A body of one piece, the common case, is not copied.
async fn collect(body: &mut Incoming, settings: &Settings, held: &mut Held) -> Result<Bytes, Failure> {
    let began = Instant::now();
    let mut whole = Whole::Nothing;
    let mut length = 0;
    loop {
        let earned = Duration::from_secs((length / settings.body_rate.max(1)) as u64);
        let frame = match timeout_at(began + settings.body_timeout + earned, body.frame()).await {
            Err(_) => return Err(Failure::too_slow()),
            Ok(None) => return Ok(whole.into_bytes()),
            Ok(Some(Err(error))) => {
                return Err(Failure::malformed_http(format!("Broken request body: {error}")));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        if length > settings.max_body {
            return Err(Failure::too_large(settings.max_body));
        }
        if !held.grow(data.len()) {
            return Err(Failure::busy());
        }
        whole.add(data);
    }
}

/// What has come of a body.
enum Whole {
    Nothing,
    OnePiece(Bytes),
    Pieces(Vec<u8>),
}

impl Whole {
    fn add(&mut self, data: Bytes) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => Self::OnePiece(data),
            Self::OnePiece(first) => {
                let mut pieces = Vec::with_capacity((first.len() + data.len()) * 2);
                pieces.extend_from_slice(&first);
                pieces.extend_from_slice(&data);
                Self::Pieces(pieces)
            }
            Self::Pieces(mut pieces) => {
                pieces.extend_from_slice(&data);
                Self::Pieces(pieces)
            }
        };
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::OnePiece(data) => data,
            Self::Pieces(pieces) => pieces.into(),
        }
    }
}

/// The content codings that requests may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
}

fn coding(headers: &HeaderMap) -> Result<Coding, Failure> {
    let mut found = Coding::Identity;
    for value in headers.get_all(CONTENT_ENCODING) {
        let name = value.to_str().unwrap_or("?").trim().to_ascii_lowercase();
        found = match (name.as_str(), found) {
            ("" | "identity", _) => found,
            ("gzip" | "x-gzip", Coding::Identity) => Coding::Gzip,
            _ => {
                return Err(Failure::malformed_http(format!("Content-Encoding {name} is not supported")));
            }
        };
    }
    Ok(found)
}

/// The body, decompressed to at most `limit` bytes.
async fn inflate(bytes: Bytes, limit: usize, held: &mut Held) -> Result<Bytes, Failure> {
    if bytes.len() < INFLATE_ASIDE {
        return inflate_now(&bytes, limit, held).map(Bytes::from);
    }
    let mut aside = held.more();
    let work = tokio::task::spawn_blocking(move || {
        let result = inflate_now(&bytes, limit, &mut aside);
        (result, aside)
    });
    let (result, aside) = work.await.map_err(|_| Failure::malformed_http("Broken gzip body"))?;
    held.join(aside);
    result.map(Bytes::from)
}

fn inflate_now(bytes: &[u8], limit: usize, held: &mut Held) -> Result<Vec<u8>, Failure> {
    let mut decoder = MultiGzDecoder::new(bytes);
    let mut plain = Vec::new();
    loop {
        let step = INFLATE_STEP.min(limit + 1 - plain.len());
        let read = decoder.by_ref().take(step as u64).read_to_end(&mut plain);
        let read = read.map_err(|error| Failure::malformed_http(format!("Broken gzip body: {error}")))?;
        if read == 0 {
            return Ok(plain);
        }
        if plain.len() > limit {
            return Err(Failure::too_large(limit));
        }
        if !held.grow(read) {
            return Err(Failure::busy());
        }
    }
}
