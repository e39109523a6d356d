//! Faults without root: a TCP proxy in front of each node's peer port. It finds out which node connects by looking up
//! whose process has the other end of the connection.
//!
//! TCP has no loss to offer: a frame that the rules take away is held back as long as TCP would take to send it again,
//! and a cut link holds everything.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::rules::{End, Fate, Rules};

const RETRY: Duration = Duration::from_millis(50);
const CHUNK_BYTES: usize = 16 * 1024;
/// How often a connection is looked for in the kernel's table, and how long to wait in between.
const LOOKUPS: u32 = 10;
const LOOKUP_AGAIN: Duration = Duration::from_millis(5);

/// Which process is which node.
pub(crate) type Pids = Arc<Mutex<BTreeMap<u32, End>>>;

/// Takes connections for `node` at the listener and passes them on to `target`.
pub(crate) async fn serve(listener: TcpListener, node: End, target: SocketAddr, rules: Rules, pids: Pids) {
    loop {
        let Ok((near, from)) = listener.accept().await else {
            sleep(RETRY).await;
            continue;
        };
        let (rules, pids) = (rules.clone(), Arc::clone(&pids));
        tokio::spawn(async move {
            let pids = pids.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(from) = owner(from, &near, &pids).await else {
                return;
            };
            // What ends a connection is told to both sides by its being dropped.
            let _ = pass(near, from, node, target, &rules).await;
        });
    }
}

async fn pass(near: TcpStream, from: End, to: End, target: SocketAddr, rules: &Rules) -> io::Result<()> {
    while rules.next(from, to) == Fate::Gone {
        sleep(RETRY).await;
    }
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::select! {
        ended = copy(near_in, far_out, from, to, rules) => ended,
        ended = copy(far_in, near_out, to, from, rules) => ended,
    }
}

async fn copy(
    mut source: impl AsyncRead + Unpin,
    mut sink: impl AsyncWrite + Unpin,
    from: End,
    to: End,
    rules: &Rules,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let length = source.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        loop {
            match rules.next(from, to) {
                Fate::Gone => sleep(RETRY).await,
                Fate::Late(by) | Fate::Overtaken(by) => {
                    if !by.is_zero() {
                        sleep(by).await;
                    }
                    break;
                }
            }
        }
        sink.write_all(&buffer[..length]).await?;
    }
}

/// The node that made the connection.
async fn owner(from: SocketAddr, near: &TcpStream, pids: &BTreeMap<u32, End>) -> Option<End> {
    let to = near.local_addr().ok()?;
    for _ in 0..LOOKUPS {
        let table = fs::read_to_string("/proc/net/tcp").ok()?;
        if let Some(inode) = inode_of(&table, from, to) {
            return node_with(inode, pids);
        }
        // The kernel hands the table out in pieces and passes over a socket now and then when others come and go.
        sleep(LOOKUP_AGAIN).await;
    }
    None
}

/// The node whose process has the socket.
fn node_with(inode: &str, pids: &BTreeMap<u32, End>) -> Option<End> {
    let socket = format!("socket:[{inode}]");
    let has_it = |pid: &u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd"));
        files.is_ok_and(|files| {
            files
                .flatten()
                .any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str()))
        })
    };
    pids.iter().find(|(pid, _)| has_it(pid)).map(|(_, node)| *node)
}

/// The socket of the connection's other end, in the kernel's table. Its port alone does not tell: the same one may
/// serve connections to other addresses, of other processes or of none any more.
fn inode_of(table: &str, from: SocketAddr, to: SocketAddr) -> Option<&str> {
    let (local, remote) = (in_table(from)?, in_table(to)?);
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = fields.get(1) == Some(&local.as_str()) && fields.get(2) == Some(&remote.as_str());
        is_it.then(|| fields.get(9).copied())?
    })
}

/// An address as the kernel's table writes it.
fn in_table(address: SocketAddr) -> Option<String> {
    match address {
        SocketAddr::V4(address) => {
            let host = u32::from_ne_bytes(address.ip().octets());
            Some(format!("{host:08X}:{:04X}", address.port()))
        }
        SocketAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::rules::Rule;
    use super::*;

    #[tokio::test]
    async fn a_link_is_cut_one_way_and_heals() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = echo.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = echo.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        let rules = Rules::new(1);
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = front.local_addr().unwrap();
        let pids = Arc::new(Mutex::new(BTreeMap::from([(std::process::id(), 1)])));
        tokio::spawn(serve(front, 2, target, rules.clone(), pids));

        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut byte = [0];
        stream.write_all(b"a").await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();

        rules.set(2, 1, Rule::CUT);
        stream.write_all(b"b").await.unwrap();
        let answer = tokio::time::timeout(Duration::from_millis(300), stream.read_exact(&mut byte)).await;
        assert!(answer.is_err(), "nothing may come back");
        assert!(rules.counts().cut > 0);

        rules.heal();
        stream.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");

        let slow = Rule {
            delay: Duration::from_millis(100),
            ..Rule::default()
        };
        rules.set_both(1, 2, slow);
        let began = Instant::now();
        stream.write_all(b"c").await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(200));
    }

    /// A line as Linux writes it, with another connection from the same port before it.
    #[test]
    fn the_port_of_two_connections_has_two_sockets() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:9C40 0100007F:1F90 06 00000000:00000000 03:00000F4B 00000000     0        0 0 3 0000000000000000\n\
            1: 0100007F:9C40 0100007F:1F91 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000\n";
        let from = "127.0.0.1:40000".parse().unwrap();
        assert_eq!(inode_of(table, from, "127.0.0.1:8081".parse().unwrap()), Some("4711"));
        assert_eq!(inode_of(table, from, "127.0.0.1:8080".parse().unwrap()), Some("0"));
        assert_eq!(inode_of(table, from, "127.0.0.1:8082".parse().unwrap()), None);
    }

    #[tokio::test]
    async fn strangers_are_not_passed_on() {
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = front.local_addr().unwrap();
        let pids = Arc::new(Mutex::new(BTreeMap::from([(1, 1)])));
        tokio::spawn(serve(front, 2, address, Rules::new(1), pids));
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
}
