//! A replica that lacks more than the log still has gets a snapshot.

use weir_protocol::Consistency;

use crate::support::{append, append_by, create_text, name, places, read_all, replicas_are_equal, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_for_long_catches_up_by_snapshot() {
    let (mut places, addresses) = places(3).await;
    let opened = places.iter_mut().map(|place| {
        let addresses = addresses.clone();
        place.open(move |options| {
            options.nodes = addresses;
            options.groups = 1;
            options.keep_log_bytes = 64 * 1024;
        })
    });
    let opened = futures_util::future::join_all(opened).await;
    let mut nodes: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    nodes[0].streams().create(&name("s"), create_text()).await.unwrap();
    append(&nodes[0], "s", "first;").await;
    // It has the stream before it goes, so that it is only behind.
    assert_eq!(read_all(&nodes[2], "s", Consistency::Linearizable).await, "first;");
    nodes.remove(2).close().await.unwrap();
    let mut expected = "first;".to_owned();
    let big = "x".repeat(20_000);
    for seq in 0..60 {
        let text = format!("{seq}{big};");
        let append = append_by("p", seq, &text);
        nodes[0].streams().append(&name("s"), append).await.unwrap();
        expected.push_str(&text);
    }
    // Some checkpoints later the log begins behind what the absent node has.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    append(&nodes[1], "s", "last").await;
    expected.push_str("last");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let node = places[2]
        .open(|options| options.keep_log_bytes = 64 * 1024)
        .await
        .unwrap();
    until("the node has everything", || async {
        read_all(&node, "s", Consistency::Eventual).await == expected
    })
    .await;
    nodes.push(node);
    replicas_are_equal(&nodes).await;
    // The producer's state came along: a repetition stores nothing, wherever it is asked.
    nodes.remove(0).close().await.unwrap();
    let node = nodes.remove(1);
    let repeated = node
        .streams()
        .append(&name("s"), append_by("p", 59, "again"))
        .await
        .unwrap();
    assert!(repeated.producer.unwrap().duplicate);
    assert_eq!(read_all(&node, "s", Consistency::Linearizable).await, expected);
}
