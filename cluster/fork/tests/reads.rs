//! What a fork answers whose bytes are in several groups.

use super::*;
use crate::limits::NEAR_SUB_OFFSET;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_across_groups_and_stop_at_their_limit() {
    let world = World::new().await;
    let (source, middle, name) = (world.name("s", 0), world.name("m", 3), world.name("n", 6));
    world.made(&source, text()).await;
    world.append(&source, &["one", "two", "three"]).await;
    // Inside "three": what there is of it is a message to the fork.
    world.made(&middle, fork(&source, Some(6), 2)).await;
    world.append(&middle, &["four"]).await;
    world.made(&name, fork(&middle, Some(12), 0)).await;
    world.append(&name, &["five"]).await;
    world.append(&source, &["never seen"]).await;
    let read = async |from: u64, max_bytes| {
        let from = ReadFrom::At(Offset::new(from).unwrap());
        let result = world.read(&name, from, max_bytes).await.unwrap();
        (
            messages(&result).join(" "),
            result.next_offset.position(),
            result.at_tail,
        )
    };
    assert_eq!(read(0, 100).await, ("one two th four five".to_owned(), 16, true));
    assert_eq!(read(0, 1).await, ("one".to_owned(), 3, false));
    assert_eq!(read(0, 7).await, ("one two".to_owned(), 6, false));
    assert_eq!(read(0, 8).await, ("one two th".to_owned(), 8, false));
    assert_eq!(read(0, 11).await, ("one two th".to_owned(), 8, false));
    assert_eq!(read(0, 12).await, ("one two th four".to_owned(), 12, false));
    assert_eq!(read(0, 15).await, ("one two th four".to_owned(), 12, false));
    assert_eq!(read(1, 4).await, ("ne".to_owned(), 3, false));
    assert_eq!(read(7, 100).await, ("h four five".to_owned(), 16, true));
    assert_eq!(read(12, 100).await, ("five".to_owned(), 16, true));
    assert_eq!(read(16, 100).await, (String::new(), 16, true));
    let beyond = ReadFrom::At(Offset::new(17).unwrap());
    assert_eq!(world.read(&name, beyond, 1).await, Err(ReadError::OffsetBeyondTail));
    let now = world.read(&name, ReadFrom::Now, 100).await.unwrap();
    assert!(now.is_empty() && now.at_tail);

    // A fork that adds nothing ends where what it inherited ends, and can be closed there.
    let bare = world.name("bare", 1);
    world
        .made(
            &bare,
            Create {
                closed: true,
                ..fork(&middle, Some(3), 0)
            },
        )
        .await;
    let result = world.read(&bare, ReadFrom::Start, 100).await.unwrap();
    assert_eq!(messages(&result), ["one"]);
    assert!(result.at_end());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boundaries_may_lie_in_what_the_source_inherited() {
    let world = World::new().await;
    let json = |create: Create| Create {
        content_type: Some(ContentType::parse("application/json").unwrap()),
        ..create
    };
    let (source, middle) = (world.name("s", 0), world.name("m", 3));
    world.made(&source, json(text())).await;
    let two = append("application/json", &["{\"a\":1},", "22,"]);
    world.router().append(&source, two.clone()).await.unwrap();
    world.made(&middle, fork(&source, None, 0)).await;
    world.router().append(&middle, two).await.unwrap();
    // Both beside the source's fork and in a group of its own.
    for group in [3, 5] {
        let name = |what: &str| world.name(&format!("{what}-{group}"), group);
        let end = async |what: &str, offset, sub_offset| {
            let created = world.create(&name(what), fork(&middle, Some(offset), sub_offset)).await;
            created.map(|created| created.next_offset.position())
        };
        assert_eq!(end("start", 0, 0).await, Ok(0));
        assert_eq!(end("first", 0, 1).await, Ok(8));
        assert_eq!(end("second", 8, 1).await, Ok(11));
        assert_eq!(end("across", 0, 3).await, Ok(19));
        assert_eq!(end("all", 0, 4).await, Ok(22));
        assert_eq!(end("too-many", 0, 5).await, Err(CreateError::ForkSubOffsetOvershoot));
        let far = NEAR_SUB_OFFSET + 1;
        assert_eq!(
            end("far-too-many", 0, far).await,
            Err(CreateError::ForkSubOffsetOvershoot)
        );
        assert_eq!(end("inside", 3, 0).await, Err(CreateError::ForkOffsetInvalid));
        assert_eq!(end("beyond", 23, 0).await, Err(CreateError::ForkOffsetBeyondTail));
        let again = world.create(&name("across"), fork(&middle, Some(0), 3)).await.unwrap();
        assert_eq!(again.status, CreateStreamResult::AlreadyExists);
        assert_eq!(world.all(&name("across")).await, "{\"a\":1},22,{\"a\":1},");
        assert_eq!(world.all(&name("first")).await, "{\"a\":1},");
        let inside = ReadFrom::At(Offset::new(3).unwrap());
        assert_eq!(
            world.read(&name("across"), inside, 9).await,
            Err(ReadError::OffsetInvalid)
        );
    }
}

/// They are counted before anything is proposed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_boundary_may_be_many_messages_away() {
    let world = World::new().await;
    let json = ContentType::parse("application/json").unwrap();
    let source = world.name("s", 0);
    let created = Create {
        content_type: Some(json),
        ..text()
    };
    world.made(&source, created).await;
    let count = 3 * NEAR_SUB_OFFSET;
    let messages = vec!["1,"; usize::try_from(count).unwrap()];
    let all = append("application/json", &messages);
    world.router().append(&source, all).await.unwrap();
    for group in [0, 5] {
        for (sub_offset, expected) in [
            (NEAR_SUB_OFFSET, Ok(2 * NEAR_SUB_OFFSET)),
            (NEAR_SUB_OFFSET + 1, Ok(2 * NEAR_SUB_OFFSET + 2)),
            (count, Ok(2 * count)),
            (count + 1, Err(CreateError::ForkSubOffsetOvershoot)),
            (u64::MAX, Err(CreateError::ForkSubOffsetOvershoot)),
        ] {
            let name = world.name(&format!("n-{group}-{sub_offset}"), group);
            let created = world.create(&name, fork(&source, Some(0), sub_offset)).await;
            assert_eq!(
                created.map(|created| created.next_offset.position()),
                expected,
                "{name}"
            );
            if expected.is_ok() {
                let again = world.create(&name, fork(&source, Some(0), sub_offset)).await.unwrap();
                assert_eq!(again.status, CreateStreamResult::AlreadyExists);
            }
        }
    }
}
