//! Identities and addresses as text.

use proptest::prelude::*;
use weir_meta::{Address, ClusterId, GroupId, IdError, NodeUuid, ReplicaId, Zone};

const UUID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

#[test]
fn random_ids_are_uuids() {
    let id: ClusterId = UUID.parse().unwrap();
    assert_eq!(id, ClusterId(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8));
    assert_eq!(id.to_string(), UUID);
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{UUID}\""));
    assert_eq!(serde_json::from_str::<ClusterId>(&format!("\"{UUID}\"")).unwrap(), id);
    assert_eq!(NodeUuid(1).to_string(), "00000000-0000-0000-0000-000000000001");
}

#[test]
fn other_forms_of_uuids_are_refused() {
    let plain = UUID.replace('-', "");
    let others = [
        "",
        "1",
        plain.as_str(),
        "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
        "urn:uuid:67e55044-10b1-426f-9247-bb680e5fe0c8",
        "67e55044-10b1-426f-9247-bb680e5fe0cg",
        "00000000-0000-0000-0000-000000000000",
    ];
    for text in others {
        assert_eq!(text.parse::<NodeUuid>(), Err(IdError::Uuid), "{text}");
    }
    assert!(serde_json::from_str::<ClusterId>("\"1\"").is_err());
}

#[test]
fn counted_ids_are_plain_numbers() {
    assert_eq!("0".parse::<GroupId>(), Ok(GroupId::META));
    assert_eq!("18446744073709551615".parse::<ReplicaId>(), Ok(ReplicaId(u64::MAX)));
    for text in ["", "+1", "-1", "1 ", "0x1", "18446744073709551616"] {
        assert_eq!(text.parse::<GroupId>(), Err(IdError::Number), "{text}");
    }
    assert_eq!(serde_json::to_string(&GroupId(7)).unwrap(), "7");
    assert_eq!(serde_json::from_str::<GroupId>("7").unwrap(), GroupId(7));
}

#[test]
fn addresses() {
    for text in [
        "localhost:4436",
        "weir-0.weir.default.svc.cluster.local:4436",
        "10.0.0.1:1",
        "[::1]:65535",
    ] {
        assert_eq!(text.parse::<Address>().unwrap().as_str(), text);
    }
    assert_eq!("Node-1:4436".parse::<Address>().unwrap().as_str(), "node-1:4436");
    let long = format!("{}:4436", "a".repeat(257));
    let wrong = [
        "", "a", "a:", ":1", "a:0", "a:01", "a:+1", "a:65536", "a b:1", "::1:1", "[::1:1", "[a]:1", "ä:1", &long,
    ];
    for text in wrong {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}

#[test]
fn zones() {
    assert_eq!("".parse::<Zone>().unwrap(), Zone::default());
    assert_eq!("eu-west_1.a".parse::<Zone>().unwrap().as_str(), "eu-west_1.a");
    for text in ["a b", "a/b", "\u{e4}", &"a".repeat(64)] {
        assert!(text.parse::<Zone>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn text_round_trips(wide in 1..=u128::MAX, number in any::<u64>()) {
        prop_assert_eq!(ClusterId(wide).to_string().parse(), Ok(ClusterId(wide)));
        prop_assert_eq!(ReplicaId(number).to_string().parse(), Ok(ReplicaId(number)));
    }

    #[test]
    fn an_accepted_address_is_its_own_text(text in "[a-zA-Z0-9.:\\[\\]-]{0,12}") {
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.as_str().parse(), Ok(address.clone()));
            prop_assert_eq!(address.as_str(), text.to_ascii_lowercase());
        }
    }
}
