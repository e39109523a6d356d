//! A persistent HTTP/1.1 connection: bytes out, answers in.
//!
//! It does less than a client for everyday use: it sends what it is given, keeps of an answer's head what the caller
//! asks for, and hands the body on in the pieces in which it arrives. An operation is one write and, as a rule, one read.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::chunked::{Chunked, Malformed};

/// The most bytes that the head of an answer may have.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// A connection with what was read from it and not used yet.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// `filled` of it is what was read, from `used` on not used yet.
    buffer: Box<[u8]>,
    used: usize,
    filled: usize,
}

/// What an answer's head says about the answer itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) status: u16,
    framing: Framing,
    /// Whether the server ends the connection after it.
    pub(super) closes: bool,
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    /// By the end of the connection.
    Close,
}

/// Why a connection is of no use any more.
#[derive(Debug)]
pub(super) enum Broken {
    /// The server ended it where an answer should have been.
    Closed,
    /// The system says so.
    Io(io::ErrorKind),
    /// The answer is no HTTP.
    Malformed,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

impl From<Malformed> for Broken {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl Connection {
    /// Connects to a host and port. At most `buffer_bytes` are read at once.
    pub(super) async fn open(address: &str, buffer_bytes: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; buffer_bytes.max(MAX_HEAD_BYTES)].into(),
            used: 0,
            filled: 0,
        })
    }

    /// Sends a request and takes the answer; `see` is shown its headers, and `take` its body as it arrives.
    pub(super) async fn exchange(
        &mut self,
        request: &[u8],
        see: impl FnMut(&str, &[u8]),
        take: impl FnMut(&[u8]),
    ) -> Result<Head, Broken> {
        self.send(request).await?;
        let head = self.head(see).await?;
        self.body(&head, take).await?;
        Ok(head)
    }

    /// Sends a request.
    pub(super) async fn send(&mut self, request: &[u8]) -> Result<(), Broken> {
        Ok(self.stream.write_all(request).await?)
    }

    /// Takes the head of the answer.
    pub(super) async fn head(&mut self, mut see: impl FnMut(&str, &[u8])) -> Result<Head, Broken> {
        loop {
            // Parsed from its beginning each time: a head that comes in pieces is rare.
            if self.filled > self.used
                && let Some((bytes, head)) = parse_head(&self.buffer[self.used..self.filled], &mut see)?
            {
                self.used += bytes;
                // Answers such as 100 only announce the real one.
                if head.status >= 200 {
                    return Ok(head);
                }
            } else {
                self.fill().await?;
            }
        }
    }

    /// Takes the body of the answer, in pieces.
    pub(super) async fn body(&mut self, head: &Head, mut take: impl FnMut(&[u8])) -> Result<(), Broken> {
        let take = |piece: &[u8]| {
            take(piece);
            true
        };
        self.body_while(head, take).await
    }

    /// Takes the body of the answer, in pieces, as long as `take` wants more. Then the connection is of no use any more.
    pub(super) async fn body_while(&mut self, head: &Head, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), Broken> {
        match head.framing {
            Framing::Length(length) => self.sized(length, take).await,
            Framing::Chunked => {
                let (mut chunked, mut more) = (Chunked::default(), true);
                while more && !chunked.is_over() {
                    if self.used == self.filled {
                        self.fill().await?;
                    }
                    self.used += chunked.read(&self.buffer[self.used..self.filled], |piece| more &= take(piece))?;
                }
                Ok(())
            }
            Framing::Close => loop {
                if !take(&self.buffer[self.used..self.filled]) {
                    return Ok(());
                }
                self.used = self.filled;
                match self.fill().await {
                    Ok(()) => {}
                    Err(Broken::Closed) => return Ok(()),
                    Err(broken) => return Err(broken),
                }
            },
        }
    }

    async fn sized(&mut self, length: u64, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), Broken> {
        let (mut left, mut more) = (length, true);
        while more && left > 0 {
            if self.used == self.filled {
                self.fill().await?;
            }
            let there = self.filled - self.used;
            let piece = usize::try_from(left).map_or(there, |left| left.min(there));
            more = take(&self.buffer[self.used..self.used + piece]);
            self.used += piece;
            left -= piece as u64;
        }
        Ok(())
    }

    /// Reads more, after what is not used yet.
    async fn fill(&mut self) -> Result<(), Broken> {
        self.buffer.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.used = 0;
        if self.filled == self.buffer.len() {
            // Only a head waits for more than is there.
            return Err(Broken::Malformed);
        }
        match self.stream.read(&mut self.buffer[self.filled..]).await? {
            0 => Err(Broken::Closed),
            bytes => {
                self.filled += bytes;
                Ok(())
            }
        }
    }
}

