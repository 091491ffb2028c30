//! The whole listener over loopback, in front of a service that answers what a test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt;
use trilith_domain::OpError;
use trilith_domain::ops::{GetItemOutput, Op, Output, WriteOutput};
use trilith_engine::{Caller, Identity, Service};
use trilith_proto::data::v1::attribute_value::Value;
use trilith_proto::data::v1::data_client::DataClient;
use trilith_proto::data::v1::*;
use trilith_values::{AttributeValue as DomainValue, Item as DomainItem};

use super::{DETAILS_METADATA, OMITTED_METADATA, Settings, serve};
use crate::metrics::Metrics;
use crate::pipeline::{self, Pipeline};

type Answer = dyn Fn(&Caller, Op) -> BoxFuture<'static, Result<Output, OpError>> + Send + Sync;

/// A service of one's own making.
struct Fake {
    ready: Arc<AtomicBool>,
    answer: Box<Answer>,
}

impl Service for Fake {
    fn execute<'a>(&'a self, caller: &'a Caller, op: Op) -> BoxFuture<'a, Result<Output, OpError>> {
        (self.answer)(caller, op)
    }

    fn ready(&self) -> Result<(), String> {
        self.ready.load(Ordering::SeqCst).then_some(()).ok_or_else(|| "no leader yet".to_owned())
    }

    fn identity(&self) -> Identity {
        Identity { region: "us-east-1".into(), account: 0 }
    }
}

