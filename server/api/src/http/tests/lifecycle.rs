//! Connections: how many, how long, and how they end when the server stops.

use super::*;

#[tokio::test]
async fn connections_beyond_the_maximum_are_told_so() {
    let server = Server::start(Settings { max_connections: 2, ..Settings::default() }).await;
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    for client in [&mut one, &mut two] {
        client.send(&get("a")).await;
        assert_eq!(client.answer().await.status, 200);
    }
    let mut third = server.connect().await;
    let answer = third.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (503, "close"));
    assert!(server.metric("trilith_connections_refused_total 1"));
    drop((one, two, third));
    server.is_empty().await;
    assert_eq!(server.ask(&get("room again")).await.status, 200);
}

#[tokio::test]
async fn idle_connections_are_kept_for_their_time_and_no_longer() {
    let long = Settings { head_timeout: Duration::from_millis(20), ..Settings::default() };
    let server = Server::start(long).await;
    let mut client = server.connect().await;
    client.send(&get("a")).await;
    assert_eq!(client.answer().await.status, 200);
    // Longer than a head may take: being idle is another matter.
    assert!(tokio::time::timeout(Duration::from_millis(100), client.more()).await.is_err());
    client.send(&get("b")).await;
    assert_eq!(client.answer().await.text(), echo("b"));

    let short = Settings { idle_timeout: Duration::from_millis(200), ..Settings::default() };
    let server = Server::start(short).await;
    let mut client = server.connect().await;
    client.send(&get("a")).await;
    assert_eq!(client.answer().await.status, 200);
    assert!(client.try_answer().await.is_none());
    server.is_empty().await;
}

#[tokio::test]
async fn a_stop_lets_requests_in_flight_end() {
    let mut server = Server::start(Settings::default()).await;
    let (mut idle, mut busy) = (server.connect().await, server.connect().await);
    idle.send(&get("a")).await;
    assert_eq!(idle.answer().await.status, 200);
    busy.send(&get("wait")).await;
    while server.fake.executed.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    server.stop();
    assert!(idle.try_answer().await.is_none(), "idle connections close at once");
    assert!(TcpStream::connect(server.address).await.is_err(), "the port is closed");
    server.fake.release.notify_one();
    assert_eq!(busy.answer().await.text(), echo("released"));
    assert!(busy.try_answer().await.is_none());
    tokio::time::timeout(PATIENCE, server.task).await.expect("ends").expect("without a panic");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let mut server =
        Server::start(Settings { drain: Duration::from_millis(30), ..Settings::default() }).await;
    let mut client = server.connect().await;
    client.send(&get("hang")).await;
    while server.fake.executed.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    server.stop();
    assert!(client.try_answer().await.is_none());
    tokio::time::timeout(PATIENCE, server.task).await.expect("ends").expect("without a panic");
}
