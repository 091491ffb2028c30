//! What surrounds a request: its id and its times.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Length of a request id, as the service makes them.
const ID_LENGTH: usize = 52;
/// Five bits a character.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";

/// A request's id, when it came, and until when its answer is wanted.
#[derive(Clone, Debug)]
pub struct Context {
    /// 52 characters of base 32, random. In the answer's `x-amzn-RequestId` and in every log line of the request.
    pub request_id: Arc<str>,
    /// When the request's head had been read.
    pub received: Instant,
    /// Nobody waits for the answer after this.
    pub deadline: Instant,
}

impl Context {
    /// A request that begins now and has `patience` to be answered.
    pub fn begin(patience: Duration) -> Self {
        let received = Instant::now();
        Self { request_id: request_id(), received, deadline: received + patience }
    }
}

/// A random request id.
fn request_id() -> Arc<str> {
    let mut text = [0; ID_LENGTH];
    for chunk in text.chunks_mut(12) {
        let mut bits = rand::random::<u64>();
        for character in chunk {
            *character = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
    }
    std::str::from_utf8(&text).expect("the alphabet is ASCII").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_the_services_and_differ() {
        let (one, two) = (request_id(), request_id());
        assert_eq!(one.len(), 52);
        assert!(one.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_ne!(one, two);
    }
}