/// A listener that serves, and what a test holds of it.
struct Running {
    address: String,
    ready: Arc<AtomicBool>,
    pipeline: Arc<Pipeline>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Running {
    async fn start(
        settings: Settings,
        answer: impl Fn(&Caller, Op) -> BoxFuture<'static, Result<Output, OpError>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let ready = Arc::new(AtomicBool::new(true));
        let fake = Fake { ready: Arc::clone(&ready), answer: Box::new(answer) };
        let pipeline = Pipeline::new(Arc::new(fake), Metrics::new(), pipeline::Settings::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = stopped.map(drop);
        let serving = serve(vec![listener], Arc::clone(&pipeline), settings, shutdown);
        let served = tokio::spawn(async { serving.await.expect("serves") });
        Self { address, ready, pipeline, stop: Some(stop), served }
    }

    /// One that answers every op in the same way.
    async fn answering(result: Result<Output, OpError>) -> Self {
        Self::start(Settings::default(), move |_, _| std::future::ready(result.clone()).boxed()).await
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(self.address.clone()).expect("an address").http2_max_header_list_size(4 << 20)
    }

    async fn channel(&self) -> Channel {
        self.endpoint().connect().await.expect("connects")
    }

    async fn client(&self) -> DataClient<Channel> {
        DataClient::new(self.channel().await)
    }

    fn stop(&mut self) {
        self.stop.take().expect("not stopped yet").send(()).expect("serving");
    }

    fn metrics(&self) -> String {
        String::from_utf8(self.pipeline.metrics().render()).expect("text")
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue { value: Some(Value::S(value.to_owned())) }
}

fn item() -> Item {
    Item { attributes: [("id".to_owned(), text("a"))].into() }
}

fn put() -> PutItemRequest {
    PutItemRequest { table_name: "orders".into(), item: Some(item()), ..Default::default() }
}

fn get() -> GetItemRequest {
    GetItemRequest { table_name: "orders".into(), key: Some(item()), ..Default::default() }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().expect("an ErrorInfo").reason
}

#[tokio::test]
async fn an_op_arrives_and_its_output_comes_back() {
    let running = Running::start(Settings::default(), |_, op| {
        let Op::PutItem(put) = op else { panic!("not a put") };
        assert_eq!(put.table.name(), "orders");
        let old = DomainItem::from([("id".to_owned(), DomainValue::Bool(true))]);
        let output = WriteOutput { attributes: Some(old), ..WriteOutput::default() };
        std::future::ready(Ok(Output::PutItem(output))).boxed()
    })
    .await;
    let response = running.client().await.put_item(put()).await.expect("a good answer");
    let id = response.metadata().get("x-amzn-requestid").expect("an id").to_str().expect("ASCII").to_owned();
    assert_eq!(id.len(), 52);
    let old = response.into_inner().attributes.expect("attributes");
    assert_eq!(old.attributes["id"].value, Some(Value::Bool(true)));
    assert!(running.metrics().contains("trilith_requests_total{code=\"OK\",op=\"PutItem\"} 1"));
}

#[tokio::test]
async fn checks_are_those_of_the_operation() {
    let running = Running::answering(Ok(Output::TagResource)).await;
    let mut client = running.client().await;
    let status =
        client.put_item(PutItemRequest { table_name: String::new(), ..put() }).await.expect_err("refused");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "ValidationException"));
    assert!(status.message().contains("Value null at 'tableName' failed to satisfy constraint"), "{status}");
    assert_eq!(status.metadata().get("x-amzn-requestid").map(|id| id.len()), Some(52));
    let indexed = QueryRequest {
        table_name: "orders".into(),
        index_name: Some("by_date".into()),
        key_condition_expression: Some("id = :i".into()),
        expression_attribute_values: [(":i".to_owned(), text("a"))].into(),
        ..Default::default()
    };
    let indexed = QueryRequest { index_name: Some("-".into()), ..indexed };
    let status = client.query(indexed).await.expect_err("refused");
    assert!(status.message().contains("indexName"), "{status}");
    let bad = AttributeValue { value: Some(Value::N("ten".into())) };
    let faulty = Item { attributes: [("id".to_owned(), text("a")), ("n".to_owned(), bad)].into() };
    let status = client.put_item(PutItemRequest { item: Some(faulty), ..put() }).await.expect_err("refused");
    assert_eq!(status.message(), "The parameter cannot be converted to a numeric value: ten");
    let status = client.put_item(put()).await.expect_err("another's output");
    assert_eq!(status.code(), Code::Internal);
}

#[tokio::test]
async fn the_clients_address_is_the_endpoint() {
    let running = Running::start(Settings::default(), |_, op| {
        let Op::DescribeEndpoints(op) = op else { panic!("not DescribeEndpoints") };
        std::future::ready(Ok(Output::DescribeEndpoints(op.answer()))).boxed()
    })
    .await;
    let answer =
        running.client().await.describe_endpoints(DescribeEndpointsRequest {}).await.expect("answered");
    assert_eq!(format!("http://{}", answer.into_inner().endpoints[0].address), running.address);
}

#[tokio::test]
async fn the_clients_timeout_is_the_deadline() {
    let (sender, mut deadlines) = mpsc::unbounded_channel();
    let running = Running::start(Settings::default(), move |caller, _| {
        sender.send(caller.deadline.saturating_duration_since(Instant::now())).expect("the test listens");
        std::future::ready(Ok(Output::GetItem(GetItemOutput::default()))).boxed()
    })
    .await;
    let mut client = running.client().await;
    for (timeout, most) in [(Duration::from_secs(3), 3), (Duration::from_secs(3600), 10)] {
        let mut request = Request::new(get());
        request.set_timeout(timeout);
        client.get_item(request).await.expect("answered");
        let left = deadlines.recv().await.expect("asked");
        assert!(left <= Duration::from_secs(most) && left > Duration::from_secs(most - 2), "{left:?}");
    }
}

#[tokio::test]
async fn a_failed_condition_carries_as_much_as_the_client_takes() {
    let item = DomainItem::from([("a".to_owned(), DomainValue::S("x".repeat(390_000)))]);
    let running = Running::answering(Err(OpError::ConditionalCheckFailed { item: Some(item) })).await;
    let mut client = running.client().await;
    let status = client.put_item(put()).await.expect_err("a failed condition");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.get_details_error_info().expect("an ErrorInfo").metadata.contains_key(OMITTED_METADATA));
    let mut request = Request::new(put());
    request.metadata_mut().insert(DETAILS_METADATA, "1000000".parse().expect("ASCII"));
    let status = client.put_item(request).await.expect_err("a failed condition");
    let details = tonic_types::pb::Status::decode(status.details()).expect("details").details;
    let any = details.iter().find(|any| any.type_url.ends_with("ConditionalCheckFailed")).expect("the item");
    let detail = ConditionalCheckFailed::decode(&any.value[..]).expect("decodes");
    let Some(Value::S(text)) = &detail.item.expect("an item").attributes["a"].value else {
        panic!("not an S")
    };
    assert_eq!(text.len(), 390_000);
    // A client with ordinary bounds gets the status, not a broken stream.
    let plain = Endpoint::from_shared(running.address.clone())
        .expect("an address")
        .connect()
        .await
        .expect("connects");
    let status = DataClient::new(plain).put_item(put()).await.expect_err("a failed condition");
    assert_eq!(reason(&status), "ConditionalCheckFailedException");
}

