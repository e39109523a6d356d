//! SSE clients of one stream that are served together, over real sockets.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use metrics_util::debugging::{DebuggingRecorder, Snapshotter};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use weir_http::Settings;

use crate::socket::{PATIENCE, Server};
use crate::support::{Events, counted, offset, path};

/// Served by one task.
const CLIENTS: usize = 150;
/// Enough for two tasks where there are two cores.
const MANY_CLIENTS: usize = 1100;

async fn subscribe(server: &Server, name: &str, from: &str) -> Events {
    subscribe_with(server, name, &format!("offset={from}")).await
}

async fn subscribe_with(server: &Server, name: &str, query: &str) -> Events {
    let socket = TcpSocket::new_v4().unwrap();
    // A client that reads nothing shall be noticed soon.
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .uri(format!("{}?{query}&live=sse", path(name)))
        .header("host", "weir.test:4437")
        .body(Body::empty())
        .unwrap();
    Events::of(sender.send_request(request).await.unwrap().map(Body::new))
}

/// Clients that all have been told that they are at the tail.
async fn audience(server: &Server, name: &str, clients: usize) -> Vec<Events> {
    let mut clients = join_all((0..clients).map(|_| subscribe(server, name, "now"))).await;
    for client in &mut clients {
        client.control().await;
    }
    clients
}

/// Receives text until `end` has been received. Whatever comes twice, or not at all, is in there or not.
async fn text_until(client: &mut Events, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text += &timeout(PATIENCE, client.data()).await.expect("nothing comes");
        let control = client.control().await;
        assert_eq!(control.get("streamClosed"), None);
    }
    text
}

fn broadcasts(snapshotter: &Snapshotter) -> u64 {
    counted(snapshotter, "weir_http_sse_broadcasts_total")
}

/// As many open files as the system lets this process have: each client takes two.
fn allow_many_sockets() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, wanted).unwrap();
}

#[tokio::test]
async fn everybody_gets_every_event_and_the_end() {
    allow_many_sockets();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let server = Server::start().await;
    server.front.create("s", "text/plain", "old").await;
    let mut clients = audience(&server, "s", MANY_CLIENTS).await;
    let alone = subscribe(&server, "s", "-1").await;
    clients.push(alone);
    assert_eq!(clients[MANY_CLIENTS].data().await, "old");
    clients[MANY_CLIENTS].control().await;
    assert_eq!(broadcasts(&snapshotter), 0);
    for round in 0..20_u64 {
        server
            .front
            .append("s", "text/plain", &format!("message {round:2}"))
            .await;
        for client in &mut clients {
            assert_eq!(client.data().await, format!("message {round:2}"));
            let control = client.control().await;
            assert_eq!(control["streamNextOffset"], offset(3 + 10 * (round + 1)));
            assert_eq!(
                (&control["upToDate"], &control["streamCursor"]),
                (&true.into(), &"1000".into())
            );
        }
    }
    assert!(broadcasts(&snapshotter) >= 20);
    server.front.close("s").await;
    for client in &mut clients {
        assert_eq!(client.control().await["streamClosed"], true);
        assert_eq!(client.next().await, None);
    }
}

#[tokio::test]
async fn a_deleted_stream_ends_all_answers() {
    let server = Server::start().await;
    server.front.create("s", "text/plain", "").await;
    let mut clients = audience(&server, "s", CLIENTS).await;
    server.front.send("DELETE", &path("s"), &[], "").await;
    for client in &mut clients {
        assert_eq!(client.next().await, None);
    }
}

/// Nobody hears anything of a stream by chance.
fn silent() -> Settings {
    Settings {
        sse_keep_alive: PATIENCE * 3,
        sse_max_duration: PATIENCE * 3,
        ..Settings::default()
    }
}

#[tokio::test]
async fn what_happens_before_a_broadcast_begins_is_not_missed() {
    for ends in ["append", "close", "delete"] {
        let server = Server::with(silent(), PATIENCE, PATIENCE).await;
        server.front.create("s", "text/plain", "").await;
        // The third to watch is the task that serves the two.
        let watches = Arc::new(Semaphore::new(2));
        *server.front.fake.watches.lock().unwrap() = Some(Arc::clone(&watches));
        let mut clients = Vec::new();
        for _ in 0..2 {
            let mut client = subscribe(&server, "s", "now").await;
            client.control().await;
            clients.push(client);
        }
        while watches.available_permits() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        // It waits for its watch.
        sleep(Duration::from_millis(50)).await;
        match ends {
            "append" => server.front.append("s", "text/plain", "news").await,
            "close" => server.front.close("s").await,
            _ => server.front.send("DELETE", &path("s"), &[], "").await,
        };
        watches.add_permits(100);
        for client in &mut clients {
            let event = timeout(PATIENCE, client.next()).await.expect("nothing comes");
            let kind = event.map(|event| event.kind);
            let expected = match ends {
                "append" => Some("data"),
                "close" => Some("control"),
                _ => None,
            };
            assert_eq!(kind.as_deref(), expected, "{ends}");
        }
    }
}

