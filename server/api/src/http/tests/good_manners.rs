//! What SDKs really do.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("a vector");
    encoder.finish().expect("a vector")
}

#[tokio::test]
async fn an_answer_has_the_services_headers() {
    let server = Server::start(Settings::default()).await;
    let answer = server.ask(&get("hello")).await;
    assert_eq!((answer.status, answer.text()), (200, echo("hello")));
    assert_eq!(answer.header("content-type"), "application/x-amz-json-1.0");
    answer.is_sealed();
    let missing = server.ask(&get("missing")).await;
    missing.is(400, "ResourceNotFoundException");
    assert_ne!(missing.header("x-amzn-requestid"), answer.header("x-amzn-requestid"));
    assert!(server.metric("trilith_requests_total{code=\"OK\",op=\"GetItem\"} 1"));
    assert!(server.metric("trilith_requests_total{code=\"ResourceNotFoundException\",op=\"GetItem\"} 1"));
}

#[tokio::test]
async fn a_connection_is_kept_and_takes_requests_before_their_answers() {
    let server = Server::start(Settings::default()).await;
    let mut client = server.connect().await;
    for key in ["one", "two"] {
        client.send(&get(key)).await;
        assert_eq!(client.answer().await.text(), echo(key));
    }
    client.send(&[get("three"), get("missing"), get("four")].concat()).await;
    assert_eq!(client.answer().await.text(), echo("three"));
    client.answer().await.is(400, "ResourceNotFoundException");
    assert_eq!(client.answer().await.text(), echo("four"));
}

#[tokio::test]
async fn a_body_may_come_in_chunks_and_in_pieces() {
    let server = Server::start(Settings::default()).await;
    let mut client = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(head.as_bytes()).await;
    let body = get_body("chunks");
    for part in body.as_bytes().chunks(7) {
        client.send(format!("{:x}\r\n", part.len()).as_bytes()).await;
        client.send(part).await;
        client.send(b"\r\n").await;
    }
    client.send(b"0\r\n\r\n").await;
    assert_eq!(client.answer().await.text(), echo("chunks"));
    for byte in get("bytes") {
        client.send(&[byte]).await;
    }
    assert_eq!(client.answer().await.text(), echo("bytes"));
}

#[tokio::test]
async fn expect_100_continue_is_answered_before_the_body() {
    let server = Server::start(Settings::default()).await;
    let mut client = server.connect().await;
    let body = get_body("later");
    let whole = request("GetItem", "Expect: 100-continue\r\n", body.as_bytes());
    client.send(&whole[..whole.len() - body.len()]).await;
    assert_eq!(client.answer().await.status, 100);
    client.send(body.as_bytes()).await;
    assert_eq!(client.answer().await.text(), echo("later"));
    // Who announces too much is told before sending it.
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n").await;
    client.answer().await.is(413, "RequestEntityTooLarge");
}

#[tokio::test]
async fn gzip_both_ways() {
    let server = Server::start(Settings::default()).await;
    let packed = gzip(get_body("packed").as_bytes());
    let answer = server.ask(&request("GetItem", "Content-Encoding: gzip\r\n", &packed)).await;
    assert_eq!(answer.text(), echo("packed"));

    for bytes in [20_000, 300_000] {
        let body = get_body(&format!("big:{bytes}"));
        let answer =
            server.ask(&request("GetItem", "Accept-Encoding: deflate, gzip\r\n", body.as_bytes())).await;
        assert_eq!(answer.header("content-encoding"), "gzip");
        answer.is_sealed();
        let mut plain = String::new();
        GzDecoder::new(&answer.body[..]).read_to_string(&mut plain).expect("gzip");
        assert_eq!(plain, echo(&"x".repeat(bytes)));
        assert!(answer.body.len() < bytes / 10);

        let answer = server.ask(&request("GetItem", "Accept-Encoding: identity\r\n", body.as_bytes())).await;
        assert_eq!(answer.header("content-encoding"), "");
        assert_eq!(answer.body.len(), echo(&"x".repeat(bytes)).len());
    }
    let small =
        server.ask(&request("GetItem", "Accept-Encoding: gzip\r\n", get_body("small").as_bytes())).await;
    assert_eq!((small.header("content-encoding"), small.text()), ("", echo("small")));
    server.is_empty().await;
}

#[tokio::test]
async fn signatures_are_accepted_and_not_asked_for() {
    let server = Server::start(Settings::default()).await;
    let signed = "Authorization: AWS4-HMAC-SHA256 Credential=any/20200101/mars-1/dynamodb/aws4_request, \
                  SignedHeaders=host, Signature=00\r\nX-Amz-Date: 20200101T000000Z\r\n";
    for headers in [signed, "", "Authorization: nonsense\r\n"] {
        let answer = server.ask(&request("GetItem", headers, get_body("a").as_bytes())).await;
        assert_eq!(answer.status, 200, "{headers}");
    }
}

#[tokio::test]
async fn media_types_of_the_protocol() {
    let server = Server::start(Settings::default()).await;
    for (kind, accepted) in [
        ("Content-Type: application/x-amz-json-1.0\r\n", true),
        ("Content-Type: application/json; charset=utf-8\r\n", true),
        ("", true),
        ("Content-Type: text/plain\r\n", false),
        ("Content-Type: application/x-www-form-urlencoded\r\n", false),
    ] {
        let body = get_body("a");
        let head = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = server.ask(head.as_bytes()).await;
        if accepted {
            assert_eq!(answer.status, 200, "{kind}");
        } else {
            answer.is(400, "UnknownOperationException");
        }
    }
}

#[tokio::test]
async fn the_health_answer_says_whether_it_serves() {
    let ready = Server::start(Settings::default()).await;
    let answer = ready.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "healthy: dynamodb.us-east-1.amazonaws.com"));
    answer.is_sealed();
    let fake = Fake { not_ready: true, ..Fake::default() };
    let starting = Server::start_with(Settings::default(), pipeline::Settings::default(), fake).await;
    let answer = starting.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!((answer.status, answer.text().as_str()), (503, "not ready: no leader yet"));
}

#[tokio::test]
async fn pages_of_this_machine_may_ask_and_no_others() {
    let server =
        Server::start(Settings { trusted_origins: vec!["https://ui.example".into()], ..Settings::default() })
            .await;
    let body = get_body("a");
    for origin in ["http://localhost:3000", "http://127.0.0.1:3000", "https://ui.example"] {
        let answer = server.ask(&request("GetItem", &format!("Origin: {origin}\r\n"), body.as_bytes())).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, origin));
    }
    let before = server.fake.executed.load(Ordering::SeqCst);
    for origin in ["http://evil.example:8000", "null", "http://localhost.evil.example"] {
        let answer = server.ask(&request("GetItem", &format!("Origin: {origin}\r\n"), body.as_bytes())).await;
        answer.is(403, "AccessDeniedException");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    let two = "Origin: http://localhost\r\nOrigin: http://evil.example\r\n";
    server.ask(&request("GetItem", two, body.as_bytes())).await.is(403, "AccessDeniedException");
    assert_eq!(server.fake.executed.load(Ordering::SeqCst), before, "nothing of them was done");

    let ask = "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: http://localhost:3000\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-amz-target\r\n\r\n";
    let answer = server.ask(ask.as_bytes()).await;
    assert_eq!((answer.status, answer.header("access-control-allow-headers")), (200, "x-amz-target"));
    assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:3000");
}