/// Sends bytes as they are, and returns bytes.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

async fn raw(channel: Channel, call: &'static str, bytes: impl Into<Bytes>) -> Status {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.expect("connected");
    let path = http::uri::PathAndQuery::from_static(call);
    grpc.unary(Request::new(bytes.into()), path, Raw).await.expect_err("refused")
}

/// A value of so many maps one in another, as an item's attribute, made without recursion.
fn nested_put(levels: usize) -> Vec<u8> {
    let wrap = |tag: u8, inner: Vec<u8>| {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    };
    let entry = |value: Vec<u8>| wrap(0x0a, [vec![0x0a, 1, b'a'], wrap(0x12, value)].concat());
    let mut value = vec![0x28, 1];
    for _ in 0..levels {
        value = wrap(0x3a, entry(value));
    }
    [wrap(0x0a, b"orders".to_vec()), wrap(0x12, entry(value))].concat()
}

#[tokio::test]
async fn what_is_no_request_gets_the_services_own_error() {
    let running = Running::answering(Ok(Output::PutItem(WriteOutput::default()))).await;
    let channel = running.channel().await;
    const PUT: &str = "/trilith.data.v1.Data/PutItem";
    assert!(
        running
            .client()
            .await
            .put_item(PutItemRequest::decode(&nested_put(32)[..]).expect("decodes"))
            .await
            .is_ok()
    );
    for levels in [33, 2000] {
        let status = raw(channel.clone(), PUT, nested_put(levels)).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert_eq!(status.message(), "Nesting Levels have exceeded supported limits");
        assert_eq!(reason(&status), "ValidationException");
    }
    let status = raw(channel.clone(), PUT, &b"\xff\xff\xff"[..]).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "SerializationException"));
    let not_utf8 = [0x0a, 2, 0xc3, 0x28];
    let status = raw(channel.clone(), PUT, not_utf8.to_vec()).await;
    assert_eq!(reason(&status), "SerializationException");
    let status = raw(channel.clone(), "/trilith.data.v1.Data/NoSuchCall", Bytes::new()).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "UnknownOperationException"));
    let status = raw(channel, PUT, vec![0; (16 << 20) + 1]).await;
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::OutOfRange, "RequestEntityTooLargeException")
    );
    assert!(
        running.metrics().contains("code=\"UnknownOperationException\",op=\"Unknown\"} 1"),
        "{}",
        running.metrics()
    );
}

#[tokio::test]
async fn no_more_bodies_are_held_than_there_is_memory_for() {
    let settings = Settings { bodies_max: 1000, ..Settings::default() };
    let running = Running::start(settings, |_, _| {
        std::future::ready(Ok(Output::PutItem(WriteOutput::default()))).boxed()
    })
    .await;
    let mut client = running.client().await;
    let big = Item { attributes: [("id".to_owned(), text(&"x".repeat(2000)))].into() };
    let status = client.put_item(PutItemRequest { item: Some(big), ..put() }).await.expect_err("refused");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "ServiceUnavailable"));
    assert!(status.get_details_retry_info().is_some());
    for _ in 0..100 {
        client.put_item(put()).await.expect("what was held is given back");
    }
}

#[tokio::test]
async fn a_request_that_never_arrives_is_given_up() {
    let settings = Settings { patience: Duration::from_millis(20), ..Settings::default() };
    let running = Running::start(settings, |_, _| unreachable!("nothing arrived")).await;
    let mut grpc = tonic::client::Grpc::new(running.channel().await);
    grpc.ready().await.expect("connected");
    let path = http::uri::PathAndQuery::from_static("/trilith.data.v1.Data/PutItem");
    let status =
        grpc.client_streaming(Request::new(stream::pending()), path, Raw).await.expect_err("given up");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "RequestTimeoutException")
    );
}

async fn health(client: &mut HealthClient<Channel>, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: service.to_owned() };
    client.check(request).await.map(|response| response.into_inner().status()).map_err(|status| status.code())
}

