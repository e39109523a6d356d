//! The driver ends between every two steps.

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Retained,
    Made,
    Answered,
}

/// A source `abc` with two messages, and the name of a fork in another group.
async fn pair(world: &World, case: &str) -> (StreamName, StreamName) {
    let source = world.name(&format!("{case}-source"), 1);
    let name = world.name(&format!("{case}-fork"), 5);
    world.made(&source, text()).await;
    world.append(&source, &["ab", "c"]).await;
    (source, name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_that_ends_loses_and_leaks_nothing() {
    let mut world = World::new().await;
    for step in [Step::Retained, Step::Made, Step::Answered] {
        for deletes_source_first in [true, false] {
            for restarts in [false, true] {
                let (source, name) = pair(&world, &format!("{step:?}-{deletes_source_first}-{restarts}")).await;
                let create = fork(&source, Some(1), 0);
                match step {
                    Step::Retained => drop(world.retain(&name, &create).await.unwrap()),
                    Step::Made => {
                        let retained = world.retain(&name, &create).await.unwrap();
                        let created = world.adopt(&name, &create, &retained).await.unwrap();
                        assert_eq!(created.status, CreateStreamResult::Created);
                    }
                    Step::Answered => world.made(&name, create.clone()).await,
                }
                if restarts {
                    world = world.reopen().await;
                }
                assert_eq!(world.references().await.len(), 1);
                if deletes_source_first {
                    world.delete(&source).await;
                    assert_eq!(world.head(&source).await, Err(HeadError::Gone), "{step:?}: it is kept");
                }
                // Too early for anything to be decided.
                world.pass(29);
                world.settle().await;
                world.reconcile().await;
                assert_eq!(world.references().await.len(), 1);
                world.pass(40);
                world.reconcile().await;
                if step == Step::Retained {
                    assert_eq!(world.head(&name).await, Err(HeadError::NotFound));
                } else {
                    assert_eq!(world.all(&name).await, "a");
                    world.append(&name, &["z"]).await;
                    assert_eq!(world.all(&name).await, "az");
                    assert_eq!(world.references().await.len(), 1);
                    world.delete(&name).await;
                    world.settle().await;
                }
                world.assert_no_leak().await;
                if deletes_source_first {
                    assert_eq!(
                        world.head(&source).await,
                        Err(HeadError::NotFound),
                        "{step:?}: it is collected"
                    );
                } else {
                    assert_eq!(world.all(&source).await, "abc");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_comes_too_late_is_refused_for_good() {
    let world = World::new().await;
    let (source, name) = pair(&world, "late").await;
    let create = fork(&source, None, 0);
    let slow = world.retain(&name, &create).await.unwrap();
    world.pass(30);
    let probed = world.router().probe(slow.reference.clone()).await.unwrap();
    assert_eq!((probed.exists, probed.decided), (false, false));
    let created = world.adopt(&name, &create, &slow).await.unwrap();
    assert_eq!(
        created.status,
        CreateStreamResult::Created,
        "the last moment is not too late"
    );
    // The same command again is the same answer, not a conflict whose reference would be released.
    assert_eq!(world.adopt(&name, &create, &slow).await.unwrap(), created);

    let other = world.name("late-other", 6);
    let late = world.retain(&other, &create).await.unwrap();
    world.pass(31);
    let probed = world.router().probe(late.reference.clone()).await.unwrap();
    assert_eq!((probed.exists, probed.decided), (false, true));
    let refused = world.adopt(&other, &create, &late).await;
    assert!(
        matches!(refused, Err(CreateError::Fault(weir_protocol::Fault::Unavailable(_)))),
        "{refused:?}"
    );
    assert_eq!(world.head(&other).await, Err(HeadError::NotFound));
    // A clock that runs backwards does not open the window again: a log's time does not.
    world.clock.0.fetch_sub(25_000, Ordering::SeqCst);
    assert!(world.adopt(&other, &create, &late).await.is_err());
    world.pass(25 + 61);
    world.reconcile().await;
    assert_eq!(world.references().await, [slow.reference]);
    assert_eq!(world.all(&name).await, "abc");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_makes_nothing_keeps_nothing() {
    let world = World::new().await;
    let (source, name) = pair(&world, "taken").await;
    world.made(&name, text()).await;
    let create = fork(&source, None, 0);
    assert_eq!(
        world.create(&name, create.clone()).await,
        Err(CreateError::ConfigMismatch("fork origin"))
    );
    world.assert_no_leak().await;
    // The name was taken between the question and the create, and then the driver ended.
    let retained = world.retain(&name, &create).await.unwrap();
    assert_eq!(
        world.adopt(&name, &create, &retained).await,
        Err(CreateError::ConfigMismatch("fork origin"))
    );
    assert_eq!(world.references().await, std::slice::from_ref(&retained.reference));
    world.pass(61);
    world.reconcile().await;
    world.assert_no_leak().await;
    // A second release changes nothing.
    world.router().release(retained.reference).await.unwrap();
    assert_eq!(world.all(&source).await, "abc");

    // The name looks free, and is held by an expired stream that has a fork: the source is kept and let go.
    let held = world.name("held", 4);
    let short = Create {
        lifetime: Lifetime::Ttl(1),
        ..text()
    };
    world.made(&held, short).await;
    let branch = Create {
        lifetime: Lifetime::Ttl(1_000_000),
        ..fork(&held, None, 0)
    };
    world.made(&world.name("branch", 4), branch).await;
    world.pass(2);
    assert_eq!(world.create(&held, create.clone()).await, Err(CreateError::NameHeld));
    world.assert_no_leak().await;

    // Two drivers make the same fork: one reference stays.
    let name = world.name("twice", 2);
    let retained = world.retain(&name, &create).await.unwrap();
    world.made(&name, create.clone()).await;
    let second = world.adopt(&name, &create, &retained).await.unwrap();
    assert_eq!(second.status, CreateStreamResult::AlreadyExists);
    assert_eq!(world.references().await.len(), 2);
    world.pass(61);
    world.reconcile().await;
    let left = world.references().await;
    assert_eq!(left.len(), 1);
    assert_ne!(left[0].fork_id, retained.reference.fork_id);
    // The fork is confirmed without its source, which may be gone.
    world.delete(&source).await;
    let again = world.create(&name, create).await.unwrap();
    assert_eq!(again.status, CreateStreamResult::AlreadyExists);
    assert_eq!(world.references().await, left);
    assert_eq!(
        world.create(&name, fork(&source, Some(1), 0)).await,
        Err(CreateError::ConfigMismatch("fork origin"))
    );
    assert_eq!(
        world.create(&world.name("after", 3), fork(&source, Some(1), 0)).await,
        Err(CreateError::SourceGone)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_told_until_it_is_settled() {
    let world = World::new().await;
    for steps in 0..=2 {
        let (source, name) = pair(&world, &format!("told-{steps}")).await;
        world.made(&name, fork(&source, None, 0)).await;
        let reference = world.references().await.remove(0);
        world.delete(&source).await;
        world.delete(&name).await;
        let group = world.router().group(&name).unwrap();
        if steps >= 1 {
            world.router().release(reference.clone()).await.unwrap();
        }
        if steps >= 2 {
            world.router().forget(&group, reference.fork_id).await.unwrap();
        }
        // The name is free at once, and another fork under it is another one.
        world.made(&name, text()).await;
        world.settle().await;
        world.assert_no_leak().await;
        assert_eq!(world.head(&source).await, Err(HeadError::NotFound));
        // The source's name may be another stream's when a release comes again.
        world.made(&source, text()).await;
        world.append(&source, &["new"]).await;
        world.router().release(reference).await.unwrap();
        assert_eq!(world.all(&source).await, "new");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_of_hidden_forks_go_with_the_last_one() {
    let world = World::new().await;
    let names: Vec<StreamName> = (0..5).map(|group| world.name("chain", group)).collect();
    world.made(&names[0], text()).await;
    world.append(&names[0], &["0"]).await;
    for at in 1..5 {
        world.made(&names[at], fork(&names[at - 1], None, 0)).await;
        world.append(&names[at], &[&at.to_string()]).await;
    }
    for name in &names[..4] {
        world.delete(name).await;
    }
    world.settle().await;
    world.pass(61);
    world.reconcile().await;
    world.reconcile().await;
    assert_eq!(world.references().await.len(), 4);
    for name in &names[..4] {
        assert_eq!(world.head(name).await, Err(HeadError::Gone));
    }
    assert_eq!(world.all(&names[4]).await, "01234");
    world.delete(&names[4]).await;
    // Each group tells the next.
    world.settle_all().await;
    world.assert_no_leak().await;
    for name in &names {
        assert_eq!(world.head(name).await, Err(HeadError::NotFound));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_fork_lets_go_by_itself() {
    let world = World::new().await;
    let (source, name) = pair(&world, "expired").await;
    let create = Create {
        lifetime: Lifetime::Ttl(10),
        ..fork(&source, Some(2), 0)
    };
    world.made(&name, create).await;
    world.delete(&source).await;
    world.pass(9);
    assert_eq!(world.all(&name).await, "ab");
    world.pass(9);
    assert_eq!(
        world.all(&name).await,
        "ab",
        "a read of inherited bytes renews the fork"
    );
    world.pass(20);
    // Nobody helps here: the groups' own tasks do it.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while world.head(&source).await != Err(HeadError::NotFound) {
        assert!(tokio::time::Instant::now() < deadline, "the source is not collected");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.head(&name).await, Err(HeadError::NotFound));
    world.settle_all().await;
    world.assert_no_leak().await;
}
