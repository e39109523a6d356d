use bytes::Bytes;
use proptest::prelude::*;
use weir_protocol::{ContentType, Incarnation, Offset, Reach, ReadResult, Run, Timestamp};

fn result(runs: Vec<Run>, at_tail: bool, closed: bool) -> ReadResult {
    ReadResult {
        ttl_deadline: None,
        incarnation: Incarnation {
            id: 1,
            created_at: Timestamp::from_millis(2),
        },
        content_type: ContentType::octet_stream(),
        start: Offset::ZERO,
        runs,
        next_offset: Offset::new(9).unwrap(),
        at_tail,
        closed,
    }
}

fn runs() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let message = prop::collection::vec(any::<u8>(), 1..8);
    prop::collection::vec(prop::collection::vec(message, 0..4), 0..4)
}

fn run(messages: &[Vec<u8>]) -> Run {
    Run {
        payload: messages.concat().into(),
        lengths: messages.iter().map(|message| message.len() as u32).collect(),
    }
}

proptest! {
    #[test]
    fn a_run_gives_its_messages_back(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9), 0..6)) {
        let found: Vec<Bytes> = run(&messages).messages().collect();
        prop_assert_eq!(found, messages);
    }

    #[test]
    fn lengths_that_do_not_fit_give_what_is_there(lengths in prop::collection::vec(any::<u32>(), 0..6), bytes in prop::collection::vec(any::<u8>(), 0..9)) {
        let run = Run { payload: bytes.clone().into(), lengths };
        let found = run.messages().collect::<Vec<_>>().concat();
        prop_assert!(bytes.starts_with(&found));
    }

    #[test]
    fn an_answer_is_its_runs(messages in runs(), at_tail in any::<bool>(), closed in any::<bool>()) {
        let result = result(messages.iter().map(|messages| run(messages)).collect(), at_tail, closed);
        prop_assert_eq!(result.is_empty(), messages.concat().is_empty());
        prop_assert_eq!(result.at_end(), at_tail && closed);
        let etag = result.etag();
        let reach = if !at_tail { Reach::Partial } else if closed { Reach::End } else { Reach::Tail };
        prop_assert_eq!((etag.start, etag.end, etag.reach), (result.start, result.next_offset, reach));
        prop_assert_eq!(result.into_chunks().concat(), messages.concat().concat());
    }
}
