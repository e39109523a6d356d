//! Faults without root: a TCP proxy in front of each node's peer port. It finds out which node connects by looking up
//! whose process has the other end of the connection.
//!
//! TCP has no loss to offer: a frame that the rules take away is held back as long as TCP would take to send it again,
//! and a cut link holds everything.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::rules::{End, Fate, Rules};

const RETRY: Duration = Duration::from_millis(50);
const CHUNK_BYTES: usize = 16 * 1024;

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
            let Some(from) = owner(from.port(), &pids) else {
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

/// The node that has the loopback port.
fn owner(port: u16, pids: &BTreeMap<u32, End>) -> Option<End> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let inode = inode_of(&table, port)?;
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

/// The socket with this local port on 127.0.0.1, in the kernel's table.
fn inode_of(table: &str, port: u16) -> Option<&str> {
    let local = format!("{:08X}:{port:04X}", u32::from_ne_bytes(Ipv4Addr::LOCALHOST.octets()));
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        (fields.get(1) == Some(&local.as_str())).then(|| fields.get(9).copied())?
    })
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
