use proptest::prelude::*;
use weir_protocol::Timestamp;
use weir_protocol::cursor::{self, CURSOR_EPOCH, CURSOR_INTERVAL_MS};

/// One hour of jitter, in intervals.
const MAX_JITTER: u64 = 3_600_000 / CURSOR_INTERVAL_MS;

fn instants() -> impl Strategy<Value = Timestamp> {
    let epoch = CURSOR_EPOCH.as_millis();
    prop_oneof![0..epoch, epoch..epoch + 1_000_000_000_000, any::<u64>()].prop_map(Timestamp::from_millis)
}

proptest! {
    #[test]
    fn an_answer_is_never_behind_the_clock_nor_at_the_client(now in instants(), client in any::<u64>(), near in 0..3_u64, entropy in any::<u64>()) {
        let current = cursor::interval(now);
        for client in [client, current.saturating_sub(near), current + near] {
            let answer = cursor::next(now, Some(client), entropy);
            prop_assert!(answer >= current);
            prop_assert!(answer > client || client == u64::MAX);
        }
    }

    #[test]
    fn a_client_behind_the_clock_gets_the_interval(now in instants(), behind in 1..1000_u64, entropy in any::<u64>()) {
        let current = cursor::interval(now);
        prop_assert_eq!(cursor::next(now, None, entropy), current);
        if let Some(client) = current.checked_sub(behind) {
            prop_assert_eq!(cursor::next(now, Some(client), entropy), current);
        }
    }

    #[test]
    fn the_jitter_is_at_most_an_hour(now in instants(), ahead in prop_oneof![0..3_u64, 0..1000_u64], entropy in any::<u64>()) {
        let client = cursor::interval(now) + ahead;
        let jitter = cursor::next(now, Some(client), entropy) - client;
        prop_assert!((1..=MAX_JITTER).contains(&jitter));
    }

    #[test]
    fn intervals_follow_each_other(number in 0..100_000_000_u64, within in 0..CURSOR_INTERVAL_MS) {
        let now = Timestamp::from_millis(CURSOR_EPOCH.as_millis() + number * CURSOR_INTERVAL_MS + within);
        prop_assert_eq!(cursor::interval(now), number);
    }

    #[test]
    fn only_numbers_are_cursors(text in "[0-9]{0,21}|[0-9+ .a-]{0,4}") {
        let digits = !text.is_empty() && text.chars().all(|char| char.is_ascii_digit());
        let expected = text.parse::<u64>().ok().filter(|_| digits);
        prop_assert_eq!(cursor::parse(&text), expected);
    }
}

#[test]
fn the_epoch_and_the_interval_are_the_protocols() {
    assert_eq!(CURSOR_EPOCH.to_rfc3339(), "2024-10-09T00:00:00.000Z");
    let day_later = Timestamp::parse_rfc3339("2024-10-10T00:00:19.999Z").unwrap();
    assert_eq!(cursor::interval(day_later), 24 * 3600 / 20);
    assert_eq!(cursor::interval(Timestamp::from_millis(0)), 0);
    assert_eq!(cursor::next(CURSOR_EPOCH, Some(1000), 0), 1001);
    assert_eq!(cursor::next(CURSOR_EPOCH, Some(1000), 3599), 1180);
    assert_eq!(cursor::next(CURSOR_EPOCH, Some(1000), 20), 1002);
}
