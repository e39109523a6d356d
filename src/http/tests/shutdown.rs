//! The graceful end.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use weir_http::Settings;

use crate::socket::{PATIENCE, Server};
use crate::support::path;

#[tokio::test]
async fn requests_in_flight_finish_and_live_reads_end() {
    let server = Server::start().await;
    server.front.create("s", "text/plain", "old").await;
    let mut writer = server.connect().await;
    let head = "POST /v1/stream/s HTTP/1.1\r\nhost: h\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\n";
    writer.write(format!("{head}be")).await;
    let mut poll = server.connect().await;
    poll.request("GET", &(path("s") + "?offset=now&live=long-poll"), "", "")
        .await;
    let mut sse = server.connect().await;
    sse.request("GET", &(path("s") + "?offset=now&live=sse"), "", "").await;
    assert_eq!(sse.head().await.status, 200);
    let first = sse.until("}\n\n\r\n").await;
    assert!(first.contains("upToDate"), "{first}");
    let mut idle = server.connect().await;
    idle.request("GET", &path("s"), "", "").await;
    assert_eq!(idle.answer().await.text(), "old");
    let mut silent = server.connect().await;
    // The poll has to be waiting, not only sent.
    sleep(Duration::from_millis(100)).await;

    let began = Instant::now();
    server.front.trigger.fire();
    assert_eq!(poll.answer().await.status, 204);
    assert_eq!(poll.rest().await, "");
    assert_eq!(sse.rest().await, "0\r\n\r\n");
    assert_eq!(idle.rest().await, "");
    assert_eq!(silent.rest().await, "");
    assert!(TcpStream::connect(server.address).await.is_err());

    writer.write("st").await;
    let written = writer.answer().await;
    assert_eq!((written.status.as_u16(), written.header("connection")), (204, "close"));
    timeout(PATIENCE, server.task).await.unwrap().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(server.front.get(&path("s")).await.text(), "oldbest");
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let server = Server::with(Settings::default(), Duration::from_millis(200), PATIENCE).await;
    server.front.create("s", "text/plain", "").await;
    let mut writer = server.connect().await;
    let head = "POST /v1/stream/s HTTP/1.1\r\nhost: h\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\n";
    writer.write(format!("{head}be")).await;
    sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    server.front.trigger.fire();
    timeout(PATIENCE, server.task).await.unwrap().unwrap().unwrap();
    assert!(began.elapsed() >= Duration::from_millis(190), "{:?}", began.elapsed());
    assert_eq!(writer.rest().await, "");
    assert_eq!(server.front.fake.message_count(), 0);
}

#[tokio::test]
async fn a_server_whose_trigger_is_gone_ends() {
    let Server { front, task, .. } = Server::start().await;
    drop(front);
    timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
}
