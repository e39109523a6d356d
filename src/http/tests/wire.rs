//! Over real sockets: HTTP/1.1 and HTTP/2 on one port, and connections that live on.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use weir_http::Settings;

use crate::socket::{PATIENCE, Server};
use crate::support::{offset, path};

const TEXT: &str = "content-type: text/plain\r\n";

pub(crate) struct H2(http2::SendRequest<Full<Bytes>>);

impl H2 {
    pub(crate) async fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub(crate) async fn send(&mut self, method: &str, target: &str, body: &'static str) -> Response<Incoming> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://weir.example{target}"))
            .header("content-type", "text/plain")
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap();
        self.0.send_request(request).await.unwrap()
    }
}

#[tokio::test]
async fn http_1_and_http_2_share_a_port() {
    let server = Server::start().await;
    let mut one = server.connect().await;
    let mut two = H2::connect(&server).await;
    one.request("PUT", &path("s"), TEXT, "one,").await;
    assert_eq!(one.answer().await.status, 201);
    let appended = two.send("POST", &path("s"), "two").await;
    assert_eq!((appended.status().as_u16(), appended.version()), (204, Version::HTTP_2));
    let read = two.send("GET", &path("s"), "").await;
    assert_eq!(read.headers()["content-length"], "7");
    assert_eq!(read.into_body().collect().await.unwrap().to_bytes(), "one,two");
    one.request("GET", &path("s"), "", "").await;
    assert_eq!(one.answer().await.text(), "one,two");
    let created = two.send("PUT", &path("t"), "").await;
    assert_eq!(created.headers()["location"], "http://weir.example/v1/stream/t");
}

#[tokio::test]
async fn many_answers_share_one_http_2_connection() {
    let server = Server::start().await;
    server.front.create("s", "text/plain", "").await;
    let mut client = H2::connect(&server).await;
    let mut live = client.send("GET", &(path("s") + "?offset=now&live=sse"), "").await;
    let first = live.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"event: control\n"), "{first:?}");
    assert_eq!(client.send("POST", &path("s"), "news").await.status(), 204);
    let event = live.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(
        event.starts_with(b"event: data\ndata:news\n\nevent: control\n"),
        "{event:?}"
    );
}

#[tokio::test]
async fn a_connection_lives_through_errors() {
    let server = Server::start().await;
    server.front.create("s", "text/plain", "").await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        // Refused before its body was looked at.
        client
            .request("POST", &path("a/../b"), TEXT, &"x".repeat(100_000))
            .await;
        client.answer().await.is_problem(400, "invalid-name");
        client.request("POST", &path("s"), "stream-seq:\r\n", "x").await;
        client.answer().await.is_problem(400, "invalid-stream-seq");
        client.request("PATCH", &path("s"), "", "x").await;
        client.answer().await.is_problem(405, "method-not-allowed");
        client.request("GET", &path("missing"), "", "").await;
        client.answer().await.is_problem(404, "stream-not-found");
        client.request("POST", &path("s"), TEXT, "x").await;
        assert_eq!(client.answer().await.status, 204);
    }
    assert_eq!(server.front.get(&path("s")).await.text(), "xxx");
}

#[tokio::test]
async fn answers_without_a_body_say_nothing_of_its_length() {
    let settings = Settings {
        long_poll_timeout: Duration::from_millis(50),
        ..Settings::default()
    };
    let server = Server::with(settings, PATIENCE, PATIENCE).await;
    server.front.create("s", "application/octet-stream", "hello").await;
    let mut client = server.connect().await;
    client.request("GET", &path("s"), "", "").await;
    let read = client.answer().await;
    assert_eq!((read.text(), read.header("content-length")), ("hello", "5"));
    let known = format!("if-none-match: {}\r\n", read.header("etag"));
    let close = "stream-closed: true\r\n";
    for (method, target, headers, status) in [
        ("HEAD", path("s"), "", 200),
        ("HEAD", path("missing"), "", 404),
        ("HEAD", "/v1/streams".to_owned(), "", 200),
        ("GET", path("s"), &known, 304),
        ("GET", path("s") + "?offset=now&live=long-poll", "", 204),
        ("OPTIONS", path("s"), "", 204),
        ("POST", path("s"), close, 204),
        ("DELETE", path("s"), "", 204),
    ] {
        client.request(method, &target, headers, "").await;
        let head = client.head().await;
        assert_eq!(head.status, status, "{method} {target}");
        assert_eq!(head.header("content-length"), "", "{method} {target}");
        assert_eq!(head.header("transfer-encoding"), "", "{method} {target}");
    }
    client.request("PUT", &path("new"), TEXT, "").await;
    let created = client.answer().await;
    assert_eq!((created.status.as_u16(), created.header("content-length")), (201, "0"));
}

#[tokio::test]
async fn an_event_stream_is_chunked_and_ends_by_itself() {
    let server = Server::start().await;
    server.front.create("s", "text/plain", "x").await;
    server.front.close("s").await;
    let mut client = server.connect().await;
    client
        .request("GET", &(path("s") + "?offset=-1&live=sse"), "", "")
        .await;
    let head = client.head().await;
    assert_eq!(
        (head.header("transfer-encoding"), head.header("content-length")),
        ("chunked", "")
    );
    let body = client.until("0\r\n\r\n").await;
    assert!(body.contains("event: data\ndata:x\n\nevent: control\n"), "{body}");
    client.request("GET", &path("s"), "", "").await;
    assert_eq!(client.answer().await.text(), "x");
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_without_its_body() {
    let server = Server::start().await;
    server.front.create("s", "text/plain", "").await;
    let mut client = server.connect().await;
    let head = |length: u64| {
        format!(
            "POST /v1/stream/s HTTP/1.1\r\nhost: h\r\n{TEXT}expect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    client.write(head(2)).await;
    assert_eq!(client.head().await.status, 100);
    client.write("ok").await;
    assert_eq!(client.answer().await.status, 204);
    client.write(head(1 << 40)).await;
    client.answer().await.is_problem(413, "body-too-large");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_although_it_is_being_sent() {
    let settings = Settings {
        max_body_bytes: 1000,
        ..Settings::default()
    };
    let server = Server::with(settings, PATIENCE, PATIENCE).await;
    server.front.create("s", "text/plain", "").await;
    let mut client = server.connect().await;
    client.request("POST", &path("s"), TEXT, &"x".repeat(2_000_000)).await;
    client.answer().await.is_problem(413, "body-too-large");
    assert_eq!(server.front.fake.message_count(), 0);
}

#[tokio::test]
async fn large_answers_arrive_whole() {
    let server = Server::start().await;
    server.front.create("s", "application/octet-stream", "").await;
    let mut client = server.connect().await;
    let block = "0123456789abcdef".repeat(40_000);
    for _ in 0..3 {
        client
            .request("POST", &path("s"), "content-type: application/octet-stream\r\n", &block)
            .await;
        assert_eq!(client.answer().await.status, 204);
    }
    client.request("GET", &path("s"), "", "").await;
    let answer = client.answer().await;
    assert_eq!(answer.header("stream-next-offset"), offset(3 * 640_000));
    assert!(answer.text() == block.repeat(3));
}
