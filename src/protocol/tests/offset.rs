use proptest::prelude::*;
use weir_protocol::{Offset, ReadFrom};

fn offsets() -> impl Strategy<Value = Offset> {
    let small = 0..1000_u64;
    let large = Offset::MAX.position() - 1000..=Offset::MAX.position();
    prop_oneof![small, large, 0..=Offset::MAX.position()].prop_map(|position| Offset::new(position).unwrap())
}

proptest! {
    #[test]
    fn an_offset_survives_its_text(offset in offsets()) {
        let text = offset.to_string();
        prop_assert_eq!(Offset::parse(&text), Ok(offset));
        prop_assert_eq!(ReadFrom::parse(&text), Ok(ReadFrom::At(offset)));
        prop_assert!(!text.contains([',', '&', '=', '?', '/']) && text.is_ascii() && text.len() < 256);
    }

    #[test]
    fn texts_order_as_positions_do(a in offsets(), b in offsets()) {
        prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.position().cmp(&b.position()));
        prop_assert_eq!(a.cmp(&b), a.position().cmp(&b.position()));
    }

    #[test]
    fn only_minted_texts_parse(text in "[0-9_nowx+. -]{0,34}|0{15,17}_[0-9]{15,17}") {
        if let Ok(offset) = Offset::parse(&text) {
            prop_assert_eq!(offset.to_string(), text);
        }
    }

    #[test]
    fn adding_stops_at_the_largest_offset(offset in offsets(), bytes in prop_oneof![0..2000_u64, any::<u64>(), u64::MAX - 2000..=u64::MAX]) {
        let sum = u128::from(offset.position()) + u128::from(bytes);
        let expected = u64::try_from(sum).ok().and_then(Offset::new);
        prop_assert_eq!(offset.checked_add(bytes), expected);
        prop_assert_eq!(expected.is_some(), sum <= u128::from(Offset::MAX.position()));
    }
}

#[test]
fn sentinels_are_no_offsets() {
    assert_eq!(ReadFrom::parse("-1"), Ok(ReadFrom::Start));
    assert_eq!(ReadFrom::parse("now"), Ok(ReadFrom::Now));
    for text in ["-1", "now", "NOW", "", "0", "-2", "0000000000000001_0000000000000000"] {
        assert!(Offset::parse(text).is_err(), "{text}");
    }
    for text in ["NOW", "", "-01", " -1", "0000000000000000_000000000000000a"] {
        assert!(ReadFrom::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_largest_offset_fits_its_width() {
    let largest = Offset::MAX.position();
    assert_eq!(largest, 10_u64.pow(16) - 1);
    assert_eq!(Offset::new(largest), Some(Offset::MAX));
    assert_eq!(Offset::new(largest + 1), None);
}
