//! Idempotent producers: the whole table of protocol section 5.2.1.

use weir_protocol::{Append, AppendError, Appended, ProducerAck};

use crate::support::{AppendWords as _, Store, offset, text, text_stream};

crate::suite! {
    answers_by_the_table,
    keeps_producers_apart,
    answers_an_old_duplicate_with_the_highest_number,
    a_duplicate_stores_nothing,
    the_closing_write_may_come_again,
    a_close_without_a_body_is_deduplicated,
    a_plain_close_has_no_producer,
    survives_reopening,
    a_new_life_forgets_producers,
}

fn accepted(next: u64, epoch: u64, seq: u64) -> Result<Appended, AppendError> {
    acked(next, epoch, seq, false)
}

fn duplicate(next: u64, epoch: u64, seq: u64) -> Result<Appended, AppendError> {
    acked(next, epoch, seq, true)
}

fn acked(next: u64, epoch: u64, highest_seq: u64, duplicate: bool) -> Result<Appended, AppendError> {
    Ok(Appended {
        next_offset: offset(next),
        closed: false,
        producer: Some(ProducerAck {
            epoch,
            highest_seq,
            duplicate,
        }),
    })
}

fn answers_by_the_table(store: &mut Store) {
    store.created("a", text_stream());
    let gap = |expected, received| Err(AppendError::SequenceGap { expected, received });
    let fenced = |current_epoch| Err(AppendError::EpochFenced { current_epoch });
    let table = [
        // Nothing is known: the first number is 0, in any epoch.
        ((0, 1), gap(0, 1)),
        ((1, 0), accepted(1, 1, 0)),
        // The same epoch.
        ((1, 0), duplicate(1, 1, 0)),
        ((1, 1), accepted(2, 1, 1)),
        ((1, 3), gap(2, 3)),
        ((1, 2), accepted(3, 1, 2)),
        // An older epoch.
        ((0, 0), fenced(1)),
        ((0, 3), fenced(1)),
        // A newer epoch.
        ((2, 1), Err(AppendError::EpochMustStartAtZero)),
        ((2, 3), Err(AppendError::EpochMustStartAtZero)),
        ((7, 0), accepted(4, 7, 0)),
        ((1, 3), fenced(7)),
        ((7, 1), accepted(5, 7, 1)),
    ];
    for ((epoch, seq), answer) in table {
        assert_eq!(
            store.append("a", text("x").by("p", epoch, seq)),
            answer,
            "epoch {epoch}, seq {seq}"
        );
    }
    assert_eq!(store.texts("a").len(), 5);
}

fn keeps_producers_apart(store: &mut Store) {
    store.created("a", text_stream());
    store.created("b", text_stream());
    assert_eq!(store.append("a", text("x").by("p", 0, 0)), accepted(1, 0, 0));
    assert_eq!(store.append("a", text("x").by("q", 0, 0)), accepted(2, 0, 0));
    assert_eq!(store.append("b", text("x").by("p", 0, 0)), accepted(1, 0, 0));
    assert_eq!(store.append("a", text("x").by("p", 0, 1)), accepted(3, 0, 1));
    assert_eq!(store.append("a", text("x").by("q", 0, 0)), duplicate(3, 0, 0));
}

fn answers_an_old_duplicate_with_the_highest_number(store: &mut Store) {
    store.created("a", text_stream());
    for seq in 0..4 {
        store.append("a", text("x").by("p", 3, seq)).unwrap();
    }
    assert_eq!(store.append("a", text("x").by("p", 3, 1)), duplicate(4, 3, 3));
}

fn a_duplicate_stores_nothing(store: &mut Store) {
    store.created("a", text_stream());
    store.append("a", text("first").by("p", 0, 0)).unwrap();
    store.append("a", text("second").by("p", 0, 0).closing()).unwrap();
    assert_eq!(store.texts("a"), ["first"]);
    assert!(!store.head("a").unwrap().closed);
}

fn the_closing_write_may_come_again(store: &mut Store) {
    store.created("a", text_stream());
    store.append("a", text("x").by("p", 0, 0)).unwrap();
    let close = || text("y").by("p", 0, 1).closing();
    let first = store.append("a", close()).unwrap();
    assert!(first.closed);
    store.reopen();
    let again = store.append("a", close()).unwrap();
    assert_eq!(
        again.producer.map(|ack| (ack.epoch, ack.highest_seq, ack.duplicate)),
        Some((0, 1, true))
    );
    assert_eq!((again.next_offset, again.closed), (first.next_offset, true));
    let plain = store.append("a", text("y").by("p", 0, 1)).unwrap();
    assert_eq!(plain, again, "the numbers alone tell which write it is");
    let closed = Err(AppendError::Closed { next_offset: offset(2) });
    assert_eq!(
        store.append("a", text("x").by("p", 0, 0)),
        closed,
        "a duplicate, but not of the close"
    );
    assert_eq!(store.append("a", text("y").by("p", 0, 2).closing()), closed);
    assert_eq!(store.append("a", text("y").by("p", 1, 1).closing()), closed);
    assert_eq!(store.append("a", text("y").by("q", 0, 1).closing()), closed);
    assert!(
        store.close_stream("a").unwrap().closed,
        "a plain close is always repeated"
    );
    assert_eq!(store.texts("a"), ["x", "y"]);
}

fn a_close_without_a_body_is_deduplicated(store: &mut Store) {
    store.created("a", text_stream());
    let close = || Append::close().by("p", 4, 0);
    assert!(!store.append("a", close()).unwrap().producer.unwrap().duplicate);
    assert!(store.append("a", close()).unwrap().producer.unwrap().duplicate);
}

fn a_plain_close_has_no_producer(store: &mut Store) {
    store.created("a", text_stream());
    store.append("a", text("x").by("p", 0, 0)).unwrap();
    store.close_stream("a").unwrap();
    let closed = Err(AppendError::Closed { next_offset: offset(1) });
    assert_eq!(store.append("a", Append::close().by("p", 0, 1)), closed);
    assert_eq!(store.append("a", text("x").by("p", 0, 0)), closed);
}

fn survives_reopening(store: &mut Store) {
    store.created("a", text_stream());
    for seq in 0..3 {
        store.append("a", text("x").by("p", 2, seq)).unwrap();
        store.append("a", text("x").by("q", seq, 0)).unwrap();
    }
    store.reopen();
    assert_eq!(store.append("a", text("x").by("p", 2, 2)), duplicate(6, 2, 2));
    assert_eq!(
        store.append("a", text("x").by("q", 1, 0)),
        Err(AppendError::EpochFenced { current_epoch: 2 })
    );
    assert_eq!(store.append("a", text("x").by("p", 2, 3)), accepted(7, 2, 3));
}

fn a_new_life_forgets_producers(store: &mut Store) {
    store.created("a", text_stream());
    store.append("a", text("x").by("p", 5, 0).seq("9")).unwrap();
    store.delete("a").unwrap();
    store.created("a", text_stream());
    assert_eq!(store.append("a", text("x").by("p", 0, 0).seq("1")), accepted(1, 0, 0));
}
