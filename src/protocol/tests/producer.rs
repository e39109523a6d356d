use proptest::prelude::*;
use weir_protocol::ProducerHeaders;
use weir_protocol::producer::{
    MAX_PRODUCER_ID_BYTES, MAX_SAFE_INTEGER, ProducerCheck, ProducerHeadersError, ProducerState, check,
};

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, MAX_SAFE_INTEGER - 3..=MAX_SAFE_INTEGER]
}

fn states() -> impl Strategy<Value = Option<ProducerState>> {
    prop::option::of((numbers(), numbers()).prop_map(|(epoch, last_seq)| ProducerState { epoch, last_seq }))
}

/// The validation logic of section 5.2.1, over wide numbers and with -1 as an unknown producer's last number.
fn specification(state: Option<ProducerState>, epoch: u64, seq: u64) -> ProducerCheck {
    let (known_epoch, last_seq) = state.map_or((epoch, -1), |state| (state.epoch, i128::from(state.last_seq)));
    let wide = i128::from(seq);
    if epoch < known_epoch {
        ProducerCheck::Fenced {
            current_epoch: known_epoch,
        }
    } else if epoch > known_epoch && seq != 0 {
        ProducerCheck::EpochMustStartAtZero
    } else if epoch > known_epoch || wide == last_seq + 1 {
        ProducerCheck::Accept(ProducerState { epoch, last_seq: seq })
    } else if wide <= last_seq {
        ProducerCheck::Duplicate(state.unwrap())
    } else {
        ProducerCheck::Gap {
            expected: u64::try_from(last_seq + 1).unwrap(),
            received: seq,
        }
    }
}

proptest! {
    #[test]
    fn the_state_machine_is_the_specifications(state in states(), epoch in numbers(), seq in numbers()) {
        prop_assert_eq!(check(state, epoch, seq), specification(state, epoch, seq));
    }

    /// Any mix of retries, gaps and restarts accepts each number of each epoch once, in order, and no epoch again.
    #[test]
    fn every_write_is_accepted_once_and_in_order(writes in prop::collection::vec((0..4_u64, 0..4_u64), 0..60)) {
        let mut state = None;
        let mut accepted: Vec<(u64, u64)> = Vec::new();
        for (epoch, seq) in writes {
            match check(state, epoch, seq) {
                ProducerCheck::Accept(next) => {
                    accepted.push((epoch, seq));
                    state = Some(next);
                }
                ProducerCheck::Duplicate(_) => prop_assert!(accepted.contains(&(epoch, seq))),
                _ => prop_assert!(!accepted.contains(&(epoch, seq)) || state.is_some_and(|state| state.epoch > epoch)),
            }
        }
        prop_assert!(accepted.is_sorted_by(|a, b| a < b));
        for &(epoch, seq) in &accepted {
            prop_assert!((0..seq).all(|earlier| accepted.contains(&(epoch, earlier))));
        }
    }

    #[test]
    fn no_state_can_overflow(epoch in any::<u64>(), last_seq in any::<u64>(), seq in any::<u64>()) {
        let state = ProducerState { epoch, last_seq };
        prop_assert_eq!(matches!(check(Some(state), epoch, seq), ProducerCheck::Duplicate(_)), seq <= last_seq);
    }

    #[test]
    fn headers_come_all_or_none(id in prop::option::of("[a-z]{1,4}"), epoch in prop::option::of("[0-9]"), seq in prop::option::of("[0-9]")) {
        let parsed = ProducerHeaders::parse(id.as_deref(), epoch.as_deref(), seq.as_deref());
        match (id, epoch, seq) {
            (None, None, None) => prop_assert_eq!(parsed, Ok(None)),
            (Some(id), Some(epoch), Some(seq)) => {
                let parsed = parsed.unwrap().unwrap();
                prop_assert_eq!(&*parsed.id, id);
                prop_assert_eq!((parsed.epoch.to_string(), parsed.seq.to_string()), (epoch, seq));
            }
            _ => prop_assert_eq!(parsed, Err(ProducerHeadersError::Incomplete)),
        }
    }

    #[test]
    fn numbers_are_plain_and_safe(text in "[0-9]{0,20}|\\+?[0-9]{0,2}|[0-9+ .e-]{0,4}|900719925474099[0-9]") {
        let digits = !text.is_empty() && text.chars().all(|char| char.is_ascii_digit());
        let number = text.parse::<u128>().ok().filter(|number| digits && *number < 1 << 53);
        let epoch = ProducerHeaders::parse(Some("p"), Some(&text), Some("0"));
        let seq = ProducerHeaders::parse(Some("p"), Some("0"), Some(&text));
        prop_assert_eq!(
            epoch.map(|headers| headers.map(|headers| u128::from(headers.epoch))),
            number.map(Some).ok_or(ProducerHeadersError::Epoch)
        );
        prop_assert_eq!(
            seq.map(|headers| headers.map(|headers| u128::from(headers.seq))),
            number.map(Some).ok_or(ProducerHeadersError::Seq)
        );
    }
}

#[test]
fn the_id_has_a_length() {
    let parse = |length| ProducerHeaders::parse(Some(&"p".repeat(length)), Some("0"), Some("0")).map(|_| ());
    assert_eq!(parse(0), Err(ProducerHeadersError::Id));
    assert_eq!(parse(1), Ok(()));
    assert_eq!(parse(MAX_PRODUCER_ID_BYTES), Ok(()));
    assert_eq!(parse(MAX_PRODUCER_ID_BYTES + 1), Err(ProducerHeadersError::Id));
}

#[test]
fn the_flows_of_the_specification() {
    let state = |epoch, last_seq| Some(ProducerState { epoch, last_seq });
    let accept = |epoch, last_seq| ProducerCheck::Accept(ProducerState { epoch, last_seq });
    // Bootstrap and restart.
    assert_eq!(check(None, 0, 0), accept(0, 0));
    assert_eq!(check(state(0, 0), 1, 0), accept(1, 0));
    assert_eq!(check(state(1, 0), 0, 7), ProducerCheck::Fenced { current_epoch: 1 });
    // Auto-claim.
    assert_eq!(check(state(5, 3), 0, 0), ProducerCheck::Fenced { current_epoch: 5 });
    assert_eq!(check(state(5, 3), 6, 0), accept(6, 0));
    // Numbers within an epoch.
    assert_eq!(check(state(0, 3), 0, 4), accept(0, 4));
    assert_eq!(
        check(state(0, 3), 0, 3),
        ProducerCheck::Duplicate(ProducerState { epoch: 0, last_seq: 3 })
    );
    assert_eq!(
        check(state(0, 3), 0, 6),
        ProducerCheck::Gap {
            expected: 4,
            received: 6
        }
    );
    assert_eq!(
        check(None, 7, 2),
        ProducerCheck::Gap {
            expected: 0,
            received: 2
        }
    );
    assert_eq!(check(state(0, 3), 1, 1), ProducerCheck::EpochMustStartAtZero);
}
