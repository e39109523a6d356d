//! The first start of a cluster, and what a node may not do.

use std::collections::BTreeSet;
use std::time::Duration;

use weir_cluster::OpenError;

use crate::support::{append, create_text, name, places, read_all, replicas_are_equal, three, until, until_led};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_started_in_any_order_with_one_late_form_one_cluster() {
    let (mut places, addresses) = places(3).await;
    let (first, others) = places.split_at_mut(1);
    let started = others.iter_mut().rev().map(|place| {
        let addresses = addresses.clone();
        place.open(move |options| options.nodes = addresses)
    });
    let started = futures_util::future::join_all(started);
    let late = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let addresses = addresses.clone();
        first[0].open(move |options| options.nodes = addresses).await
    };
    let (started, late) = tokio::join!(started, late);
    let mut nodes: Vec<_> = started.into_iter().map(Result::unwrap).collect();
    nodes.push(late.unwrap());
    let mut clusters = BTreeSet::new();
    for node in &nodes {
        let status = node.admin().status().await;
        clusters.insert(status.cluster);
        assert_eq!(status.nodes.len(), 3);
    }
    assert_eq!(clusters.len(), 1, "{clusters:?}");
    until_led(&nodes[0]).await;
    for group in nodes[0].admin().groups().await {
        assert_eq!(group.replicas.len(), 3, "{group:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_rejoins_with_what_it_had() {
    let (mut places, mut nodes) = three().await;
    nodes[0].streams().create(&name("a"), create_text()).await.unwrap();
    append(&nodes[1], "a", "one,").await;
    nodes.remove(2).close().await.unwrap();
    append(&nodes[1], "a", "two,").await;
    // The list of nodes is only for the first start.
    let node = places[2].open(|_| {}).await.unwrap();
    assert_eq!(node.admin().status().await.nodes.len(), 3);
    assert_eq!(read_all(&node, "a", Default::default()).await, "one,two,");
    append(&node, "a", "three").await;
    assert_eq!(read_all(&nodes[0], "a", Default::default()).await, "one,two,three");
    nodes.push(node);
    replicas_are_equal(&nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_empty_disk_is_a_new_node() {
    let (mut places, mut nodes) = three().await;
    nodes[0].streams().create(&name("a"), create_text()).await.unwrap();
    append(&nodes[0], "a", "kept").await;
    let before = nodes[1].admin().status().await;
    // The founder itself loses its disk: it must not found a second cluster.
    nodes.remove(0).close().await.unwrap();
    places[0].wipe();
    let addresses: Vec<String> = places.iter().map(|place| place.address.clone()).collect();
    let node = places[0].open(move |options| options.nodes = addresses).await.unwrap();
    let after = node.admin().status().await;
    assert_eq!(after.cluster, before.cluster);
    assert_eq!(after.nodes.len(), 4, "{after:?}");
    let own = after.nodes.iter().find(|node| node.id == after.answered_by).unwrap();
    assert!(before.nodes.iter().all(|old| old.uuid != own.uuid));
    let lost: Vec<_> = after.nodes.iter().filter(|node| node.state == "lost").collect();
    assert_eq!(lost.len(), 1, "{after:?}");
    assert_eq!(read_all(&node, "a", Default::default()).await, "kept");
    // What it lost is copied to it again, as it takes the lost node's place.
    until("the new node hosts all groups", || async {
        let groups = node.admin().groups().await;
        let on_new = |group: &weir_cluster::GroupStatus| {
            group.change.is_none() && group.replicas.iter().any(|replica| replica.node == own.id)
        };
        groups.iter().all(|group| on_new(group) && group.replicas.len() == 3)
    })
    .await;
    nodes.push(node);
    replicas_are_equal(&nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_journal_is_refused() {
    let (mut places, _) = places(1).await;
    let node = places[0].open(|_| {}).await.unwrap();
    node.close().await.unwrap();
    std::fs::remove_dir_all(places[0].dir.path().join("journal")).unwrap();
    // A supervisor starts it again at once.
    for _ in 0..3 {
        let refused = places[0].open(|_| {}).await;
        assert!(matches!(refused, Err(OpenError::JournalLost(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_clusters_disk_is_refused() {
    let (mut places, _) = places(2).await;
    for place in &mut places {
        let node = place.open(|_| {}).await.unwrap();
        node.close().await.unwrap();
    }
    // The journal of one node under the identity of another.
    let [left, right] = [
        places[0].dir.path().join("journal"),
        places[1].dir.path().join("journal"),
    ];
    std::fs::remove_dir_all(&left).unwrap();
    std::fs::rename(&right, &left).unwrap();
    let refused = places[0].open(|_| {}).await;
    assert!(matches!(refused, Err(OpenError::Journal(_))), "{:?}", refused.err());
}
