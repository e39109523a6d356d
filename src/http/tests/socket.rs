//! A server on a real socket, and a client that sends exactly what it is told.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use weir_http::{ConnectionLimits, Settings, serve};

use crate::support::{Answer, Front};

/// Far more than anything here takes, and less than a hanging test should.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long a hurried server waits for a head, and for a body.
pub(crate) const HURRIED: Duration = Duration::from_millis(400);

pub(crate) struct Server {
    pub(crate) front: Front,
    pub(crate) address: SocketAddr,
    pub(crate) task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// A server that waits for everything.
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default(), PATIENCE, PATIENCE * 2).await
    }

    /// A server that waits for nobody.
    pub(crate) async fn hurried() -> Self {
        let settings = Settings {
            request_timeout: HURRIED,
            ..Settings::default()
        };
        Self::with(settings, PATIENCE, HURRIED).await
    }

    pub(crate) async fn with(settings: Settings, drain: Duration, head: Duration) -> Self {
        let limits = ConnectionLimits {
            max_connections: usize::MAX,
            header_timeout: head,
            stall_timeout: PATIENCE,
            drain_timeout: drain,
        };
        Self::limited(settings, limits).await
    }

    /// A server that takes only so many connections.
    pub(crate) async fn crowded(max_connections: usize) -> Self {
        let limits = ConnectionLimits {
            max_connections,
            header_timeout: PATIENCE * 2,
            stall_timeout: PATIENCE,
            drain_timeout: PATIENCE,
        };
        Self::limited(Settings::default(), limits).await
    }

    /// A server that waits for nobody to take its answers.
    pub(crate) async fn impatient(settings: Settings) -> Self {
        let limits = ConnectionLimits {
            max_connections: usize::MAX,
            header_timeout: PATIENCE * 2,
            stall_timeout: HURRIED,
            drain_timeout: PATIENCE,
        };
        Self::limited(settings, limits).await
    }

    async fn limited(settings: Settings, limits: ConnectionLimits) -> Self {
        let front = Front::with(settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = serve(listener, front.front_end.clone(), front.shutdown.clone(), limits);
        Self {
            front,
            address,
            task: tokio::spawn(served),
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client {
            stream: TcpStream::connect(self.address).await.unwrap(),
            buffer: Vec::new(),
        }
    }
}

/// One HTTP/1.1 connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a whole request.
    pub(crate) async fn request(&mut self, method: &str, target: &str, headers: &str, body: &str) {
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n{headers}\r\n");
        self.write(head + body).await;
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Receives an answer's head.
    pub(crate) async fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.more().await, "the connection ended within a head");
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n").take_while(|line| !line.is_empty());
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        Answer {
            status,
            headers,
            body: bytes::Bytes::new(),
        }
    }

    /// Receives an answer with a length.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        let length: usize = answer.header("content-length").parse().unwrap_or(0);
        while self.buffer.len() < length {
            assert!(self.more().await, "the connection ended within a body");
        }
        answer.body = self.buffer.drain(..length).collect();
        answer
    }

    /// All that still comes until the server ends the connection.
    pub(crate) async fn rest(&mut self) -> String {
        while self.more().await {}
        String::from_utf8(std::mem::take(&mut self.buffer)).unwrap()
    }

    /// What comes until `end` is there, which is the last of it.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        while !self.buffer.ends_with(end.as_bytes()) {
            assert!(self.more().await, "the connection ended");
        }
        String::from_utf8(std::mem::take(&mut self.buffer)).unwrap()
    }

    /// Receives something; false at the end of the connection.
    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
        match read.expect("the server says nothing") {
            Ok(count) => count > 0,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }
}
