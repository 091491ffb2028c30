//! The listener over real loopback sockets, with a service that does what the key asks for.

mod bad_input;
mod good_manners;
mod lifecycle;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use trilith_domain::OpError;
use trilith_domain::ops::{GetItemOutput, Op, Output, WriteOutput};
use trilith_engine::{Caller, Identity, Service};
use trilith_values::AttributeValue;

use super::{Settings, serve};
use crate::metrics::Metrics;
use crate::pipeline::{self, Pipeline};

/// Nothing in these tests should take this long; what does, hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers GetItem by the text of the key `k`, and every other operation with its smallest answer.
#[derive(Default)]
struct Fake {
    executed: AtomicUsize,
    not_ready: bool,
    release: Notify,
}

impl Service for Fake {
    fn execute<'a>(&'a self, caller: &'a Caller, op: Op) -> BoxFuture<'a, Result<Output, OpError>> {
        self.executed.fetch_add(1, Ordering::SeqCst);
        assert_eq!(caller.request_id.len(), 52);
        async move {
            let Op::GetItem(get) = op else {
                return Ok(Output::PutItem(WriteOutput::default()));
            };
            let key = get.key.get("k").and_then(AttributeValue::as_s).unwrap_or_default().to_owned();
            let item = |text: String| {
                let item = BTreeMap::from([("v".to_owned(), AttributeValue::S(text))]);
                Ok(Output::GetItem(GetItemOutput { item: Some(item), consumed_capacity: None }))
            };
            match key.as_str() {
                "panic" => panic!("planted"),
                "hang" => futures::future::pending().await,
                "wait" => {
                    self.release.notified().await;
                    item("released".to_owned())
                }
                "internal" => Err(OpError::Internal("lost".to_owned())),
                "unavailable" => Err(OpError::Unavailable("no leader".to_owned())),
                "missing" => Err(OpError::ResourceNotFound("Requested resource not found".to_owned())),
                other => match other.strip_prefix("big:") {
                    Some(bytes) => item("x".repeat(bytes.parse().expect("a number"))),
                    None => item(other.to_owned()),
                },
            }
        }
        .boxed()
    }

    fn ready(&self) -> Result<(), String> {
        if self.not_ready { Err("no leader yet".to_owned()) } else { Ok(()) }
    }

    fn identity(&self) -> Identity {
        Identity { region: "us-east-1".to_owned(), account: 0 }
    }
}

/// A running listener.
struct Server {
    address: std::net::SocketAddr,
    fake: Arc<Fake>,
    pipeline: Arc<Pipeline>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(settings: Settings) -> Self {
        Self::start_with(settings, pipeline::Settings::default(), Fake::default()).await
    }

    async fn start_with(settings: Settings, bounds: pipeline::Settings, fake: Fake) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let fake = Arc::new(fake);
        let service: Arc<dyn Service> = Arc::<Fake>::clone(&fake);
        let pipeline = Pipeline::new(service, Metrics::new(), bounds);
        let (stop, stopped) = oneshot::channel();
        let until = stopped.map(drop);
        let task = tokio::spawn(serve(vec![listener], Arc::clone(&pipeline), settings, until));
        Self { address, fake, pipeline, stop: Some(stop), task }
    }

    async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.expect("accepts");
        Client { stream, read: Vec::new() }
    }

    /// Sends one request on a connection of its own.
    async fn ask(&self, request: &[u8]) -> Answer {
        let mut client = self.connect().await;
        client.send(request).await;
        client.answer().await
    }

    fn stop(&mut self) {
        let stop = self.stop.take().expect("stopped once");
        stop.send(()).expect("is running");
    }

    /// Waits until the server has let go of all connections and bodies.
    async fn is_empty(&self) {
        let empty = async {
            while self.pipeline.metrics().connections.get() > 0 || self.pipeline.metrics().in_flight.get() > 0
            {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, empty).await.expect("connections are let go");
        assert!(self.metric("trilith_body_bytes_in_flight 0"), "bodies are let go");
    }

    fn metric(&self, line: &str) -> bool {
        let text = String::from_utf8(self.pipeline.metrics().render()).expect("text");
        text.lines().any(|one| one == line)
    }
}

/// A raw client: what it sends is what is written here.
struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the server reads");
    }

    /// The next answer; panics if none comes.
    async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("an answer")
    }

    /// The next answer, or `None` if the server closes.
    async fn try_answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("promptly")
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).expect("ASCII");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
        while self.read.len() < length {
            self.more().await?;
        }
        let body = self.read.drain(..length).collect();
        Some(Answer { status: status.expect("a status line"), headers, body })
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}

/// An answer as it came.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Status and error name, with the checks that hold for every answer.
    #[track_caller]
    fn is(&self, status: u16, name: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let text = self.text();
        assert!(text.contains(&format!("#{name}\"")), "{text}");
        assert_eq!(self.header("content-type"), "application/x-amz-json-1.0");
        self.is_sealed();
    }

    #[track_caller]
    fn is_sealed(&self) {
        assert_eq!(self.header("x-amz-crc32"), crc32fast::hash(&self.body).to_string());
        assert_eq!(self.header("x-amzn-requestid").len(), 52);
        assert!(self.headers.contains_key("date"));
    }
}

/// A request to an operation, with more header lines.
fn request(operation: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost:8000\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
         Content-Type: application/x-amz-json-1.0\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A GetItem of the key `k`.
fn get(key: &str) -> Vec<u8> {
    request("GetItem", "", get_body(key).as_bytes())
}

fn get_body(key: &str) -> String {
    format!(r#"{{"TableName":"table","Key":{{"k":{{"S":"{key}"}}}}}}"#)
}

/// The answer to `get(key)`, where the fake has no more to say.
fn echo(key: &str) -> String {
    format!(r#"{{"Item":{{"v":{{"S":"{key}"}}}}}}"#)
}