#[tokio::test]
async fn a_client_ahead_of_the_clock_keeps_its_cursor() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let server = Server::start().await;
    server.front.create("s", "text/plain", "").await;
    let mut clients = Vec::new();
    for ahead in [0, 2000, 0, 3000, 0, 0] {
        let mut client = subscribe_with(&server, "s", &format!("offset=now&cursor={ahead}")).await;
        let cursor = client.control().await["streamCursor"].clone();
        clients.push((client, cursor));
    }
    for text in ["one", "two", "three"] {
        server.front.append("s", "text/plain", text).await;
        for (client, cursor) in &mut clients {
            assert_eq!(client.data().await, text);
            assert_eq!(client.control().await["streamCursor"], *cursor);
        }
    }
    assert!(broadcasts(&snapshotter) >= 2);
}

#[tokio::test]
async fn a_slow_client_holds_nobody_up_and_misses_nothing() {
    // Events that all are sent together, and such as each is sent by itself.
    for (rounds, numbers) in [(1000, 1_700), (20, 22_000)] {
        slow_clients_miss_nothing(rounds, numbers).await;
    }
}

async fn slow_clients_miss_nothing(rounds: u64, numbers: usize) {
    let server = Server::start().await;
    server.front.create("s", "text/plain", "").await;
    let mut clients = audience(&server, "s", CLIENTS).await;
    let mut slow = clients.split_off(CLIENTS - 3);
    clients.truncate(10);
    let mut written = String::new();
    for round in 0..rounds {
        let message = format!("{round:8},").repeat(numbers);
        server.front.append("s", "text/plain", &message).await;
        for client in &mut clients {
            let data = timeout(PATIENCE, client.data()).await.expect("nothing comes");
            assert!(data == message, "round {round}");
            client.control().await;
        }
        written += &message;
    }
    server.front.append("s", "text/plain", "end").await;
    written += "end";
    for client in &mut slow {
        assert!(text_until(client, "end").await == written);
    }
    // They are as quick as the others again.
    server.front.append("s", "text/plain", "more").await;
    for client in slow.iter_mut() {
        assert_eq!(text_until(client, "more").await, "more");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_comes_while_messages_do_misses_none() {
    let server = Server::start().await;
    server.front.create("s", "text/plain", "").await;
    let writer = async {
        for number in 0..400 {
            server.front.append("s", "text/plain", &format!("{number:05},")).await;
            if number % 3 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
        server.front.append("s", "text/plain", "end").await;
    };
    let clients = join_all((0..CLIENTS as u64).map(async |number| {
        sleep(Duration::from_millis(number)).await;
        // One in three leaves soon and comes again where it was, one begins at the beginning.
        let from = if number % 3 == 0 { "-1" } else { "now" };
        let mut client = subscribe(&server, "s", from).await;
        let mut text = String::new();
        if number % 3 == 1 {
            let mut next = client.control().await;
            for _ in 0..number % 7 {
                text += &client.data().await;
                next = client.control().await;
            }
            client = subscribe(&server, "s", next["streamNextOffset"].as_str().unwrap()).await;
            if next["streamNextOffset"] == offset(400 * 6 + 3) {
                return (from, text);
            }
        }
        while !text.ends_with("end") {
            let event = timeout(PATIENCE, client.next()).await.expect("nothing comes").unwrap();
            if event.kind == "data" {
                text += &event.data;
            }
        }
        (from, text)
    }));
    let (clients, ()) = tokio::join!(clients, writer);
    let all: String = (0..400).map(|number| format!("{number:05},")).collect::<String>() + "end";
    for (from, text) in clients {
        assert!(all.ends_with(&text), "{text}");
        assert!(from == "now" || text == all, "{text}");
    }
}

#[tokio::test]
async fn silence_is_broken_by_comments() {
    let settings = Settings {
        sse_keep_alive: Duration::from_millis(400),
        sse_max_duration: Duration::from_secs(8),
        ..Settings::default()
    };
    let server = Server::with(settings, PATIENCE, PATIENCE).await;
    server.front.create("s", "text/plain", "").await;
    let mut clients = join_all((0..CLIENTS).map(|_| subscribe(&server, "s", "now"))).await;
    for text in ["one", "two"] {
        for client in &mut clients {
            while timeout(PATIENCE, client.next()).await.unwrap().unwrap().kind != "comment" {}
        }
        server.front.append("s", "text/plain", text).await;
        for client in &mut clients {
            let mut event = client.next().await.unwrap();
            while event.kind != "data" {
                event = client.next().await.unwrap();
            }
            assert_eq!(event.data, text);
        }
    }
    // The answer ends in its time, whoever has written it.
    for client in &mut clients {
        while let Some(event) = timeout(PATIENCE, client.next()).await.unwrap() {
            assert_ne!(event.kind, "data");
        }
    }
}
