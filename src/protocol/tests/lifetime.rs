use proptest::prelude::*;
use weir_protocol::lifetime::LifetimeError;
use weir_protocol::{Lifetime, Timestamp};

fn lifetimes() -> impl Strategy<Value = Lifetime> {
    prop_oneof![
        Just(Lifetime::Forever),
        any::<u64>().prop_map(Lifetime::Ttl),
        any::<u64>().prop_map(|millis| Lifetime::ExpiresAt(Timestamp::from_millis(millis))),
    ]
}

proptest! {
    #[test]
    fn only_the_shortest_form_of_a_number_is_a_ttl(text in "[0-9]{1,3}|0[0-9]{0,3}|[+-]?[0-9]{0,21}|[0-9]{1,3}[.e][0-9]|[0-9 ]{0,3}") {
        let canonical = text.parse::<u64>().ok().filter(|seconds| seconds.to_string() == text);
        prop_assert_eq!(Lifetime::parse(Some(&text), None), canonical.map(Lifetime::Ttl).ok_or(LifetimeError::Ttl));
    }

    #[test]
    fn an_expiry_survives_its_text(millis in 0..253_402_300_800_000_u64) {
        let at = Timestamp::from_millis(millis);
        prop_assert_eq!(Lifetime::parse(None, Some(&at.to_rfc3339())), Ok(Lifetime::ExpiresAt(at)));
    }

    #[test]
    fn the_deadline_slides_with_a_ttl_only(seconds in any::<u64>(), at in any::<u64>(), touched in any::<u64>()) {
        let [at, touched] = [at, touched].map(Timestamp::from_millis);
        let exact = u128::from(touched.as_millis()) + u128::from(seconds) * 1000;
        let expected = u64::try_from(exact).map_or(Timestamp::MAX, Timestamp::from_millis);
        prop_assert_eq!(Lifetime::Ttl(seconds).deadline(touched), Some(expected));
        prop_assert_eq!(Lifetime::ExpiresAt(at).deadline(touched), Some(at));
        prop_assert_eq!(Lifetime::Forever.deadline(touched), None);
    }

    #[test]
    fn a_fork_gets_its_wish_or_its_sources_lifetime(source in lifetimes(), wish in lifetimes()) {
        let expected = if wish == Lifetime::Forever { source } else { wish };
        prop_assert_eq!(source.inherited_by_fork(wish), expected);
    }
}

#[test]
fn the_fork_table_of_the_specification() {
    let (none, ttl, own_ttl) = (Lifetime::Forever, Lifetime::Ttl(60), Lifetime::Ttl(7));
    let [at, own_at] = [1000, 2000].map(|millis| Lifetime::ExpiresAt(Timestamp::from_millis(millis)));
    let table = [
        (none, none, none),
        (none, own_ttl, own_ttl),
        (none, own_at, own_at),
        (ttl, none, ttl),
        (ttl, own_ttl, own_ttl),
        (ttl, own_at, own_at),
        (at, none, at),
        (at, own_ttl, own_ttl),
        (at, own_at, own_at),
    ];
    for (source, wish, expected) in table {
        assert_eq!(source.inherited_by_fork(wish), expected, "{source:?} {wish:?}");
    }
}

#[test]
fn the_headers_of_a_create() {
    assert_eq!(Lifetime::parse(None, None), Ok(Lifetime::Forever));
    assert_eq!(Lifetime::parse(Some("0"), None), Ok(Lifetime::Ttl(0)));
    assert_eq!(Lifetime::parse(Some("3600"), None), Ok(Lifetime::Ttl(3600)));
    for ttl in [
        "",
        "+3600",
        "03600",
        "00",
        "3600.0",
        "3.6e3",
        "-1",
        " 1",
        "1s",
        "18446744073709551616",
        "١",
    ] {
        assert_eq!(Lifetime::parse(Some(ttl), None), Err(LifetimeError::Ttl), "{ttl}");
    }
    for at in [
        "",
        "tomorrow",
        "2026-11-23",
        "2026-11-23T10:00:00",
        "1969-12-31T23:59:59Z",
        "1764000000",
    ] {
        assert_eq!(Lifetime::parse(None, Some(at)), Err(LifetimeError::ExpiresAt), "{at}");
    }
    let both = Lifetime::parse(Some("60"), Some("2026-11-23T10:00:00Z"));
    assert_eq!(both, Err(LifetimeError::Both));
}
