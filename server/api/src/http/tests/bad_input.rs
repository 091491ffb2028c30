//! Requests that are wrong, hostile, half sent or too many: an error of the service, promptly, and nothing held.

use super::*;

/// Small bounds, so that tests reach them quickly.
fn tight() -> Settings {
    Settings { max_body: 100_000, max_bodies: 150_000, ..Settings::default() }
}

/// Little patience, for tests that wait for its end; enough for a sound request on a busy machine.
fn hasty() -> Settings {
    let patience = Duration::from_millis(200);
    Settings {
        head_timeout: patience,
        body_timeout: patience,
        write_timeout: patience,
        ..Settings::default()
    }
}

#[tokio::test]
async fn operations_that_do_not_exist_are_unknown() {
    let server = Server::start(Settings::default()).await;
    for operation in
        ["UpdateTimeToLive", "ExportTableToPointInTime", "CreateBackup", "getitem", "", "GetItem.GetItem"]
    {
        let answer = server.ask(&request(operation, "", b"{}")).await;
        answer.is(400, "UnknownOperationException");
        assert_eq!(answer.text(), r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#);
    }
    server
        .ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
        .await
        .is(400, "UnknownOperationException");
    server
        .ask(b"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: \xff\r\nContent-Length: 2\r\n\r\n{}")
        .await
        .is(400, "UnknownOperationException");
    server.ask(b"GET /favicon.ico HTTP/1.1\r\nHost: h\r\n\r\n").await.is(404, "UnknownOperationException");
    let put = server.ask(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}").await;
    put.is(405, "UnknownOperationException");
    assert_eq!(put.header("allow"), "POST, GET, HEAD, OPTIONS");
    assert_eq!(server.fake.executed.load(Ordering::SeqCst), 0);
    assert!(server.metric("trilith_requests_total{code=\"UnknownOperationException\",op=\"Unknown\"} 10"));
}

#[tokio::test]
async fn json_that_is_none_is_a_serialization_error() {
    let server = Server::start(Settings::default()).await;
    let mut client = server.connect().await;
    for body in [
        &b""[..],
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b"{}{}",
        b"[]",
        br#"{"TableName":5}"#,
        b"{\"TableName\":\"\0\"}",
    ] {
        client.send(&request("GetItem", "", body)).await;
        client.answer().await.is(400, "SerializationException");
    }
    client.send(&request("GetItem", "", b"{}")).await;
    client.answer().await.is(400, "ValidationException");
    client.send(&get("still here")).await;
    assert_eq!(client.answer().await.text(), echo("still here"));
}

#[tokio::test]
async fn nesting_is_refused_at_every_depth() {
    let server = Server::start(Settings::default()).await;
    for levels in [33, 100, 100_000] {
        let value = format!(r#"{}{{"S":"x"}}{}"#, r#"{"L":["#.repeat(levels), "]}".repeat(levels));
        let body = format!(r#"{{"TableName":"table","Item":{{"k":{value}}}}}"#);
        let answer = server.ask(&request("PutItem", "", body.as_bytes())).await;
        answer.is(400, "ValidationException");
        assert!(answer.text().contains("Nesting Levels have exceeded supported limits"));
    }
    let body = format!(r#"{{"TableName":{}"#, "[".repeat(1_000_000));
    server.ask(&request("PutItem", "", body.as_bytes())).await.is(400, "SerializationException");
    let body = format!(r#"{{"Unknown":{}"#, "[".repeat(1_000_000));
    server.ask(&request("PutItem", "", body.as_bytes())).await.is(400, "SerializationException");
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused_and_their_senders_hear_it() {
    let server = Server::start(tight()).await;
    let just_right = format!(r#"{{"Unknown":"{}",{}"#, "x".repeat(90_000), &get_body("fits")[1..]);
    assert_eq!(server.ask(&request("GetItem", "", just_right.as_bytes())).await.text(), echo("fits"));
    let large = vec![b' '; 300_000];
    server.ask(&request("GetItem", "", &large)).await.is(413, "RequestEntityTooLarge");
    let mut chunked = b"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..30 {
        chunked.extend_from_slice(b"2710\r\n");
        chunked.extend_from_slice(&[b' '; 10_000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    server.ask(&chunked).await.is(413, "RequestEntityTooLarge");
    server.is_empty().await;
}

#[tokio::test]
async fn heads_beyond_the_limit_are_refused() {
    let server = Server::start(Settings::default()).await;
    let fits = format!("X-Long: {}\r\n", "x".repeat(12_000));
    assert_eq!(server.ask(&request("GetItem", &fits, get_body("a").as_bytes())).await.status, 200);
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    assert_eq!(server.ask(&request("GetItem", &long, b"{}")).await.status, 431);
    let many = "X-One: x\r\n".repeat(500);
    assert_eq!(server.ask(&request("GetItem", &many, b"{}")).await.status, 431);
}

#[tokio::test]
async fn broken_http_is_refused() {
    let server = Server::start(Settings::default()).await;
    for broken in [
        &b"nonsense\r\n\r\n"[..],
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        assert_eq!(server.ask(broken).await.status, 400);
    }
    let mut client = server.connect().await;
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
    client.answer().await.is(400, "MalformedHttpRequestException");
    server.is_empty_but(client).await;
}

impl Server {
    async fn is_empty_but(&self, client: Client) {
        drop(client);
        self.is_empty().await;
    }
}

#[tokio::test]
async fn gzip_that_is_none_or_a_bomb_is_refused() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    let server = Server::start(tight()).await;
    let gzip = "Content-Encoding: gzip\r\n";
    let zeros = |bytes: usize| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b' '; bytes]).expect("a vector");
        encoder.finish().expect("a vector")
    };
    server.ask(&request("GetItem", gzip, b"{}")).await.is(400, "MalformedHttpRequestException");
    let cut = zeros(1000);
    server
        .ask(&request("GetItem", gzip, &cut[..cut.len() - 3]))
        .await
        .is(400, "MalformedHttpRequestException");
    server.ask(&request("GetItem", gzip, &zeros(50_000_000))).await.is(413, "RequestEntityTooLarge");
    server
        .ask(&request("GetItem", "Content-Encoding: br\r\n", b"{}"))
        .await
        .is(400, "MalformedHttpRequestException");
    server
        .ask(&request("GetItem", "Content-Encoding: gzip, gzip\r\n", b"{}"))
        .await
        .is(400, "MalformedHttpRequestException");
    server.is_empty().await;
}

#[tokio::test]
async fn a_half_sent_request_ends_in_time() {
    let server = Server::start(hasty()).await;
    let whole = get("never");
    // Part of a head: closed without an answer, since there is no request yet.
    let mut client = server.connect().await;
    client.send(&whole[..30]).await;
    assert!(client.try_answer().await.is_none());
    // Part of a body: told, and closed.
    let mut client = server.connect().await;
    client.send(&whole[..whole.len() - 5]).await;
    client.answer().await.is(408, "RequestTimeoutException");
    assert!(client.try_answer().await.is_none());
    // The same on a connection that has served before.
    let mut client = server.connect().await;
    client.send(&get("first")).await;
    assert_eq!(client.answer().await.text(), echo("first"));
    client.send(&whole[..30]).await;
    assert!(client.try_answer().await.is_none());
    server.is_empty().await;
}

#[tokio::test]
async fn a_trickle_does_not_extend_the_time_of_a_body() {
    let server = Server::start(hasty()).await;
    let mut client = server.connect().await;
    let whole = request("GetItem", "", &[b' '; 1000]);
    client.send(&whole[..whole.len() - 1000]).await;
    // A thousand bytes at this pace would take twenty seconds and more.
    let trickle = async {
        while client.stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = async {
        tokio::select! {
            () = trickle => {}
            () = refused(&server) => {}
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the trickle is cut off");
    drop(client);
    server.is_empty().await;
}

/// Waits until a request has been refused for its slowness.
async fn refused(server: &Server) {
    while !server.metric("trilith_requests_total{code=\"RequestTimeoutException\",op=\"GetItem\"} 1") {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn dropped_connections_leave_nothing_behind() {
    let server = Server::start(Settings::default()).await;
    for cut in [1, 30, 150, 1] {
        let mut client = server.connect().await;
        let whole = request("GetItem", "", &[b' '; 200]);
        client.send(&whole[..whole.len() - cut]).await;
        drop(client);
    }
    let mut client = server.connect().await;
    client.send(&get("hang")).await;
    while server.fake.executed.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop(client);
    server.is_empty().await;
    assert!(server.metric("trilith_requests_total{code=\"Cancelled\",op=\"GetItem\"} 1"));
}

#[tokio::test]
async fn who_does_not_read_the_answer_is_let_go() {
    let server = Server::start(hasty()).await;
    let mut client = server.connect().await;
    client.send(&get("big:30000000")).await;
    while server.fake.executed.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    server.is_empty().await;
    drop(client);
}

#[tokio::test]
async fn a_panic_ends_one_request_only() {
    let server = Server::start(Settings::default()).await;
    let mut client = server.connect().await;
    client.send(&get("panic")).await;
    client.answer().await.is(500, "InternalServerError");
    client.send(&get("after")).await;
    assert_eq!(client.answer().await.text(), echo("after"));
}

#[tokio::test]
async fn failures_of_the_server_have_their_status() {
    let server = Server::start(Settings::default()).await;
    server.ask(&get("internal")).await.is(500, "InternalServerError");
    server.ask(&get("unavailable")).await.is(503, "ServiceUnavailable");
}

#[tokio::test]
async fn a_request_that_never_ends_is_answered_after_its_deadline() {
    let bounds = pipeline::Settings {
        deadline: Duration::from_millis(20),
        grace: Duration::from_millis(10),
        ..pipeline::Settings::default()
    };
    let server = Server::start_with(Settings::default(), bounds, Fake::default()).await;
    let answer = server.ask(&get("hang")).await;
    answer.is(500, "InternalServerError");
    assert!(answer.text().contains("its outcome is unknown"));
}

#[tokio::test]
async fn bodies_beyond_the_memory_for_all_are_put_off() {
    let server = Server::start(tight()).await;
    // The first holds 90 KB of the 150 while it waits.
    let padded = |key| format!(r#"{{"Unknown":"{}",{}"#, "x".repeat(90_000), &get_body(key)[1..]);
    let mut first = server.connect().await;
    first.send(&request("GetItem", "", padded("wait").as_bytes())).await;
    while server.fake.executed.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    server.ask(&request("GetItem", "", padded("second").as_bytes())).await.is(503, "ServiceUnavailable");
    assert_eq!(server.ask(&get("small")).await.text(), echo("small"));
    server.fake.release.notify_one();
    assert_eq!(first.answer().await.text(), echo("released"));
    assert_eq!(server.ask(&request("GetItem", "", padded("third").as_bytes())).await.text(), echo("third"));
}
