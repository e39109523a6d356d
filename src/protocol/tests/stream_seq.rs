use proptest::prelude::*;
use weir_protocol::StreamSeq;
use weir_protocol::stream_seq::MAX_STREAM_SEQ_BYTES;

proptest! {
    #[test]
    fn values_compare_byte_by_byte(a in "[a-z0-9~ é]{1,6}", b in "[a-z0-9~ é]{1,6}") {
        let order = StreamSeq::new(&a).unwrap().cmp(&StreamSeq::new(&b).unwrap());
        prop_assert_eq!(order, a.as_bytes().cmp(b.as_bytes()));
    }

    #[test]
    fn the_length_is_bounded_in_bytes(length in 0..MAX_STREAM_SEQ_BYTES + 5, char in prop::sample::select(vec!["x", "é"])) {
        let text = char.repeat(length);
        let fits = (1..=MAX_STREAM_SEQ_BYTES).contains(&text.len());
        prop_assert_eq!(StreamSeq::new(&text).is_ok(), fits);
        if let Ok(seq) = StreamSeq::new(&text) {
            prop_assert_eq!(seq.as_str(), text);
        }
    }
}

#[test]
fn numbers_are_no_special_case() {
    assert!(StreamSeq::new("10").unwrap() < StreamSeq::new("9").unwrap());
    assert!(StreamSeq::new("0009").unwrap() < StreamSeq::new("0010").unwrap());
    assert!(StreamSeq::new("a").unwrap() < StreamSeq::new("aa").unwrap());
}
