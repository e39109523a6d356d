//! TTLs that slide, deadlines that do not, and streams that end while forks need them.

use weir_protocol::{
    AppendError, CreateError, CreateStreamResult, DeleteError, HeadError, Lifetime, ListRequest, ReadError, ReadFrom,
    Timestamp,
};
use weir_storage::{Expired, Op, Outcome};

use crate::support::{ALL, AppendWords as _, CreateWords as _, Store, fork, message, name, text, text_stream};

crate::suite! {
    is_gone_from_its_deadline_on,
    a_write_renews_a_ttl,
    a_touch_renews_a_ttl,
    whatever_succeeds_renews_a_ttl,
    what_only_looks_does_not_renew,
    a_deadline_stays,
    a_ttl_of_zero_is_over_at_once,
    an_expired_name_is_free,
    an_expired_source_is_kept_for_its_forks,
    an_expired_name_with_forks_is_held,
    the_last_fork_takes_an_expired_source_along,
    a_tombstone_does_not_expire,
    the_sweep_removes_what_is_due,
    the_sweep_keeps_what_was_renewed,
    the_sweep_stops_at_its_limit,
    the_sweep_waits_for_the_cutoff,
    the_far_end_of_time_is_no_deadline,
}

fn ttl(seconds: u64) -> weir_protocol::Create {
    text_stream().lasting(Lifetime::Ttl(seconds))
}

fn sweep(store: &Store, cutoff: Timestamp, limit: usize) -> Expired {
    match store.apply(vec![Op::Expire { cutoff, limit }]).outcomes[..] {
        [Outcome::Expire(expired)] => expired,
        _ => panic!("not the answer to an expire"),
    }
}

fn is_gone_from_its_deadline_on(store: &mut Store) {
    store.created("a", ttl(10));
    store.now = Timestamp::from_millis(store.now.as_millis() + 9_999);
    assert!(store.head("a").is_ok());
    store.now = Timestamp::from_millis(store.now.as_millis() + 1);
    assert_eq!(store.head("a"), Err(HeadError::NotFound));
    assert_eq!(store.read("a", ReadFrom::Now, ALL), Err(ReadError::NotFound));
    assert_eq!(store.append("a", text("x")), Err(AppendError::NotFound));
    assert_eq!(store.delete("a"), Err(DeleteError::NotFound));
    assert!(!store.storage().exists(&name("a"), store.now).unwrap());
    let everything = ListRequest {
        prefix: String::new(),
        after: None,
        limit: 10,
    };
    assert!(
        store
            .storage()
            .list_streams(&everything, store.now)
            .unwrap()
            .streams
            .is_empty()
    );
}

fn a_write_renews_a_ttl(store: &mut Store) {
    store.created("a", ttl(10));
    for _ in 0..3 {
        store.pass_seconds(9);
        store.append("a", text("x")).unwrap();
        store.reopen();
    }
    assert_eq!(store.head("a").unwrap().expires_at, Some(store.now.plus_seconds(10)));
    assert_eq!(
        store.head("a").unwrap().lifetime,
        Lifetime::Ttl(10),
        "the window, not what is left of it"
    );
    store.pass_seconds(10);
    assert_eq!(store.head("a"), Err(HeadError::NotFound));
}

fn a_touch_renews_a_ttl(store: &mut Store) {
    store.created("a", ttl(10));
    store.pass_seconds(9);
    store.apply(vec![Op::Touch(name("a")), Op::Touch(name("none"))]);
    store.reopen();
    store.pass_seconds(9);
    assert!(store.head("a").is_ok());
    store.pass_seconds(1);
    store.apply(vec![Op::Touch(name("a"))]);
    assert_eq!(store.head("a"), Err(HeadError::NotFound), "the end comes once");
}

fn whatever_succeeds_renews_a_ttl(store: &mut Store) {
    store.created("a", ttl(10));
    store.append("a", text("x").by("p", 0, 0)).unwrap();
    let mut renewed = |append| {
        store.pass_seconds(9);
        store.append("a", append).unwrap();
        assert_eq!(store.head("a").unwrap().expires_at, Some(store.now.plus_seconds(10)));
    };
    renewed(text("x").by("p", 0, 0));
    renewed(weir_protocol::Append::close().by("p", 0, 1));
    renewed(weir_protocol::Append::close().by("p", 0, 1));
    renewed(weir_protocol::Append::close());
}

fn what_only_looks_does_not_renew(store: &mut Store) {
    store.created("a", ttl(10).closed());
    store.pass_seconds(9);
    store.head("a").unwrap();
    store.read("a", ReadFrom::Start, ALL).unwrap();
    store.append("a", text("x")).unwrap_err();
    store.pass_seconds(1);
    assert_eq!(store.head("a"), Err(HeadError::NotFound));
}

fn a_deadline_stays(store: &mut Store) {
    let deadline = store.now.plus_seconds(10);
    store.created("a", text_stream().lasting(Lifetime::ExpiresAt(deadline)));
    store.pass_seconds(9);
    store.append("a", text("x")).unwrap();
    store.apply(vec![Op::Touch(name("a"))]);
    assert_eq!(store.head("a").unwrap().expires_at, Some(deadline));
    store.pass_seconds(1);
    assert_eq!(store.head("a"), Err(HeadError::NotFound));
}

