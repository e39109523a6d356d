//! Nodes added, replicas moved, nodes sent away, leaders handed over.

use std::time::{Duration, Instant};

use weir_cluster::meta::{GroupId, MetaCommand, NodeId};
use weir_cluster::{GroupStatus, Node};
use weir_protocol::Consistency;

use crate::support::{Place, append, create_text, name, places, read_all, replicas_are_equal, three, until, until_led};

fn is_settled(groups: &[GroupStatus], replicas: usize) -> bool {
    let settled = |group: &GroupStatus| {
        group.change.is_none()
            && group.leader.is_some()
            && group.replicas.len() == replicas
            && group
                .replicas
                .iter()
                .all(|replica| replica.lag.is_some_and(|lag| lag < 100))
    };
    groups.iter().all(settled)
}

/// Three nodes with ten streams, and a fourth that joins them.
async fn three_and_one_more() -> (Vec<Place>, Vec<Node>, Node) {
    let (mut places, nodes) = three().await;
    for stream in 0..10 {
        let stream = format!("s/{stream}");
        nodes[0].streams().create(&name(&stream), create_text()).await.unwrap();
        append(&nodes[1], &stream, &stream).await;
    }
    let mut place = Place::new().await;
    let join = vec![places[0].address.clone()];
    let fourth = place.open(move |options| options.join = join).await.unwrap();
    places.push(place);
    (places, nodes, fourth)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_grows_to_three_and_keeps_its_streams() {
    let (mut places, addresses) = places(3).await;
    let mut nodes = vec![places[0].open(|_| {}).await.unwrap()];
    for stream in 0..20 {
        let stream = format!("s/{stream}");
        nodes[0].streams().create(&name(&stream), create_text()).await.unwrap();
        append(&nodes[0], &stream, &stream).await;
    }
    for place in &mut places[1..] {
        let join = vec![addresses[0].clone()];
        nodes.push(place.open(move |options| options.join = join).await.unwrap());
        // It has no replica, or one that knows nothing yet, and answers all the same.
        let new = nodes.last().unwrap();
        for stream in 0..20 {
            let stream = format!("s/{stream}");
            let began = Instant::now();
            let text = read_all(new, &stream, Consistency::Linearizable).await;
            assert!(text.starts_with(&stream), "{text}");
            append(new, &stream, "-").await;
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        }
    }
    until("every group has three replicas", || async {
        is_settled(&nodes[0].admin().groups().await, 3)
    })
    .await;
    until("all three vote in the meta group", || async {
        nodes[0]
            .admin()
            .nodes()
            .iter()
            .filter(|node| node.votes_in_meta_group)
            .count()
            == 3
    })
    .await;
    replicas_are_equal(&nodes).await;
    // The node that everything came from goes.
    nodes.remove(0).close().await.unwrap();
    for stream in 0..20 {
        let stream = format!("s/{stream}");
        append(&nodes[0], &stream, "+").await;
        let text = read_all(&nodes[1], &stream, Consistency::Linearizable).await;
        assert_eq!(text, format!("{stream}--+"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_moves_and_a_node_is_sent_away() {
    let (_places, nodes, fourth) = three_and_one_more().await;
    let id = fourth.admin().status().await.answered_by;
    until("the new node has its share", || async {
        let groups = fourth.admin().groups().await;
        let share = groups
            .iter()
            .flat_map(|group| &group.replicas)
            .filter(|replica| replica.node == id);
        share.count() >= 2 && is_settled(&groups, 3)
    })
    .await;
    // The first node goes for good.
    let leaving = NodeId(nodes[0].admin().status().await.answered_by);
    fourth.admin().run(&MetaCommand::SetDraining(leaving)).await.unwrap();
    until("nothing is in the way of removing the node", || async {
        let nodes = fourth.admin().nodes();
        let leaving = nodes.iter().find(|node| node.id == leaving.0).unwrap();
        leaving.in_the_way.as_ref().is_some_and(Vec::is_empty)
    })
    .await;
    fourth.admin().run(&MetaCommand::RemoveNode(leaving)).await.unwrap();
    nodes[0].close().await.unwrap();
    for stream in 0..10 {
        let stream = format!("s/{stream}");
        append(&nodes[1], &stream, "+").await;
        let text = read_all(&fourth, &stream, Consistency::Linearizable).await;
        assert_eq!(text, format!("{stream}+"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_hands_over_on_request() {
    let (_places, nodes) = three().await;
    until_led(&nodes[0]).await;
    let group = nodes[0].admin().groups().await.remove(0);
    let heir = group
        .replicas
        .iter()
        .find(|replica| Some(replica.id) != group.leader)
        .unwrap();
    let heir = heir.node;
    until("the heir leads", || async {
        // Asked again: an heir that lacks entries at that moment declines.
        let _ = nodes[1].admin().transfer(group.id, heir).await;
        let now = nodes[2].admin().groups().await;
        now.iter()
            .any(|now| now.id == group.id && now.leader_node == Some(heir))
    })
    .await;
    let unknown = nodes[0].admin().transfer(999, heir).await;
    assert!(unknown.is_err());
    assert!(
        nodes[0]
            .admin()
            .run(&MetaCommand::StartMove {
                group: GroupId(group.id),
                from: None,
                to: None,
            })
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_to_hand_over_to_itself_goes_on() {
    let (mut places, _) = places(1).await;
    let node = places[0].open(|_| {}).await.unwrap();
    node.streams().create(&name("s"), create_text()).await.unwrap();
    until_led(&node).await;
    for group in node.admin().groups().await {
        node.admin().transfer(group.id, 1).await.unwrap();
    }
    append(&node, "s", "x").await;
    assert_eq!(read_all(&node, "s", Consistency::Linearizable).await, "x");
}

/// A leader that hands over takes nothing more until somebody else leads.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_hands_over_to_a_node_that_does_not_answer() {
    let (_places, mut nodes) = three().await;
    for stream in 0..12 {
        nodes[0]
            .streams()
            .create(&name(&format!("s/{stream}")), create_text())
            .await
            .unwrap();
    }
    let gone = nodes.pop().unwrap();
    let id = gone.admin().status().await.answered_by;
    gone.close().await.unwrap();
    until("the others lead", || async {
        let groups = nodes[0].admin().groups().await;
        groups
            .iter()
            .all(|group| group.leader_node.is_some_and(|node| node != id))
    })
    .await;
    // Until it counts as gone.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for group in nodes[0].admin().groups().await {
        assert!(nodes[0].admin().transfer(group.id, id).await.is_err());
    }
    // So nobody waits for another election.
    for stream in 0..12 {
        append(&nodes[stream % 2], &format!("s/{stream}"), "x").await;
    }
}

/// A move may be given up only as long as its new replica has no vote, which the group knows and nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_sent_away_while_replicas_move_to_it_takes_no_vote_with_it() {
    let (_places, nodes, fourth) = three_and_one_more().await;
    let id = NodeId(fourth.admin().status().await.answered_by);
    // From the first step of the first move to the last one of the next.
    for delay_ms in [0, 400, 800, 1200, 1600, 2000] {
        nodes[0].admin().run(&MetaCommand::SetActive(id)).await.unwrap();
        until("something moves to the new node", || async {
            let groups = nodes[0].admin().groups().await;
            groups
                .iter()
                .any(|group| group.replicas.iter().any(|replica| replica.node == id.0))
        })
        .await;
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        nodes[0].admin().run(&MetaCommand::SetDraining(id)).await.unwrap();
        until("all groups are as they should be without it", || async {
            let groups = nodes[0].admin().groups().await;
            let mut replicas = groups.iter().flat_map(|group| &group.replicas);
            is_settled(&groups, 3) && replicas.all(|replica| replica.node != id.0)
        })
        .await;
    }
    nodes[0].admin().run(&MetaCommand::RemoveNode(id)).await.unwrap();
    fourth.close().await.unwrap();
    replicas_are_equal(&nodes).await;
    for stream in 0..10 {
        let stream = format!("s/{stream}");
        append(&nodes[0], &stream, "+").await;
        let text = read_all(&nodes[2], &stream, Consistency::Linearizable).await;
        assert_eq!(text, format!("{stream}+"));
    }
}