#[tokio::test]
async fn health_follows_readiness_and_ends_with_shutdown() {
    let settings = Settings { health_period: Duration::from_millis(1), ..Settings::default() };
    let mut running = Running::start(settings, |_, _| unreachable!("nobody asks")).await;
    let mut client = HealthClient::new(running.channel().await);
    running.ready.store(false, Ordering::SeqCst);
    assert_eq!(health(&mut client, "").await, Ok(ServingStatus::NotServing));
    let request = HealthCheckRequest { service: "trilith.data.v1.Data".into() };
    let mut watch = client.watch(request).await.expect("a stream").into_inner();
    let mut next =
        async || watch.message().await.expect("no error").map(|now: HealthCheckResponse| now.status());
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    running.ready.store(true, Ordering::SeqCst);
    assert_eq!(next().await, Some(ServingStatus::Serving));
    assert_eq!(health(&mut client, "").await, Ok(ServingStatus::Serving));
    assert_eq!(health(&mut client, "trilith.data.v1.Data").await, Ok(ServingStatus::Serving));
    assert_eq!(health(&mut client, "no.such.Service").await, Err(Code::NotFound));
    running.stop();
    assert_eq!(next().await, Some(ServingStatus::NotServing), "before the stream ends");
    assert_eq!(next().await, None);
    running.served.await.expect("watchers do not hold up the end");
}

#[tokio::test]
async fn reflection_names_what_stands_here_in_both_versions() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::{v1, v1alpha};
    let running = Running::answering(Ok(Output::TagResource)).await;
    let channel = running.channel().await;
    let ask = |message| v1::ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let requests = stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("trilith.data.v1.Data.PutItem".into())),
        ask(MessageRequest::FileContainingSymbol("google.rpc.ErrorInfo".into())),
    ]);
    let mut client = ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(requests).await.expect("answers").into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.expect("an answer").message_response).collect().await;
    let Some(MessageResponse::ListServicesResponse(list)) = &answers[0] else { panic!("{answers:?}") };
    let mut names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "trilith.data.v1.Data"]
    );
    for answer in &answers[1..] {
        assert!(matches!(answer, Some(MessageResponse::FileDescriptorResponse(_))), "{answer:?}");
    }
    let list = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers =
        client.server_reflection_info(stream::iter([request])).await.expect("answers").into_inner();
    let answer = answers.message().await.expect("an answer").expect("one");
    assert!(format!("{answer:?}").contains("trilith.data.v1.Data"));
}

#[tokio::test]
async fn calls_in_flight_end_before_the_server_does() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let (release, released) = oneshot::channel::<()>();
    let released = released.shared();
    let mut running = Running::start(Settings::default(), move |_, _| {
        arrived.send(()).expect("the test listens");
        released.clone().map(|_| Ok(Output::PutItem(WriteOutput::default()))).boxed()
    })
    .await;
    let mut client = running.client().await;
    let call = tokio::spawn(async move { client.put_item(put()).await });
    arrivals.recv().await.expect("the call arrived");
    running.stop();
    release.send(()).expect("the call waits");
    call.await.expect("no panic").expect("a good answer");
    let endpoint = running.endpoint();
    running.served.await.expect("served");
    assert!(endpoint.connect().await.is_err(), "the listener is closed");
}

#[tokio::test]
async fn calls_that_do_not_end_are_dropped_after_the_drain_time() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let settings = Settings { drain: Duration::from_millis(1), ..Settings::default() };
    let mut running = Running::start(settings, move |_, _| {
        arrived.send(()).expect("the test listens");
        std::future::pending().boxed()
    })
    .await;
    let mut client = running.client().await;
    let call = tokio::spawn(async move { client.put_item(put()).await });
    arrivals.recv().await.expect("the call arrived");
    running.stop();
    call.await.expect("no panic").expect_err("dropped");
    running.served.await.expect("served");
}

#[tokio::test]
async fn connections_are_bounded() {
    let settings = Settings { connections_max: 1, ..Settings::default() };
    let running = Running::start(settings, |_, _| {
        std::future::ready(Ok(Output::PutItem(WriteOutput::default()))).boxed()
    })
    .await;
    let mut first = running.client().await;
    first.put_item(put()).await.expect("answered");
    let mut second = DataClient::new(running.endpoint().connect_lazy());
    second.put_item(put()).await.expect_err("closed at once");
    first.put_item(put()).await.expect("still answered");
    assert!(running.metrics().contains("trilith_connections 1"), "{}", running.metrics());
    let refused = running.metrics().lines().any(|line| {
        line.strip_prefix("trilith_connections_refused_total ").is_some_and(|count| count != "0")
    });
    assert!(refused, "{}", running.metrics());
}
