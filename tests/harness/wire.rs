//! HTTP as bytes on a socket, for requests that no client library would send.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

/// How long an answer may take. Slow senders are refused well before.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// One thing to do on a connection.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send a byte, again and again with this pause, until the server has enough of it.
    Drip(u8, Duration),
    /// Send nothing more: the server sees the end of what is sent, and can still answer.
    HalfClose,
    /// Go away without waiting for an answer.
    Abandon,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// An answer whose header names are in lower case.
    pub(crate) fn new(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self { status, headers, body }
    }

    /// The first value of a header; the name is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Everything that comes back until the server ends the connection or `enough` says so.
pub(crate) fn converse(server: SocketAddr, steps: Vec<Step>, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut socket = TcpStream::connect(server).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(ANSWER_TIMEOUT)).unwrap();
    socket.set_write_timeout(Some(ANSWER_TIMEOUT)).unwrap();
    if steps.iter().any(|step| matches!(step, Step::Abandon)) {
        perform(&socket, steps);
        return Vec::new();
    }
    let sender = socket.try_clone().unwrap();
    // Sent aside, as a server may answer and stop reading before all is sent.
    let sending = thread::spawn(move || perform(&sender, steps));
    let received = receive(&mut socket, enough);
    let _ = socket.shutdown(Shutdown::Both);
    sending.join().unwrap();
    received
}

/// Errors are the server's right: it may end a connection that it has had enough of.
fn perform(mut socket: &TcpStream, steps: Vec<Step>) {
    for step in steps {
        let went_well = match step {
            Step::Send(bytes) => socket.write_all(&bytes),
            Step::Drip(byte, pause) => loop {
                if let Err(error) = socket.write_all(&[byte]) {
                    break Err(error);
                }
                thread::sleep(pause);
            },
            Step::HalfClose => socket.shutdown(Shutdown::Write),
            Step::Abandon => socket.shutdown(Shutdown::Both),
        };
        if went_well.is_err() {
            return;
        }
    }
}

fn receive(socket: &mut TcpStream, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut received = Vec::new();
    let mut piece = [0; 16 * 1024];
    while !enough(&received) {
        match socket.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => received.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("no answer within {ANSWER_TIMEOUT:?}: {error}, after {received:?}"),
        }
    }
    received
}

/// Sends bytes and receives one HTTP/1.1 answer; `None` when the connection ends without one.
pub(crate) fn exchange(server: SocketAddr, steps: Vec<Step>, is_head: bool) -> Option<Reply> {
    let received = converse(server, steps, |received| parse(received, is_head).is_some());
    match parse(&received, is_head) {
        None if received.is_empty() => None,
        None => panic!("half an answer: {}", String::from_utf8_lossy(&received)),
        Some(reply) => Some(reply),
    }
}

/// The answer at the beginning of `received`; `None` while it is not whole.
fn parse(received: &[u8], is_head: bool) -> Option<Reply> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let head_bytes = match response.parse(received).unwrap() {
        httparse::Status::Complete(bytes) => bytes,
        httparse::Status::Partial => return None,
    };
    let status = response.code?;
    if (100..200).contains(&status) {
        return parse(&received[head_bytes..], is_head);
    }
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let mut reply = Reply {
        status,
        headers: response
            .headers
            .iter()
            .map(|field| (field.name.to_lowercase(), text(field.value)))
            .collect(),
        body: Vec::new(),
    };
    if !is_head && status != 204 && status != 304 {
        // Errors and small answers all come with their length.
        let length: usize = reply.header("content-length").map_or(0, |value| value.parse().unwrap());
        reply.body = received.get(head_bytes..head_bytes + length)?.to_vec();
    }
    Some(reply)
}
