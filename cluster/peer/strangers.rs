//! Who is refused.

use std::sync::{Arc, RwLock};

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;
use weir_proto::peer::Frame;

use super::kind::{CallError, Kind, Lane, Status};
use super::link::{Introduction, Link};
use super::server::{Dispatch, Incoming, Reply, serve};
use crate::limits::RULES_VERSION;
use crate::platform::Network;

/// Answers everything.
struct Open;

impl Dispatch for Open {
    fn accept(&self, _node: u64, _lane: Lane) -> Box<dyn Incoming> {
        Box::new(Self)
    }
}

impl Incoming for Open {
    fn take(&mut self, _kind: Kind, _frame: Frame, reply: Reply) {
        tokio::spawn(reply.send(Status::Done, Bytes::from_static(b"yes")));
    }
}

#[tokio::test]
async fn only_nodes_of_this_cluster_and_of_this_version_are_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = listener.local_addr().unwrap().to_string();
    let (_stop, stopped) = watch::channel(false);
    let ours = Arc::new(RwLock::new("ours".to_owned()));
    tokio::spawn(serve(listener.into(), ours, Arc::new(Open), stopped));
    let ask = async |cluster: &str, rules, kind: Kind| {
        let introduction = Introduction {
            cluster: cluster.to_owned(),
            node: 2,
            rules,
            network: Network::Tcp,
        };
        let link = Link::open(&location, Lane::Client, introduction);
        let frame = Frame {
            kind: kind as u32,
            ..Frame::default()
        };
        link.start(frame).unwrap().await.unwrap()
    };
    let yes = Ok(Bytes::from_static(b"yes"));
    assert_eq!(ask("ours", RULES_VERSION, Kind::Read).await, yes);
    assert_eq!(ask("", RULES_VERSION, Kind::Hello).await, yes);
    let refused = ask("", RULES_VERSION, Kind::Read).await;
    assert!(
        matches!(
            refused,
            Err(CallError::Refused {
                status: Status::Unavailable,
                ..
            })
        ),
        "{refused:?}"
    );
    for (cluster, rules, reason) in [
        ("theirs", RULES_VERSION, "belongs to cluster ours"),
        ("ours", RULES_VERSION + 1, "start all with the same version"),
        ("", RULES_VERSION + 1, "start all with the same version"),
    ] {
        let refused = ask(cluster, rules, Kind::Hello).await;
        assert!(
            matches!(&refused, Err(CallError::Unreachable(why)) if why.contains(reason)),
            "{refused:?}"
        );
    }
}