/// The head at the beginning of `bytes` and its length, or nothing while it is not whole.
fn parse_head(bytes: &[u8], see: &mut impl FnMut(&str, &[u8])) -> Result<Option<(usize, Head)>, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(parsed) = response.parse(bytes) else {
        return Err(Broken::Malformed);
    };
    let (httparse::Status::Complete(length), Some(status)) = (parsed, response.code) else {
        return Ok(None);
    };
    let mut framing = if status < 200 || matches!(status, 204 | 304) {
        Framing::Length(0)
    } else {
        Framing::Close
    };
    let mut closes = false;
    for header in response.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") && !matches!(status, 204 | 304) {
            framing = Framing::Length(number(header.value).ok_or(Broken::Malformed)?);
        } else if is("transfer-encoding") {
            framing = Framing::Chunked;
        } else if is("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        } else {
            see(header.name, header.value);
        }
    }
    closes |= framing == Framing::Close;
    Ok(Some((
        length,
        Head {
            status,
            framing,
            closes,
        },
    )))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What a client makes of these bytes, which come in two pieces cut at `cut`: status, headers seen, body.
    async fn answer(bytes: &'static [u8], cut: usize) -> Result<(u16, String, Vec<u8>), Broken> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let mut request = [0; 3];
            socket.read_exact(&mut request).await.unwrap();
            socket.write_all(&bytes[..cut]).await.unwrap();
            tokio::task::yield_now().await;
            socket.write_all(&bytes[cut..]).await.unwrap();
        });
        let mut connection = Connection::open(&address, 0).await.unwrap();
        let (mut seen, mut body) = (String::new(), Vec::new());
        let see = |name: &str, value: &[u8]| seen += &format!("{name}={} ", String::from_utf8_lossy(value));
        let head = connection
            .exchange(b"GET", see, |piece| body.extend_from_slice(piece))
            .await;
        server.await.unwrap();
        Ok((head?.status, seen, body))
    }

    #[tokio::test]
    async fn an_answer_is_the_same_wherever_it_is_cut() {
        let answers: [(&[u8], u16, &str, &[u8]); 5] = [
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello",
                200,
                "x=y ",
                b"hello",
            ),
            (b"HTTP/1.1 204 No Content\r\n\r\n", 204, "", b""),
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n",
                201,
                "",
                b"",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\n\r\n",
                200,
                "",
                b"abc0123456789",
            ),
            (
                b"HTTP/1.1 500 No\r\nconnection: close\r\n\r\nall of it",
                500,
                "",
                b"all of it",
            ),
        ];
        for (bytes, status, seen, body) in answers {
            for cut in 0..bytes.len() {
                let (got, headers, read) = answer(bytes, cut).await.unwrap();
                assert_eq!(
                    (got, headers.as_str(), read.as_slice()),
                    (status, seen, body),
                    "cut at {cut}"
                );
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_told() {
        let bytes: [&[u8]; 4] = [
            b"SSH-2.0-OpenSSH\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        ];
        for bytes in bytes {
            assert!(matches!(answer(bytes, 0).await, Err(Broken::Malformed)));
        }
        let short = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 0).await;
        assert!(matches!(short, Err(Broken::Closed)));
    }
}
