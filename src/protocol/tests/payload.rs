use bytes::Bytes;
use proptest::prelude::*;
use weir_protocol::Payload;

proptest! {
    #[test]
    fn a_single_message_is_kept_as_it_is(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let payload = Payload::single(bytes.clone().into()).unwrap();
        prop_assert_eq!(payload.bytes(), &bytes);
        prop_assert_eq!(payload.stored_bytes(), bytes.len() as u64);
        prop_assert_eq!(payload.is_empty(), bytes.is_empty());
        let lengths: Vec<u32> = if bytes.is_empty() { vec![] } else { vec![bytes.len() as u32] };
        prop_assert_eq!(payload.lengths(), lengths);
    }

    #[test]
    fn parts_must_fit_together(lengths in prop::collection::vec(0..5_u32, 0..6), bytes in 0..20_usize) {
        let sum = lengths.iter().sum::<u32>() as usize;
        let payload = Payload::from_parts(Bytes::from(vec![7; bytes]), lengths.clone());
        prop_assert_eq!(payload.is_some(), sum == bytes && !lengths.contains(&0));
        if let Some(payload) = payload {
            prop_assert_eq!(payload.lengths(), lengths);
            prop_assert_eq!(payload.stored_bytes(), bytes as u64);
        }
    }
}

#[test]
fn lengths_that_overflow_do_not_add_up() {
    assert!(Payload::from_parts(Bytes::from_static(b"abc"), vec![u32::MAX, 4]).is_none());
}

#[test]
fn empty_bytes_are_no_message() {
    assert_eq!(Payload::single(Bytes::new()), Some(Payload::empty()));
    assert!(Payload::empty().is_empty());
}
