use proptest::prelude::*;
use weir_protocol::{ETag, Incarnation, Offset, Reach, Timestamp};

const REACHES: [Reach; 3] = [Reach::Partial, Reach::Tail, Reach::End];

fn tags() -> impl Strategy<Value = ETag> {
    let reaches = prop::sample::select(&REACHES);
    (9..11_u64, 0..2_u64, 0..2_u64, 10..12_u64, reaches).prop_map(|(id, millis, start, end, reach)| ETag {
        incarnation: Incarnation {
            id,
            created_at: Timestamp::from_millis(millis),
        },
        start: Offset::new(start).unwrap(),
        end: Offset::new(end).unwrap(),
        reach,
    })
}

proptest! {
    #[test]
    fn tags_differ_when_anything_does(a in tags(), b in tags()) {
        prop_assert_eq!(a.to_string() == b.to_string(), a == b);
        prop_assert_eq!(a.matches(&b.to_string()), a == b);
    }

    #[test]
    fn a_tag_is_an_opaque_tag_of_http(tag in tags()) {
        let text = tag.to_string();
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap();
        prop_assert!(inner.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b','));
        prop_assert_eq!(inner.ends_with(":c"), tag.reach == Reach::End);
    }

    #[test]
    fn a_list_matches_by_its_members(own in tags(), others in prop::collection::vec((tags(), any::<bool>()), 0..4), at in any::<prop::sample::Index>(), named in any::<bool>(), weak in any::<bool>()) {
        let mut list: Vec<String> = others
            .iter()
            .map(|(tag, weak)| format!("{}{tag}", if *weak { "W/" } else { "" }))
            .collect();
        list.push("\"a,b\"".to_owned());
        if named {
            list.insert(at.index(list.len() + 1), format!("{}{own}", if weak { "W/" } else { "" }));
        }
        let expected = named || others.iter().any(|(tag, _)| *tag == own);
        prop_assert_eq!(own.matches(&list.join(" , ")), expected);
    }

    #[test]
    fn nothing_else_matches(tag in tags(), text in "[\"W/*,: 0-9a-f.c-]{0,12}") {
        prop_assert_eq!(tag.matches(&text), text.trim() == "*" || text.contains(&tag.to_string()));
    }
}

#[test]
fn what_follows_changes_the_tag() {
    let tail = ETag {
        incarnation: Incarnation {
            id: 10,
            created_at: Timestamp::from_millis(255),
        },
        start: Offset::ZERO,
        end: Offset::new(12).unwrap(),
        reach: Reach::Tail,
    };
    let [partial, _, end] = REACHES.map(|reach| ETag { reach, ..tail });
    assert_eq!(tail.to_string(), "\"a.ff:0:12\"");
    assert_eq!(end.to_string(), "\"a.ff:0:12:c\"");
    assert_eq!(partial.to_string(), "\"a.ff:0:12:p\"");
    assert!(!end.matches(&tail.to_string()) && !partial.matches(&tail.to_string()));
    assert!(tail.matches("*") && tail.matches(" * "));
    assert!(!tail.matches("\"x\", *") && !tail.matches("") && !tail.matches("a.ff:0:12"));
}