fn a_ttl_of_zero_is_over_at_once(store: &mut Store) {
    assert_eq!(store.create("a", ttl(0)).unwrap().status, CreateStreamResult::Created);
    assert_eq!(store.head("a"), Err(HeadError::NotFound));
    assert_eq!(store.create("a", ttl(0)).unwrap().status, CreateStreamResult::Created);
}

fn an_expired_name_is_free(store: &mut Store) {
    store.created("a", ttl(10).with(message("old")));
    store.append("a", text("x").by("p", 0, 0)).unwrap();
    store.pass_seconds(10);
    store.created("a", text_stream().with(message("new")));
    store.append("a", text("y").by("p", 0, 0)).unwrap();
    store.pass_seconds(100);
    assert_eq!(sweep(store, store.now, 10), Expired::default());
    store.reopen();
    assert_eq!(store.texts("a"), ["new", "y"]);
}

fn an_expired_source_is_kept_for_its_forks(store: &mut Store) {
    store.created("a", ttl(10).with(message("x")));
    store.created("b", fork("a", None, 0).lasting(Lifetime::Ttl(100)));
    store.pass_seconds(10);
    assert_eq!(store.texts("b"), ["x"]);
    assert_eq!(sweep(store, store.now, 10).removed, 1);
    store.reopen();
    store.maintain();
    assert_eq!(store.texts("b"), ["x"]);
    assert_eq!(store.head("a"), Err(HeadError::NotFound));
    assert_eq!(store.delete("a"), Err(DeleteError::NotFound));
    assert_eq!(sweep(store, store.now, 10).removed, 0);
}

fn an_expired_name_with_forks_is_held(store: &mut Store) {
    store.created("a", ttl(10));
    store.created("b", fork("a", None, 0).lasting(Lifetime::Ttl(100)));
    store.pass_seconds(10);
    assert_eq!(store.create("a", text_stream()), Err(CreateError::NameHeld));
    sweep(store, store.now, 10);
    assert_eq!(store.create("a", text_stream()), Err(CreateError::NameHeld));
    assert_eq!(store.create("c", fork("a", None, 0)), Err(CreateError::SourceNotFound));
}

fn the_last_fork_takes_an_expired_source_along(store: &mut Store) {
    store.created("a", ttl(10));
    store.created("b", fork("a", None, 0).lasting(Lifetime::Ttl(100)));
    store.pass_seconds(10);
    sweep(store, store.now, 10);
    store.pass_seconds(90);
    assert_eq!(sweep(store, store.now, 10).removed, 1);
    store.created("a", text_stream());
}

fn a_tombstone_does_not_expire(store: &mut Store) {
    store.created("a", ttl(10));
    store.created("b", fork("a", None, 0).lasting(Lifetime::Ttl(100)));
    store.delete("a").unwrap();
    store.pass_seconds(20);
    assert_eq!(sweep(store, store.now, 10).removed, 0);
    assert_eq!(store.head("a"), Err(HeadError::Gone));
}

fn the_sweep_removes_what_is_due(store: &mut Store) {
    for seconds in 1..=5 {
        store.created(&seconds.to_string(), ttl(seconds));
    }
    store.created("ever", text_stream());
    store.pass_seconds(3);
    store.reopen();
    assert_eq!(store.storage().cleanup_expired_streams(store.now).unwrap(), 3);
    assert_eq!(store.storage().cleanup_expired_streams(store.now).unwrap(), 0);
    assert!(store.head("4").is_ok() && store.head("ever").is_ok());
}

fn the_sweep_keeps_what_was_renewed(store: &mut Store) {
    store.created("a", ttl(10));
    store.pass_seconds(9);
    store.append("a", text("x")).unwrap();
    store.pass_seconds(5);
    assert_eq!(
        sweep(store, store.now, 10),
        Expired {
            removed: 0,
            more: false
        }
    );
    store.reopen();
    assert_eq!(store.texts("a"), ["x"]);
    store.pass_seconds(5);
    assert_eq!(sweep(store, store.now, 10).removed, 1);
}

fn the_sweep_stops_at_its_limit(store: &mut Store) {
    for number in 0..7 {
        store.created(&number.to_string(), ttl(1));
    }
    store.pass_seconds(1);
    assert_eq!(
        sweep(store, store.now, 0),
        Expired {
            removed: 0,
            more: false
        }
    );
    assert_eq!(sweep(store, store.now, 3), Expired { removed: 3, more: true });
    assert_eq!(sweep(store, store.now, 3), Expired { removed: 3, more: true });
    assert_eq!(
        sweep(store, store.now, 3),
        Expired {
            removed: 1,
            more: false
        }
    );
}

fn the_sweep_waits_for_the_cutoff(store: &mut Store) {
    store.created("a", ttl(10));
    let deadline = store.now.plus_seconds(10);
    store.pass_seconds(60);
    let before = Timestamp::from_millis(deadline.as_millis() - 1);
    assert_eq!(sweep(store, before, 10).removed, 0);
    assert_eq!(sweep(store, deadline, 10).removed, 1);
}

fn the_far_end_of_time_is_no_deadline(store: &mut Store) {
    store.created("a", ttl(u64::MAX));
    store.pass_seconds(1_000_000_000);
    store.reopen();
    assert_eq!(sweep(store, store.now, 10).removed, 0);
    assert_eq!(store.head("a").unwrap().lifetime, Lifetime::Ttl(u64::MAX));
}
