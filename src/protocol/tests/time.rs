use proptest::prelude::*;
use weir_protocol::Timestamp;

const LAST: Timestamp = Timestamp::from_millis(253_402_300_799_999);

proptest! {
    #[test]
    fn every_instant_shows_as_rfc_3339_and_comes_back(millis in prop_oneof![any::<u64>(), 0..300_000_000_000_000_u64]) {
        let at = Timestamp::from_millis(millis);
        let text = at.to_rfc3339();
        prop_assert_eq!(text.len(), "2026-11-23T14:48:50.000Z".len());
        prop_assert_eq!(Timestamp::parse_rfc3339(&text), Some(at.min(LAST)));
    }

    #[test]
    fn whatever_parses_shows_as_itself(text in "(19[67][0-9]|20[0-9]{2}|9999)-(0[1-9]|1[0-3])-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,12})?(Z|[+−-][0-2][0-9]:[0-5][0-9])") {
        if let Some(at) = Timestamp::parse_rfc3339(&text) {
            prop_assert!(text.is_ascii());
            prop_assert_eq!(Timestamp::parse_rfc3339(&at.to_rfc3339()), Some(at));
        }
    }

    #[test]
    fn adding_seconds_saturates(millis in any::<u64>(), seconds in prop_oneof![0..100_000_u64, any::<u64>()]) {
        let at = Timestamp::from_millis(millis);
        let exact = u128::from(millis) + u128::from(seconds) * 1000;
        prop_assert_eq!(u128::from(at.plus_seconds(seconds).as_millis()), exact.min(u128::from(u64::MAX)));
    }
}

#[test]
fn known_instants() {
    let table = [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2024-10-09T00:00:00Z", Some(1_728_432_000_000)),
        ("2024-10-09T02:30:00.5+02:30", Some(1_728_432_000_500)),
        ("2024-10-09t00:00:00.0019z", Some(1_728_432_000_001)),
        ("9999-12-31T23:59:59.999Z", Some(LAST.as_millis())),
        ("9999-12-31T23:59:59-00:01", None),
        ("1969-12-31T23:59:59.999Z", None),
        ("2024-02-30T00:00:00Z", None),
        ("2024-10-09", None),
        ("2024-10-09T00:00:00", None),
        ("2024-10-09T00:00:00\u{2212}01:00", None),
        ("+10000-01-01T00:00:00Z", None),
    ];
    for (text, millis) in table {
        assert_eq!(
            Timestamp::parse_rfc3339(text).map(Timestamp::as_millis),
            millis,
            "{text}"
        );
    }
}
