//! Streams on any node, while nodes come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use weir_protocol::{Consistency, ListRequest, Offset, Read, ReadError, ReadFrom, TailEvent};

use crate::support::{append, append_by, create_text, name, read_all, replicas_are_equal, three, until_led};

#[tokio::test(flavor = "multi_thread")]
async fn every_node_takes_writes_and_shows_them_at_once() {
    let (_places, nodes) = three().await;
    for stream in 0..12 {
        let stream = format!("s/{stream}");
        nodes[0].streams().create(&name(&stream), create_text()).await.unwrap();
        let mut expected = String::new();
        for round in 0..6 {
            let text = format!("{round};");
            expected.push_str(&text);
            append(&nodes[round % 3], &stream, &text).await;
            for node in &nodes {
                assert_eq!(read_all(node, &stream, Consistency::Linearizable).await, expected);
            }
        }
        let eventual = read_all(&nodes[2], &stream, Consistency::Eventual).await;
        assert!(expected.starts_with(&eventual));
    }
    let request = ListRequest {
        prefix: "s/".to_owned(),
        after: None,
        limit: 5,
    };
    let page = nodes[1].streams().list(request).await.unwrap();
    let names: Vec<_> = page.streams.iter().map(|stream| stream.name.to_string()).collect();
    assert_eq!(names, ["s/0", "s/1", "s/10", "s/11", "s/2"]);
    assert!(page.more);
    replicas_are_equal(&nodes).await;
}

/// A replica that lags does not know the offset yet. It must not call it wrong: it asks those who may know.
#[tokio::test(flavor = "multi_thread")]
async fn an_offset_of_one_node_is_good_on_all_whatever_freshness_is_asked_for() {
    let (_places, nodes) = three().await;
    nodes[0].streams().create(&name("o"), create_text()).await.unwrap();
    let eventual = |from| Read {
        from: ReadFrom::At(from),
        max_bytes: 1000,
        consistency: Consistency::Eventual,
        renews: false,
    };
    for round in 0..300 {
        let tail = append(&nodes[round % 3], "o", "x").await.next_offset;
        for node in &nodes {
            let result = node.streams().read(&name("o"), eventual(tail)).await;
            assert_eq!(result.map(|result| result.next_offset), Ok(tail), "round {round}");
        }
    }
    for node in &nodes {
        let beyond = node
            .streams()
            .read(&name("o"), eventual(Offset::new(301).unwrap()))
            .await;
        assert_eq!(beyond, Err(ReadError::OffsetBeyondTail));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_on_any_node_tells_of_writes_on_another() {
    let (_places, nodes) = three().await;
    nodes[0].streams().create(&name("w"), create_text()).await.unwrap();
    for (writer, reader) in [(0, 1), (1, 2), (2, 0)] {
        let mut watch = nodes[reader].streams().watch(&name("w")).await.unwrap();
        let appended = append(&nodes[writer], "w", "x").await;
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), watch.changed())
                .await
                .unwrap();
            match event {
                TailEvent::Tail { next_offset, .. } if next_offset >= appended.next_offset => break,
                TailEvent::Tail { .. } => {}
                TailEvent::Gone => panic!("the stream is there"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_leaders_costs_time_but_no_write() {
    let (mut places, mut nodes) = three().await;
    nodes[0].streams().create(&name("load"), create_text()).await.unwrap();
    until_led(&nodes[0]).await;
    let writer = nodes[0].streams();
    let stop = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&stop);
    let load = tokio::spawn(async move {
        let mut seq = 0;
        while !ended.load(Ordering::Relaxed) {
            let append = append_by("p", seq, &format!("{seq},"));
            writer.append(&name("load"), append).await.unwrap();
            seq += 1;
        }
        seq
    });
    // The node that leads the stream's group ends again and again, and comes back.
    for round in 0..3 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let victim = 1 + round % 2;
        let node = nodes.remove(victim);
        node.close().await.unwrap();
        drop(node);
        let node = places[victim].open(|_| {}).await.unwrap();
        nodes.insert(victim, node);
    }
    stop.store(true, Ordering::Relaxed);
    let count = load.await.unwrap();
    assert!(count > 0);
    let expected: String = (0..count).map(|seq| format!("{seq},")).collect();
    for node in &nodes {
        assert_eq!(read_all(node, "load", Consistency::Linearizable).await, expected);
    }
    replicas_are_equal(&nodes).await;
}
