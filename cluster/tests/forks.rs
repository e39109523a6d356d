//! Forks between groups whose replicas are on different nodes: every node answers as every other.

use weir_cluster::Node;
use weir_protocol::{Consistency, Create, CreateStreamResult, ForkRequest, HeadError, Offset, Read, ReadFrom};

use crate::support::{append, create_text, name, places, read_all, until, until_led};

fn fork(source: &str, offset: u64, sub_offset: u64) -> Create {
    Create {
        content_type: None,
        fork: Some(ForkRequest {
            source: name(source),
            offset: Offset::new(offset),
            sub_offset,
        }),
        ..create_text()
    }
}

async fn head(node: &Node, stream: &str) -> Result<(), HeadError> {
    let head = node.streams().head(&name(stream), Consistency::Linearizable).await;
    head.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forks_between_groups_on_different_nodes() {
    let (mut places, addresses) = places(3).await;
    let opened = places.iter_mut().map(|place| {
        let addresses = addresses.clone();
        place.open(move |options| {
            options.nodes = addresses;
            options.replication_factor = 1;
            options.groups = 6;
        })
    });
    let opened = futures_util::future::join_all(opened).await;
    let nodes: Vec<Node> = opened.into_iter().map(Result::unwrap).collect();
    until_led(&nodes[0]).await;
    let node = |number: usize| &nodes[number % 3];
    node(0).streams().create(&name("0"), create_text()).await.unwrap();
    append(node(0), "0", "zero").await;
    // Each fork leaves the one before; ten of them lie in six groups, so that most have another group's bytes.
    let mut expected = "zero".to_owned();
    for at in 1..10_usize {
        let (source, own) = ((at - 1).to_string(), at.to_string());
        let end = expected.len() as u64;
        let create = fork(&source, end, 0);
        let created = node(at).streams().create(&name(&own), create.clone()).await.unwrap();
        assert_eq!(
            (created.status, created.next_offset.position()),
            (CreateStreamResult::Created, end)
        );
        append(node(at + 1), &own, &own).await;
        expected.push_str(&own);
        for number in 0..3 {
            assert_eq!(read_all(node(number), &own, Consistency::Linearizable).await, expected);
            let again = node(number)
                .streams()
                .create(&name(&own), create.clone())
                .await
                .unwrap();
            assert_eq!(again.status, CreateStreamResult::AlreadyExists);
        }
    }
    // A message of the oldest is cut by one who leaves the youngest.
    let create = fork("9", 0, 3);
    node(2).streams().create(&name("cut"), create).await.unwrap();
    for number in 0..3 {
        assert_eq!(read_all(node(number), "cut", Consistency::Eventual).await, "zer");
        let read = Read {
            from: ReadFrom::At(Offset::new(2).unwrap()),
            max_bytes: 4,
            consistency: Consistency::Linearizable,
            renews: false,
        };
        let result = node(number).streams().read(&name("9"), read).await.unwrap();
        let bytes: Vec<u8> = result.into_chunks().concat();
        assert_eq!(bytes, b"ro12");
    }
    for at in 0..10_usize {
        node(at).streams().delete(&name(&at.to_string())).await.unwrap();
    }
    assert_eq!(head(node(1), "0").await, Err(HeadError::Gone));
    assert_eq!(read_all(node(0), "cut", Consistency::Linearizable).await, "zer");
    node(0).streams().delete(&name("cut")).await.unwrap();
    // The leaders' own rounds tell one group after the other.
    for at in (0..10).rev() {
        let name = at.to_string();
        until("a hidden source is collected", || async {
            head(node(at), &name).await == Err(HeadError::NotFound)
        })
        .await;
    }
}
